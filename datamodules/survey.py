"""One look at every file before anyone trains on it: its size, depth, brightness and hash, or what is wrong with it."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from .errors import UnreadableImageError
from .images import Array, decode_image, read_bytes, read_mask, scale
from .progress import track

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class ImageFacts:
    """What one look at a picture tells.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 or 3.
        bits: Bits per stored value: 8, 16 or 32.
        brightness: Mean grey value in [0, 1]: the trivial baseline that every detector has to beat.
        sha256: Of the file's bytes, hexadecimal.
    """

    height: int
    width: int
    channels: int
    bits: int
    brightness: float
    sha256: str


def look_at(path: str, white_level: float | None = None) -> ImageFacts | UnreadableImageError:
    """Read one picture whole; return its facts, or the error that says why it cannot be used."""
    try:
        data = read_bytes(path)
        values = decode_image(data, path)
        if values.dtype == np.float32 and white_level is None:
            raise UnreadableImageError(path, "holds floating-point values", "set data.white_level to what means white")
    except UnreadableImageError as error:
        return error
    height, width = values.shape[:2]
    return ImageFacts(
        height=height,
        width=width,
        channels=1 if values.ndim == 2 else values.shape[2],
        bits=8 * values.dtype.itemsize,
        brightness=_brightness(values, white_level),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def survey(paths: Sequence[str], white_level: float | None = None) -> list[ImageFacts | UnreadableImageError]:
    """Look at every picture, in threads (decoding releases the interpreter lock), in the given order."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        looks = pool.map(lambda path: look_at(path, white_level), paths)
        return list(track(looks, "reading pictures", total=len(paths)))


def look_at_mask(path: str, facts: ImageFacts, mask_on: int) -> UnreadableImageError | None:
    """Say what is wrong with the mask of a picture, if anything: unreadable, of another size, or nothing marked."""
    try:
        mask = read_mask(path, mask_on)
    except UnreadableImageError as error:
        return error
    if mask.shape != (facts.height, facts.width):
        found = f"is a mask of {mask.shape[1]}x{mask.shape[0]} pixels for a picture of {facts.width}x{facts.height}"
        return UnreadableImageError(path, found, "export it again at the size of its picture")
    if not mask.any():
        return UnreadableImageError(path, "marks nothing, but its picture is labelled defective", "mend mask or label")
    return None


def survey_masks(paths: Sequence[str], facts: Sequence[ImageFacts], mask_on: int) -> list[UnreadableImageError | None]:
    """Look at every mask beside the facts of its picture, in threads, in the given order."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        looks = pool.map(lambda pair: look_at_mask(pair[0], pair[1], mask_on), zip(paths, facts, strict=True))
        return list(track(looks, "reading masks", total=len(paths)))


def _brightness(values: Array, white_level: float | None) -> float:
    scaled = scale(values, white_level)
    mean = float(scaled.mean(dtype=np.float64))
    return mean / 255.0 if scaled.dtype == np.uint8 else mean
