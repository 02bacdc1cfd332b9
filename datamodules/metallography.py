"""Metallographic scans: inclusions, or the boundaries of grains, with masks."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Literal, NamedTuple

import numpy as np
import pandas as pd

from .errors import DataError, UnreadableImageError
from .files.boxes import Box, cut
from .files.images import grey
from .files.roots import existing_root
from .files.walking import list_folder, walk_images
from .layouts.split_folders import split_folders
from .layouts.strays import unused_documents
from .layouts.words import unread_verdicts
from .masks.beside import masks_beside
from .masks.forms import MaskForm, align, mask_form
from .masks.matching import join_mask, match_masks
from .masks.naming import in_mask_folder
from .masks.pairing import none_matches
from .masks.reading import check_whole, mask_values
from .progress import track
from .table import CALIBRATION, DEFECTIVE, GOOD, TRAIN, UNKNOWN
from .views import View, ViewDataModule, decoded, read_marks

if TYPE_CHECKING:
    from pathlib import Path

    from .files.images import Array
    from .samples.supervision import Supervision

IMAGE_FOLDERS = ("images", "image")


class Pair(NamedTuple):
    """An image and its mask, if it has one."""

    image: Path
    mask: Path | None


@dataclass(kw_only=True, eq=False)
class MetallographyDataModule(ViewDataModule):
    """Micrographs whose inclusions, or grain boundaries, are marked: squares for models that segment.

    On disk, under ``root``: ``images/``, and ``masks/`` with one file per image, of the same stem or with ``_mask``
    behind it; or images alone, whose squares are then unknown. A square with marks is labelled defective, one without
    is good; ``group`` is the scan. Folders named train, val and test are a split where every image lies in one.

    Masks come in many forms (see ``mask_forms``). White on black, above ``mask_on``, is read as it is, softened or
    noisy ones included; every other form is converted if an option says so, and left out with the remedy if not.

    Images larger than ``square`` are read as squares, spread evenly so that they overlap by at least ``overlap``;
    smaller ones are reflected to that size. Nothing is written to disk.

    Args:
        square: Side of the squares in pixels; null: whole images.
        overlap: Least overlap of neighbouring squares in pixels.
        marks: What masks mark, such as ``inclusion`` or ``boundary``.
        mask_foreground: ``white`` marks on black, or ``black`` ones on white. Masks that look otherwise, most of them
            and most of their border marked, are left out.
        dim_masks: ``convert`` masks with no value above ``mask_on`` at half of their brightest, or ``refuse`` them.
        mask_sizes: ``align`` masks of other sizes, up to 32 pixels off, where they fit their image best, or
            ``refuse`` them.
        scan_pattern: Regular expression; what its first group matches in a file's stem names the scan. By default what
            stands before the first ``-``, ``_``, ``.`` or space (``scan1tag-47`` counts as one word).
    """

    square: int | None = 128
    overlap: int = 32
    marks: str = "inclusion"
    mask_foreground: Literal["white", "black"] = "white"
    dim_masks: Literal["refuse", "convert"] = "refuse"
    mask_sizes: Literal["refuse", "align"] = "refuse"
    scan_pattern: str = r"^((?:scan\d+tag-)?[^-_. ]+)"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.square is not None and not 0 <= self.overlap < self.square:
            raise DataError(
                f"Expected data.overlap to be at least 0 and below data.square={self.square}, but found {self.overlap}."
            )
        try:
            groups = re.compile(self.scan_pattern).groups
        except re.error as error:
            raise DataError(
                f"Expected data.scan_pattern to be a regular expression, but found {self.scan_pattern!r}: {error}."
            ) from error
        if not groups:
            raise DataError(f"Expected data.scan_pattern to have a group, but found none in {self.scan_pattern!r}.")

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List the squares of every image."""
        root = existing_root(self.root, "images/ and masks/")
        problems: list[UnreadableImageError] = []
        rows: list[dict[str, object]] = []
        pairs = find_pairs(root, problems, self.remarks)
        problems += unused_documents(root)
        splits = split_folders(root, [pair.image for pair in pairs])
        unmarked = [pair.image for pair in pairs if pair.mask is None]
        self.remarks += unread_verdicts(root, unmarked, "metallography", "masks/")
        self.remarks += [splits.remark] if splits.remark else []
        set_is_inverted = self._set_is_inverted([pair.mask for pair in pairs if pair.mask is not None])
        for pair in track(pairs, "cutting squares"):
            try:
                rows += [row | {"split": splits.of(pair.image)} for row in self._rows(root, pair, set_is_inverted)]
            except UnreadableImageError as error:
                problems.append(error)
        if not rows:
            first = f"for example: {problems[0]}" if problems else "there are no pictures at all"
            raise DataError(f"Expected usable pictures under {root}, or in images/ there, but found none; {first}")
        return pd.DataFrame(rows), problems

    def check_training(self, supervision: Supervision = "good") -> None:
        """Refuse splits that nothing can be trained or calibrated on; squares that are all marked can be.

        Raises:
            DataError: Train or calibration is empty; says how to mend it.
        """
        calibration = self.split_samples(CALIBRATION)
        marked = not calibration.empty and (calibration["mask_path"] != "").all()
        if not self.defects_in_train and (self.samples["label_index"] == DEFECTIVE).all():
            raise DataError(
                f"Expected squares without marks to train on in {self.root}, but found marks in all "
                f"{len(self.samples)}; set data.defects_in_train=true to train a model that segments."
            )
        if self.split_samples(TRAIN).empty or not marked:
            super().check_training(supervision)

    def _set_is_inverted(self, masks: list[Path]) -> bool:
        """Tell whether most masks of the set that show a ground show the wrong one."""
        votes = 0
        for mask in track(masks, "reading masks"):
            try:
                form = mask_form(mask_of_bytes(mask), self.mask_on)
            except UnreadableImageError:
                continue  # said when its image's turn comes
            votes += int(form.white_ground) - int(form.black_ground)
        return votes > 0 if self.mask_foreground == "white" else votes < 0

    def _rows(self, root: Path, pair: Pair, set_is_inverted: bool) -> list[dict[str, object]]:
        """Make a row for every square of an image.

        Raises:
            UnreadableImageError: Image or mask cannot be used.
        """
        image = decoded(str(pair.image))
        view, mask = View(), None
        if pair.mask is not None:
            view = self._mask_view(pair.mask, pair.image, set_is_inverted)
            mask = read_marks(join_mask([pair.mask]), str(pair.image), view, self.mask_on)
        name = pair.image.relative_to(root).as_posix()
        match = re.match(self.scan_pattern, pair.image.stem) or re.search(self.scan_pattern, pair.image.stem)
        rows = []
        for box in self._boxes(*image.shape[:2]):
            marked = mask is not None and bool((cut(mask, box) if box else mask).any())
            label = UNKNOWN if mask is None else DEFECTIVE if marked else GOOD
            rows.append(
                {
                    "image_path": str(pair.image),
                    "name": f"{name}#{box.x},{box.y}"
                    if box and (box.width, box.height) != image.shape[1::-1]
                    else name,
                    "label_index": label,
                    "mask_path": join_mask([pair.mask] if pair.mask else []),
                    "group": match[1] if match and match[1] else pair.image.stem,
                    "defect": self.marks if marked else "",
                    **view._replace(box=box.text if box else "")._asdict(),
                }
            )
        return rows

    def _boxes(self, height: int, width: int) -> list[Box | None]:
        if self.square is None or (height, width) == (self.square, self.square):
            return [None]
        side = self.square
        return [
            Box(x, y, side, side) for y in spread(height, side, self.overlap) for x in spread(width, side, self.overlap)
        ]

    def _mask_view(self, mask: Path, image: Path, set_is_inverted: bool) -> View:
        """Say how to read a mask.

        Raises:
            UnreadableImageError: It has a form that no option allows.
        """
        values, pixels = mask_of_bytes(mask), decoded(str(image))
        form = mask_form(values, self.mask_on)
        black = self.mask_foreground == "black"
        self._check_form(mask, form, int(values.max()), set_is_inverted)
        if not black:
            check_whole(mask, values, form.above)
        view = View(mask_above=form.above, mask_inverted=black)
        if values.shape == pixels.shape[:2]:
            return view
        sizes = f"{values.shape[1]}x{values.shape[0]} pixels for a picture of {pixels.shape[1]}x{pixels.shape[0]}"
        if self.mask_sizes == "refuse":
            remedy = "export it at the size of its picture, or set data.mask_sizes=align"
            raise UnreadableImageError(mask, f"is a mask of {sizes}", remedy)
        box = align((values > form.above) != black, grey(pixels))
        if box is None:
            raise UnreadableImageError(mask, f"is a mask of {sizes}, and fits nowhere clearly", "export it again")
        return view._replace(mask_box=box.text)

    def _check_form(self, mask: Path, form: MaskForm, top: int, set_is_inverted: bool) -> None:
        """Refuse a mask that is dim or inverted, where no option says what to do."""
        if form.dim and self.dim_masks == "refuse":
            found = f"has marks of value {top} at most, none above data.mask_on={self.mask_on}"
            raise UnreadableImageError(mask, found, "set data.dim_masks=convert, which takes half of that")
        white = self.mask_foreground == "white"
        unclear = form.white_ground == form.black_ground  # then it is taken for what most of the set are
        if set_is_inverted if unclear else form.white_ground == white:
            is_so, seems, option = ("white", "black", "black") if white else ("black", "white", "white")
            found = f"is mostly {is_so}, or most of its set are, as if marks were {seems}"
            raise UnreadableImageError(mask, found, f"invert it; if all are so, set data.mask_foreground={option}")


