"""O-rings, and other parts whose defects are outlined by polygons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd
from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Tag

from .base import InspectionDataModule, existing_root
from .errors import DataError, UnreadableImageError
from .oring_layouts import Found, find_pictures
from .outlines.annotations import read_annotation
from .outlines.instances import is_part
from .outlines.polygon_files import Labels
from .progress import track
from .table import DEFECTIVE, GOOD, TEST, UNKNOWN

if TYPE_CHECKING:
    from .dataset import Reading


@dataclass(kw_only=True, eq=False)
class OringDataModule(InspectionDataModule):
    """Pictures of rings with outlined defects: the targets of instance models, and masks for all others.

    On disk, under ``root``, one of:

    * folders that say what their pictures are, and of which kind: ``model1good`` and ``model1defect``, ``good`` and
      ``notok``, or ``model3/good``; they may lie under ``images/``, the outlines likewise under ``labels/``, or beside;
    * ``labels.csv`` with ``image``, ``label`` (good, defective, rework, or empty) and optionally ``group`` (or
      ``part``, or ``location``), ``kind`` and ``split``; outlines as above;
    * ``images/`` and ``labels/`` alone: a picture with outlined defects is defective, one without a label file good;
    * COCO files, ``annotations/train.json`` and so on, with ``images/``, as ``loupe prepare oring`` writes them.

    A label file is ``{stem}_mask.json`` or ``{stem}.json``, in the o-ring system's form or labelme's. Good pictures
    need none: they are negatives. Pictures called ``rework`` are neither: they are only in the test split, as unknown,
    so that they are judged but neither trained on, nor calibrated on, nor counted.

    Args:
        kind: Only pictures of this kind, such as ``model1``; null: all.
        bare_kind: Kind of pictures in folders that name none, ``good`` and ``notok``: the o-ring system's second type.
        parts: Labels of outlines that mark the part itself, in any case: they make no picture defective.
        part_pattern: Regular expression; what its first group matches in a file's stem names the part whose pictures no
            split may separate. By default a tile's number is dropped, as in ``ring7_patch_3`` or ``ring7_r0_c2``.
    """

    kind: str | None = None
    bare_kind: str = "model2"
    parts: tuple[str, ...] = ("o-ring", "oring", "ring")
    part_pattern: str = r"^(.+?)(?:[_-](?:patch|tile)[_-]?\d+(?:[_-]\d+)*|[_-]r\d+[_-]c\d+)?$"

    def __post_init__(self) -> None:
        super().__post_init__()
        try:
            if re.compile(self.part_pattern).groups < 1:
                raise DataError(f"Expected data.part_pattern to have a group, but found none in {self.part_pattern!r}.")
        except re.error as error:
            raise DataError(
                f"Expected data.part_pattern to be a regular expression, but found {self.part_pattern!r}: {error}."
            ) from error

    @property
    def reading(self) -> Reading:
        """How files become tensors: every picture gets a target."""
        return super().reading._replace(instances=True, parts=tuple(self.parts))

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List the pictures, and read their outlines."""
        root = existing_root(self.root, "folders such as model1good and model1defect, labels.csv, or COCO files")
        problems: list[UnreadableImageError] = []
        pictures = self._of_kind(find_pictures(root, self.bare_kind, problems))
        rows = []
        for found in track(pictures, "reading outlines"):
            try:
                labels = outlines_of(found)
                rows.append(self._row(found, labels))
                problems += labels.problems
            except UnreadableImageError as error:
                problems.append(error)
        if not rows:
            first = problems[0] if problems else "there are no pictures at all"
            raise DataError(f"Expected at least one usable picture under {root}, but found none; for example: {first}")
        return pd.DataFrame(rows), problems

    def _of_kind(self, pictures: list[Found]) -> list[Found]:
        kinds = sorted({found.kind for found in pictures})
        if self.kind is not None and self.kind not in kinds:
            raise DataError(
                f"Expected data.kind to be one of {', '.join(map(repr, kinds))}, but found {self.kind!r}; "
                "null takes all."
            )
        return [found for found in pictures if self.kind in {None, found.kind}]

    def _row(self, found: Found, labels: Labels) -> dict[str, object]:
        """Make the row of a picture.

        Raises:
            UnreadableImageError: Its folder and its outlines contradict each other.
        """
        defects = [outline for outline in labels.outlines if not is_part(outline, self.parts)]
        check_verdict(found, labels, has_defects=bool(defects))
        label_index = {"good": GOOD, "defective": DEFECTIVE}.get(found.verdict, UNKNOWN)
        if found.verdict == "open":
            label_index = DEFECTIVE if defects else UNKNOWN if labels.outlines else GOOD
        names = sorted({outline.label or "defect" for outline in defects})
        matched = re.match(self.part_pattern, Path(found.name).stem)
        part = matched[1] if matched and matched[1] else Path(found.name).stem
        return {
            "image_path": str(found.image),
            "name": found.name,
            "label_index": label_index,
            "split": TEST if found.verdict == "rework" else found.split,
            "annotation_path": "" if found.annotation is None else str(found.annotation),
            "group": found.group or Path(found.name).with_name(part).as_posix(),
            "kind": found.kind,
            "defect": "+".join(names) if label_index == DEFECTIVE else "",
        }


def outlines_of(found: Found) -> Labels:
    """Read the outlines of a picture; none where it has no label file, or cannot be read itself.

    Raises:
        UnreadableImageError: The label file cannot be used.
    """
    if found.annotation is None or (size := picture_size(found.image)) is None:
        return Labels()
    return read_annotation(found.annotation, found.image, *size)


def picture_size(path: Path) -> tuple[int, int] | None:
    """Read height and width from the head of a picture file; None if that cannot be: the survey will say why."""
    try:
        with Image.open(path) as image:
            # Pillow would decode a whole PNG to look for a tag that its head did not bring.
            tags = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            # Five to eight are quarter turns; of a TIFF, Pillow tells the size as turned already.
            turned = tags.get(Tag.Orientation, 1) >= 5 and image.format != "TIFF"
            return (image.width, image.height) if turned else (image.height, image.width)
    except (OSError, SyntaxError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None


def check_verdict(found: Found, labels: Labels, *, has_defects: bool) -> None:
    """Refuse a picture whose label and outlines contradict each other.

    Raises:
        UnreadableImageError: It is called good but has outlined defects; or it should have some, but none is usable.
    """
    if found.verdict == "good" and has_defects:
        raise UnreadableImageError(
            found.image, f"is called good, but {found.annotation} outlines defects", "move it, or mend its outlines"
        )
    if has_defects or found.annotation is None:
        return
    if labels.problems:
        raise UnreadableImageError(
            found.image,
            f"has no usable outline: {labels.problems[0].path} {labels.problems[0].problem}",
            "mend the label file; the picture is left out",
        )
    if found.verdict == "defective":
        raise UnreadableImageError(
            found.image,
            f"is called defective, but {found.annotation} outlines nothing",
            "outline its defects, or move it",
        )
