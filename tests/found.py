"""Detections for tests: from dense masks, which are easier to draw."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from datamodules.samples.detections import Instance, Region, trim

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

    from datamodules.samples.detections import Detections


def as_instances(dense: Mapping[str, Tensor]) -> Detections:
    """Turn ``boxes`` (D, 4), ``labels`` (D,), ``scores`` (D,) and ``masks`` (D, H, W) into detections of an image."""
    found = []
    for box, label, score, mask in zip(*(dense[name] for name in ("boxes", "labels", "scores", "masks")), strict=True):
        mask_HW = mask.bool().numpy()
        whole = Region(0, 0, *mask_HW.shape)
        crop, region = trim(mask_HW, whole)
        x1, y1, x2, y2 = box.tolist()
        found.append(Instance((x1, y1, x2, y2), int(label), float(score), region, crop, whole))
    return found


def same(first: Instance, second: Instance) -> bool:
    """Tell whether two instances are equal, masks included."""
    return first[:4] == second[:4] and first.seen == second.seen and np.array_equal(first.mask, second.mask)
