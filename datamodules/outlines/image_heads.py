"""What the head of an image file tells without decoding it: its size, and how the camera was held."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from PIL import Image, UnidentifiedImageError
from PIL.ExifTags import Base as Tag

from datamodules.files.regular_files import open_regular

if TYPE_CHECKING:
    from pathlib import Path


class ImageHead(NamedTuple):
    """The size of an image as it is read, in pixels.

    Attributes:
        height: Of the upright image.
        width: Of the upright image.
        turned: It is stored lying on its side: height and width are exchanged before the orientation tag is applied.
    """

    height: int
    width: int
    turned: bool


def image_head(path: str | Path) -> ImageHead | None:
    """Read the head of an image file; None if that cannot be: the survey will say why."""
    try:
        with open_regular(path) as file, Image.open(file) as image:
            # Pillow would decode a whole PNG to look for a tag that its head did not bring.
            tags = image.getexif() if image.format != "PNG" or "exif" in image.info else {}
            turned = tags.get(Tag.Orientation, 1) >= 5  # five to eight are quarter turns
            # Of a TIFF, Pillow tells the size as turned already.
            exchange = turned and image.format != "TIFF"
            size = (image.width, image.height) if exchange else (image.height, image.width)
            return ImageHead(*size, turned)
    except (OSError, SyntaxError, TypeError, ValueError, UnidentifiedImageError, Image.DecompressionBombError):
        return None
