from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
import torch
from torch import Tensor

from models.components import coreset
from models.components.coreset import k_center_greedy, projection


def plain(points_ND: Tensor, count: int, start: int) -> list[int]:
    """Greedy k-center as it is written down (Gonzalez 1985), in double precision."""
    points: npt.NDArray[np.float64] = points_ND.double().numpy()
    picked = [start]
    nearest = np.full(len(points), np.inf)
    for _ in range(count - 1):
        nearest = np.minimum(nearest, np.linalg.norm(points - points[picked[-1]], axis=1))
        nearest[picked] = -1
        picked.append(int(nearest.argmax()))
    return picked


def normal(total: int, dimensions: int, seed: int) -> Tensor:
    return torch.randn(total, dimensions, generator=torch.Generator().manual_seed(seed))


def clustered(total: int, dimensions: int, seed: int) -> Tensor:
    """Draw tight clusters of very different sizes, far from the origin: what patches of images look like."""
    centers = 5 * normal(12, dimensions, seed) + 3
    weights = torch.arange(1.0, 13).square()
    index = torch.multinomial(weights, total, replacement=True, generator=torch.Generator().manual_seed(seed))
    return centers[index] + 0.3 * normal(total, dimensions, seed + 1)


SIZES = pytest.mark.parametrize(("total", "dimensions"), [(50, 2), (500, 8), (2000, 16), (2000, 64)])
SHARES = pytest.mark.parametrize("share", [0.01, 0.1, 0.4])


@SIZES
@SHARES
def test_it_picks_what_plain_greedy_picks(total: int, dimensions: int, share: float) -> None:
    points = normal(total, dimensions, seed=total + dimensions)
    count = max(1, int(share * total))
    for start in (0, total - 1):
        found = list(k_center_greedy(points, count, start))
        assert found[0] == start
        assert set(found) == set(plain(points, count, start))


@SIZES
@SHARES
def test_in_clusters_every_pick_is_the_farthest_but_for_rounding(total: int, dimensions: int, share: float) -> None:
    points = clustered(total, dimensions, seed=total + dimensions)
    count = max(1, int(share * total))
    found = list(k_center_greedy(points, count, 3))
    assert len(set(found) & set(plain(points, count, 3))) >= 0.995 * count
    distance_KN = torch.cdist(points[found].double(), points.double()).numpy()
    nearest_KN = np.minimum.accumulate(distance_KN)  # before the next pick
    for pick, nearest_N in zip(found[1:], nearest_KN[:-1], strict=True):
        assert nearest_N[pick] > 0.999 * nearest_N.max()


def test_parts_and_candidates_may_be_of_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    points = clustered(700, 8, seed=1)
    wanted = set(plain(points, 150, 5))
    for candidates, rows in ((1, 16384), (7, 100), (64, 33), (699, 700), (5000, 1)):
        monkeypatch.setattr(coreset, "CANDIDATES", candidates)
        monkeypatch.setattr(coreset, "ROWS", rows)
        assert set(k_center_greedy(points, 150, 5)) == wanted


@pytest.mark.parametrize("total", [1, 2, 3, 100, 1500])
def test_all_points_can_be_picked(total: int) -> None:
    assert sorted(k_center_greedy(normal(total, 4, 0), total, total // 2)) == list(range(total))


def test_no_point_is_picked_twice_even_among_equals() -> None:
    distinct = clustered(40, 6, seed=3)
    points = distinct.repeat(50, 1)[torch.randperm(2000, generator=torch.Generator().manual_seed(0))]
    picked = list(k_center_greedy(points, 300, 7))
    assert len(set(picked)) == 300
    assert len({tuple(point) for point in points[picked[:40]].tolist()}) == 40  # first one of each, then any
    assert sorted(k_center_greedy(points, 2000, 7)) == list(range(2000))
    same = torch.ones(1300, 3)
    assert sorted(k_center_greedy(same, 1300, 0)) == list(range(1300))


def test_it_is_an_iterator_that_can_be_watched() -> None:
    picks = k_center_greedy(normal(100, 4, 0), 100, 3)
    assert next(picks) == 3
    assert len(list(picks)) == 99


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_goes_on_from_points_that_are_picked_already(seed: int) -> None:
    points = normal(600, 8, seed)
    whole = list(k_center_greedy(points, 200, 3))
    square = torch.cdist(points, points[whole[:50]]).amin(dim=1).square()
    rest = list(k_center_greedy(points, 150, int(square.argmax()), square))
    assert set(whole[:50] + rest) == set(whole)


@pytest.mark.parametrize(("count", "start"), [(0, 0), (11, 0), (5, -1), (5, 10)])
def test_what_cannot_be_picked_is_refused(count: int, start: int) -> None:
    with pytest.raises(ValueError, match=f"1 <= count <= 10 and 0 <= start < 10, but got {count} and {start}"):
        list(k_center_greedy(normal(10, 2, 0), count, start))


def test_a_projection_keeps_distances() -> None:
    points = normal(400, 2000, 0)
    torch.manual_seed(0)
    matrix = projection(*points.shape)
    assert matrix is not None
    short = points @ matrix
    assert short.shape == (400, int(np.ceil(4 * np.log(400) / (0.9**2 / 2 - 0.9**3 / 3))))
    ratio = torch.pdist(short) / torch.pdist(points)
    assert float(ratio.square().sub(1).abs().max()) < 0.9
    assert float(ratio.mean()) == pytest.approx(1, abs=0.02)
    torch.manual_seed(0)
    again = projection(*points.shape)
    assert again is not None
    assert torch.equal(again, matrix)
    other = projection(*points.shape)
    assert other is not None
    assert not torch.equal(other, matrix)


def test_a_projection_that_would_not_shorten_is_left_out() -> None:
    assert projection(400, 100) is None
