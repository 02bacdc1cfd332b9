"""Batches between the two networks of the metallographic chain: enhanced, and with inclusions painted over.

Needs no torch, so that bundles share it with the model.

Letters: B batch, H and W height and width of the images in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt

from .inpainting import Image, Method, inpaint

if TYPE_CHECKING:
    from datamodules.enhancing.enhancement import Enhancement

Batch: TypeAlias = npt.NDArray[np.float32]

WHITE = np.float32(255)


def enhanced(image_B3HW: Batch, enhancement: Enhancement) -> Batch:
    """Enhance images in [0, 1] as a run does; return them as they are where it does nothing."""
    if not enhancement:
        return image_B3HW
    return from_bytes([np.asarray(enhancement(image_HW3)) for image_HW3 in to_bytes(image_B3HW)])


def painted(image_B3HW: Batch, map_BHW: Batch, threshold: float, method: Method) -> Batch:
    """Paint over what a map marks.

    Args:
        image_B3HW: RGB, in [0, 1].
        map_BHW: Raw values of the network that marks inclusions.
        threshold: Raw value from which a pixel is marked.
        method: How.
    """
    mask_BHW = map_BHW >= np.float32(threshold)
    if not mask_BHW.any():
        return image_B3HW
    pairs = zip(to_bytes(image_B3HW), mask_BHW, strict=True)
    return from_bytes([inpaint(image_HW3, mask_HW, method) for image_HW3, mask_HW in pairs])


def to_bytes(image_B3HW: Batch) -> list[Image]:
    """Return images (H, W, 3), uint8."""
    byte_BHW3 = np.rint(image_B3HW * WHITE).clip(0, 255).astype(np.uint8).transpose(0, 2, 3, 1)
    return list(np.ascontiguousarray(byte_BHW3))


def from_bytes(images: list[Image]) -> Batch:
    """Return images (B, 3, H, W) in [0, 1]; grey ones are repeated to three channels."""
    three = [np.repeat(one[..., None], 3, axis=2) if one.ndim == 2 else one for one in images]
    return np.ascontiguousarray(np.stack(three).transpose(0, 3, 1, 2).astype(np.float32) / WHITE)
