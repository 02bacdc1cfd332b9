"""Instances of one picture: laid onto it from crops, and joined where tiles saw only a part of each.

Detections are a dictionary: ``boxes`` (D, 4) float32, x1, y1, x2, y2 in pixels, ``labels`` (D,) int64 from 1,
``scores`` (D,) float32 and ``masks`` (D, H, W) bool.

Letters: D detections, M side of a mask as networks predict it, H and W pixels of a picture.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch.nn import functional as F

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

Detections = dict[str, "Tensor"]
Mask = npt.NDArray[np.bool_]


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

    box: tuple[float, float, float, float]
    label: int
    score: float
    region: Region
    mask: Mask
    seen: Region

    def within(self, region: Region) -> Mask:
        """Cut a part of its region out of the mask."""
        top, left = self.region[:2]
        return self.mask[region.top - top : region.bottom - top, region.left - left : region.right - left]


def empty_detections(height: int, width: int, device: torch.device | str = "cpu") -> Detections:
    """Return the detections of a picture on which nothing was found."""
    return {
        "boxes": torch.zeros(0, 4, device=device),
        "labels": torch.zeros(0, dtype=torch.int64, device=device),
        "scores": torch.zeros(0, device=device),
        "masks": torch.zeros(0, height, width, dtype=torch.bool, device=device),
    }


def paste_masks(mask_DMM: Tensor, box_D4: Tensor, height: int, width: int) -> Tensor:
    """Lay masks that were predicted within boxes onto their picture, by bilinear interpolation, 0 outside the boxes.

    torchvision cuts the masks that a network learns from with pixel centres at whole numbers (RoIAlign, not
    ``aligned``), so they are laid back in the same way. Boxes are not rounded, as its ``paste_masks_in_image`` does.

    Args:
        mask_DMM: (D, M, M), such as probabilities.
        box_D4: (D, 4), x1, y1, x2, y2 in pixels; a pixel is inside if its middle is.
        height: H.
        width: W.

    Returns:
        (D, H, W).
    """
    x_DW, column_DW = _along(box_D4[:, 0], box_D4[:, 2], width)
    y_DH, row_DH = _along(box_D4[:, 1], box_D4[:, 3], height)
    grid = [x_DW.unsqueeze(1).expand(-1, height, -1), y_DH.unsqueeze(2).expand(-1, -1, width)]
    grid_DHW2 = torch.stack(grid, dim=3)
    value_DHW = F.grid_sample(
        mask_DMM.unsqueeze(1).to(box_D4.dtype), grid_DHW2, padding_mode="border", align_corners=False
    ).squeeze(1)
    return value_DHW * (row_DH.unsqueeze(2) & column_DW.unsqueeze(1))


def _along(low_D: Tensor, high_D: Tensor, size: int) -> tuple[Tensor, Tensor]:
    """Tell for every pixel of an axis where it lies in each box, -1 to 1, and whether it lies inside, (D, size)."""
    pixel_1S = torch.arange(size, device=low_D.device, dtype=low_D.dtype).unsqueeze(0)
    low_D1, high_D1 = low_D.unsqueeze(1), high_D.unsqueeze(1)
    place_DS = 2 * (pixel_1S - low_D1) / (high_D1 - low_D1).clamp_min(1e-6) - 1
    return place_DS, (pixel_1S + 0.5 >= low_D1) & (pixel_1S + 0.5 < high_D1)


def merge_detections(
    parts: Iterable[Detections],
    offsets: Sequence[tuple[int, int]],
    size: tuple[int, int],
    overlap_threshold: float = 0.5,
) -> Detections:
    """Join what was detected on overlapping tiles of a picture: one defect, one instance.

    Two detections of one label on two tiles are the same where their masks agree in what both tiles saw: where the
    intersection there is at least ``overlap_threshold`` of the smaller of the two masks there. That also joins a
    defect much larger than the overlap of the tiles, and one that many tiles saw a part of. Masks and boxes are united,
    and the highest score counts. Detections of the same tile are never compared, since the detector told them apart.

    Masks are kept as crops, and ``parts`` is read one by one: a generator will do, and no two tiles need be held.

    Args:
        parts: Detections of every tile, in pixels of the tile; without a mask they are dropped.
        offsets: Of every tile's first pixel: (y, x).
        size: H and W of the picture; what tiles show beyond it is cut off.
        overlap_threshold: In (0, 1].

    Returns:
        Detections on the picture, from the highest score, on the device of the parts.

    Source: "non-maximum merging" by intersection over the smaller area: Akyon, Altinuc and Temizel, "Slicing Aided
        Hyper Inference", ICIP 2022.
    """
    device: torch.device | str = "cpu"
    found: list[Instance] = []
    for part, offset in zip(parts, offsets, strict=True):
        device = part["masks"].device
        found += cut_instances(part, offset, size)
    merged = [unite([found[index] for index in same]) for same in _clusters(found, overlap_threshold)]
    return paste_instances(sorted(merged, key=lambda one: -one.score), size, device)


def cut_instances(detections: Detections, offset: tuple[int, int], size: tuple[int, int]) -> Iterator[Instance]:
    """Turn the detections of a tile into instances of the picture of ``size``; those without a mask are dropped."""
    dy, dx = offset
    picture = Region(0, 0, *size)
    seen = Region(dy, dx, dy + detections["masks"].shape[1], dx + detections["masks"].shape[2]).intersect(picture)
    if seen is None:
        return
    rows = slice(seen.top - dy, seen.bottom - dy)
    columns = slice(seen.left - dx, seen.right - dx)
    height, width = size
    boxes = (detections["boxes"].cpu() + torch.tensor([dx, dy, dx, dy])).tolist()
    entries = zip(boxes, detections["labels"].tolist(), detections["scores"].tolist(), detections["masks"], strict=True)
    for (x1, y1, x2, y2), label, score, mask_HW in entries:
        mask: Mask = mask_HW[rows, columns].bool().cpu().numpy()
        if not mask.any():
            continue
        ys, xs = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
        crop = mask[ys[0] : ys[-1] + 1, xs[0] : xs[-1] + 1].copy()  # or the whole mask would stay in memory
        top, left = seen.top + int(ys[0]), seen.left + int(xs[0])
        region = Region(top, left, top + crop.shape[0], left + crop.shape[1])
        box = (max(x1, 0.0), max(y1, 0.0), min(x2, float(width)), min(y2, float(height)))
        yield Instance(box, label, score, region, crop, seen)


def paste_instances(
    instances: Sequence[Instance], size: tuple[int, int], device: torch.device | str = "cpu"
) -> Detections:
    """Turn instances into detections on a picture of ``size``, in their order."""
    detections = empty_detections(*size)
    if instances:
        masks = np.zeros((len(instances), *size), dtype=np.bool_)
        for mask_HW, one in zip(masks, instances, strict=True):
            mask_HW[one.region.top : one.region.bottom, one.region.left : one.region.right] = one.mask
        detections = {
            "boxes": torch.tensor([one.box for one in instances], dtype=torch.float32),
            "labels": torch.tensor([one.label for one in instances]),
            "scores": torch.tensor([one.score for one in instances], dtype=torch.float32),
            "masks": torch.from_numpy(masks),
        }
    return {name: value.to(device) for name, value in detections.items()}


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
