"""O-rings, and other parts whose defects are outlined by polygons."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from .base import InspectionDataModule
from .errors import DataError, UnreadableImageError
from .files.roots import existing_root
from .layouts.finding import find_images
from .layouts.rows import Meaning, row_of
from .layouts.seen import Seen
from .layouts.split_folders import split_folders
from .progress import track

if TYPE_CHECKING:
    from .layouts.words import Found
    from .samples.dataset import Reading
    from .samples.supervision import Supervision


@dataclass(kw_only=True, eq=False)
class OringDataModule(InspectionDataModule):
    """Images of rings with outlined defects: the targets of instance models, and masks for all others.

    On disk, under ``root``, one of:

    * folders that say what their images are, and of which kind: ``model1good`` and ``model1defect``, ``good`` and
      ``notok``, or ``model3/good``; they may lie under ``images/``, the outlines likewise under ``labels/``, or beside;
    * ``labels.csv`` with ``image``, ``label`` (good, defective, rework, or empty) and optionally ``group`` (or
      ``part``, or ``location``), ``kind`` and ``split``; outlines as above;
    * ``images/`` and ``labels/`` alone: an image with outlined defects is defective, one without a label file good;
    * COCO files, ``annotations/train.json`` and so on, with ``images/``, as ``loupe prepare oring`` writes them;
    * files of labelme's or of COCO alone, which name images that lie elsewhere, as ``loupe label export=labelme`` and
      ``export=coco`` write them: the flag that is set, or ``verdict``, says what each is called.

    A label file is ``{stem}_mask.json`` or ``{stem}.json``, in the o-ring system's form or labelme's. Good images
    need none: they are negatives. Images called ``rework`` are neither: they are only in the test split, as unknown,
    so that they are judged but neither trained on, nor calibrated on, nor counted.

    Absence means good only where everything present was understood: every JSON, CSV and XML file below the root is used
    or named, and one that may say otherwise stops everything. An image one of whose outlines cannot be used is left
    out; a box alone makes it defective, without an outline.

    Args:
        kind: Only images of this kind, such as ``model1``; null: all.
        bare_kind: Kind of images in folders that name none, ``good`` and ``notok``: the o-ring system's second type.
        parts: Labels of outlines that mark the part itself, in any case: they make no image defective.
        background: Labels of outlines that mark neither part nor defect, in any case: they are left aside.
        part_pattern: Regular expression; what its first group matches in a file's stem names the part whose images no
            split may separate. By default a tile's number is dropped, as in ``ring7_patch_3`` or ``ring7_r0_c2``.
    """

    kind: str | None = None
    bare_kind: str = "model2"
    parts: tuple[str, ...] = ("o-ring", "oring", "ring")
    background: tuple[str, ...] = ()
    part_pattern: str = r"^(.+?)(?:[_-](?:patch|tile)[_-]?\d+(?:[_-]\d+)*|[_-]r\d+[_-]c\d+)?$"

    def __post_init__(self) -> None:
        super().__post_init__()
        self._seen = Seen()  # of the label files, once they have been read
        try:
            if re.compile(self.part_pattern).groups < 1:
                raise DataError(f"Expected data.part_pattern to have a group, but found none in {self.part_pattern!r}.")
        except re.error as error:
            raise DataError(
                f"Expected data.part_pattern to be a regular expression, but found {self.part_pattern!r}: {error}."
            ) from error

    @property
    def reading(self) -> Reading:
        """How files become tensors: every image gets a target."""
        return super().reading._replace(instances=True, parts=tuple(self.parts), background=tuple(self.background))

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List the images, and read their outlines."""
        root = existing_root(self.root, "folders such as model1good and model1defect, labels.csv, or COCO files")
        problems: list[UnreadableImageError] = []
        self._seen = seen = Seen()
        meaning = Meaning(tuple(self.parts), tuple(self.background), self.part_pattern)
        rows = []
        images = find_images(root, self.bare_kind, problems)
        remark = split_folders(root, [found.image for found in images]).remark
        self.remarks += [remark] if remark and not any(found.split for found in images) else []
        for found in track(self._of_kind(images), "reading outlines"):
            try:
                labels = seen.read(found)
                rows.append(row_of(found, labels, meaning))
                seen.add(found, labels, meaning)
            except UnreadableImageError as error:
                problems.append(error)
        seen.check_label_files(root)
        if not rows:
            first = problems[0] if problems else "there are no pictures at all"
            raise DataError(f"Expected at least one usable picture under {root}, but found none; for example: {first}")
        return pd.DataFrame(rows), problems

    def described(self) -> list[str]:
        """Say what was found, and which label files it was read from."""
        return [*super().described(), *self._seen.sources()]

    def notes(self) -> list[str]:
        """Say, too, what in the label files may not mean what it was taken for."""
        return [*super().notes(), *self._seen.doubts()]

    def check_training(self, supervision: Supervision = "good") -> None:
        """Refuse as every datamodule does; say which outlines may be the reason."""
        try:
            super().check_training(supervision)
        except DataError as error:
            if hints := self._seen.hints():
                raise DataError(" ".join([str(error), *hints])) from error
            raise

    def _of_kind(self, images: list[Found]) -> list[Found]:
        kinds = sorted({found.kind for found in images})
        if self.kind is not None and self.kind not in kinds:
            raise DataError(
                f"Expected data.kind to be one of {', '.join(map(repr, kinds))}, but found {self.kind!r}; "
                "null takes all."
            )
        return [found for found in images if self.kind in {None, found.kind}]
