"""The fused kernel in Triton's interpreter, on the processor; run by ``test_fused_nearest.py`` in a process of its own.

Triton decides when it is imported, by TRITON_INTERPRET=1, whether kernels are interpreted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pytest
import torch
from torch import Tensor

from models.components import fused_nearest
from models.components.coreset import ROUNDING, k_center_greedy, lower_plainly
from models.components.fused_nearest import (
    LARGE,
    SMALL,
    TOLERANCE,
    WITHOUT_TF32,
    largest_error,
    lower_nearest,
    nearest_squares,
)
from models.components.nearest import compare_all, search_plainly
from tests.models.components.test_coreset import clustered, normal, plain

if TYPE_CHECKING:
    from pathlib import Path

CPU = torch.device("cpu")


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take the processor for a GPU."""
    monkeypatch.setattr(fused_nearest, "_is_capable", lambda _: True)
    monkeypatch.setattr(fused_nearest, "_agreed", set())
    monkeypatch.setattr(fused_nearest, "_refused", set())


def squares(point_ND: Tensor) -> Tensor:
    return point_ND.square().sum(dim=1)


def exact(asked_ND: Tensor, bank_MD: Tensor) -> Tensor:
    mode = "donot_use_mm_for_euclid_dist"
    return torch.cdist(asked_ND.double(), bank_MD.double(), compute_mode=mode).amin(dim=1).square()


def lowered(known_N: Tensor, asked_ND: Tensor, bank_MD: Tensor, share: float = 0.0) -> Tensor:
    nearest_N = known_N.clone()
    lower_nearest(nearest_N, asked_ND, squares(asked_ND), bank_MD, squares(bank_MD), share)
    return nearest_N


def check(found_N: Tensor, asked_ND: Tensor, bank_MD: Tensor) -> None:
    error_N = (found_N.double() - exact(asked_ND, bank_MD)).abs()
    assert bool((error_N <= ROUNDING * (squares(asked_ND) + squares(bank_MD).max())).all())


@pytest.mark.parametrize("dimensions", [1, 16, 100, 128, 384])
@pytest.mark.parametrize(("questions", "points"), [(1, 1), (1, 300), (130, 1), (127, 64), (128, 65), (300, 200)])
def test_distances_are_right_for_all_shapes(questions: int, points: int, dimensions: int) -> None:
    asked, bank = normal(questions, dimensions, 1) + 0.5, normal(points, dimensions, 2)
    check(lowered(torch.full((questions,), math.inf), asked, bank), asked, bank)
    check(nearest_squares(asked, bank, squares(bank)), asked, bank)


@pytest.mark.parametrize("tiles", [WITHOUT_TF32, SMALL, LARGE])
@pytest.mark.parametrize("processors", [1, 3, 200])
def test_no_division_of_the_work_changes_a_distance(
    tiles: fused_nearest.Tiles, processors: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fused_nearest, "tiles_of", lambda _: tiles)
    monkeypatch.setattr(fused_nearest, "_processors", lambda _: processors)
    asked, bank = clustered(150, 40, 1), clustered(700, 40, 2)
    found = lowered(torch.full((150,), math.inf), asked, bank, ROUNDING)
    wanted = torch.full((150,), math.inf)
    lower_plainly(wanted, asked, squares(asked), bank, squares(bank), ROUNDING)
    torch.testing.assert_close(found, wanted, rtol=0, atol=ROUNDING * float(squares(asked).max()))


def test_what_is_known_is_lowered_only() -> None:
    asked, bank = normal(300, 24, 1), normal(90, 24, 2)
    true = exact(asked, bank).float()
    known = torch.full((300,), math.inf)
    known[:40], known[40:80], known[80:120], known[120:160] = -math.inf, 0.0, true[80:120] / 2, 2 * true[120:160]
    found = lowered(known, asked, bank)
    assert torch.equal(found[:120], known[:120])
    check(found[120:], asked[120:], bank)


