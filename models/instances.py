"""Instances of one picture: laid onto it from crops, and joined where tiles saw only a part of each.

Detections are a dictionary: ``boxes`` (D, 4) float32, x1, y1, x2, y2 in pixels, ``labels`` (D,) int64 from 1,
``scores`` (D,) float32 and ``masks`` (D, H, W) bool.

Letters: D detections, M side of a mask as networks predict it, H and W pixels of a picture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn import functional as F

from .joining import crop_instance, join_instances, paste_mask

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from torch import Tensor

    from .joining import Instance

Detections = dict[str, "Tensor"]


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

    Which ones are the same is said by ``join_instances``. Masks are kept as crops, and ``parts`` is read one by one: a
    generator will do, and no two tiles need be held.

    Args:
        parts: Detections of every tile, in pixels of the tile; without a mask they are dropped.
        offsets: Of every tile's first pixel: (y, x).
        size: H and W of the picture; what tiles show beyond it is cut off.
        overlap_threshold: In (0, 1].

    Returns:
        Detections on the picture, from the highest score, on the device of the parts.
    """
    device: torch.device | str = "cpu"
    found: list[Instance] = []
    for part, offset in zip(parts, offsets, strict=True):
        device = part["masks"].device
        found += cut_instances(part, offset, size)
    return paste_instances(join_instances(found, overlap_threshold), size, device)


def cut_instances(detections: Detections, offset: tuple[int, int], size: tuple[int, int]) -> Iterator[Instance]:
    """Turn the detections of a tile into instances of the picture of ``size``; those without a mask are dropped."""
    boxes, labels, scores = (detections[name].tolist() for name in ("boxes", "labels", "scores"))
    for (x1, y1, x2, y2), label, score, mask_HW in zip(boxes, labels, scores, detections["masks"], strict=True):
        mask = mask_HW.bool().cpu().numpy()
        instance = crop_instance((x1, y1, x2, y2), label, score, mask, offset, size)
        if instance is not None:
            yield instance


def paste_instances(
    instances: Sequence[Instance], size: tuple[int, int], device: torch.device | str = "cpu"
) -> Detections:
    """Turn instances into detections on a picture of ``size``, in their order."""
    detections = empty_detections(*size)
    if instances:
        masks = np.stack([paste_mask(one, size) for one in instances])
        detections = {
            "boxes": torch.tensor([one.box for one in instances], dtype=torch.float32),
            "labels": torch.tensor([one.label for one in instances]),
            "scores": torch.tensor([one.score for one in instances], dtype=torch.float32),
            "masks": torch.from_numpy(masks),
        }
    return {name: value.to(device) for name, value in detections.items()}
