"""Copies of good images for parts that lie at all angles: what is learnt of one, a model knows at other angles, too.

Letters: B batch, H and W pixels, N patches, D features.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from torch import Tensor

COPIES: Mapping[str, tuple[Callable[[Tensor], Tensor], ...]] = {
    "none": (),
    "flips": tuple(partial(torch.flip, dims=dims) for dims in ([-1], [-2], [-2, -1])),
    "turns": tuple(partial(torch.rot90, k=quarters, dims=(-2, -1)) for quarters in (1, 2, 3)),
}
"""What is made of images (B, 3, H, W), whose padding may be marked, beside the images themselves."""


def describe_copies(
    describe: Callable[[Tensor], tuple[Tensor, Tensor]], image_B3HW: Tensor, copies: str
) -> tuple[Tensor, Tensor]:
    """List the patches of images and of their copies, those of an image together.

    Args:
        describe: Lists the patches (N, D) of images, those of an image together, and which image each is of (N,).
        image_B3HW: In [0, 1]; padding may be marked.
        copies: Of ``COPIES``.
    """
    described = [describe(image_B3HW), *(describe(copied(image_B3HW)) for copied in COPIES[copies])]
    if len(described) == 1:
        return described[0]
    patch_ND, image_N = (torch.cat(parts) for parts in zip(*described, strict=True))
    order_N = image_N.argsort(stable=True)
    return patch_ND[order_N], image_N[order_N]


def check_choice(name: str, value: str, choices: Collection[str]) -> None:
    """Refuse a value that is no choice.

    Raises:
        ValueError: Names the choices.
    """
    if value not in choices:
        raise ValueError(f"Expected {name} to be one of {', '.join(choices)}, but found {value!r}.")