def test_equal_points_are_at_no_distance_at_all() -> None:
    asked = clustered(200, 60, 1)
    known = torch.full((200,), math.inf)
    assert float(lowered(known, asked, asked, ROUNDING).abs().max()) == 0
    same = torch.full((140, 33), 7.3)
    assert float(lowered(torch.full((140,), math.inf), same, same[:1], ROUNDING).abs().max()) == 0
    assert float(lowered(known, asked, asked[:1], ROUNDING)[1:].max()) > 0


def test_nothing_beside_the_tensors_is_read_or_written() -> None:
    questions, points, dimensions = 133, 70, 37
    guarded: list[Tensor] = []

    def inside(point_ND: Tensor) -> Tensor:
        whole = torch.full((len(point_ND) + 300, *(size + 50 for size in point_ND.shape[1:])), math.nan)
        rows = whole[100 : 100 + len(point_ND)]
        view = rows[:, 20 : 20 + point_ND.shape[1]] if point_ND.ndim == 2 else rows
        view.copy_(point_ND)
        guarded.append(whole)
        return view

    plain_asked, plain_bank = normal(questions, dimensions, 1), normal(points, dimensions, 2)
    asked, bank, own, theirs, nearest = (
        inside(one)
        for one in (
            plain_asked,
            plain_bank,
            squares(plain_asked),
            squares(plain_bank),
            torch.full((questions,), math.inf),
        )
    )
    lower_nearest(nearest, asked, own, bank, theirs, 0.0)
    check(nearest, plain_asked, plain_bank)
    assert int(guarded[-1].isfinite().sum()) == questions
    assert torch.equal(asked, plain_asked)


def test_rows_may_lie_far_apart(tmp_path: Path) -> None:
    stride = 2**30 + 64  # numbers: the third row begins beyond what 32 bits count
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(4 * (2 * stride + 64))
    storage = torch.from_file(str(path), shared=True, size=2 * stride + 64)
    far = storage.as_strided((3, 20), (stride, 1))
    near = normal(3, 20, 1)
    far.copy_(near)
    other = normal(70, 20, 2)
    check(lowered(torch.full((3,), math.inf), far, other), near, other)
    check(lowered(torch.full((70,), math.inf), other, far), other, near)


def test_columns_may_lie_apart() -> None:
    asked, bank = normal(30, 50, 1).T, normal(30, 80, 2).T
    check(lowered(torch.full((50,), math.inf), asked, bank), asked.contiguous(), bank.contiguous())


@pytest.mark.usefixtures("pretend")
@pytest.mark.parametrize("dimensions", [1, 100, 384])
def test_searches_use_it(dimensions: int, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, bank = normal(150, dimensions, 1).abs(), normal(90, dimensions, 2).abs()
    monkeypatch.setattr("models.components.nearest.compare_all", None)
    found = search_plainly(asked, bank, squares(bank))
    monkeypatch.undo()
    wanted = compare_all(asked, bank, squares(bank))
    torch.testing.assert_close(found, wanted, rtol=0, atol=TOLERANCE * float(squares(asked).max()))
    assert float(found.min()) >= 0


@pytest.mark.usefixtures("pretend")
def test_what_is_not_a_number_is_near_to_nothing() -> None:
    asked, bank = normal(20, 8, 1), normal(30, 8, 2)
    asked[3, 5], asked[7, 0] = math.nan, math.inf
    found = search_plainly(asked, bank, squares(bank))
    assert found.isnan().nonzero().flatten().tolist() == [3, 7]


@pytest.mark.usefixtures("pretend")
@pytest.mark.parametrize("count", [1, 40, 300])
def test_selections_use_it_and_pick_what_plain_greedy_picks(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("models.components.coreset.lower_plainly", None)
    monkeypatch.setattr("models.components.coreset.CANDIDATES", 64)
    points = normal(400, 16, 3)
    assert set(k_center_greedy(points, count, 5)) == set(plain(points, count, 5))
    copies = clustered(20, 6, 3).repeat(10, 1)
    assert len(set(k_center_greedy(copies, 150, 7))) == 150


@pytest.mark.parametrize("dimensions", [1, 100, 128, 384, 1536])
def test_it_proves_itself(dimensions: int) -> None:
    assert largest_error(CPU, dimensions) <= TOLERANCE
