"""A metallographic scan of any size through two networks: inclusions marked and painted over, then grain boundaries.

Letters: H and W height and width of the scan in pixels, S side of a tile, K tiles.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from .inpainting import Image, Method, inpaint
from .tiled import Tiling, reflected

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    Logits: TypeAlias = Callable[[Tensor], Tensor]

TILING = Tiling(size=512, overlap=0.125, batch=2)
WHOLE = 8  # tiles; a scan no larger is judged whole, which saves the overlap: a quarter of the time at 1330 x 900


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
    image_HW3: Image, inclusions: Stage, boundaries: Stage, method: Method = "navier_stokes", tiling: Tiling = TILING
) -> Micrograph:
    """Send a scan (RGB) through the chain."""
    inclusion_logit_HW = scan_logits(image_HW3, inclusions, tiling)
    inclusion_HW = inclusion_logit_HW >= inclusions.threshold
    inpainted_HW3 = inpaint(image_HW3, inclusion_HW, method)
    boundary_logit_HW = scan_logits(inpainted_HW3, boundaries, tiling)
    return Micrograph(
        inclusion_HW, inclusion_logit_HW, inpainted_HW3, boundary_logit_HW >= boundaries.threshold, boundary_logit_HW
    )


@torch.inference_mode()
def scan_logits(image_HW3: Image, stage: Stage, tiling: Tiling = TILING) -> npt.NDArray[np.float32]:
    """Return the raw values of a scan, (H, W): of tiles that overlap, averaged where they do.

    Only the tiles at hand are floating point images, so that memory beside the result does not grow with the scan.
    A scan no larger than ``WHOLE`` tiles is judged whole, reflected at its right and its bottom to the sides that the
    network asks for.
    """
    height, width = image_HW3.shape[:2]
    image = torch.from_numpy(np.ascontiguousarray(stage.enhance(image_HW3)))
    device = image.device
    if height * width <= WHOLE * tiling.size**2:
        sides = [-(-length // stage.multiple) * stage.multiple for length in (height, width)]
        whole = image[reflected(0, sides[0], height, device)][:, reflected(0, sides[1], width, device)]
        return stage.logits(_floating(whole[None]))[0, :height, :width].float().cpu().numpy()
    tiling = replace(tiling, size=max(1, tiling.size // stage.multiple) * stage.multiple)
    rows, columns = tiling.axis(height), tiling.axis(width)
    sum_HW = np.zeros((height, width), np.float32)
    for top in rows.starts:
        row_S = reflected(top, tiling.size, height, device)
        for first in range(0, len(columns.starts), tiling.batch):
            lefts = columns.starts[first : first + tiling.batch]
            tiles = [image[row_S][:, reflected(left, tiling.size, width, device)] for left in lefts]
            found_KSS = stage.logits(_floating(torch.stack(tiles))).float().cpu().numpy()
            for left, found_SS in zip(lefts, found_KSS, strict=True):
                _add(sum_HW, found_SS, (top, left), (rows.weight_S.numpy(), columns.weight_S.numpy()))
    weights = [
        _weights(axis.starts, axis.weight_S.numpy(), length) for axis, length in ((rows, height), (columns, width))
    ]
    sum_HW /= weights[0][:, None]
    sum_HW /= weights[1]
    return sum_HW


def _floating(image_KHW3: Tensor) -> Tensor:
    return image_KHW3.permute(0, 3, 1, 2).float().div_(255)


def _add(
    sum_HW: npt.NDArray[np.float32],
    found_SS: npt.NDArray[np.float32],
    place: tuple[int, int],
    weights: tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]],
) -> None:
    """Add a tile, weighed, where it lies inside."""
    inside, within = [], []
    for start, side, length in zip(place, found_SS.shape, sum_HW.shape, strict=True):
        first, last = max(start, 0), min(start + side, length)
        inside.append(slice(first, last))
        within.append(slice(first - start, last - start))
    weight_SS = weights[0][within[0], None] * weights[1][within[1]]
    sum_HW[inside[0], inside[1]] += weight_SS * found_SS[within[0], within[1]]


def _weights(starts: list[int], weight_S: npt.NDArray[np.float32], length: int) -> npt.NDArray[np.float32]:
    """Add up what the tiles along an axis weigh at every pixel."""
    sum_L = np.zeros(length, np.float32)
    for start in starts:
        first, last = max(start, 0), min(start + len(weight_S), length)
        sum_L[first:last] += weight_S[first - start : last - start]
    return sum_L
