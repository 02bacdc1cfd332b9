"""Folders that say two things of their images: good/bad/, or augmented/good/, which is no type of defect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.table import DEFECTIVE, GOOD

from .words import WORDS, plain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

_LABELS = {"good": GOOD, "defective": DEFECTIVE}


def refuse_contradictions(root: Path, places: Iterable[tuple[Path, Sequence[str], int | None]]) -> None:
    """Refuse folders below a class whose names say the opposite of it, instead of choosing.

    Args:
        root: The data set.
        places: Images, the folders between their class folder and them, and the label that the class folder says.

    Raises:
        DataError: Names the first, and what to do.
    """
    for path, folders, label in places:
        for depth, folder in enumerate(folders):
            inner_label = _LABELS.get(str(WORDS.get(plain(folder))))
            if label in {GOOD, DEFECTIVE} and inner_label is not None and inner_label != label:
                inner = "/".join(path.relative_to(root).parts[: -len(folders) - 1] + tuple(folders[: depth + 1]))
                raise DataError(_refusal(root, inner, label))


def _refusal(root: Path, inner: str, label: int) -> str:
    outer = inner.rpartition("/")[0]
    what = "good images" if label == GOOD else "a type of defect"
    name = outer.rpartition("/")[2]
    ways = [f"move {inner}/ beside {outer}/"]
    if label == DEFECTIVE:
        ways += [f"set data.root={root / outer} if it is a data set of its own", f"set data.defective=['{name}']"]
    else:
        ways += ["rename it"]
    return (
        f"Expected folders below {outer}/ under {root} to be parts or lots of it, but found {inner}/, though {outer}/ "
        f"stands for {what}; {', '.join(ways[:-1])}, or {ways[-1]}."
    )
