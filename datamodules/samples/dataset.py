"""Rows of the sample table to samples: read, scale, resize, and make tensors."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from datamodules.enhancing.enhancement import Enhancement
from datamodules.errors import UnreadableImageError
from datamodules.files.fitting import SQUASH, Fit, Part, Placement, fit_mask, fit_zones, network_input, place
from datamodules.files.images import Array, check_content, check_white_level, read_image, read_zones
from datamodules.masks.reading import read_mask
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.instances import (
    component_target,
    defect_mask,
    instance_target,
    is_part,
    without_background,
)
from datamodules.table import DEFECTIVE, GOOD, UNKNOWN

from .batch import Sample
from .sized import SizedDataset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from torch import Tensor

    from datamodules.zones.foreground import Foreground


class Reading(NamedTuple):
    """How files become tensors.

    Attributes:
        height: Of the tensors, in pixels.
        width: Of the tensors, in pixels.
        white_level: Stored value that means white, or None for what the file's type can hold.
        mask_on: A mask's pixel is a defect where its value is above this.
        void: Values of masks that mark nothing.
        instances: Images with outlines, or else a mask, get a target for instance models, good ones an empty one.
        parts: Labels of outlines that mark the part itself, not a defect.
        background: Labels of outlines that mark neither.
        enhance: What happens to every image before it is resized.
        classes: Of outlined defects; none: they are not told apart.
        fit: How images of other proportions than the tensors' are brought to them.
        foreground: How the part is found that alone counts; None: all of an image does.
    """

    height: int
    width: int
    white_level: float | None = None
    mask_on: int = 127
    void: tuple[int, ...] | None = None
    instances: bool = False
    parts: tuple[str, ...] = ()
    background: tuple[str, ...] = ()
    enhance: Enhancement = Enhancement()
    classes: tuple[str, ...] = ()
    fit: Fit = SQUASH
    foreground: Foreground | None = None

    def placement(self, size: tuple[int, ...]) -> Placement:
        """Say how an image of a size on disk, (H, W) or (H, W, 3), lies in the tensors."""
        return place((size[0], size[1]), (self.height, self.width), self.fit)

    def frame(self, size: tuple[int, ...]) -> Part | None:
        """Say where the image lies in the tensors; None where it fills them."""
        found = self.placement(size)
        return found.frame if found.padded else None

    def on_part(self, sample: Sample) -> Sample:
        """Find the part on a sample, which has its zones and its frame, where the part alone is to count."""
        if self.foreground is None:
            return sample
        zones_HW = None if sample.zones is None else sample.zones.numpy()
        found_HW = self.foreground.find(sample.image.numpy(), zones_HW, sample.frame)
        return replace(sample, foreground=None if found_HW is None else torch.from_numpy(found_HW))


class Row(NamedTuple):
    """What the loaders need of a row of the sample table; empty paths mean that there is no such file."""

    image_path: str
    name: str
    label_index: int
    mask_path: str
    zones_path: str
    annotation_path: str
    group: str
    kind: str


class InspectionDataset(SizedDataset[Sample]):
    """The images of one split.

    Args:
        table: Rows of a complete sample table.
        reading: How to read them.
    """

    def __init__(self, table: pd.DataFrame, reading: Reading) -> None:
        # Tuples, once: looking rows up in a frame costs more than decoding.
        self.rows = [Row(*values) for values in table[list(Row._fields)].itertuples(index=False)]
        self.reading = reading

    def __len__(self) -> int:
        """Count the images."""
        return len(self.rows)

    def __getitem__(self, index: int) -> Sample:
        """Read one image with its mask, zones and outlines, and find the part on it.

        Raises:
            UnreadableImageError: A file changed since the survey.
        """
        return self.reading.on_part(self.read(index))

    def read(self, index: int) -> Sample:
        """Read one image with its mask, zones and outlines."""
        row = self.rows[index]
        values = read_image(row.image_path)
        target = read_target(row, values, self.reading) if self.reading.instances else None
        mask = read_truth(row, target, self.reading)
        if self.reading.instances and target is None and mask is not None:
            target = component_target(mask.numpy(), self.reading.classes)
        return Sample(
            image=image_tensor(values, self.reading, self.zones_on_disk(index, values.shape[:2])),
            name=row.name,
            image_path=row.image_path,
            label_index=row.label_index,
            mask=mask,
            zones=zones_tensor(row.zones_path, self.reading) if row.zones_path else None,
            group=row.group,
            kind=row.kind,
            target=target,
            frame=self.reading.frame(values.shape),
        )

    def zones_on_disk(self, index: int, size: tuple[int, ...]) -> Array | None:
        """Return the zone ids of an image's own pixels, (H, W), where known and an enhancement asks for them."""
        del size  # files of zones are as large as their images
        path = self.rows[index].zones_path
        return read_zones(path) if path and self.reading.enhance.by_zone else None


