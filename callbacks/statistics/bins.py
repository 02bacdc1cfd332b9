"""Bins for float32 numbers of any range: the leading bits of the number itself.

The bits of a float32, read as an integer, are in the order of the numbers (once those of negative numbers are negated).
Keeping the sign, the 8 exponent bits and the first m mantissa bits gives ``2**(9 + m)`` bins that cover every float32,
need no range in advance, and are at most ``2**-m`` of the number wide: m = 12 gives about two million bins of relative
width 2**-13 to 2**-12. Numbers with few binary digits, such as 0.75 or -3, begin a bin.

A bin holds all numbers from its lowest up to the next bin's lowest. Infinity has a bin of its own; minus infinity
shares one with the finite numbers next to it. -0.0 counts as 0.0.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from .curves import FloatArray

_SIGN = -(1 << 31)  # the sign bit of a float32, as int32
_MANTISSA_BITS = 23


def bin_count(mantissa_bits: int) -> int:
    """Number of bins for a number of mantissa bits kept."""
    return 1 << (9 + mantissa_bits)


def bin_index(x: Tensor, mantissa_bits: int) -> Tensor:
    """Return the bin of each number, in the order of the numbers.

    Args:
        x: Any shape and floating type, on any device; converted to float32. NaN lands in no bin that means anything.
        mantissa_bits: 1 to 22, so that an index fits int32.

    Returns:
        int32, same shape, in [0, ``bin_count(mantissa_bits)``).
    """
    bits = x.float().view(torch.int32)
    ordered = torch.where(bits < 0, _SIGN - bits, bits)  # minus the bits without the sign
    return (ordered >> (_MANTISSA_BITS - mantissa_bits)) + bin_count(mantissa_bits) // 2


def lowest_in_bin(index: npt.ArrayLike, mantissa_bits: int) -> FloatArray:
    """Return the lowest number of each bin, exactly; float64, same shape as ``index``."""
    ordered = (np.asarray(index, dtype=np.int64) - bin_count(mantissa_bits) // 2) << (_MANTISSA_BITS - mantissa_bits)
    bits = np.where(ordered < 0, _SIGN - ordered, ordered).astype(np.int32)
    return bits.view(np.float32).astype(np.float64)


def highest_in_bin(index: npt.ArrayLike, mantissa_bits: int) -> FloatArray:
    """Return the highest float32 of each bin, exactly; float64, same shape as ``index``."""
    with np.errstate(invalid="ignore", over="ignore"):  # the bin after that of infinity begins with NaN
        following = lowest_in_bin(np.asarray(index, dtype=np.int64) + 1, mantissa_bits).astype(np.float32)
        highest = np.nextafter(following, np.float32(-np.inf)).astype(np.float64)
    return np.where(np.isnan(highest), np.inf, highest)
