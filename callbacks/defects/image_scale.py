"""How the pixels that a model sees lie on the image on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from datamodules.files.fitting import Placement


class ImageScale(NamedTuple):
    """How the pixels of the model's image lie on the image on disk.

    Attributes:
        x: Pixels on disk per pixel of the model's image, along a row.
        y: The same, along a column.
        um_per_pixel: Micrometres per pixel on disk; None where nobody said.
        left: Where the left edge of the model's image lies, in pixels on disk; below 0 where it is padded.
        top: The same of its upper edge.
    """

    x: float = 1.0
    y: float = 1.0
    um_per_pixel: float | None = None
    left: float = 0.0
    top: float = 0.0

    @classmethod
    def of(cls, placement: Placement, um_per_pixel: float | None) -> ImageScale:
        """Say how an image that lies somehow in what the model sees is measured."""
        (down, across), (top, left) = placement.scale, placement.origin
        return cls(across, down, um_per_pixel, left, top)


SAME_SCALE = ImageScale()
