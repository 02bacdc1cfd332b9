"""Tables of labels, as people write them: by any spreadsheet, on any system, in any Unicode form."""

from __future__ import annotations

import csv
import io
import warnings
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import pandas as pd

from datamodules.errors import DataError
from datamodules.files.regular_files import LARGEST_LABELS, read_regular
from datamodules.outlines.names import same_parts, split_path

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

DELIMITERS = (",", ";", "\t")


class MissingColumnError(DataError):
    """A table lacks a column."""


def read_labels(path: Path) -> pd.DataFrame:
    """Read labels.csv as text, with the columns ``image`` and ``label``; names of columns in lower case.

    Commas, semicolons and tabs are told from the first line; a byte order mark and trailing commas are no matter.

    Raises:
        DataError: It is not a table, lacks a column, names an image twice, or holds what no table should.
    """
    labels = read_text_table(path, "columns image and label")
    for column in ("image", "label"):
        if column not in labels:
            found = ", ".join(labels.columns)
            raise MissingColumnError(
                f"Expected {path} to have a column {column}, but found {found}; name it in the first line."
            )
    if (twice := labels["image"].duplicated()).any():
        raise DataError(f"Expected {path} to name every image once, but found {labels['image'][twice].iloc[0]} twice.")
    return labels


def read_text_table(path: Path, expected: str) -> pd.DataFrame:
    """Read a table whose cells are all text, and whose columns have names in lower case.

    Args:
        path: The file.
        expected: What it should hold, for errors.

    Raises:
        DataError: It cannot be read as a table.
    """
    try:
        text = read_regular(path, LARGEST_LABELS).decode("utf-8-sig")  # spreadsheets write a byte order mark in front
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(
            f"Expected {path} to be a table with {expected}, but could not read it ({error}); save it as CSV in UTF-8."
        ) from error
    if "\0" in text:
        raise DataError(f"Expected {path} to be a table with {expected}, but found NUL bytes in it; save it as CSV.")
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    head = text.partition("\n")[0]
    delimiter = max(DELIMITERS, key=head.count)
    try:
        table = _parse(text, delimiter)
    except (ValueError, pd.errors.ParserWarning) as error:
        why = " ".join(str(error).split())
        raise DataError(
            f"Expected {path} to be a table with {expected}, but could not read it: {why}; close every quote, put "
            "names with a comma between quotes, and give each line as many cells as the first, which names the columns."
        ) from error
    _check_columns(path, head, delimiter)
    table.columns = table.columns.str.strip().str.lower()
    return table


def _parse(text: str, delimiter: str) -> pd.DataFrame:
    """Parse a table of texts; delimiters behind the last cell, as spreadsheets write them, mean nothing.

    Raises:
        ParserWarning: Cells without a column would be lost.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        table = pd.read_csv(io.StringIO(text), sep=delimiter, dtype=str, keep_default_na=False, index_col=False)
    return table.fillna("")


def _check_columns(path: Path, head: str, delimiter: str) -> None:
    """Refuse a table with two columns of one name, which may say two things of an image.

    Raises:
        DataError: Names the column.
    """
    names = [name.strip().lower() for name in next(csv.reader([head], delimiter=delimiter), [])]
    twice = next((name for name, count in Counter(filter(None, names)).items() if count > 1), None)
    if twice is not None:
        raise DataError(f"Expected {path} to name every column once, but found {twice} twice; delete or rename one.")


class FileIndex:
    """The files below a root by name, whatever the case, Unicode form and separators that a table writes.

    Args:
        root: The folder.
        paths: The files below it.
    """

    def __init__(self, root: Path, paths: Iterable[Path]) -> None:
        self.root = root
        self.unused: dict[tuple[str, ...], Path] = {}
        self._alike: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        for path in paths:
            parts = path.parts[len(root.parts) :]
            self.unused[parts] = path
            self._alike[same_parts(parts)].append(path)

    def find(self, name: str) -> Path | None:
        """Return the file that a table names; None where there is none, or several differ in case alone."""
        parts = split_path(name)
        exact = self.root.joinpath(*parts)
        alike = self._alike.get(same_parts(parts), [])
        found = exact if exact in alike else alike[0] if len(alike) == 1 else None
        if found is not None:
            self.unused.pop(found.parts[len(self.root.parts) :], None)
        return found
