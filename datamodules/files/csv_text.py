"""CSV that reads back as it was written, whatever stands in its cells; ships with bundles, and needs no pandas."""

from __future__ import annotations

import io
import os
import re
from typing import IO, TYPE_CHECKING, Any, Protocol, cast

if TYPE_CHECKING:
    from collections.abc import Callable

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


_FORMULA = re.compile(r"'*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]")  # also as wide characters, which some programs narrow
_GUARDED = re.compile(rf"'{_FORMULA.pattern}")


def guarded(value: Any) -> Any:
    """Put an apostrophe before a text that a spreadsheet would run as a formula; numbers and all else stay as they are.

    ``bare`` takes it away again: what begins with apostrophes and then such a character gets one more.
    """
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def bare(value: Any) -> Any:
    """Undo ``guarded``; what it never wrote stays as it is."""
    return value[1:] if isinstance(value, str) and _GUARDED.match(value) else value


def map_texts(table: pd.DataFrame, change: Callable[[Any], Any]) -> pd.DataFrame:
    """Change every text of a table by ``guarded`` or ``bare``; columns of numbers are not looked at."""
    texts = [column for column in table.columns if table[column].dtype.kind not in "biufcmM"]
    return table.assign(**{column: table[column].map(change) for column in texts}) if texts else table


def written(name: str) -> str:
    """Write a name so that a table can hold it: on Linux it may be any bytes, and what is not text is escaped."""
    return os.fsencode(name).decode("utf-8", "backslashreplace") if any(map(_is_lone, name)) else name


def _is_lone(character: str) -> bool:
    """Tell whether a character stands for a byte that is not text, as Python keeps it."""
    return "\ud800" <= character <= "\udfff"


def csv_text(table: pd.DataFrame, *, index: bool = False) -> str:
    """Write a table as CSV: rows end with LF, cells with any line end are quoted, texts are guarded.

    Args:
        table: To write.
        index: Write its index as the first column.
    """
    text = io.StringIO(newline="")
    map_texts(table, guarded).to_csv(cast("IO[str]", Rows(text)), index=index, lineterminator=LINE_END)
    return text.getvalue()
