"""An image and its outlines to a row of the sample table, unless the two contradict each other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import UnreadableImageError
from datamodules.outlines.instances import is_named
from datamodules.table import DEFECTIVE, GOOD, TEST, UNKNOWN

if TYPE_CHECKING:
    from datamodules.outlines.parsing import Labels

    from .words import Found


class Meaning(NamedTuple):
    """What outlines mean by their labels, and which images show one part.

    Attributes:
        parts: Labels of outlines that mark the part itself.
        background: Labels of outlines that mark neither part nor defect.
        part_pattern: Its first group names the part in a file's stem.
    """

    parts: tuple[str, ...]
    background: tuple[str, ...]
    part_pattern: str

    def is_defect(self, label: str) -> bool:
        """Tell whether an outline so labelled marks a defect."""
        return not is_named(label, self.parts) and not is_named(label, self.background)

    def part_of(self, name: str) -> str:
        """Return what names the part of an image in its path."""
        matched = re.match(self.part_pattern, Path(name).stem)
        return Path(name).with_name(matched[1] if matched and matched[1] else Path(name).stem).as_posix()


def marked_labels(labels: Labels) -> list[str]:
    """List the labels of all that is marked, by outlines and by boxes."""
    return [*(outline.label for outline in labels.outlines), *labels.boxes]


def row_of(found: Found, labels: Labels, meaning: Meaning) -> dict[str, object]:
    """Make the row of an image. One with boxes alone has no outlines: what they leave out would count as good pixels.

    Raises:
        UnreadableImageError: An outline cannot be used, or folder and outlines contradict each other.
    """
    marked = [label for label in marked_labels(labels) if not is_named(label, meaning.background)]
    defects = [label for label in marked if meaning.is_defect(label)]
    check_verdict(found, labels, has_defects=bool(defects))
    label_index = {"good": GOOD, "defective": DEFECTIVE}.get(found.verdict, UNKNOWN)
    if found.verdict == "open":
        label_index = DEFECTIVE if defects else UNKNOWN if marked else GOOD
    return {
        "image_path": str(found.image),
        "name": found.name,
        "label_index": label_index,
        "split": TEST if found.verdict == "rework" else found.split,
        "annotation_path": "" if found.annotation is None or labels.boxes else str(found.annotation),
        "group": found.group or meaning.part_of(found.name),
        "kind": found.kind,
        "defect": "+".join(sorted({label or "defect" for label in defects})) if label_index == DEFECTIVE else "",
    }


def check_verdict(found: Found, labels: Labels, *, has_defects: bool) -> None:
    """Refuse an image whose outlines are half read, or contradict what it is called.

    Raises:
        UnreadableImageError: Some outline cannot be used; or it is called good but has outlined defects; or it should
            have some, but has none.
    """
    if labels.problems:
        first, usable = labels.problems[0], len(marked_labels(labels))
        lost = f"{len(labels.problems)} of {len(labels.problems) + usable} outlines that cannot be used"
        what = f"has {lost}" if usable else "has no usable outline"
        raise UnreadableImageError(found.image, f"{what}: {first.path} {first.problem}", first.remedy)
    if found.verdict == "good" and has_defects:
        raise UnreadableImageError(
            found.image, f"is called good, but {found.annotation} outlines defects", "move it, or mend its outlines"
        )
    if found.verdict == "defective" and not has_defects and found.annotation is not None:
        raise UnreadableImageError(
            found.image,
            f"is called defective, but {found.annotation} outlines nothing",
            "outline its defects, or move it",
        )
