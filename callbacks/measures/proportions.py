"""Images as they are on disk: what a model saw, squashed, padded or cropped, in its own proportions again.

Letters: H and W pixels, A images, h and w pixels of each.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from datamodules.files.fitting import OWN, SQUASH, Fit, Placement, Size, place

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

    from .examples import Example

SAME = 0.02  # proportions that differ by less look the same
_AROUND = 232  # grey about images of other proportions than their neighbours'


def sizes_of(samples: pd.DataFrame) -> dict[str, Size]:
    """Return height and width on disk by the names of images; none where nobody surveyed them."""
    if samples.empty or not {"name", "height", "width"} <= set(samples.columns):
        return {}
    columns = zip(samples["name"], samples["height"], samples["width"], strict=True)
    return {str(name): (int(height), int(width)) for name, height, width in columns}


def in_proportion(example: Example, size: Size | None, fit: Fit) -> Example:
    """Return an example in the proportions of its file, as long as before; padding is cut off.

    Args:
        example: As the model saw it.
        size: Height and width on disk; None: nobody knows, and it stays as it is.
        fit: How it was brought to what the model saw.
    """
    seen = example.image.shape[0], example.image.shape[1]
    if size is None:
        return example
    placement = place(size, seen, _of_one_size(fit))
    target = _target(placement)
    if not placement.padded and _alike(target, seen):
        return example

    def mask(values: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
        if values is None:
            return None
        return _resized(placement.frame.of(values).astype(np.uint8), target, cv2.INTER_NEAREST_EXACT) > 0

    return replace(
        example,
        image=_resized(placement.frame.of(example.image), target, cv2.INTER_AREA),
        anomaly_map=_resized(placement.frame.of(example.anomaly_map), target, cv2.INTER_LINEAR),
        mask=mask(example.mask),
        predicted_mask=mask(example.predicted_mask),
    )


def thumbnails_in_proportion(
    thumbnail_AhwC: npt.NDArray[np.uint8], names: Sequence[str], sizes: Mapping[str, Size], fit: Fit
) -> npt.NDArray[np.uint8]:
    """Return thumbnails, all of one size still, in the proportions that most files have; the others with grey about.

    Args:
        thumbnail_AhwC: (A, h, w, 3), as the model saw them.
        names: Of the images.
        sizes: On disk, by name.
        fit: How they were brought to what the model saw.
    """
    seen = thumbnail_AhwC.shape[1], thumbnail_AhwC.shape[2]
    placements = [place(sizes.get(name, seen), seen, _of_one_size(fit)) for name in names]
    targets = [_target(placement) for placement in placements]
    common = Counter(targets).most_common(1)[0][0]
    if all(_alike(target, seen) and not one.padded for target, one in zip(targets, placements, strict=True)):
        return thumbnail_AhwC
    drawn = np.full((len(names), *common, 3), _AROUND, dtype=np.uint8)
    for tile_HW3, thumb, placement, target in zip(drawn, thumbnail_AhwC, placements, targets, strict=True):
        inner = common if _alike(target, common) else place(target, common, "letterbox").frame.size
        top, left = (common[0] - inner[0]) // 2, (common[1] - inner[1]) // 2
        small = _resized(placement.frame.of(thumb), inner, cv2.INTER_AREA)
        tile_HW3[top : top + inner[0], left : left + inner[1]] = small
    return drawn


def _of_one_size(fit: Fit) -> Fit:
    """Say how images came to what is shown of them: those of their own sizes are squashed only then."""
    return SQUASH if fit == OWN else fit


def _target(placement: Placement) -> Size:
    """Return the size of what the model saw of an image, in the image's proportions and as long as it saw it."""
    height, width = placement.part.size
    factor = max(placement.frame.size) / max(height, width)
    return max(1, round(height * factor)), max(1, round(width * factor))


def _alike(first: Size, second: Size) -> bool:
    return abs(first[0] * second[1] / (first[1] * second[0]) - 1) < SAME


def _resized(values: npt.NDArray[Any], size: Size, how: int) -> npt.NDArray[Any]:
    return np.asarray(cv2.resize(np.ascontiguousarray(values), size[::-1], interpolation=how))
