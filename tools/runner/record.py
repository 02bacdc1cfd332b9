"""``predictions.jsonl``, the record of a folder: a line of JSON per image, read back whatever has happened to it."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

NAME = "image_path"
VERDICTS = ("good", "defective")
_BOM = b"\xef\xbb\xbf"


def write_row(row: dict[str, Any]) -> str:
    """Write a row as a line; JSON knows no NaN and no infinity.

    Raises:
        ValueError: The row holds one.
    """
    return json.dumps(row, allow_nan=False) + "\n"


def whole_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of earlier calls, each image once; then see to it that the file holds these and nothing else.

    Lines that a kill cut, that an editor broke, or that tell of an image once more are left out, and whatever ends
    lines is taken for an end. The file is written anew only where it must be, and is whole at any moment.
    """
    if not path.is_file():
        return
    part = path.with_name(f".{path.name}.{os.getpid()}")
    seen: set[str] = set()
    with part.open("wb") as file:
        for line in _lines(path):
            row = _row(line)
            if row is not None and row[NAME] not in seen:
                seen.add(row[NAME])
                file.write(line + b"\n")
                yield row
    if _same(part, path):
        part.unlink()
    else:
        part.replace(path)


def _lines(path: Path) -> Iterator[bytes]:
    r"""Yield lines, ended by ``\\n``, ``\\r`` or both, without their ends; a byte order mark goes."""
    with path.open("rb") as stream:
        for number, chunk in enumerate(stream):
            yield from (line for line in (chunk.removeprefix(_BOM) if not number else chunk).splitlines() if line)


def _row(line: bytes) -> dict[str, Any] | None:
    """Read a line; None where it is not a whole row."""
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) and _is_whole(row) else None


def _is_whole(row: dict[str, Any]) -> bool:
    """Tell whether a row has what ``Result.row`` writes: a name, and an error or a verdict with its lists."""
    if not isinstance(row.get(NAME), str):
        return False
    if "error" in row:
        return isinstance(row["error"], str)
    lists = [row.get(name, []) for name in ("regions", "detections", "defects")]
    return (
        row.get("verdict") in VERDICTS
        and isinstance(row.get("kind"), str)
        and all(isinstance(entries, list) and all(isinstance(one, dict) for one in entries) for entries in lists)
    )


def _same(first: Path, second: Path) -> bool:
    """Compare two files by size: one is the other without some bytes."""
    return first.stat().st_size == second.stat().st_size
