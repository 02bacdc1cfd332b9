"""Bins of float32 numbers, over all kinds of numbers that float32 holds."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from callbacks.statistics.bins import bin_count, bin_index, highest_in_bin, lowest_in_bin

F32 = np.finfo(np.float32)
TINY, LARGE = float(F32.tiny), float(F32.max)
SPECIAL = [0.0, -0.0, 1.0, -1.0, 1e-45, -1e-45, TINY, -TINY, LARGE, -LARGE, np.inf, -np.inf, 0.5, 2 / 3]


def every_kind_of_number() -> torch.Tensor:
    bits = np.random.default_rng(0).integers(-(2**31), 2**31, 200_000).astype(np.int32)
    number = bits.view(np.float32)
    return torch.from_numpy(np.concatenate([number[~np.isnan(number)], np.array(SPECIAL, dtype=np.float32)]))


@pytest.mark.parametrize("mantissa_bits", [1, 7, 11, 22])
def test_every_number_lies_between_the_ends_of_its_bin(mantissa_bits: int) -> None:
    number = every_kind_of_number()
    index = bin_index(number, mantissa_bits).numpy()
    assert index.min() >= 0
    assert index.max() < bin_count(mantissa_bits)
    lowest, highest = lowest_in_bin(index, mantissa_bits), highest_in_bin(index, mantissa_bits)
    assert (lowest <= number.numpy()).all()
    assert (number.numpy() <= highest).all()


@pytest.mark.parametrize("mantissa_bits", [7, 11])
def test_bins_are_in_the_order_of_the_numbers_and_as_narrow_as_promised(mantissa_bits: int) -> None:
    number = every_kind_of_number().sort().values
    index = bin_index(number, mantissa_bits).numpy()
    assert (np.diff(index) >= 0).all()
    magnitude = number.abs().numpy()
    normal = (magnitude >= TINY) & (magnitude < LARGE / 2)  # minus infinity shares its bin
    width = highest_in_bin(index[normal], mantissa_bits) - lowest_in_bin(index[normal], mantissa_bits)
    assert (width <= magnitude[normal].astype(np.float64) * 2.0**-mantissa_bits).all()


@pytest.mark.parametrize("mantissa_bits", [7, 11])
def test_ends_of_neighbouring_bins_are_neighbouring_numbers_in_their_own_bins(mantissa_bits: int) -> None:
    index = bin_index(torch.tensor(SPECIAL), mantissa_bits).numpy()
    for ends in (lowest_in_bin(index, mantissa_bits), highest_in_bin(index, mantissa_bits)):
        np.testing.assert_array_equal(bin_index(torch.from_numpy(ends), mantissa_bits).numpy(), index)
    finite = index[np.abs(SPECIAL) < LARGE]
    following = np.nextafter(highest_in_bin(finite, mantissa_bits).astype(np.float32), np.float32(np.inf))
    np.testing.assert_array_equal(following, lowest_in_bin(finite + 1, mantissa_bits))


@pytest.mark.parametrize("number", [0.0, 0.75, -3.0, 1.5 * 2**30, -(2.0**-30), 1 + 2**-11, -1 - 2**-11])
def test_numbers_of_few_binary_digits_begin_a_bin(number: float) -> None:
    assert lowest_in_bin(bin_index(torch.tensor([number]), 11).numpy(), 11).item() == np.float32(number)


def test_zeros_of_both_signs_share_a_bin_and_infinity_has_its_own() -> None:
    index = bin_index(torch.tensor([0.0, -0.0, np.inf, F32.max, -np.inf]), 11).tolist()
    assert index[0] == index[1]
    assert index[2] > index[3]
    assert lowest_in_bin([index[2], index[4]], 11).tolist() == [np.inf, -np.inf]
    assert highest_in_bin([index[2], index[3]], 11).tolist() == [np.inf, F32.max]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_floating_types_are_binned_as_their_float32_values(dtype: torch.dtype) -> None:
    number = torch.linspace(-3, 3, 1001, dtype=dtype)
    assert torch.equal(bin_index(number, 11), bin_index(number.float(), 11))
