"""How the pixels that a model sees lie on the image on disk."""

from __future__ import annotations

from typing import NamedTuple


class ImageScale(NamedTuple):
    """How the pixels of the model's image lie on the image on disk.

    Attributes:
        x: Pixels on disk per pixel of the model's image, along a row.
        y: The same, along a column.
        um_per_pixel: Micrometres per pixel on disk; None where nobody said.
    """

    x: float = 1.0
    y: float = 1.0
    um_per_pixel: float | None = None


SAME_SCALE = ImageScale()
