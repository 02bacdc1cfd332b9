"""The record of a lot: a line of JSON per image, so that an interrupted call goes on."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any, Self

from datamodules.files.whole_files import write_whole
from tools.errors import ConfigError
from tools.runner.owning import Owner
from tools.runner.specification import BundleError

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType


class Record:
    """Owns a folder of results while it is open, and knows which images are done.

    Args:
        folder: That is there.
        name: Of the file, such as ``parts.jsonl``; what judges lies beside it, in ``parts.json``.
        about: What judges, in plain values: nothing is mixed with results of something else.

    Attributes:
        entries: Of every image so far, in order.

    Raises:
        ConfigError: The folder holds results of something else, or another process writes to it.
    """

    def __init__(self, folder: Path, name: str, about: dict[str, Any]) -> None:
        self.path = folder / name
        try:
            self._owner = Owner(folder)
        except BundleError as error:
            raise ConfigError(str(error)) from error
        try:
            self._compare(self.path.with_suffix(".json"), about)
            self.entries = list(_whole_lines(self.path))
            write_whole(self.path, "".join(map(_written, self.entries)).encode())  # without what a kill cut
        except BaseException:
            self._owner.release()
            raise

    def __enter__(self) -> Self:
        """Open the record behind what is there."""
        self._file = self.path.open("a", encoding="utf-8")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it, and hand the folder back."""
        self._file.close()
        self._owner.release()

    @property
    def done(self) -> frozenset[str]:
        """Names of the images that have an entry."""
        return frozenset(entry["image"] for entry in self.entries)

    def add(self, entry: dict[str, Any]) -> None:
        """Write the entry of an image."""
        self._file.write(_written(entry))
        self._file.flush()
        self.entries.append(entry)

    @staticmethod
    def _compare(path: Path, about: dict[str, Any]) -> None:
        text = json.dumps(about, indent=2, sort_keys=True) + os.linesep
        if path.is_file() and path.read_text(encoding="utf-8") != text:
            raise ConfigError(
                f"Expected out to be new, or to hold results of the same command, but {path.parent} was written with "
                "other keys; choose another folder."
            )
        write_whole(path, text.encode())


def _written(entry: dict[str, Any]) -> str:
    return json.dumps(entry, allow_nan=False) + "\n"


def _whole_lines(path: Path) -> list[dict[str, Any]]:
    """Read entries back; a line that a kill cut is left out, and its image done again."""
    if not path.is_file():
        return []
    entries: dict[str, dict[str, Any]] = {}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and isinstance(entry.get("image"), str):
            entries.setdefault(entry["image"], entry)
    return list(entries.values())
