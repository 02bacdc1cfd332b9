"""Smaller banks that a greedy bank begins with."""

from __future__ import annotations

import pytest
import torch

from models.components.bank_prefix import crowding, halved, worst_by_size


def test_sizes_are_halved_down_to_a_thirty_second() -> None:
    assert halved(6400) == [200, 400, 800, 1600, 3200, 6400]
    assert halved(1000) == [125, 250, 500, 1000]
    assert halved(65) == [65]
    assert halved(1) == [1]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("patches", [3, 500])
def test_the_worst_patch_is_that_of_comparing_all_with_all(seed: int, patches: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    patch_PD = torch.randn(patches, 6, generator=generator)
    bank_MD = torch.randn(2000, 6, generator=generator)
    sizes = halved(2000)
    for count in (1, 10):
        found = worst_by_size(patch_PD, bank_MD, bank_MD.square().sum(dim=1), sizes, count)
        for size, worst in zip(sizes, found, strict=True):
            far_P = torch.cdist(patch_PD.double(), bank_MD[:size].double()).amin(dim=1)
            expected = far_P.topk(min(count, patches))
            assert [one.patch for one in worst] == expected.indices.tolist()
            assert [one.distance for one in worst] == pytest.approx(expected.values.tolist(), abs=1e-4)


def test_equal_patches_have_equal_distances() -> None:
    bank_MD = torch.eye(4).repeat(64, 1)
    found = worst_by_size(torch.zeros(300, 4), bank_MD, bank_MD.square().sum(dim=1), [64, 256])
    assert [worst.distance for (worst,) in found] == [1.0, 1.0]


def test_one_neighbour_weighs_nothing_and_more_than_there_are_are_those_there_are() -> None:
    bank_MD = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    square_M = bank_MD.square().sum(dim=1)
    assert crowding(torch.ones(3), bank_MD, square_M, 1) == 1.0
    assert crowding(torch.ones(3), bank_MD, square_M, 9) == crowding(torch.ones(3), bank_MD, square_M, 5) < 1
