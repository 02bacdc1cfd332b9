"""The runner's decisions, beside those of the calibration that it stands for, over a grid of rules and scopes."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
import torch

from callbacks.decisions.region_rules import RegionRules
from callbacks.decisions.scopes import Scoped
from callbacks.policies.base import Threshold
from callbacks.statistics.probability import fit_probability
from tools.runner.decision import Decision

USUAL = 0.25


def threshold(value: float) -> Threshold:
    return Threshold(float(np.float32(value)), "Fixed()", "none", 1, 1)


IMAGE = Scoped(threshold(0.5), kind={"small": threshold(0.3)})
PIXEL = Scoped(threshold(0.7), kind={"small": threshold(0.6)}, zone={"1": threshold(0.5), "3": threshold(0.9)})


def decision(rules: RegionRules, pixel: Scoped = PIXEL, probability: dict[str, object] | None = None) -> Decision:
    return Decision(
        {
            "image": IMAGE.to_dict(),
            "pixel": pixel.to_dict(),
            "regions": rules.to_dict() | {"usual": USUAL},
            "probability": probability,
            "map_range": [USUAL, 1.0],
        }
    )


@pytest.mark.parametrize(
    "rules", [RegionRules(), RegionRules(5), RegionRules(0, 0.5), RegionRules(4, 0.3, 2), RegionRules(erode=1)]
)
@pytest.mark.parametrize("kind", ["", "small", "unheard of"])
@pytest.mark.parametrize("zoned", [True, False])
def test_masks_are_those_of_the_calibration(rules: RegionRules, kind: str, *, zoned: bool) -> None:
    rng = np.random.default_rng(3)
    map_HW = rng.random((24, 30)).astype(np.float32)
    zones_HW = np.repeat(np.repeat(rng.integers(0, 4, (4, 5), dtype=np.uint8), 6, axis=0), 6, axis=1) if zoned else None
    zones = None if zones_HW is None else torch.from_numpy(zones_HW)[None]
    line = PIXEL.of_pixels([kind], zones, torch.device("cpu"))
    expected = rules.masks(torch.from_numpy(map_HW)[None], line, USUAL, zones)[0].numpy()
    found = decision(rules).mask(map_HW, kind, zones_HW)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("kind", ["", "small", "unheard of"])
def test_verdicts_are_those_of_the_calibration(kind: str) -> None:
    line = np.float32(IMAGE.of_kind(kind))
    rules = decision(RegionRules())
    for score in (line, np.nextafter(line, np.float32(0)), np.nextafter(line, np.float32(1))):
        assert rules.is_defective(score, kind) == bool(score >= line)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_probabilities_are_those_of_the_calibration(method: str) -> None:
    rng = np.random.default_rng(5)
    label = np.repeat([0, 1], 40)
    fitted = fit_probability(method, rng.normal(label, 0.7), label)  # type: ignore[arg-type]  # one of the two
    assert not isinstance(fitted, str)
    rules = decision(RegionRules(), probability=asdict(fitted))
    for score in np.linspace(-50, 50, 101).astype(np.float32):
        assert rules.probability(score) == pytest.approx(float(fitted(score)), abs=1e-12)