def mask_of_bytes(path: Path) -> Array:
    """Read a mask as (H, W) uint8, as ``mask_values`` does.

    Raises:
        UnreadableImageError: As there; or it is deeper than 8 bits.
    """
    values = mask_values(path)
    if values.dtype != np.uint8:
        raise UnreadableImageError(path, f"holds {values.dtype} values", "save it as 8-bit grey")
    return values


def find_pairs(root: Path, problems: list[UnreadableImageError], remarks: list[str]) -> list[Pair]:
    """Pair images with their masks, see ``masks.matching``; name masks that belong to none, and images of several.

    Where no mask at all belongs to an image, ``remarks`` says so.
    """
    folders = {entry.name.lower(): entry for entry in list_folder(root, problems) if entry.is_dir()}
    base = next((folders[name] for name in IMAGE_FOLDERS if name in folders), root)
    start = len(root.parts)
    masks: dict[Path, PurePosixPath] = {}
    images: dict[Path, PurePosixPath] = {}
    for path in walk_images(root, problems):
        parts = path.parts[start:]
        if in_mask_folder(parts[:-1]):
            masks[path] = PurePosixPath(*parts)
        elif path.is_relative_to(base):
            images[path] = PurePosixPath(*parts)
        else:
            what, remedy = f"is an image beside {base.name}/", f"move it into {base.name}/, or away"
            problems.append(UnreadableImageError(path, what, remedy))
    for path in masks_beside(images):
        masks[path] = images.pop(path)
    matched = match_masks(images, masks)
    if masks and images and not matched.masks and not matched.refused:
        remarks.append(none_matches(list(masks.values()), list(images.values()), "an image"))
    problems += matched.problems()
    refused = {problem.path for problem in matched.refused}
    pairs = []
    for path in images:
        found = matched.masks.get(path, [])
        if len(found) > 1:
            what, remedy = f"has {len(found)} masks: {found[0].name} and {found[1].name}", "join them to one"
            problems.append(UnreadableImageError(path, what, remedy))
        elif str(path) not in refused:
            pairs.append(Pair(path, found[0] if found else None))
    return pairs


def spread(length: int, side: int, overlap: int) -> list[int]:
    """Return where squares begin along an axis: as few as cover it and overlap enough, evenly, within the image.

    An axis shorter than ``side`` gets one square, which reaches equally far beyond both ends.
    """
    if length <= side:
        return [-((side - length) // 2)]
    count = -(-(length - overlap) // (side - overlap))
    return [int(start) for start in np.rint(np.linspace(0, length - side, count))]
