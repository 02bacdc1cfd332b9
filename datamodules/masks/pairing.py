"""Masks for the images of a data set: those of defective ones are used, all others checked or named."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, Protocol

from datamodules.errors import UnreadableImageError
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, UNKNOWN

from .matching import Matched, match_masks
from .reading import read_mask

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Paired(NamedTuple):
    """What became of the masks of a data set.

    Attributes:
        matched: The masks of defective images.
        problems: Images that are left out, and masks that are not used, with the reason.
        remark: What must be said first: that no mask at all is used; empty otherwise.
    """

    matched: Matched
    problems: list[UnreadableImageError]
    remark: str


def pair_masks(
    root: Path,
    images: Mapping[int, Sequence[Path]],
    masks: Sequence[Path],
    mask_on: int,
    void: Sequence[int] | None = None,
) -> Paired:
    """Give masks to defective images; find those that contradict an image which is called good, or unknown.

    Args:
        root: The data set.
        images: Files by label.
        masks: All masks of the data set.
        mask_on: A mask marks where its value is above this.
        void: Values that mark nothing.
    """
    below = {path: _below(path, root) for path in masks}
    defective = {path: _below(path, root) for path in images.get(DEFECTIVE, ())}
    matched = match_masks(defective, below)
    problems: list[UnreadableImageError] = []
    for label in (GOOD, UNKNOWN):
        others = match_masks(
            {path: _below(path, root) for path in images.get(label, ())}, {path: below[path] for path in matched.strays}
        )
        matched.strays = others.strays
        problems += [*others.refused, *_contradictions(others, LABEL_NAMES[label], mask_on, void)]
    problems += matched.problems()
    unused = masks and defective and not matched.masks and not matched.refused
    return Paired(matched, problems, none_matches(list(below.values()), list(defective.values())) if unused else "")


def none_matches(
    masks: Sequence[PurePosixPath], images: Sequence[PurePosixPath], whose: str = "a defective image"
) -> str:
    """Say that no mask at all belongs to an image that may have one, with an example of both."""
    return (
        f"None of the {len(masks)} masks belongs to {whose}, for example {masks[0]} and {images[0]}; give "
        "them the same names, or all defects count as unmarked."
    )


def _below(path: Path, root: Path) -> PurePosixPath:
    return PurePosixPath(*path.parts[len(root.parts) :])


def _contradictions(
    matched: Matched, label: str, mask_on: int, void: Sequence[int] | None
) -> list[UnreadableImageError]:
    """Name the images of another label whose masks mark something."""
    problems = []
    for image, masks in matched.masks.items():
        try:
            marked = int(read_mask(matched.text(image), mask_on, void).sum())
        except UnreadableImageError as error:
            problems.append(error)
            continue
        if marked:
            what = f"is called {label}, but its mask {masks[0].name} marks {marked} pixels"
            problems.append(UnreadableImageError(image, what, "label the image defective, or mend the mask"))
    return problems


class Marked(Protocol):
    """What decides how masks are read, and keeps what must be said first: a datamodule."""

    mask_on: int
    void: tuple[int, ...] | None
    remarks: list[str]


def with_masks(
    reading: Marked,
    root: Path,
    rows: Sequence[dict[str, object]],
    masks: Sequence[Path],
    problems: list[UnreadableImageError],
) -> list[dict[str, object]]:
    """Give the rows of a sample table their masks; leave out those whose masks are refused, and say so.

    Args:
        reading: Decides how masks are read; gets a remark where none is used.
        root: The data set.
        rows: With ``image_path`` and ``label_index``.
        masks: All masks of the data set.
        problems: Gets what is left out or not used.
    """
    if not masks:
        return [row | {"mask_path": ""} for row in rows]
    images: dict[int, list[Path]] = {}
    for row in rows:
        images.setdefault(int(str(row["label_index"])), []).append(Path(str(row["image_path"])))
    paired = pair_masks(root, images, masks, reading.mask_on, reading.void)
    reading.remarks += [paired.remark] if paired.remark else []
    problems += paired.problems
    refused = {problem.path for problem in paired.problems}
    return [
        row | {"mask_path": paired.matched.text(Path(str(row["image_path"])))}
        for row in rows
        if str(row["image_path"]) not in refused
    ]
