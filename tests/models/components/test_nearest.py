from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from models.components import bank_search, nearest
from models.components.bank_search import BankSearch
from models.components.nearest import TensorSearch, compare_all, search_plainly

if TYPE_CHECKING:
    from models.components.bank_search import Group, Rows, Space


def normal(total: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(total, dimensions, generator=torch.Generator().manual_seed(seed))


def like_patches(total: int, dimensions: int, seed: int) -> Tensor:
    """Draw points that spread along few directions, in clusters, far from the origin."""
    spread_D = 3 / torch.arange(1.0, dimensions + 1)
    middle = 4 * normal(9, dimensions, seed=99) * spread_D
    index = torch.randint(9, (total,), generator=torch.Generator().manual_seed(seed))
    return middle[index] + normal(total, dimensions, seed) * spread_D + 2


def check(bank_MD: Tensor, asked_ND: Tensor) -> None:
    """Hold a search against all distances in double precision."""
    found = TensorSearch(bank_MD)(asked_ND)
    true_NM = torch.cdist(asked_ND.double(), bank_MD.double(), compute_mode="donot_use_mm_for_euclid_dist")
    true_N = true_NM.amin(dim=1)
    torch.testing.assert_close(found.square_N.double().sqrt(), true_N, atol=1e-5, rtol=1e-5)
    said_N = true_NM.gather(1, found.index_N.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(said_N, true_N, atol=1e-5, rtol=1e-5)
    alone = BankSearch(bank_MD.numpy())(asked_ND.numpy())  # without torch
    torch.testing.assert_close(torch.from_numpy(alone.square_N).double().sqrt(), true_N, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dimensions", [1, 2, 24, 25, 60, 128])
@pytest.mark.parametrize("total", [1, 2, 3, 63, 500, 3000])
def test_it_finds_the_nearest(total: int, dimensions: int) -> None:
    bank = like_patches(total, dimensions, seed=1)
    check(bank, like_patches(130, dimensions, seed=2))
    check(normal(total, dimensions, seed=3), normal(70, dimensions, seed=4))


@pytest.mark.parametrize("asked", [1, 63, 64, 65, 1000, 2047, 2049, 2177])
def test_it_takes_any_number_of_questions(asked: int) -> None:
    check(like_patches(2000, 40, seed=1), like_patches(asked, 40, seed=2))


def test_ties_and_copies_are_found_at_no_distance() -> None:
    distinct = like_patches(300, 64, seed=1)
    bank = distinct.repeat(20, 1)[torch.randperm(6000, generator=torch.Generator().manual_seed(0))]
    check(bank, distinct)
    assert float(TensorSearch(bank)(distinct).square_N.max()) == 0
    check(bank, like_patches(200, 64, seed=2))


@pytest.mark.parametrize("value", [0.0, 1.0, 300.0])
def test_patches_that_are_all_alike_are_compared(value: float) -> None:
    same = torch.full((2500, 128), value)
    check(same, same[:70])
    check(same, same[:70] + 0.01 * normal(70, 128, seed=1))
    check(torch.cat([same, like_patches(100, 128, seed=1)]), like_patches(90, 128, seed=2))


def test_what_is_near_to_nothing_is_compared_with_all(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, strange = like_patches(3000, 64, seed=1), 30 * normal(100, 64, seed=2)
    check(bank, torch.cat([strange, like_patches(100, 64, seed=3)]))
    for most in (0.0, 1.0):
        monkeypatch.setattr(bank_search, "MOST", most)
        check(bank, torch.cat([strange, like_patches(100, 64, seed=3)]))


@pytest.mark.parametrize(("axes", "group", "cells"), [(0.1, 64, 4.0), (1, 7, 0.03), (3, 1, 40.0), (9, 1000, 4.0)])
def test_no_setting_changes_the_result(axes: float, group: int, cells: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank_search, "AXES", axes)
    monkeypatch.setattr(bank_search, "GROUP", group)
    monkeypatch.setattr(bank_search, "CELLS", cells)
    check(like_patches(2000, 48, seed=1), like_patches(150, 48, seed=2))


@pytest.mark.parametrize("offset", [0.0, 10.0, 100.0])
def test_points_far_from_the_origin_lose_little(offset: float) -> None:
    bank, asked = like_patches(2500, 96, seed=1) + offset, like_patches(200, 96, seed=2) + offset
    found = TensorSearch(bank)(asked).square_N.sqrt()
    true = torch.cdist(asked.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
    torch.testing.assert_close(found.double(), true, atol=1e-5 * (1 + offset), rtol=1e-4)


def test_most_of_a_bank_is_never_looked_at() -> None:
    bank, asked = like_patches(20_000, 128, seed=1), like_patches(256, 128, seed=2)
    seen = []

    class Counting(BankSearch):
        def _compare_whole(self, group: Group, row_R: Rows, space: Space) -> Rows:
            seen.append(len(row_R))
            return super()._compare_whole(group, row_R, space)

    Counting(bank.numpy())(asked.numpy())
    assert seen
    assert sum(seen) / len(seen) < 0.2 * len(bank)


def test_plain_search_is_exact() -> None:
    bank, asked = like_patches(700, 40, seed=1), like_patches(90, 40, seed=2)
    found = search_plainly(asked, bank, bank.square().sum(dim=1)).sqrt()
    torch.testing.assert_close(found, torch.cdist(asked, bank).amin(dim=1), atol=1e-3, rtol=1e-4)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_it_tells_which_are_within_a_distance(share: float) -> None:
    bank = like_patches(3000, 60, seed=1)
    asked = torch.cat([like_patches(400, 60, seed=2), 30 * normal(30, 60, seed=3)])
    true_N = torch.cdist(asked.double(), bank.double(), compute_mode="donot_use_mm_for_euclid_dist").amin(dim=1)
    # Between two distances that occur, so that rounding decides nothing.
    order_N = true_N.sort().values
    place = round(share * (len(order_N) - 2))
    radius = float(order_N[place : place + 2].mean())
    assert torch.equal(TensorSearch(bank).within(asked, radius**2), true_N <= radius)


def test_plain_search_compares_a_few_questions_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    bank, asked = like_patches(700, 40, seed=1), like_patches(90, 40, seed=2)
    square, passed = bank.square().sum(dim=1), list[int]()

    def counted(asked_ND: Tensor, bank_MD: Tensor, square_M: Tensor) -> Tensor:
        passed.append(len(asked_ND))
        return compare_all(asked_ND, bank_MD, square_M)

    monkeypatch.setattr(nearest, "QUESTIONS", 40)
    monkeypatch.setattr(nearest, "compare_all", counted)
    with torch.no_grad():
        found = search_plainly(asked, bank, square)
    assert passed == [40, 40, 10]
    torch.testing.assert_close(found, compare_all(asked, bank, square), atol=1e-4, rtol=1e-4)
