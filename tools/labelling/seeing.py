"""What a browser is sent of an image: every stored value of it, so that its window can be moved there.

Images of 8 bits go as they are. Deeper ones go as two images of 8 bits, one below the other: the high bytes, and the
low ones. Letters: H and W height and width in pixels.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.errors import UnreadableImageError
from datamodules.files.boxes import cut, parse_box
from datamodules.files.images import read_image, resize
from datamodules.masks.matching import split_mask
from datamodules.masks.reading import mask_values
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.instances import is_named
from datamodules.outlines.polygons import fill

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from datamodules.files.images import Array

    from .items import Item

MOST_SENT = 12  # encoded images that stay in memory
LOW, HIGH = 0.1, 99.9  # percentiles between which a deep image is shown at first
LEVEL = 1  # of compression: the line is short, and people wait
DEEP = 65535
ON = 127  # of 255, above which a mask marks


@dataclass(frozen=True)
class Sent:
    """An image as it is sent.

    Attributes:
        png: The file.
        deep: Whether it is two in one, high bytes above low ones.
        low: Stored value that is black at first.
        high: Stored value that is white at first.
    """

    png: bytes
    deep: bool = False
    low: float = 0.0
    high: float = 255.0

    @property
    def headers(self) -> dict[str, str]:
        """What a page has to know of it."""
        return {"Loupe-Deep": str(int(self.deep)), "Loupe-Window": f"{self.low:g} {self.high:g}"}


class Sights:
    """Encodes images, and keeps the latest.

    Args:
        white_level: Stored value that means white; None: what the type can hold.
    """

    def __init__(self, white_level: float | None = None) -> None:
        self.white_level = white_level
        self._sent: OrderedDict[tuple[str, str], Sent] = OrderedDict()
        self._lock = Lock()

    def image(self, path: Path, box: str = "") -> Sent:
        """Give an image, or a part of it.

        Raises:
            UnreadableImageError: It cannot be read.
        """
        key = (str(path), box)
        with self._lock:
            if key in self._sent:
                self._sent.move_to_end(key)
                return self._sent[key]
        sent = encoded(stored(path, box), self.white_level)
        with self._lock:
            self._sent[key] = sent
            while len(self._sent) > MOST_SENT:
                self._sent.popitem(last=False)
        return sent


def stored(path: Path, box: str = "") -> Array:
    """Read an image, or a part of it, as stored.

    Raises:
        UnreadableImageError: It cannot be read.
    """
    values = read_image(path)
    return cut(values, parse_box(box)) if box else values


def encoded(values: Array, white_level: float | None = None) -> Sent:
    """Encode an image as stored, (H, W) or (H, W, 3)."""
    if values.dtype == np.uint8:
        return Sent(png_of(values))
    if values.dtype == np.float32:
        top = white_level or float(values.max()) or 1.0
        values = np.rint(np.clip(values / top, 0, 1) * DEEP).astype(np.uint16)
    low, high = (float(value) for value in np.percentile(values, [LOW, HIGH]))
    both = np.concatenate([(values >> 8).astype(np.uint8), (values & 255).astype(np.uint8)])
    return Sent(png_of(both), deep=True, low=low, high=max(high, low + 1))


def png_of(values: npt.NDArray[np.uint8]) -> bytes:
    """Encode (H, W), (H, W, 3) RGB or (H, W, 4) RGBA without loss."""
    turned = {3: cv2.COLOR_RGB2BGR, 4: cv2.COLOR_RGBA2BGRA}
    if values.ndim == 3:
        values = cv2.cvtColor(np.ascontiguousarray(values), turned[values.shape[2]]).astype(np.uint8, copy=False)
    return bytes(cv2.imencode(".png", np.ascontiguousarray(values), [cv2.IMWRITE_PNG_COMPRESSION, LEVEL])[1])


def mask_on_disk(item: Item) -> bytes:
    """Give the mask of an image that its data set has, white on black; several files, or outlines, are united.

    Raises:
        UnreadableImageError: It cannot be read, or there is none.
    """
    if item.outlines and not item.mask:
        values = stored(item.path, item.box)
        found = read_annotation(item.outlines, item.path, *values.shape[:2]).outlines
        filled = [fill(one.rings, *values.shape[:2]) for one in found if not is_named(one.label, item.aside)]
        return png_of(np.any([np.zeros(values.shape[:2], np.bool_), *filled], axis=0).astype(np.uint8) * 255)
    if not item.mask:
        raise UnreadableImageError(item.path, "has no mask", "draw one")
    marks = np.any([mask_values(name) > ON for name in split_mask(item.mask)], axis=0)
    return png_of(marks.astype(np.uint8) * 255)


def thumbnail_of(path: Path, box: str, side: int = 16) -> npt.NDArray[np.float32]:
    """Describe an image roughly, to find one that looks alike: its grey values on a coarse grid, standardised.

    Raises:
        UnreadableImageError: It cannot be read.
    """
    values = stored(path, box).astype(np.float32)
    grid = resize(values if values.ndim == 2 else values.mean(axis=2), side, side).ravel()
    spread = float(grid.std()) or 1.0
    return np.asarray((grid - grid.mean()) / spread, dtype=np.float32)
