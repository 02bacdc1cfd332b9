"""A few images at a time, where that is cheaper: on a processor, so that memory for maps is used again.

The C library of Linux gives blocks of 32 MiB or more back to the system as soon as they are freed, however it is set.
Maps of a large batch are such blocks; the next ones touch new pages, which the kernel has to clear: a third of the
time of an autoencoder or of U-Net on 16 images, and of a feature network on images of 512x512.

Letters: B images, C channels, H and W their height and width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from .last_seen import grows_a_graph

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import Tensor, nn

REUSED = 32 * 2**20 - 2**12  # bytes; below DEFAULT_MMAP_THRESHOLD_MAX of malloc (mallopt(3)) with its own header


def in_parts(network: nn.Module, image_BCHW: Tensor, largest: int) -> Tensor:
    """Ask a network that judges each image by itself, for so many at a time that a map of them is reused.

    A graph, a GPU, gradients, which keep all maps anyway, and a network that is trained get all images at once.

    Args:
        network: From images, or maps of them, to a map for each.
        image_BCHW: What it is asked for.
        largest: Numbers (float32) in the largest map of one image.
    """
    return few_at_a_time(network, image_BCHW, len(image_BCHW) if network.training else REUSED // (4 * largest))


def few_at_a_time(judge: Callable[[Tensor], Tensor], row_ND: Tensor, at_once: int) -> Tensor:
    """Ask a function that judges each row by itself for at most ``at_once`` at a time, where that is cheaper."""
    found = [judge(part_RD) for part_RD in parts(row_ND, at_once)]
    return found[0] if len(found) == 1 else torch.cat(found)


def parts(row_ND: Tensor, at_once: int) -> Sequence[Tensor]:
    """Part rows into so many, at least one, where it is cheaper to judge them in parts; all of them elsewhere."""
    if grows_a_graph() or row_ND.device.type != "cpu" or at_once >= len(row_ND):
        return (row_ND,)
    return torch.split(row_ND, max(1, at_once))
