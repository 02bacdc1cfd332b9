"""From boxes and the masks in them to an image's map and instances; NumPy alone.

Bundles hold this very file: what a checkpoint lays onto an image, its bundle lays in the same way.

Letters: D detections, M side of a mask in its box, H and W pixels of the image, h and w of a crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from datamodules.samples.detections import Instance, Region, trim

if TYPE_CHECKING:
    from collections.abc import Mapping

Floats: TypeAlias = npt.NDArray[np.float32]


def lay(
    found: Mapping[str, npt.NDArray[np.generic]],
    size: tuple[int, int],
    mask_threshold: float,
    part: int,
    inside_HW: npt.NDArray[np.bool_] | None = None,
) -> tuple[Floats, list[Instance]]:
    """Lay what a network found onto its image.

    Args:
        found: ``boxes`` (D, 4) x1, y1, x2, y2 in pixels, ``labels`` (D,), ``scores`` (D,), and ``masks`` (D, M, M),
            probabilities in the boxes.
        size: H and W.
        mask_threshold: A pixel belongs to an instance from this probability on.
        part: The label of the part itself, which is not a defect.
        inside_HW: Which pixels show the image; what has its middle in the padding is none, and nothing reaches there.
            None: all do.

    Returns:
        The map (H, W), at every pixel the highest product of a defect's score and its probability there; and the
        detections.
    """
    map_HW = np.zeros(size, np.float32)
    whole = Region(0, 0, *size)
    instances = []
    for box, label, score, mask_MM in zip(
        found["boxes"], found["labels"], found["scores"], found["masks"], strict=True
    ):
        if inside_HW is not None and not _has_middle(box.astype(np.float32), inside_HW):
            continue
        soft_hw, region = soft_crop(mask_MM.astype(np.float32), box.astype(np.float32), size)
        if inside_HW is not None:
            soft_hw = soft_hw * inside_HW[region.slices]
        if label != part:
            place = map_HW[region.slices]
            np.maximum(place, np.float32(score) * soft_hw, out=place)
        mask, tight = trim(soft_hw >= mask_threshold, region)
        x1, y1, x2, y2 = (float(edge) for edge in box)
        instances.append(Instance((x1, y1, x2, y2), int(label), float(score), tight, mask, whole))
    return map_HW, instances


def _has_middle(box_4: Floats, inside_HW: npt.NDArray[np.bool_]) -> bool:
    height, width = inside_HW.shape
    row, column = int((box_4[1] + box_4[3]) / 2), int((box_4[0] + box_4[2]) / 2)
    return bool(inside_HW[min(max(row, 0), height - 1), min(max(column, 0), width - 1)])


def soft_crop(mask_MM: Floats, box_4: Floats, size: tuple[int, int]) -> tuple[Floats, Region]:
    """Lay a mask that was predicted within a box onto its image, bilinearly, and cut out the box (h, w); 0 outside.

    torchvision cuts the masks that a network learns from with pixel centres at whole numbers (RoIAlign, not
    ``aligned``), so they are laid back in the same way. Boxes are not rounded, as its ``paste_masks_in_image`` does. A
    row of the image depends on two rows of the mask, a column on two columns: two small matrices do it.
    """
    top, rows_hM = _along(box_4[1], box_4[3], size[0], mask_MM.shape[0])
    left, columns_wM = _along(box_4[0], box_4[2], size[1], mask_MM.shape[1])
    soft_hw: Floats = (rows_hM @ mask_MM @ columns_wM.T).astype(np.float32, copy=False)
    return soft_hw, Region(top, left, top + len(rows_hM), left + len(columns_wM))


def _along(low: np.float32, high: np.float32, length: int, cells: int) -> tuple[int, Floats]:
    """Return the first pixel of an axis in a box, and what each cell of a mask counts for each pixel in it, (h, cells).

    A pixel is inside if its middle is.
    """
    every = np.arange(length, dtype=np.float32)
    index = np.flatnonzero((every + np.float32(0.5) >= low) & (every + np.float32(0.5) < high))
    pixel = every[index]
    span = max(np.float32(high - low), np.float32(1e-6))
    place: Floats = np.clip((pixel - low) / span * np.float32(cells) - np.float32(0.5), 0, cells - 1)
    first = np.minimum(place.astype(np.int64), cells - 1)
    second = np.minimum(first + 1, cells - 1)
    share = place - first
    weight = np.zeros((len(index), cells), np.float32)
    row = np.arange(len(index))
    weight[row, first] += 1 - share
    weight[row, second] += share
    return int(index[0]) if len(index) else 0, weight
