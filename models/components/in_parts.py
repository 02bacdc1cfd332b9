"""A few images at a time, where that is cheaper: on a processor, so that memory for maps is used again.

The C library of Linux gives blocks of more than 32 MiB back to the system as soon as they are freed, however it is set.
Maps of a large batch are such blocks; the next ones touch new pages, which the kernel has to clear: a quarter of the
time of an autoencoder on 16 images.

Letters: B images, C channels, H and W their height and width.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

REUSED = 32 * 2**20  # bytes; DEFAULT_MMAP_THRESHOLD_MAX of malloc (mallopt(3))


def in_parts(network: Callable[[Tensor], Tensor], image_BCHW: Tensor, largest: int) -> Tensor:
    """Ask a network that judges each image by itself, for so many at a time that a map of them is reused.

    A graph, a GPU, and gradients, which keep all maps anyway, get all images at once.

    Args:
        network: From images, or maps of them, to one value or map for each.
        image_BCHW: What it is asked for.
        largest: Numbers (float32) in the largest map of one image.
    """
    graph = torch.compiler.is_compiling() or torch.jit.is_tracing()  # type: ignore[attr-defined,no-untyped-call]  # torch says nothing of its type
    if graph or torch.is_grad_enabled() or image_BCHW.device.type != "cpu":
        return network(image_BCHW)
    at_once = max(1, REUSED // (4 * largest))
    if at_once >= len(image_BCHW):
        return network(image_BCHW)
    return torch.cat([network(part_BCHW) for part_BCHW in torch.split(image_BCHW, at_once)])
