"""The map, and what is called defective, drawn over an image in its own size."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from callbacks.report.layers import caption, found_layer, laid_over
from datamodules.errors import UnreadableImageError

from .instance_rows import overlay_of_instances

if TYPE_CHECKING:
    from .network import Array
    from .result import Result


def drawn_over(result: Result, limits: tuple[float, float]) -> Array | None:
    """Draw what was found over an image as it lies on disk, with verdict, score and threshold along an edge.

    Lines run around defects alone: see ``Result.marks``.

    Args:
        result: Decided.
        limits: Raw map values of the darkest and the brightest colour.

    Returns:
        (H, W, 3) RGB uint8, as large as the image on disk; None where there is nothing to draw.
    """
    image = original(result)
    if image is None or result.anomaly_map is None or result.mask is None:
        return None
    size = (image.shape[0], image.shape[1])
    if result.searched:
        drawn = overlay_of_instances(result, image)
    else:
        mask = result.mask if result.marks else None
        drawn = laid_over(image, found_layer(result.anomaly_map, mask, limits, result.placed, size))
    marked_HW = result.placed.mask_on_disk(result.mask) if result.marks else np.zeros(size, np.bool_)
    caption(drawn, words_of(result), marked_HW)
    return drawn


def words_of(result: Result) -> str:
    """Say the verdict and what it rests on, in ASCII: ``defective: score 1.31 >= threshold 1.02``."""
    side = ">=" if result.score >= result.threshold else "<"
    return f"{result.verdict}: score {result.score:.6g} {side} threshold {result.threshold:.6g}"


def original(result: Result) -> Array | None:
    """Return an image in its own size, (H, W, 3) uint8: as read once more, or else what the model saw, grown."""
    if result.read is not None:
        try:
            again = result.read()
        except (UnreadableImageError, MemoryError):  # gone since, such as a member of a closed archive
            again = None
        if again is not None and again.shape[:2] == result.size:
            return again
    return None if result.image is None else result.placed.values_on_disk(result.image)
