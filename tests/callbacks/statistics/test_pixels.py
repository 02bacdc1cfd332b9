"""Pixel metrics, thresholds and intervals from a streamed histogram."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from sklearn import metrics as sk

from callbacks.decisions.evidence import choose_pixel_threshold
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from callbacks.statistics.bootstrap import Resampling, wilson
from callbacks.statistics.histogram import PixelHistogram
from callbacks.statistics.pixels import pixel_intervals, pixel_metrics

if TYPE_CHECKING:
    from callbacks.policies.base import Policy

RESAMPLING = Resampling(100)


def maps_and_masks(number: int = 24, side: int = 32, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    masks = torch.zeros(number, side, side, dtype=torch.bool)
    for n in range(0, number, 2):
        size = 3 + n % 7
        masks[n, 4 : 4 + size, 5 : 5 + size] = True
        masks[n, 20:22, 20:25] = True
    strength = torch.rand(number, 1, 1, generator=generator) * 3  # defects differ, so that groups do
    return torch.randn(number, side, side, generator=generator) + strength * masks, masks


def streamed(maps: torch.Tensor, masks: torch.Tensor, groups: list[str]) -> PixelHistogram:
    histogram = PixelHistogram()
    histogram.update(maps, masks, groups)
    return histogram


def parts(number: int) -> list[str]:
    return [f"part {n // 2:02}" for n in range(number)]


def flat(tensor: torch.Tensor) -> np.ndarray[Any, np.dtype[Any]]:
    array: np.ndarray[Any, np.dtype[Any]] = tensor.numpy().ravel()
    return array


@pytest.mark.parametrize("policy", [F1(), F1(beta=2), Normal(0.99)])
@pytest.mark.parametrize("offset", [0.0, 30.0, -30.0])
def test_decisions_at_the_chosen_threshold_are_counted_exactly(policy: Policy, offset: float) -> None:
    maps, masks = maps_and_masks()
    histogram = streamed(maps + offset, masks, parts(24))
    chosen = choose_pixel_threshold(policy, histogram)
    called, truth = flat(maps + offset >= chosen.value), flat(masks)
    other = maps_and_masks(seed=1)  # and in any other histogram too
    for histogram_of, called_of, truth_of in (
        (histogram, called, truth),
        (streamed(other[0] + offset, other[1], parts(24)), flat(other[0] + offset >= chosen.value), flat(other[1])),
    ):
        values = pixel_metrics(histogram_of.counts(), histogram_of.overlaps(), chosen.value)
        assert values["precision"] == pytest.approx(sk.precision_score(truth_of, called_of), abs=1e-12)
        assert values["recall"] == pytest.approx(sk.recall_score(truth_of, called_of), abs=1e-12)
        assert values["f1"] == pytest.approx(sk.f1_score(truth_of, called_of), abs=1e-12)
        assert values["fpr"] == pytest.approx(called_of[~truth_of].mean(), abs=1e-12)
    assert chosen.n_good == (~truth).sum()
    assert "pixels" in chosen.promise
    if isinstance(policy, Normal):
        assert called[~truth].mean() <= 0.01
    if policy == F1():
        values = pixel_metrics(histogram.counts(), histogram.overlaps(), chosen.value)
        assert values["f1"] == values["best_f1"]


def test_without_defect_pixels_the_threshold_falls_back() -> None:
    maps, masks = maps_and_masks(4)
    chosen = choose_pixel_threshold(F1(), streamed(maps, torch.zeros_like(masks), parts(4)), fallback=Normal(0.999))
    assert chosen.fallback
    assert float((maps >= chosen.value).float().mean()) <= 0.001


def test_intervals_surround_the_fine_values() -> None:
    maps, masks = maps_and_masks()
    histogram = streamed(maps, masks, parts(24))
    estimates = pixel_intervals(histogram, 1.5, RESAMPLING)
    values = pixel_metrics(histogram.counts(), histogram.overlaps(), 1.5)
    assert {name: e.value for name, e in estimates.items()} == {name: float(v) for name, v in values.items()}
    assert estimates["auroc"].value == pytest.approx(sk.roc_auc_score(flat(masks), flat(maps)), abs=1e-4)
    for name, estimate in estimates.items():
        assert 0 <= estimate.low < estimate.value < estimate.high <= 1, name
        assert estimate.high - estimate.low < 0.5, name


@pytest.mark.parametrize("offset", [0.0, 30.0])  # at 30, the coarse bins are a fifth wide, of a spread of one
def test_intervals_are_those_of_resampled_pictures(offset: float) -> None:
    maps, masks = maps_and_masks()
    estimates = pixel_intervals(streamed(maps + offset, masks, parts(24)), offset + 1.55, Resampling(400))
    # Plainly: draw groups (each holds a defective image), pool their pixels, let scikit-learn rate them.
    generator = np.random.default_rng(0)
    score, truth = maps.numpy().reshape(12, -1), masks.numpy().reshape(12, -1)
    drawn = [generator.integers(12, size=12) for _ in range(100)]
    for name, metric, value in (("auroc", sk.roc_auc_score, score), ("f1", sk.f1_score, score >= 1.55)):
        plain = np.quantile([metric(truth[index].ravel(), value[index].ravel()) for index in drawn], [0.025, 0.975])
        assert (estimates[name].low, estimates[name].high) == pytest.approx(tuple(plain), abs=0.03), name


def test_order_of_pictures_and_batches_makes_no_difference() -> None:
    maps, masks = maps_and_masks()
    groups = parts(24)
    expected = pixel_intervals(streamed(maps, masks, groups), 1.5, RESAMPLING)
    order = np.random.default_rng(0).permutation(24)
    other = PixelHistogram()
    for part in np.array_split(order, 5):
        other.update(maps[part], masks[part], [groups[n] for n in part])
    assert pixel_intervals(other, 1.5, RESAMPLING) == expected


def test_copies_of_pictures_inside_a_group_do_not_narrow_the_interval() -> None:
    maps, masks = maps_and_masks()
    once = streamed(maps, masks, parts(24))
    expected = pixel_intervals(once, 1.5, RESAMPLING)
    once.merge(streamed(maps, masks, parts(24)))
    for name, estimate in pixel_intervals(once, 1.5, RESAMPLING).items():
        assert estimate.to_dict() == pytest.approx(expected[name].to_dict(), abs=1e-9)


def test_perfect_maps_are_not_certainty() -> None:
    _, masks = maps_and_masks(12)
    estimates = pixel_intervals(streamed(masks.float(), masks, parts(12)), 0.5)
    for name in ("auroc", "average_precision", "best_f1", "f1", "recall", "aupro", "aupro_05"):
        assert estimates[name].value == 1
        assert (estimates[name].low, estimates[name].high) == wilson(1.0, 6), name


def test_perfect_maps_whose_defects_hide_in_a_coarse_bin_are_not_certainty_either() -> None:
    _, masks = maps_and_masks(12)
    estimate = pixel_intervals(streamed(1 + masks / 1000, masks, parts(12)))["auroc"]
    assert (estimate.value, estimate.low, estimate.high) == (1.0, *wilson(1.0, 6))


def test_pictures_without_groups_have_no_intervals() -> None:
    maps, masks = maps_and_masks(4)
    histogram = streamed(maps, masks, parts(4))
    histogram.update(maps, masks)
    with pytest.raises(ValueError, match="some came without a group"):
        pixel_intervals(histogram)


def test_an_empty_histogram_gives_undefined_estimates() -> None:
    assert all(np.isnan(estimate.value) for estimate in pixel_intervals(PixelHistogram(), 1.0).values())
