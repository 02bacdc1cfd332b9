"""What can be wrong with data, said so that it can be mended."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import PurePath


# Control characters and line ends, and what stands for bytes that are not UTF-8.
UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")


def printable(text: str) -> str:
    """Return text that any table, page and terminal can hold: line ends, control characters and stray bytes escaped."""
    if any("\ud800" <= character <= "\udfff" for character in text):
        text = os.fsencode(text).decode("utf-8", "backslashreplace")
    return UNPRINTABLE.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


class DataError(ValueError):
    """The data cannot be used as it is. The message says what was expected, what was found and what to do."""


class UnreadableImageError(DataError):
    """One file is not a usable image. The rest can go on without it.

    Attributes:
        path: The file.
        problem: What is wrong with it.
        remedy: What to do about it.
    """

    def __init__(self, path: str | PurePath, problem: str, remedy: str) -> None:
        self.path = printable(str(path))
        self.problem = problem
        self.remedy = remedy
        super().__init__(f"{self.path}: {problem.removesuffix('.')}; {remedy}")

    def __reduce__(self) -> tuple[type[UnreadableImageError], tuple[str, str, str]]:
        """Travel whole from a loader's worker process to the main one."""
        return type(self), (self.path, self.problem, self.remedy)
