"""Images larger than what a graph takes: cut to tiles, judged tile by tile, and put together as the run did it.

Letters: B batch, S side of a tile, H and W height and width of the model's images, all in pixels.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.files.fitting import without_marks
from models.components.joining import LIMIT, merge_tiles
from models.components.tile_axes import overlap, reflected

from .result import Prediction

if TYPE_CHECKING:
    from collections.abc import Callable

    from datamodules.samples.detections import Detections

    from .network import Array


def judge_tiles(tiles: dict[str, Any], judge: Callable[[Array], Prediction], image_B3HW: Array) -> Prediction:
    """Judge images by their tiles: the score of the worst one, the blend of their maps, their instances joined.

    Args:
        tiles: ``size``; ``rows`` and ``columns``, where tiles begin, below 0 in the reflection at a border;
            ``row_weights`` and ``column_weights`` (S,), what a tile's pixels count in the blend; ``merge_overlap``,
            the share to which the masks of two instances agree that are one; ``limit``, instances of an image.
        judge: From tiles (B, 3, S, S) to raw scores and maps, and detections where there are any.
        image_B3HW: Images in [0, 1].
    """
    count, _, height, width = image_B3HW.shape
    weight_SS = np.outer(np.float32(tiles["row_weights"]), np.float32(tiles["column_weights"]))
    score_B = np.full(count, -np.inf, np.float32)
    sum_BHW = np.zeros((count, height, width), np.float32)
    weight_HW = np.zeros((height, width), np.float32)
    places = list(product(tiles["rows"], tiles["columns"]))
    seen: list[list[Detections]] = []
    for place in places:
        found = judge(cut(image_B3HW, place, tiles["size"]))
        score_B = np.maximum(score_B, found.score_B)
        inside, within = overlap(place, tiles["size"], (height, width))
        sum_BHW[:, *inside] += weight_SS[within] * found.map_BHW[:, *within]
        weight_HW[inside] += weight_SS[within]
        if found.detections is not None:
            seen.append(found.detections)
    rules = tiles["merge_overlap"], tiles.get("limit", LIMIT)
    detections = [
        merge_tiles([part[index] for part in seen], places, (height, width), *rules)
        for index in range(count if seen else 0)
    ]
    embedding_BD = None
    if found.embedding_BD is not None:  # of whole images, as the run describes them
        embedding_BD = judge(shrunk(without_marks(image_B3HW), tiles["size"])).embedding_BD
    return Prediction(score_B, sum_BHW / weight_HW, detections if seen else None, embedding_BD=embedding_BD)


def shrunk(image_B3HW: Array, size: int) -> Array:
    """Resize whole images to one tile, (B, 3, S, S), by a triangle as wide as a pixel of the result, as torch does."""
    rows, columns = (_triangles(length, size) for length in image_B3HW.shape[-2:])
    return np.ascontiguousarray(rows @ image_B3HW @ columns.T, np.float32)


def _triangles(length: int, size: int) -> Array:
    """Return the weights (size, length) of an axis' pixels in each one of the result; those of each add up to 1."""
    step = length / size
    centre_S1 = step * (np.arange(size)[:, None] + 0.5)
    away = np.abs(np.arange(length) + 0.5 - centre_S1) / max(step, 1.0)
    weight = np.maximum(0.0, 1.0 - away)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True), np.float32)


def cut(image_B3HW: Array, place: tuple[int, int], size: int) -> Array:
    """Cut one tile out of every image, reflected at their borders: (B, 3, S, S)."""
    rows, columns = (reflected(start, size, length) for start, length in zip(place, image_B3HW.shape[-2:], strict=True))
    return np.ascontiguousarray(image_B3HW[..., rows[:, None], columns])
