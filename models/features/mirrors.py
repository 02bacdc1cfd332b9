"""An image and its three mirror images: what is seen in all of them, on average.

What a network says of an image and of its mirror image differs by what does not matter for surfaces, and by noise; the
mean of all four, each mirrored back, has less of both.

Letters: B batch, C channels, H and W image height and width, h and w those of a map.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor

MIRRORS: tuple[tuple[int, ...], ...] = ((), (-1,), (-2,), (-2, -1))  # as it is, left to right, top to bottom, both


def seen_in_mirrors(see: Callable[[Tensor], Sequence[Tensor]], image_B3HW: Tensor) -> list[Tensor]:
    """Return the mean of the maps (B, C, h, w) of an image and of its mirror images, each mirrored back.

    Args:
        see: Gives maps of images. Its cells should fill the image: where a side is no multiple of their stride, what
            they leave over lies at one end, and mirrored at the other.
        image_B3HW: Seen four times.
    """
    views = ([one.flip(axes) for one in see(image_B3HW.flip(axes))] for axes in MIRRORS)
    return [sum(level[1:], level[0]) / len(MIRRORS) for level in zip(*views, strict=True)]
