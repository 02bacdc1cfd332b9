"""Instances that several tiles of a picture saw a part of, joined to the defects that there are; NumPy alone.

Bundles hold this very file: what a checkpoint joins, its bundle joins in the same way.

Letters: H and W pixels of a picture or a tile.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Mask = npt.NDArray[np.bool_]
Box = tuple[float, float, float, float]


class Region(NamedTuple):
    """A rectangle of whole pixels; the last row and column are excluded."""

    top: int
    left: int
    bottom: int
    right: int

    def intersect(self, other: Region) -> Region | None:
        """Return what two rectangles share, if anything."""
        shared = Region(*np.maximum(self[:2], other[:2]).tolist(), *np.minimum(self[2:], other[2:]).tolist())
        return shared if shared.top < shared.bottom and shared.left < shared.right else None


class Instance(NamedTuple):
    """One detection, in pixels of the whole picture; its mask covers no more than it has to.

    Attributes:
        box: x1, y1, x2, y2.
        label: From 1.
        score: Higher is surer.
        region: Where the mask lies.
        mask: (height, width) bool, of the region's size, True somewhere in every border row and column.
        seen: The part of the picture that its detector looked at.
    """

    box: Box
    label: int
    score: float
    region: Region
    mask: Mask
    seen: Region

    def within(self, region: Region) -> Mask:
        """Cut a part of its region out of the mask."""
        top, left = self.region[:2]
        return self.mask[region.top - top : region.bottom - top, region.left - left : region.right - left]


def crop_instance(
    box: Box, label: int, score: float, mask_HW: Mask, offset: tuple[int, int], size: tuple[int, int]
) -> Instance | None:
    """Turn what was detected on a tile into an instance of its picture; None where the mask holds no pixel of it.

    Args:
        box: x1, y1, x2, y2 in pixels of the tile.
        label: From 1.
        score: Higher is surer.
        mask_HW: As large as the tile.
        offset: The tile's first pixel: (y, x).
        size: H and W of the picture; what the tile shows beyond it is cut off.
    """
    dy, dx = offset
    seen = Region(dy, dx, dy + mask_HW.shape[0], dx + mask_HW.shape[1]).intersect(Region(0, 0, *size))
    if seen is None:
        return None
    mask = mask_HW[seen.top - dy : seen.bottom - dy, seen.left - dx : seen.right - dx]
    if not mask.any():
        return None
    ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    crop = mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].copy()  # or the whole mask would stay in memory
    top, left = seen.top + int(ys[0]), seen.left + int(xs[0])
    region = Region(top, left, top + crop.shape[0], left + crop.shape[1])
    x1, y1, x2, y2 = box
    height, width = size
    on_picture = (max(x1 + dx, 0.0), max(y1 + dy, 0.0), min(x2 + dx, float(width)), min(y2 + dy, float(height)))
    return Instance(on_picture, label, score, region, crop, seen)


def paste_mask(instance: Instance, size: tuple[int, int]) -> Mask:
    """Lay the mask of an instance onto its picture, (H, W)."""
    mask_HW = np.zeros(size, dtype=np.bool_)
    region = instance.region
    mask_HW[region.top : region.bottom, region.left : region.right] = instance.mask
    return mask_HW


def join_instances(instances: Sequence[Instance], overlap_threshold: float) -> list[Instance]:
    """Join what was detected on overlapping tiles of a picture: one defect, one instance, from the highest score.

    Two detections of one label on two tiles are the same where their masks agree in what both tiles saw: where the
    intersection there is at least ``overlap_threshold``, in (0, 1], of the smaller of the two masks there. That also
    joins a defect much larger than the overlap of the tiles, and one that many tiles saw a part of. Masks and boxes are
    united, and the highest score counts. Detections of the same tile are never compared, since the detector told them
    apart.

    Source: "non-maximum merging" by intersection over the smaller area: Akyon, Altinuc and Temizel, "Slicing Aided
        Hyper Inference", ICIP 2022.
    """
    merged = [unite([instances[index] for index in same]) for same in _clusters(instances, overlap_threshold)]
    return sorted(merged, key=lambda one: -one.score)


def overlap(first: Instance, second: Instance) -> float:
    """Compare two instances where both detectors looked: intersection over the smaller mask there.

    Both see a defect as far as their tiles reach, so only there they can be expected to agree. 0 where one is empty.
    """
    shared = first.region.intersect(second.region)
    both_saw = first.seen.intersect(second.seen)
    if shared is None or both_saw is None:
        return 0.0
    common = int((first.within(shared) & second.within(shared)).sum())
    areas = []
    for one in (first, second):
        visible = one.region.intersect(both_saw)
        areas.append(0 if visible is None else int(one.within(visible).sum()))
    return common / min(areas) if min(areas) else 0.0


def unite(instances: Sequence[Instance]) -> Instance:
    """Make one instance of the parts of a defect: the union of masks, boxes and views, and the highest score."""
    if len(instances) == 1:
        return instances[0]
    corners = np.array([one.box for one in instances])
    box = (*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    region = _around([one.region for one in instances])
    mask = np.zeros((region.bottom - region.top, region.right - region.left), dtype=np.bool_)
    for one in instances:
        top, left = one.region.top - region.top, one.region.left - region.left
        mask[top : top + one.mask.shape[0], left : left + one.mask.shape[1]] |= one.mask
    best = max(instances, key=lambda one: one.score)
    return Instance(box, best.label, best.score, region, mask, _around([one.seen for one in instances]))


def _around(regions: Sequence[Region]) -> Region:
    corners = np.array(regions)
    return Region(*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())


def _clusters(instances: Sequence[Instance], threshold: float) -> list[list[int]]:
    """Group instances that are the same, directly or through others."""
    parent = list(range(len(instances)))

    def root(index: int) -> int:
        while parent[index] != index:
            parent[index] = parent[parent[index]]
            index = parent[index]
        return index

    for index, first in enumerate(instances):
        for other, second in enumerate(instances[:index]):
            if (
                first.label == second.label
                and first.seen != second.seen
                and root(index) != root(other)
                and overlap(first, second) >= threshold
            ):
                parent[root(index)] = root(other)
    same: defaultdict[int, list[int]] = defaultdict(list)
    for index in range(len(instances)):
        same[root(index)].append(index)
    return list(same.values())
