"""Which epoch was kept and why, and what gives a network away that did not learn; drawn histories, known answers."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from callbacks.measures.learning import LOSS, Learning, Rivals, how_it_went, image_rivals, loud, separability, series
from callbacks.statistics.bootstrap import Estimate

MONITOR = "calibration/objective"
CHANCE = Rivals(chance=0.5)


def rows(objectives: list[float | None], losses: list[float | None] | None = None) -> dict[int, dict[str, float]]:
    losses = [1 / epoch for epoch in range(1, len(objectives) + 1)] if losses is None else losses
    both = zip(objectives, losses, strict=True)
    return {
        epoch: {name: value for name, value in ((MONITOR, objective), (LOSS, loss)) if value is not None}
        for epoch, (objective, loss) in enumerate(both, 1)
    }


@pytest.mark.parametrize("seed", range(5))
def test_a_network_that_learns_is_not_doubted(seed: int) -> None:
    rng = np.random.default_rng(seed)
    objectives = np.sort(rng.uniform(0.6, 0.99, 12)).tolist()
    kept = int(np.argmax(objectives)) + 1
    found = how_it_went(rows(objectives), kept, MONITOR, Rivals(0.5, 0.55, Estimate(objectives[-1], 0.51, 1.0)))
    assert (found.epochs, found.kept_epoch, found.value, found.learned) == (12, kept, objectives[-1], True)
    assert (
        found.reason == f"Kept epoch 12 of 12: it has the highest AUROC of the calibration images, {found.value:.3f}."
    )
    assert loud(found.to_dict()) == []
    json.dumps(found.to_dict(), allow_nan=False)


def test_of_equals_the_last_and_how_many_there_are() -> None:
    found = how_it_went(rows([0.7, 0.9, 0.9, 0.8]), 3, MONITOR, CHANCE)
    assert "Kept epoch 3 of 4" in found.reason
    assert "2 epochs have it, and the last of them is kept" in found.reason


def test_where_nothing_ranks_epochs_that_is_said_and_the_loss_alone_judges() -> None:
    found = how_it_went(rows([None] * 3), 3, MONITOR, Rivals())
    assert found.reason == (
        "Kept epoch 3 of 3, the last: without good and defective calibration images, no epoch can be ranked above "
        "another."
    )
    assert (found.value, found.learned, found.doubts) == (None, True, ())
    stuck = how_it_went(rows([None] * 3, [0.5, 0.5, 0.499]), 3, MONITOR, Rivals())
    assert stuck.learned is False
    assert "never fell below" in stuck.doubts[0]
    assert how_it_went(rows([None], [0.5]), 1, MONITOR, Rivals()).learned is None  # nobody knows


@pytest.mark.parametrize(
    ("objectives", "losses", "rivals", "learned", "words"),
    [
        ([0.8, 0.8, 0.8], None, CHANCE, False, "0.800 in each of 3 epochs: it never changed"),
        ([0.6, 0.7], [0.3, 0.3], CHANCE, False, "loss never fell"),
        ([0.6, 0.7], [-3.0, -2.9], CHANCE, False, "loss never fell"),  # a likelihood may be negative
        ([0.4, 0.5], None, CHANCE, False, "no better than chance, 0.500"),
        ([0.4, 0.6], None, Rivals(0.5, None, Estimate(0.6, 0.41, 0.78)), None, "(95 % interval 0.410 to 0.780)"),
        ([0.4, 0.8], None, Rivals(0.5, 0.83), False, "Brightness alone reaches 0.830"),
    ],
)
def test_signs_that_it_did_not_learn_are_said_loudly(
    objectives: list[float | None],
    losses: list[float | None] | None,
    rivals: Rivals,
    learned: bool | None,
    words: str,
) -> None:
    found = how_it_went(rows(objectives, losses), len(objectives), MONITOR, rivals)
    assert found.learned is learned
    (said,) = loud(found.to_dict())
    assert words in said
    bright = "THE NETWORK IS NO BETTER THAN BRIGHTNESS" if rivals.brightness else "THE NETWORK DID NOT LEARN"
    assert said.startswith(bright if learned is False else "It is not certain")


def test_what_is_perfect_from_the_first_epoch_on_is_no_standstill() -> None:
    assert how_it_went(rows([1.0, 1.0]), 2, MONITOR, Rivals(0.5, 1.0, Estimate(1.0, 0.9, 1.0))).learned is True


def test_nan_is_no_value() -> None:
    found = how_it_went(rows([math.nan, math.nan]), 2, MONITOR, CHANCE)
    assert found.value is None
    assert "the last" in found.reason
    assert series(rows([0.5, math.nan, 0.7]), MONITOR) == [(1, 0.5), (3, 0.7)]


@pytest.mark.parametrize("seed", range(4))
def test_separability_is_the_auroc_of_the_better_direction(seed: int) -> None:
    rng = np.random.default_rng(seed)
    brightness, labels = rng.normal(size=40), np.array([0, 1] * 20)
    auroc = roc_auc_score(labels, brightness)
    assert separability(brightness, labels) == pytest.approx(max(auroc, 1 - auroc))
    assert separability(brightness, np.zeros(40, dtype=int)) is None
    assert image_rivals(brightness.tolist(), [0] * 40, 0.7) == Rivals()
    found = image_rivals(brightness.tolist(), labels.tolist(), 0.7)
    assert found.objective is not None
    assert (found.chance, found.brightness) == (0.5, 0.7)
    assert found.objective.value == pytest.approx(auroc)


def test_an_unknown_monitor_is_named_as_it_is() -> None:
    found: Learning = how_it_went({1: {"val/x": 3.0}}, 1, "val/x", Rivals())
    assert "highest val/x, 3.000" in found.reason
