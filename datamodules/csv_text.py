"""CSV that reads back as it was written, whatever stands in its cells; ships with bundles, and needs no pandas."""

from __future__ import annotations

import io
import os
from typing import IO, TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    import pandas as pd

LINE_END = "\r\n"
"""What Python's writer is to end rows with, so that ``Rows`` can end them with LF."""


class Takes(Protocol):
    """Anything that text can be written to."""

    def write(self, text: str, /) -> int:
        """Write text."""


class Rows:
    """Stands between Python's CSV writer and a file: takes rows that end in CR and LF, and ends them with LF.

    The writer quotes a cell that holds any character of the line end, and no other control character. With LF alone it
    would leave a CR as it is, as in the name of an image, which readers then take for the end of a row.

    Args:
        file: Where rows go.
    """

    def __init__(self, file: Takes) -> None:
        self._file = file

    def write(self, row: str) -> int:
        """Take one whole row."""
        return self._file.write(row.removesuffix(LINE_END) + "\n")


def written(name: str) -> str:
    """Write a name so that a table can hold it: on Linux it may be any bytes, and what is no text is escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace") if any(map(_is_lone, name)) else name


def _is_lone(character: str) -> bool:
    """Tell whether a character stands for a byte that is no text, as Python keeps it."""
    return "\ud800" <= character <= "\udfff"


def csv_text(table: pd.DataFrame, *, index: bool = False) -> str:
    """Write a table as CSV: rows end with LF, cells with any line end are quoted.

    Args:
        table: To write.
        index: Write its index as the first column.
    """
    text = io.StringIO(newline="")
    table.to_csv(cast("IO[str]", Rows(text)), index=index, lineterminator=LINE_END)
    return text.getvalue()
