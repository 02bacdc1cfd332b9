"""Tiles over one part of an image: at the size that the model learned from, only where the part is.

Letters: B batch, H and W height and width of what is judged, S and T height and width of a tile.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from datamodules.samples.detections import Instance, Region, trim
from models.components.joining import merge_tiles
from models.components.tile_axes import reflected

if TYPE_CHECKING:
    from collections.abc import Callable

    from datamodules.samples.detections import Detections, Mask
    from tools.runner.network import Array
    from tools.runner.result import Prediction


class TileRules(NamedTuple):
    """How parts are cut to tiles and put together.

    Attributes:
        size: S and T.
        overlap: Pixels that neighbours share at least.
        merge_overlap: Share to which the masks of two instances agree that are one.
        limit: Instances of a part, the surest.
    """

    size: tuple[int, int]
    overlap: tuple[int, int]
    merge_overlap: float
    limit: int


class Searched(NamedTuple):
    """What was found on a part.

    Attributes:
        instances: In pixels of what was judged, from the surest.
        tiles: That were looked at.
        passed: Of these, the ones that a first stage let pass.
    """

    instances: Detections
    tiles: int
    passed: int


def starts(length: int, size: int, overlap: int) -> list[int]:
    """Lay tiles evenly along an axis, within it; one that is longer than the axis begins before it."""
    if length <= size:
        return [-((size - length) // 2)]
    count = math.ceil((length - overlap) / (size - overlap))
    return [round(place) for place in np.linspace(0, length - size, count)]


def search_tiles(
    judge: Callable[[Array], Prediction],
    masked: Callable[[Array], Mask],
    rules: TileRules,
    image_3HW: Array,
    body_HW: Mask,
    passed: float | None,
) -> Searched:
    """Judge the tiles of a part one by one, so that memory is bounded by a tile, and join what they found.

    Args:
        judge: From tiles (1, 3, S, T) in [0, 1] to scores, maps and detections.
        masked: From a map (S, T) to its defective pixels, for models without detections.
        rules: See there.
        image_3HW: In [0, 1].
        body_HW: Where the part is; tiles beside it are left out.
        passed: Score of a tile that a first stage let pass; None where there is one stage.
    """
    height, width = body_HW.shape
    seen: list[Detections] = []
    places: list[tuple[int, int]] = []
    count = 0
    for top in starts(height, rules.size[0], rules.overlap[0]):
        for left in starts(width, rules.size[1], rules.overlap[1]):
            bottom, right = top + rules.size[0], left + rules.size[1]
            if not body_HW[max(top, 0) : bottom, max(left, 0) : right].any():
                continue
            rows, columns = reflected(top, rules.size[0], height), reflected(left, rules.size[1], width)
            tile_3ST = np.ascontiguousarray(image_3HW[:, rows[:, None], columns])
            found = judge(tile_3ST[None])
            count += passed is not None and float(found.score_B[0]) <= passed
            places.append((top, left))
            seen.append(_found(found, masked))
    merged = merge_tiles(seen, places, (height, width), rules.merge_overlap, rules.limit)
    return Searched(merged, len(places), count)


def _found(found: Prediction, masked: Callable[[Array], Mask]) -> Detections:
    """Return what was detected on a tile; for models that detect nothing, the regions of its map."""
    if found.detections is not None:
        return found.detections[0]
    return regions_of(masked(found.map_BHW[0]), found.map_BHW[0])


def regions_of(mask_HW: Mask, map_HW: Array) -> Detections:
    """Take the regions of a map (8 neighbours) for instances; the score of each is its peak."""
    count, found_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    whole = Region(0, 0, *mask_HW.shape)
    instances = []
    for label in range(1, count):
        left, top, width, height = (int(value) for value in statistics[label][:4])
        region = Region(top, left, top + height, left + width)
        mask, tight = trim(found_HW[region.slices] == label, region)
        peak = float(map_HW[region.slices][found_HW[region.slices] == label].max())
        box = (float(left), float(top), float(left + width), float(top + height))
        instances.append(Instance(box, 1, peak, tight, mask, whole))
    return instances
