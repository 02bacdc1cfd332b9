"""Greedy k-center coresets, computed lazily: the set that plain greedy finds, in tens of passes instead of thousands.

Greedy k-center (Gonzalez 1985; the coreset of PatchCore, arXiv 2106.08265) picks, again and again, the point farthest
from all picked so far; each pick costs one pass over all points. But distances to the picked set only ever shrink. So
the m-th largest distance bounds every point outside the m farthest, and as long as the best candidate among these stays
above the bound it is the true farthest point, found without looking at the rest. All picks of such a streak then
update the rest in one matrix product.

Letters: N points, D dimensions, K points to pick.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch

from .fused_nearest import is_fused, lower_nearest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor

    from .spilled import SpilledPoints

CANDIDATES = 1024  # large enough for long streaks, small enough that a candidate update stays in the processor's cache
ROUNDING = 2e-6  # of a squared distance, as a share of the squared norms that it is the difference of
ROWS = 16384  # rows per matrix product: bounds the memory of one pass


def k_center_greedy(
    points_ND: Tensor | SpilledPoints, count: int, start: int, square_N: Tensor | None = None
) -> Iterator[int]:
    """Yield the indices of ``count`` points, each the farthest (Euclidean) from those before it.

    Up to rounding in near ties, this is the sequence of plain greedy k-center.

    Args:
        points_ND: On any device, or on the disk; float32.
        count: How many to pick, from 1 to N.
        start: Index of the first.
        square_N: Squared distances to what was picked before, of other points; None: nothing was.

    Raises:
        ValueError: ``count`` or ``start`` is out of range.
    """
    total = len(points_ND)
    if not 1 <= count <= total or not 0 <= start < total:
        raise ValueError(f"Expected 1 <= count <= {total} and 0 <= start < {total}, but got {count} and {start}.")
    picked_N, square_N = square_N, _squares(points_ND)
    nearest_N = torch.full_like(square_N, math.inf) if picked_N is None else picked_N.clone()
    pending = [start]
    yield start
    picked = 1
    while picked < count:
        _refresh(nearest_N, points_ND, square_N, pending)
        pending.clear()
        candidates = min(CANDIDATES, total - 1)
        farthest, index_C = nearest_N.topk(candidates + 1)
        bound, index_C = float(farthest[candidates]), index_C[:candidates]
        # Single picks are tiny steps one after the other: NumPy takes them several times faster than any device.
        nearest_C = farthest[:candidates].cpu().numpy().copy()
        apart_CC = _squared_distances(points_ND[index_C]).cpu().numpy()
        global_C = index_C.tolist()
        while picked < count:
            best = int(nearest_C.argmax())
            if pending and (nearest_C[best] < bound or nearest_C[best] == -math.inf):
                break  # a point outside the candidates may be farther by now
            pending.append(global_C[best])
            yield pending[-1]
            picked += 1
            np.minimum(nearest_C, apart_CC[best], out=nearest_C)


def shortened_to(total: int, dimensions: int, eps: float = 0.9) -> int | None:
    """Say how many dimensions ``projection`` leaves; None where it would not shorten points."""
    needed = math.ceil(4 * math.log(total) / (eps**2 / 2 - eps**3 / 3))
    return None if needed >= dimensions else needed


def projection(total: int, dimensions: int, eps: float = 0.9) -> Tensor | None:
    """Draw a random Gaussian matrix that shortens points, and keeps distances (Johnson and Lindenstrauss).

    Draws from torch's global generator.

    Args:
        total: How many points.
        dimensions: Of each.
        eps: Share of a squared distance that may be lost or added.

    Returns:
        (dimensions, fewer) to multiply points with from the right; None where that would not shorten them.
    """
    needed = shortened_to(total, dimensions, eps)
    return None if needed is None else torch.randn(dimensions, needed) / math.sqrt(needed)


def _squares(points_ND: Tensor | SpilledPoints) -> Tensor:
    """Square norms (N,), a part at a time: squares of all values would take as much memory as the points.

    Written where they belong at once: results of parts, each behind the squares that it is the sum of, would keep the
    room of these from being used again.
    """
    square_N = torch.empty(len(points_ND), device=points_ND[:1].device)
    for first in range(0, len(points_ND), ROWS):
        square_N[first : first + ROWS] = points_ND[first : first + ROWS].square().sum(dim=1)
    return square_N


def _squared_distances(points_CD: Tensor) -> Tensor:
    square_C = points_CD.square().sum(dim=1)
    apart_CC = torch.addmm(square_C, points_CD, points_CD.T, alpha=-2.0) + square_C[:, None]
    apart_CC = _without_rounding(apart_CC, square_C[:, None])
    return apart_CC.fill_diagonal_(-math.inf)  # a picked point must never be picked again, not even among its equals


def _refresh(nearest_N: Tensor, points_ND: Tensor | SpilledPoints, square_N: Tensor, picked: list[int]) -> None:
    """Shrink, in place, the squared distance of every point to the picked set; all of them in one pass."""
    centers_KD, center_square_K = points_ND[picked], square_N[picked]
    fused = is_fused(centers_KD, centers_KD)
    lower = lower_nearest if fused else lower_plainly
    # A product takes memory for all its distances, and the disk is read a part at a time; the kernel takes all at once.
    step = len(points_ND) if fused and isinstance(points_ND, torch.Tensor) else ROWS
    for first in range(0, len(points_ND), step):
        rows = slice(first, first + step)
        lower(nearest_N[rows], points_ND[rows], square_N[rows], centers_KD, center_square_K, ROUNDING)
    nearest_N[picked] = -math.inf


def lower_plainly(
    nearest_R: Tensor, point_RD: Tensor, square_R: Tensor, centers_KD: Tensor, square_K: Tensor, share: float
) -> None:
    """Do what ``lower_nearest`` does, by a product of matrices: R x K distances are in memory at a time."""
    distance_RK = torch.addmm(square_K, point_RD, centers_KD.T, alpha=-2.0)
    distance_R = _without_rounding(distance_RK.amin(dim=1) + square_R, square_R, share)
    torch.minimum(nearest_R, distance_R, out=nearest_R)


def _without_rounding(distance: Tensor, square: Tensor, share: float = ROUNDING) -> Tensor:
    """Make zero what may be nothing but rounding: else every pick among equal points would cost a pass of its own."""
    return torch.where(distance < share * square, 0.0, distance)
