"""From boxes and the masks in them to maps, scores and detections, as the instance model itself makes them.

Letters: D detections of a picture, M side of a mask in its box, H and W height and width of the model's picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from .network import Array


def lay(found: dict[str, Array], size: tuple[int, int], rules: dict[str, Any]) -> tuple[Array, Array, list[Any]]:
    """Lay what a graph found onto its picture.

    Args:
        found: ``boxes`` (D, 4) x1, y1, x2, y2 in pixels, ``labels`` (D,), ``scores`` (D,), ``masks`` (D, M, M).
        size: H and W.
        rules: ``score_threshold``, above which a detection counts; ``mask_threshold``, the probability from which on a
            pixel belongs to an instance; and ``part``, the label of the part itself, which is no defect.

    Returns:
        The score of the surest defect, (); the map (H, W), at every pixel the highest product of a defect's score and
        its probability there; and the detections.
    """
    map_HW = np.zeros(size, np.float32)
    score = np.float32(0)
    detections = []
    for box, label, sure, mask in zip(found["boxes"], found["labels"], found["scores"], found["masks"], strict=True):
        if sure <= np.float32(rules["score_threshold"]):
            continue
        soft_HW = paste(mask, box, size)
        if label != rules["part"]:
            map_HW = np.maximum(map_HW, sure * soft_HW)
            score = max(score, sure)
        detections.append(
            {
                "box": tuple(float(edge) for edge in box),
                "label": int(label),
                "score": float(sure),
                "mask": soft_HW >= rules["mask_threshold"],
            }
        )
    return np.asarray(score, np.float32), map_HW, detections


def paste(mask_MM: Array, box: Array, size: tuple[int, int]) -> Array:
    """Lay a mask that was predicted within a box onto its picture (H, W), bilinearly; 0 outside of the box.

    A row of the picture depends on two rows of the mask, a column on two columns: two small matrices do it.
    """
    rows_HM = _along(box[1], box[3], size[0], mask_MM.shape[0])
    columns_WM = _along(box[0], box[2], size[1], mask_MM.shape[1])
    soft_HW: Array = (rows_HM @ mask_MM @ columns_WM.T).astype(np.float32)
    return soft_HW


def _along(low: Array, high: Array, length: int, cells: int) -> Array:
    """Return what each cell of a mask counts for each pixel of an axis, (length, cells); rows outside the box are 0."""
    pixel = np.arange(length, dtype=np.float32)
    place = (pixel - low) / max(np.float32(high - low), np.float32(1e-6)) * cells - np.float32(0.5)
    place = np.clip(place, 0, cells - 1)
    first = np.minimum(place.astype(np.int64), cells - 1)
    second = np.minimum(first + 1, cells - 1)
    share = place - first
    weight = np.zeros((length, cells), np.float32)
    index = np.arange(length)
    weight[index, first] += 1 - share
    weight[index, second] += share
    inside = (pixel + 0.5 >= low) & (pixel + 0.5 < high)
    weighted: Array = weight * inside[:, None]
    return weighted
