"""Squared distances to the nearest point of a bank by one kernel on a GPU: product, minimum and rounding in one pass.

By torch's products, N questions among M points make a matrix of N x M distances, which is written to memory and read
again for its minimum. Here a tile of it lives in registers until its minimum is taken; what is written is one number a
question, lowered in place where one is there already, as selection of a coreset wants it.

Roofline: a question takes 2 M D operations, whichever way. Products move 8 M bytes of the matrix for it, D / 4
operations for each byte: 32 with 128 dimensions. A GPU of 60 TFLOP/s in float32 and 3 TB/s needs 20 to be busy, but 50
where its tensor cores multiply in three passes of TF32 (160 TFLOP/s): there memory would decide. The kernel moves 4 D +
8 bytes of the question, and the bank once for every tile of 128 questions, 4 M D / 128 bytes, most of them out of the
second cache: 64 operations for each byte, whatever D is.

Products are those of float32: by three passes of TF32, whose parts are added up in float32 after each step of 32
dimensions, or without tensor cores. It was written where no GPU was: tested in Triton's interpreter, compiled for
several GPUs, and run on none. So it has to prove itself: once on every device and for every number of dimensions it is
held against double precision, and where it fails, all is compared by torch's products from then on. A wild access to
memory would break the driver's context, and with it all that follows: ``LOUPE_FUSED=off`` keeps the kernel away.

Letters: N questions, M points of the bank, D dimensions.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
import os
import warnings
from contextlib import nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import torch

from models.features.last_seen import is_drawn

if TYPE_CHECKING:
    from torch import Tensor

SWITCH = "LOUPE_FUSED"  # in the environment: on, or off for a GPU, or a driver, that the kernel does not suit
OLDEST = (7, 0)  # compute capability
TOLERANCE = 4e-6  # of a squared distance, as a share of the question's squared norm; one pass of TF32 misses it
WAVES = 4  # programs for each processor of a GPU, at least where the bank can be divided: so none is idle for long
QUESTIONS, POINTS = 200, 300  # of the trial: several tiles, none of them full at the end


class Tiles(NamedTuple):
    """How a kernel divides its work; sizes at which the compiler spills no register, for what each GPU has."""

    block_N: int
    block_M: int
    block_D: int
    precision: str
    warps: int
    stages: int


WITHOUT_TF32 = Tiles(64, 64, 16, "ieee", 4, 2)
SMALL = Tiles(128, 64, 32, "tf32x3", 8, 3)  # 48 KiB of shared memory
LARGE = Tiles(128, 128, 32, "tf32x3", 8, 3)  # 96 KiB

_agreed: set[tuple[torch.device, int]] = set()
_refused: set[torch.device] = set()


def is_fused(asked_ND: Tensor, bank_MD: Tensor) -> bool:
    """Tell whether the kernel can answer: on a GPU that it has proved itself on, in no graph, and for no gradient."""
    if is_drawn():
        return False
    device = bank_MD.device
    return (
        _is_capable(device)
        and _is_wanted()
        and asked_ND.device == device
        and asked_ND.dtype == bank_MD.dtype == torch.float32
        and min(len(asked_ND), *bank_MD.shape) > 0
        and not (torch.is_grad_enabled() and (asked_ND.requires_grad or bank_MD.requires_grad))
        and _agrees(device, bank_MD.shape[1])
    )


def nearest_squares(asked_ND: Tensor, bank_MD: Tensor, square_M: Tensor) -> Tensor:
    """Return squared distances (N,) to the nearest point of a bank; a question that is not finite has none: NaN."""
    square_N = asked_ND.square().sum(dim=1)
    nearest_N = torch.full_like(square_N, math.inf)
    lower_nearest(nearest_N, asked_ND, square_N, bank_MD, square_M, 0.0)
    return torch.where(square_N.isfinite(), nearest_N, math.nan)


def lower_nearest(
    nearest_N: Tensor, asked_ND: Tensor, square_N: Tensor, bank_MD: Tensor, square_M: Tensor, share: float
) -> None:
    """Lower squared distances, in place, to those to the nearest point of a bank, where these are smaller.

    Args:
        nearest_N: What is known; infinite where nothing is, and minus infinity stays.
        asked_ND: Questions, float32.
        square_N: Their squared norms.
        bank_MD: Float32; on the same device.
        square_M: Squared norms of it.
        share: Of a question's squared norm, below which a distance is nothing but rounding, and zero.
    """
    kernel: Any = importlib.import_module(".fused_kernel", __package__).nearest_kernel
    asked_ND, bank_MD = (_in_rows(one) for one in (asked_ND, bank_MD))
    tiles = tiles_of(asked_ND.device)
    rows, columns = -(-len(asked_ND) // tiles.block_N), -(-len(bank_MD) // tiles.block_M)
    each = -(-columns // max(1, WAVES * _processors(asked_ND.device) // rows))
    with torch.cuda.device(asked_ND.device) if asked_ND.is_cuda else nullcontext():
        kernel[rows, -(-columns // each)](
            nearest_N,
            asked_ND,
            square_N.contiguous(),
            bank_MD,
            square_M.contiguous(),
            share,
            *(len(asked_ND), *bank_MD.shape),
            *(asked_ND.stride(0), bank_MD.stride(0), each),
            *tiles[:4],
            num_warps=tiles.warps,
            num_stages=tiles.stages,
            enable_fp_fusion=True,
        )


def tiles_of(device: torch.device) -> Tiles:
    """Choose the tiles for a GPU, by its tensor cores and shared memory."""
    major = torch.cuda.get_device_capability(device)[0] if device.type == "cuda" else 8
    return WITHOUT_TF32 if major < 8 else LARGE if major in {9, 10, 11} else SMALL


def largest_error(device: torch.device, dimensions: int) -> float:
    """Hold the kernel against double precision; return the largest error, as a share of a question's squared norm.

    All values are positive, as features are, so that rounding that leans to one side adds up. Some points are
    questions themselves, and for some questions a distance is known, which must stay.
    """
    generator = torch.Generator().manual_seed(0)
    asked_ND = 1 + torch.rand(QUESTIONS, dimensions, generator=generator)
    bank_MD = 1 + torch.rand(POINTS, dimensions, generator=generator)
    bank_MD[-9:] = asked_ND[-9:]
    known_N = torch.full((QUESTIONS,), math.inf)
    known_N[40:60], known_N[60:80] = 0.0, -math.inf
    nearest_N, asked_ND, bank_MD = (one.to(device) for one in (known_N.clone(), asked_ND, bank_MD))
    square_N, square_M = asked_ND.square().sum(dim=1), bank_MD.square().sum(dim=1)
    lower_nearest(nearest_N, asked_ND, square_N, bank_MD, square_M, TOLERANCE / 2)
    exact_ND, exact_MD = asked_ND.double(), bank_MD.double()
    apart_NM = exact_MD.square().sum(dim=1) - 2 * exact_ND @ exact_MD.T + exact_ND.square().sum(dim=1, keepdim=True)
    wanted_N = torch.minimum(apart_NM.amin(dim=1).clamp_min(0), known_N.to(device))
    stays_N = wanted_N.isinf()
    error_N = torch.where(stays_N, 0, (nearest_N - wanted_N).abs() / square_N)
    return float(error_N.max()) if torch.equal(nearest_N[stays_N].double(), wanted_N[stays_N]) else math.inf


def _agrees(device: torch.device, dimensions: int) -> bool:
    """Try the kernel, the first time that a device is asked for so many dimensions; warn once where it fails."""
    if device in _refused or (device, dimensions) in _agreed:
        return device not in _refused
    try:
        error = largest_error(device, dimensions)
        found = f"an error of {error:.1e}" if not error <= TOLERANCE else ""
    except Exception as broken:  # noqa: BLE001 - a compiler, a driver or a library: torch's products need none of them
        found = f"{type(broken).__name__}: {broken}"
    if not found:
        _agreed.add((device, dimensions))
        return True
    _refused.add(device)
    warnings.warn(
        f"Expected the fused search on {device} to be right to {TOLERANCE:.0e} of a squared norm with {dimensions} "
        f"dimensions, but found {found}; patches are compared by torch's products instead, which is slower. "
        f"{SWITCH}=off in the environment leaves it out from the start.",
        RuntimeWarning,
        stacklevel=4,
    )
    return False


def _is_wanted() -> bool:
    """Tell what the environment says.

    Raises:
        ValueError: It says neither on nor off.
    """
    word = os.environ.get(SWITCH, "on")
    if word not in {"on", "off"}:
        raise ValueError(f"Expected {SWITCH} in the environment to be on or off, but found {word!r}.")
    return word == "on"


@cache
def _is_capable(device: torch.device) -> bool:
    return (
        device.type == "cuda"
        and torch.version.cuda is not None
        and torch.cuda.get_device_capability(device) >= OLDEST
        and importlib.util.find_spec("triton") is not None
    )


@cache
def _processors(device: torch.device) -> int:
    return torch.cuda.get_device_properties(device).multi_processor_count if device.type == "cuda" else 1


def _in_rows(point_ND: Tensor) -> Tensor:
    return point_ND if point_ND.stride(1) == 1 else point_ND.contiguous()
