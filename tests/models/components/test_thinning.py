from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datamodules.errors import DataError
from models.components import memory, thinning
from models.components.bank_plan import Plan, search_seconds
from models.components.coreset import k_center_greedy
from models.components.memory import read_size, spare, written_size
from models.components.thinning import FEWEST_SAMPLED, SAMPLED, SPARE, Thinning


def choose(point_ND: Tensor, count: int) -> list[int]:
    return list(k_center_greedy(point_ND, min(count, len(point_ND)), 0))


def clusters(total: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    middle = 5 * torch.randn(30, 12, generator=torch.Generator().manual_seed(99))
    return middle[torch.randint(30, (total,), generator=generator)] + torch.randn(total, 12, generator=generator)


def farthest(points: Tensor, held: Tensor) -> float:
    return float(torch.cdist(points, held).amin(dim=1).max())


@pytest.mark.parametrize("part", [1000, 333, 64])
@pytest.mark.parametrize("wanted", [5, 40])
@pytest.mark.parametrize("arranged", [False, True])
@pytest.mark.parametrize("share", [FEWEST_SAMPLED, SAMPLED])
def test_every_point_stays_as_near_as_is_promised(
    part: int, wanted: int, arranged: bool, share: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(thinning, "LARGE", 1 if arranged else 10**9)
    points, thin = clusters(6000, seed=1), Thinning(wanted, choose, share * wanted)
    for index_N in torch.split(torch.arange(len(points)), part):
        thin.add(points[index_N], index_N)
    assert thin.seen == 6000
    assert thin.bound > 0
    held, owners = thin.take()
    assert len(held) <= (share + 2 * SPARE) * wanted + 2 * part
    assert torch.equal(held, points[owners])
    assert farthest(points, held) <= thin.bound * (1 + 1e-5)


def test_the_coreset_covers_nearly_as_well_as_one_of_all_points() -> None:
    streamed, whole, drawn = [], [], []
    for seed in range(6):
        torch.manual_seed(seed)
        points, thin = clusters(20_000, seed), Thinning(200, choose)
        for index_N in torch.split(torch.arange(len(points)), 500):
            thin.add(points[index_N], index_N)
        held, _ = thin.take()
        streamed.append(farthest(points, held[choose(held, 200)]))
        whole.append(farthest(points, points[choose(points, 200)]))
        any_N = torch.randperm(20_000, generator=torch.Generator().manual_seed(seed))[:200]
        drawn.append(farthest(points, points[any_N]))
    assert all(one < 1.25 * other for one, other in zip(streamed, whole, strict=True))
    assert sum(streamed) < 0.98 * sum(drawn)


def test_the_sample_has_as_much_of_what_came_early_as_of_what_came_late() -> None:
    quarters = torch.zeros(4)
    for seed in range(60):
        torch.manual_seed(seed)
        thin = Thinning(1, choose, sampled=40)
        for index_N in torch.split(torch.arange(2000), 37):
            thin.add(torch.zeros(len(index_N), 1), index_N)  # all alike: none but the sample holds more than a few
        drawn = thin.take()[1]
        assert len(drawn) <= 40 + 2 * 37
        quarters += torch.histc(drawn.float(), 4, 0, 2000)
    # Of 60 times 74, a quarter each: 1,110, with a standard deviation of 29, and 120 early ones that are held anyway.
    assert quarters.min() > 1020
    assert quarters.max() < 1340


def test_the_points_that_were_given_stay_as_they_are() -> None:
    points = clusters(3000, seed=4)
    before, thin = points.clone(), Thinning(2, choose, sampled=100)
    for part_ND in torch.split(points, 500):
        thin.add(part_ND, torch.zeros(len(part_ND), dtype=torch.int64))
    assert torch.equal(points, before)


@pytest.mark.parametrize("stop", [200, 1000, 4000])
def test_it_goes_on_from_its_state(stop: int) -> None:
    points = clusters(6000, seed=5)
    parts = list(zip(torch.split(points, 100), torch.split(torch.arange(6000), 100), strict=True))
    torch.manual_seed(0)
    whole, first = Thinning(5, choose), None
    for place, part in enumerate(parts):
        if 100 * place == stop:
            torch.manual_seed(1)
            first = Thinning(5, choose)
            first.load_state({name: _copied(value) for name, value in whole.state().items()}, "cpu")
        whole.add(*part)
        if first is not None:
            first.add(*part)
    assert first is not None
    assert all(torch.equal(one, other) for one, other in zip(whole.take(), first.take(), strict=True))


def test_what_an_earlier_version_had_thinned_goes_on() -> None:
    points, thin = clusters(6000, seed=6), Thinning(5, choose)
    held = points[choose(points[:2000], 20)]
    radius = farthest(points[:2000], held)
    earlier = {"point": held, "owner": torch.arange(20), "kept": 20, "radius": radius, "bound": radius, "seen": 2000}
    thin.load_state(earlier, "cpu")
    for index_N in torch.split(torch.arange(2000, 6000), 500):
        thin.add(points[index_N], index_N)
    assert thin.seen == 6000
    assert farthest(points, thin.take()[0]) <= thin.bound * (1 + 1e-5)


def _copied(value: object) -> object:
    return value.clone() if isinstance(value, Tensor) else value


def test_a_strange_point_that_comes_late_is_held() -> None:
    points, thin = clusters(6000, seed=3), Thinning(10, choose)
    points[5990] = 500.0
    for index_N in torch.split(torch.arange(len(points)), 300):
        thin.add(points[index_N], index_N)
    assert 5990 in thin.take()[1].tolist()


def test_points_that_are_all_alike_are_held_once_in_a_while() -> None:
    thin = Thinning(4, choose)
    for first in range(0, 2000, 50):
        thin.add(torch.ones(50, 3), torch.arange(first, first + 50))
    held, _ = thin.take()
    assert len(held) <= 4 * SAMPLED + 2 * 50
    assert thin.bound == 0


@pytest.mark.parametrize(
    ("text", "size"), [("4GiB", 4 * 2**30), ("500 MB", 500_000_000), ("1.5 gib", 3 * 2**29), ("7B", 7)]
)
def test_amounts_of_memory_are_read(text: str, size: int) -> None:
    assert read_size(text, "model.memory") == size


@pytest.mark.parametrize("text", ["4", "much", "-1GiB", "0GiB", "1.2.3GiB", "GiB", ""])
def test_what_is_not_an_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"Expected model\.memory to be an amount of memory such as 4GiB"):
        read_size(text, "model.memory")


def test_amounts_are_written_as_they_are_read() -> None:
    for text in ("4.0 GiB", "12 MiB"):
        assert written_size(read_size(text, "x")) == text
    assert 2**20 < spare() < 2**50


def test_a_container_that_may_take_less_is_heeded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_limit", lambda: 2**21)
    assert spare() == 2**20


def test_a_plan_says_whether_all_fits_and_refuses_what_cannot() -> None:
    small = Plan(total=1000, wanted=100, dimensions=128, memory=2**30)
    assert small.fits
    assert not small.is_large
    large = Plan(total=44_000_000, wanted=20_000, dimensions=128, memory=4 * 2**30)
    assert not large.fits
    assert large.is_large
    large.check()
    assert large.sampled == SAMPLED * large.wanted
    assert large.thinned < large.memory / 2
    short = large._replace(memory=2**29)
    assert FEWEST_SAMPLED * short.wanted < short.sampled < SAMPLED * short.wanted
    assert short.thinned <= short.memory
    said = large.describe(600, 1e-6, 1024)
    assert "20,000 of 44,000,000 patches of 128 values; thinned as they come" in said
    assert "in at most 20 ms" in said
    assert not large.advise()
    assert "Above 200,000 patches, model.search=hnsw" in large._replace(wanted=200_001).advise()
    exact = large._replace(exact=True)
    assert exact.spills
    assert "kept on the disk, in at most 671 MiB of 4.0 GiB, 21.0 GiB on the disk" in exact.describe(600, 1e-6, 1024)
    assert "600 s, choosing 859 s" in exact.describe(600, 1e-6, 1024)
    assert small.choosing_seconds(1e-6, 100) == pytest.approx(10 * 100 * 1e-6)
    assert 200 < large.choosing_seconds(1e-6, 1024) < 600
    assert not small._replace(exact=True).spills
    greedy = Plan(total=44_000_000, wanted=4_400_000, dimensions=128, memory=4 * 2**30)
    with pytest.raises(DataError, match=r"set model\.bank_size=(\d+) or less, or model\.memory=") as caught:
        greedy.check()
    size = int(str(caught.value).partition("model.bank_size=")[2].partition(" ")[0])
    greedy._replace(wanted=size).check()
    text = str(caught.value).partition("model.memory=")[2].rstrip(".")
    greedy._replace(memory=read_size(text, "x")).check()


def test_a_search_is_timed_for_each_patch_of_a_bank() -> None:
    assert 0 < search_seconds(torch.randn(256, 16)) < 1
