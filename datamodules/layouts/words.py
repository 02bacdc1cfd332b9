"""An image on disk with what its place says about it, and the words by which folders and tables say it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from datamodules.table import UNASSIGNED

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Verdict = Literal["good", "defective", "rework", "unknown", "open"]

WORDS: dict[str, Verdict] = {
    **dict.fromkeys(("good", "ok", "normal"), "good"),
    **dict.fromkeys(("defect", "defects", "defective", "notok", "notgood", "nogood", "nok", "ng", "bad"), "defective"),
    "rework": "rework",
    **dict.fromkeys(("unknown", "unlabelled", "unlabeled"), "unknown"),
}
_SHORT = ("bad", "ng", "nok", "ok")  # these end other words too, such as "book"


@dataclass(frozen=True)
class Found:
    """An image on disk, and what its place says about it.

    Attributes:
        image: The file.
        name: Its path below the root.
        verdict: What it is called; ``open`` where only its outlines tell, and one without any is good.
        kind: The type of ring, or empty.
        group: The part, or empty where only the name tells.
        split: Supplied, or empty.
        annotation: The file with its outlines, or None.
    """

    image: Path
    name: str
    verdict: Verdict
    kind: str = ""
    group: str = ""
    split: str = UNASSIGNED
    annotation: Path | None = None


def plain(word: str) -> str:
    """Return a word without case, spaces, hyphens and underscores."""
    return re.sub(r"[\s_-]", "", word.lower())


@lru_cache(maxsize=4096)  # few folders hold many images
def parse_folder(name: str) -> tuple[Verdict, str] | None:
    """Read verdict and kind from a folder's name, such as ``model1good`` or ``not_ok``; None where it says neither.

    A number behind the verdict, as in ``model1defect2``, counts deliveries, and says neither.
    """
    lowered = name.lower().rstrip("0123456789_- ")
    for cut in range(len(lowered)):
        verdict = WORDS.get(plain(lowered[cut:]))
        alone = cut == 0 or not lowered[cut - 1].isalpha()
        if verdict and (alone or lowered[cut:] not in _SHORT):
            return verdict, name[:cut].strip(" _-")
    return None


def verdict_of(folders: Sequence[str]) -> Verdict | None:
    """Return what the innermost folder with a word for it says; None where none has one."""
    return next((parsed[0] for folder in reversed(folders) if (parsed := parse_folder(folder))), None)


def kind_of(folders: Sequence[str], bare_kind: str) -> str:
    """Return the kind that folders name: before the verdict in one name, or in the folder above it."""
    for index in reversed(range(len(folders))):
        if parsed := parse_folder(folders[index]):
            return parsed[1] or "/".join(folders[:index]) or bare_kind
    return ""


def is_part_folder(folders: Sequence[str]) -> bool:
    """Tell whether the innermost folder lies below one with a verdict: it holds the images of one part."""
    return any(map(parse_folder, folders[:-1])) and parse_folder(folders[-1]) is None


def unread_verdicts(root: Path, images: Sequence[Path], data: str, instead: str) -> list[str]:
    """Say that folders call images good or bad, where nothing reads that.

    Args:
        root: The data set.
        images: Its images.
        data: What reads it.
        instead: What says it to that.
    """
    folders = (folder for path in images for folder in path.parts[len(root.parts) : -1])
    first = next(filter(parse_folder, folders), "")
    what = f"Folders such as {first}/ may say what images show, which data={data} does not read"
    return [f"{what}: all are unknown; use data=folder, or write {instead}."] if first else []
