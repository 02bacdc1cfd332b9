"""Masks that people draw: PNG files named by what is in them, so that none is ever changed or lost.

Letters: H and W height and width in pixels.
"""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.files.whole_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

MASKS = "drawn"
ON = 127
LARGEST = 100_000_000  # pixels


class Masks:
    """The masks below a folder.

    Args:
        folder: Is made with the first mask.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def keep(self, data: bytes, size: tuple[int, int]) -> str:
        """Keep a mask, on the disk when this returns; give back its name, empty where it marks nothing.

        Args:
            data: A PNG; a pixel is marked where its brightest colour, weighed by its alpha, is above 127.
            size: Height and width of the image.

        Raises:
            ValueError: It is no PNG, or of another size.
            OSError: The disk does not take it.
        """
        mask_HW = _read(data, size)
        if not mask_HW.any():
            return ""
        buffer = io.BytesIO()
        Image.fromarray(mask_HW.astype(np.uint8) * 255).save(buffer, "PNG", optimize=False, compress_level=3)
        name = f"{hashlib.sha256(buffer.getvalue()).hexdigest()[:24]}.png"
        if not (self.folder / name).is_file():
            write_whole(self.folder / name, buffer.getvalue(), durable=True)
        return name

    def read(self, name: str) -> npt.NDArray[np.bool_]:
        """Read a mask, (H, W).

        Raises:
            OSError: It is not there.
        """
        with Image.open(self.folder / name) as image:
            return np.asarray(image.convert("L")) > ON


def _read(data: bytes, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    expected = f"Expected the mask as a PNG of {size[1]}x{size[0]} pixels, as its image"
    try:
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.size != (size[1], size[0]):
                raise ValueError(f"{expected}, but found {image.size[0]}x{image.size[1]}.")
            values = np.asarray(image.convert("RGBA"))
    except (OSError, SyntaxError) as error:
        raise ValueError(f"{expected}, but could not read it: {error}.") from error
    marked: npt.NDArray[np.bool_] = np.minimum(values[..., :3].max(axis=2), values[..., 3]) > ON
    return marked
