"""Probabilities at the share of defects that a policy assumes, and the scores of good images."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from callbacks.decisions.choosing import Seen
from callbacks.decisions.meaning import fit_seen, good_scores
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from callbacks.statistics.probability import Probability

if TYPE_CHECKING:
    from callbacks.policies.base import Policy

GRID = np.linspace(0.0, 4.0, 9)


def seen(good: int, defective: int) -> list[Seen]:
    rng = np.random.default_rng(0)
    rows = [Seen(float(value), 0, 0.0) for value in rng.normal(1, 1, good)]
    return rows + [Seen(float(value), 1, 0.0) for value in rng.normal(3, 1, defective)]


def fitted(policy: Policy, rows: list[Seen]) -> Probability:
    found = fit_seen("auto", policy, rows)
    assert isinstance(found, Probability)
    return found


def test_a_policy_that_assumes_no_share_leaves_that_of_the_calibration() -> None:
    rows = seen(40, 20)
    np.testing.assert_array_equal(fitted(Normal(), rows)(GRID), fitted(F1(), rows)(GRID))


def test_collected_defects_do_not_make_good_images_likely_defects() -> None:
    rows = seen(12, 60)
    assert (fitted(F1(), rows)(GRID) < fitted(Normal(), rows)(GRID)).all()
    assert "a share of 0.5" in fitted(F1(), rows).promise


@pytest.mark.parametrize("prior", [0.01, 0.3])
def test_the_share_that_is_set_is_taken(prior: float) -> None:
    assert f"a share of {prior:g}" in fitted(F1(prior=prior), seen(40, 20)).promise


def test_too_few_images_are_said() -> None:
    assert "at least 10 of each" in str(fit_seen("auto", F1(), seen(9, 40)))
    assert "at least 10 of each" in str(fit_seen("auto", F1(), seen(40, 0)))


def test_scores_of_good_images_are_listed_by_kind() -> None:
    rows = [Seen(3.0, 0, 0.0, "b"), Seen(1.0, 0, 0.0, "a"), Seen(9.0, 1, 0.0, "a"), Seen(2.0, -1, 0.0, "b")]
    assert good_scores(rows, ["b", "c"]) == {"all": [1.0, 3.0], "kind": {"b": [3.0]}}
