"""Outlines to what instance models learn from: boxes, labels and masks, at the size that models see.

Letters: n instances of an image, H and W height and width that models see.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.files.fitting import Placement, fit_mask

from .classes import ANY, PART, label_of
from .polygons import bounding_box, fill

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from torch import Tensor

    from datamodules.files.images import Array

    from .polygons import Outline


def is_named(label: str, names: Collection[str]) -> bool:
    """Tell whether a label is one of some names, in any case."""
    return label.strip().casefold() in {name.strip().casefold() for name in names}


def is_part(outline: Outline, parts: Collection[str]) -> bool:
    """Tell whether an outline marks the part itself, by its label in any case, and not a defect."""
    return is_named(outline.label, parts)


def without_background(outlines: Sequence[Outline], background: Collection[str]) -> list[Outline]:
    """Drop the outlines that mark neither a defect nor the part."""
    return [outline for outline in outlines if not is_named(outline.label, background)]


def instance_target(
    outlines: Sequence[Outline],
    placement: Placement,
    parts: Collection[str] = (),
    classes: Sequence[str] = (),
) -> dict[str, Tensor]:
    """Make the target of one image; without outlines, that of a negative.

    Args:
        outlines: In pixels of the image.
        placement: How the image lies in what models see.
        parts: Labels of outlines that mark the part itself.
        classes: Of defects; none: all have one label.

    Returns:
        ``boxes`` (n, 4) float32, x1, y1, x2, y2 in pixels, the last two exclusive, so that no box is empty; ``labels``
        (n,) int64, 2 part, all others as ``label_of`` has them; ``masks`` (n, H, W) uint8, 0 or 1, shrunk like every
        mask: none is lost.
    """
    import torch  # noqa: PLC0415 - masks are drawn without it, such as on the page for labels

    boxes, labels, masks = [], [], []
    for outline in outlines:
        mask = fit_mask(fill(outline.rings, *placement.size), placement)
        box = bounding_box(mask)
        if box is not None:  # an outline between the middles of the pixels fills none
            boxes.append((box.x1, box.y1, box.x2, box.y2))
            labels.append(PART if is_part(outline, parts) else label_of(outline.label, classes))
            masks.append(mask)
    stacked = np.stack(masks).astype(np.uint8) if masks else np.zeros((0, *placement.seen), dtype=np.uint8)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(stacked),
    }


def component_target(mask_HW: Array, classes: Sequence[str] = ()) -> dict[str, Tensor]:
    """Make the target of an image from its mask alone: what is connected, diagonals included, is one defect.

    Args:
        mask_HW: (H, W) bool, at the size that models see.
        classes: Of defects; those of a mask, which nobody named, are of the class ``defect``.

    Returns:
        As ``instance_target``, from the top.
    """
    import torch  # noqa: PLC0415 - masks are drawn without it, such as on the page for labels

    count, component_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    x, y, width, height = statistics[1:, : cv2.CC_STAT_AREA].T  # the first component is the ground
    boxes = np.stack([x, y, x + width, y + height], axis=1)
    masks = component_HW == np.arange(1, count)[:, None, None]
    return {
        "boxes": torch.from_numpy(boxes).float(),
        "labels": torch.full((count - 1,), label_of(ANY, classes), dtype=torch.int64),
        "masks": torch.from_numpy(masks.astype(np.uint8)),
    }


def defect_mask(target: dict[str, Tensor]) -> Tensor:
    """Return the union of the defects of a target, (H, W) bool: what models that know no instances learn from."""
    return target["masks"][target["labels"] != PART].bool().any(dim=0)
