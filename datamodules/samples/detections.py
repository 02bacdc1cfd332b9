"""What was found on an image, instance by instance: boxes, and masks that are no larger than they have to be.

Bundles hold this very file; NumPy alone.

Letters: D detections of an image, H and W pixels of it, h and w pixels of a crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.outlines.classes import PART

if TYPE_CHECKING:
    from collections.abc import Sequence

Mask: TypeAlias = npt.NDArray[np.bool_]
Box: TypeAlias = tuple[float, float, float, float]


class Region(NamedTuple):
    """A rectangle of whole pixels; the last row and column are excluded."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def slices(self) -> tuple[slice, slice]:
        """Where it lies in an image."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def intersect(self, other: Region) -> Region | None:
        """Return what two rectangles share, if anything."""
        top, left = max(self[0], other[0]), max(self[1], other[1])
        bottom, right = min(self[2], other[2]), min(self[3], other[3])
        return Region(top, left, bottom, right) if top < bottom and left < right else None


EMPTY = Region(0, 0, 0, 0)


class Instance(NamedTuple):
    """One detection, in pixels of its image.

    Attributes:
        box: x1, y1, x2, y2.
        label: From 1.
        score: Higher is surer.
        region: Where the mask lies; ``EMPTY`` where no pixel belongs to it.
        mask: (h, w) bool, of the region's size, True somewhere in every border row and column.
        seen: The part of the image that its detector looked at.
        tiles: How many tiles of the image saw a part of it; 1 where it was judged whole.
    """

    box: Box
    label: int
    score: float
    region: Region
    mask: Mask
    seen: Region
    tiles: int = 1

    def within(self, region: Region) -> Mask:
        """Cut a part of its region out of the mask."""
        top, left = self.region[:2]
        return self.mask[region.top - top : region.bottom - top, region.left - left : region.right - left]


Detections: TypeAlias = "list[Instance]"
"""Of one image, from the surest."""


def type_of(detections: Sequence[Instance], classes: Sequence[str]) -> str:
    """Name the type of an image: that of the surest detection that is a defect; empty where there is none.

    Args:
        detections: Of the image.
        classes: Names of labels, from label 1; an empty one is no defect.
    """
    named = [one for one in detections if class_of(one.label, classes)]
    return class_of(max(named, key=lambda one: one.score).label, classes) if named else ""


def class_of(label: int, classes: Sequence[str]) -> str:
    """Name a label; empty where it has no name."""
    return classes[label - 1] if 0 < label <= len(classes) else ""


def counted(detections: Sequence[Instance], threshold: float) -> list[Instance]:
    """Keep the instances that are defects: not the part itself, with a score above 0 that reaches the threshold."""
    return [one for one in detections if one.label != PART and one.score > 0 and np.float32(one.score) >= threshold]


def union(instances: Sequence[Instance], size: tuple[int, int]) -> Mask:
    """Return the pixels that belong to any of some instances, (H, W) of ``size``."""
    mask_HW: Mask = np.zeros(size, np.bool_)
    for one in instances:
        mask_HW[one.region.slices] |= one.mask
    return mask_HW


def trim(mask: Mask, region: Region) -> tuple[Mask, Region]:
    """Cut a mask to what is True in it, with the region that this takes."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((0, 0), np.bool_), EMPTY
    crop = mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].copy()  # or the whole mask would stay in memory
    top, left = region.top + int(rows[0]), region.left + int(columns[0])
    return crop, Region(top, left, top + crop.shape[0], left + crop.shape[1])


def dense_masks(instances: Sequence[Instance], size: tuple[int, int]) -> Mask:
    """Lay the masks of instances onto their image, (D, H, W): 5 MB for each on one of 2448 x 2048."""
    mask_DHW = np.zeros((len(instances), *size), np.bool_)
    for mask_HW, instance in zip(mask_DHW, instances, strict=True):
        mask_HW[instance.region.slices] = instance.mask
    return mask_DHW


def run_lengths(instance: Instance, size: tuple[int, int]) -> list[int]:
    """Encode a mask as COCO does: lengths of runs, False first, down the columns of an image of H and W pixels.

    It is never laid onto its image: the time depends on the size of the crop.
    """
    height, width = size
    total = height * width
    if instance.region == EMPTY:
        return [total]
    padded = np.zeros((instance.mask.shape[1], instance.mask.shape[0] + 2), np.int8)
    padded[:, 1:-1] = instance.mask.T
    column, row = np.nonzero(np.diff(padded, axis=1))  # begins and ends of runs, in turn, column by column
    edges = (instance.region.left + column) * height + instance.region.top + row
    begins, ends = edges[0::2], edges[1::2]
    apart = np.append(True, begins[1:] > ends[:-1])
    begins, ends = begins[apart], ends[np.append(apart[1:], True)]
    bounds = np.stack([begins, ends], axis=1).ravel()
    lengths = np.diff(bounds, prepend=0, append=total)
    return [int(length) for length in (lengths if lengths[-1] else lengths[:-1])]
