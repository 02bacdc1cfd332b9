"""A metallographic scan of any size through two networks: inclusions marked and painted over, then grain boundaries.

Letters: H and W height and width of the scan in pixels, S side of a tile, K tiles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import torch

from .inpainting import Image, Method, inpaint
from .scan_tiles import ScanTiles

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import numpy.typing as npt
    from torch import Tensor

    Logits: TypeAlias = Callable[[Tensor], Tensor]

TILES = ScanTiles()


class Stage(NamedTuple):
    """A network of the chain.

    Attributes:
        logits: From tiles (K, 3, S, S) in [0, 1] to raw values (K, S, S).
        threshold: Raw value from which a pixel is marked.
        enhance: What happens to a scan first.
        multiple: Both sides of what ``logits`` is given are multiples of this.
    """

    logits: Logits
    threshold: float
    enhance: Callable[[Image], Image] = lambda image_HW3: image_HW3
    multiple: int = 1


class Micrograph(NamedTuple):
    """What the chain finds in a scan.

    Attributes:
        inclusion_HW: True on inclusions.
        inclusion_logit_HW: Raw values of the first network.
        inpainted_HW3: The scan without its inclusions.
        boundary_HW: True where the second network marks a boundary.
        boundary_logit_HW: Its raw values.
    """

    inclusion_HW: npt.NDArray[np.bool_]
    inclusion_logit_HW: npt.NDArray[np.float32]
    inpainted_HW3: Image
    boundary_HW: npt.NDArray[np.bool_]
    boundary_logit_HW: npt.NDArray[np.float32]


def analyse(
    image_HW3: Image, inclusions: Stage, boundaries: Stage, method: Method = "navier_stokes", tiles: ScanTiles = TILES
) -> Micrograph:
    """Send a scan (RGB) through the chain."""
    inclusion_logit_HW = scan_logits(image_HW3, inclusions, tiles)
    inclusion_HW = inclusion_logit_HW >= inclusions.threshold
    inpainted_HW3 = inpaint(image_HW3, inclusion_HW, method)
    boundary_logit_HW = scan_logits(inpainted_HW3, boundaries, tiles)
    return Micrograph(
        inclusion_HW, inclusion_logit_HW, inpainted_HW3, boundary_logit_HW >= boundaries.threshold, boundary_logit_HW
    )


@torch.inference_mode()
def scan_logits(image_HW3: Image, stage: Stage, tiles: ScanTiles = TILES) -> npt.NDArray[np.float32]:
    """Return the raw values of a scan, (H, W), judged by ``tiles``; only what is at hand is in floating point."""

    def logits(part_K3hw: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        part = torch.from_numpy(part_K3hw).contiguous(memory_format=torch.channels_last)
        found: npt.NDArray[np.float32] = stage.logits(part.float().div_(255)).float().cpu().numpy()
        return found

    plane_13HW = stage.enhance(image_HW3).transpose(2, 0, 1)[None]
    map_HW: npt.NDArray[np.float32] = replace(tiles, multiple=stage.multiple).judge(plane_13HW, logits)[0]
    return map_HW