class FileDataset(SizedDataset[Sample | UnreadableImageError]):
    """Files that nobody has looked at yet: an unreadable one becomes its error, and the others go on.

    Args:
        paths: Absolute, each once.
        reading: How to read them.
    """

    def __init__(self, paths: Sequence[Path], reading: Reading) -> None:
        self.paths = list(paths)
        self.reading = reading
        common = Path(os.path.commonpath([path.parent for path in self.paths]))
        self.names = [path.relative_to(common).as_posix() for path in self.paths]

    def __len__(self) -> int:
        """Count the files."""
        return len(self.paths)

    def __getitem__(self, index: int) -> Sample | UnreadableImageError:
        """Read one file."""
        path = str(self.paths[index])
        try:
            values = read_image(path)
            check_white_level(values, path, self.reading.white_level)
            check_content(values, path)
        except UnreadableImageError as error:
            return error
        image = image_tensor(values, self.reading)
        about = (self.names[index], path, UNKNOWN)
        return self.reading.on_part(Sample(image, *about, frame=self.reading.frame(values.shape)))


def image_tensor(values: Array, reading: Reading, zones_HW: Array | None = None) -> Tensor:
    """Turn stored values, (H, W) or (H, W, 3), into what every model takes: (3, height, width) float32 in [0, 1].

    Args:
        values: The image.
        reading: How to read it.
        zones_HW: Zone ids of its pixels, for enhancements that differ by zone.
    """
    enhanced = reading.enhance(values, reading.white_level, zones_HW)
    white = None if reading.enhance else reading.white_level
    return torch.from_numpy(network_input(enhanced, reading.height, reading.width, white, reading.fit))


def read_target(row: Row, values: Array, reading: Reading) -> dict[str, Tensor] | None:
    """Make the target of an image, (H, W) or (H, W, 3), for instance models; None where nobody outlined anything."""
    placement = reading.placement(values.shape)
    if row.annotation_path:
        outlines = read_annotation(row.annotation_path, row.image_path, *placement.size).outlines
        marks = without_background(outlines, reading.background)
        return instance_target(marks, placement, reading.parts, reading.classes)
    return instance_target([], placement) if row.label_index == GOOD else None


def labels_of(row: Any, reading: Reading) -> list[str]:
    """List the labels of the defects that are marked on the image of a row; those of a mask have no name."""
    if not row.annotation_path:
        return [""] if row.mask_path else []
    outlines = read_annotation(row.annotation_path, row.image_path, int(row.height), int(row.width)).outlines
    marks = without_background(outlines, reading.background)
    return [outline.label for outline in marks if not is_part(outline, reading.parts)]


def read_truth(row: Row, target: dict[str, Tensor] | None, reading: Reading) -> Tensor | None:
    """Return what is defective, (height, width) bool: from the mask, or else from the outlines; None if unknown."""
    if row.mask_path:
        return mask_tensor(row.mask_path, reading)
    return defect_mask(target) if target is not None and row.label_index == DEFECTIVE else None


def mask_tensor(path: str, reading: Reading) -> Tensor:
    """Read a mask as (height, width) bool."""
    mask_HW = read_mask(path, reading.mask_on, reading.void)
    return torch.from_numpy(np.ascontiguousarray(fit_mask(mask_HW, reading.placement(mask_HW.shape))))


def zones_tensor(path: str, reading: Reading) -> Tensor:
    """Read zone ids as (height, width) uint8."""
    zones_HW = read_zones(path)
    return torch.from_numpy(fit_zones(zones_HW, reading.placement(zones_HW.shape)))
