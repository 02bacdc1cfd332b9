"""Instances that several tiles of an image saw a part of, joined to the defects that there are; NumPy alone.

Bundles hold this very file: what a checkpoint joins, its bundle joins in the same way.

Letters: H and W pixels of an image.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from typing import TYPE_CHECKING

import numpy as np

from datamodules.samples.detections import EMPTY, Detections, Instance, Region, trim

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

LIMIT = 5000  # instances of an image
_warned: set[str] = set()


def merge_tiles(
    parts: Iterable[Detections],
    offsets: Sequence[tuple[int, int]],
    size: tuple[int, int],
    overlap_threshold: float = 0.5,
    limit: int = LIMIT,
) -> Detections:
    """Join what was detected on overlapping tiles of an image: one defect, one instance.

    Which ones are the same is said by ``join_instances``. ``parts`` is read one by one: a generator will do.

    Args:
        parts: Detections of every tile, in pixels of the tile; without a mask they are dropped.
        offsets: Of every tile's first pixel: (y, x).
        size: H and W of the image; what tiles show beyond it is cut off.
        overlap_threshold: In (0, 1].
        limit: Instances that are looked at, the surest; the others are dropped, which is said.

    Returns:
        Detections on the image, from the surest.
    """
    found = [
        moved
        for part, offset in zip(parts, offsets, strict=True)
        for instance in part
        if (moved := move(instance, offset, size)) is not None
    ]
    return join_instances(surest(found, limit), overlap_threshold)


def move(instance: Instance, offset: tuple[int, int], size: tuple[int, int]) -> Instance | None:
    """Turn what was detected on a tile into an instance of its image; None where the mask holds no pixel of it.

    Args:
        instance: In pixels of the tile.
        offset: The tile's first pixel: (y, x).
        size: H and W of the image; what the tile shows beyond it is cut off.
    """
    dy, dx = offset
    height, width = size
    image = Region(0, 0, height, width)
    seen, region = _shift(instance.seen, dy, dx).intersect(image), _shift(instance.region, dy, dx)
    inside = None if instance.region == EMPTY else region.intersect(image)
    if seen is None or inside is None:
        return None
    crop, tight = trim(instance._replace(region=region).within(inside), inside) if inside != region else (None, region)
    if tight == EMPTY:
        return None
    x1, y1, x2, y2 = instance.box
    box = (max(x1 + dx, 0.0), max(y1 + dy, 0.0), min(x2 + dx, float(width)), min(y2 + dy, float(height)))
    mask = instance.mask if crop is None else crop
    return Instance(box, instance.label, instance.score, tight, mask, seen)


def _shift(region: Region, dy: int, dx: int) -> Region:
    return Region(region.top + dy, region.left + dx, region.bottom + dy, region.right + dx)


def surest(instances: list[Instance], limit: int) -> list[Instance]:
    """Keep the surest of too many instances, in their order, and say so once: joining takes time and memory."""
    if len(instances) <= limit:
        return instances
    words = f"Of more than {limit} instances found on an image only the surest are kept; set tiling.limit higher."
    if words not in _warned:
        _warned.add(words)
        sys.stderr.write(f"{words}\n")
    order = np.argsort([-one.score for one in instances], kind="stable")[:limit]
    return [instances[index] for index in sorted(order.tolist())]


def join_instances(instances: Sequence[Instance], overlap_threshold: float) -> list[Instance]:
    """Join what was detected on overlapping tiles of an image: one defect, one instance, from the highest score.

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
    common = int(np.count_nonzero(first.within(shared) & second.within(shared)))
    smaller = min(_area(first, both_saw), _area(second, both_saw)) if common else 0
    return common / smaller if smaller else 0.0


def _area(instance: Instance, seen: Region) -> int:
    visible = instance.region.intersect(seen)
    return 0 if visible is None else int(np.count_nonzero(instance.within(visible)))


def unite(instances: Sequence[Instance]) -> Instance:
    """Make one instance of the parts of a defect: the union of masks, boxes and views, and the highest score."""
    if len(instances) == 1:
        return instances[0]
    corners = np.array([one.box for one in instances])
    box = (*corners[:, :2].min(axis=0).tolist(), *corners[:, 2:].max(axis=0).tolist())
    region = _around([one.region for one in instances])
    mask = np.zeros(region.size, dtype=np.bool_)
    for one in instances:
        top, left = one.region.top - region.top, one.region.left - region.left
        mask[top : top + one.mask.shape[0], left : left + one.mask.shape[1]] |= one.mask
    best = max(instances, key=lambda one: one.score)
    tiles = len({one.seen for one in instances})
    return Instance(box, best.label, best.score, region, mask, _around([one.seen for one in instances]), tiles)


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

    for index, other in neighbours(instances):
        if root(index) != root(other) and overlap(instances[index], instances[other]) >= threshold:
            parent[root(index)] = root(other)
    same: defaultdict[int, list[int]] = defaultdict(list)
    for index in range(len(instances)):
        same[root(index)].append(index)
    return list(same.values())


def neighbours(instances: Sequence[Instance]) -> Iterator[tuple[int, int]]:
    """Yield the pairs that may be the same: of one label, seen by two tiles, in regions that share a pixel.

    From top to bottom: below the last row of a region nothing is looked at.
    """
    if not instances:
        return
    region_D4, seen_D4 = np.array([one.region for one in instances]), np.array([one.seen for one in instances])
    label_D = np.array([one.label for one in instances])
    order = np.argsort(region_D4[:, 0], kind="stable")
    tops = region_D4[order, 0]
    for place, index in enumerate(order.tolist()):
        _, left, bottom, right = region_D4[index]
        below = order[place + 1 : np.searchsorted(tops, bottom)]
        near = (region_D4[below, 1] < right) & (region_D4[below, 3] > left) & (label_D[below] == label_D[index])
        near &= (seen_D4[below] != seen_D4[index]).any(axis=1)
        for other in below[near].tolist():
            yield index, other
