"""What a share of defects does to thresholds: good images are not given away because defects were collected."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.decisions.calibration import Calibration
from callbacks.policies.choice import choose_threshold
from callbacks.policies.cost import Cost
from callbacks.policies.f1 import F1
from callbacks.policies.fixed import Fixed
from callbacks.policies.grid import Grid
from callbacks.policies.normal import Normal
from callbacks.policies.prevalence import assumed_prior, weights_of

GOOD = [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 2.0]
FAINT = 1.05


def rejected(policy: F1, defective: int) -> int:
    """Count the good ones that a threshold rejects, of seven, where one defect of so many scores among them."""
    scores = [*GOOD, FAINT, *np.linspace(5, 9, defective - 1)]
    chosen = policy.choose(scores, [0] * len(GOOD) + [1] * defective)
    return sum(score >= chosen.value for score in GOOD)


def test_one_faint_defect_does_not_cost_the_good_ones_however_many_defects_were_collected() -> None:
    for defective in (5, 7, 20, 100, 400):
        assert rejected(F1(), defective) == 0
    # A prior that says what the set says takes it at its word.
    assert rejected(F1(prior=400 / 407), 400) == 0
    assert rejected(F1(beta=4, prior=0.99), 20) > 0


def test_a_good_one_is_not_traded_for_one_of_many_defects() -> None:
    """One defect just below the highest good one: at the set's share F1 rejects that good one, which is a seventh."""
    scores, labels = [*GOOD, 1.9, *np.linspace(5, 9, 60)], [0] * 7 + [1] * 61
    taken_at_its_word = F1(prior=61 / 68).choose(scores, labels)
    assert taken_at_its_word.value < 2.0
    assert F1().choose(scores, labels).value > 2.0
    assert F1(prior=0.01).choose(scores, labels).value > 2.0


def test_rarer_defects_never_lower_the_threshold() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        label = rng.integers(0, 2, 60)
        score = rng.normal(size=60) + label
        values = [F1(prior=prior).choose(score, label).value for prior in (0.9, 0.5, 0.1, 0.01, 0.001)]
        assert values == sorted(values)


def test_weights_leave_sets_with_fewer_defects_as_they_are() -> None:
    assert weights_of(None, 30, 30) == weights_of(None, 30, 5) == (1.0, 1.0)
    assert weights_of(None, 7, 28) == (28.0, 7.0)
    good, defective = weights_of(0.1, 7, 28)
    assert good * 7 / (good * 7 + defective * 28) == pytest.approx(0.9)
    assert assumed_prior(None, 7, 28) == 0.5
    assert assumed_prior(None, 28, 7) == 0.2


@pytest.mark.parametrize(
    ("policy", "defective", "said"),
    [
        (F1(), 3, "It assumes that a share of 0.2 of all pictures is defective, as in the calibration set."),
        (F1(), 36, "a share of 0.5 of all pictures is defective, and not 0.75 as in the calibration set"),
        (F1(prior=0.02), 3, "a share of 0.02 of all pictures is defective, as threshold.prior says."),
        (Grid(0, 9, 1), 3, "a share of 0.2 of all pictures is defective, as in the calibration set."),
        (Cost(prior=0.02), 3, "With 0.02 of all pictures defective"),
    ],
)
def test_policies_state_the_share_that_they_assume(policy: F1, defective: int, said: str) -> None:
    chosen = policy.choose(np.arange(12 + defective), [0] * 12 + [1] * defective)
    assert said in chosen.promise


@pytest.mark.parametrize(("good", "said"), [(1, "only 1 good picture:"), (9, "only 9 good pictures:"), (10, "")])
def test_thresholds_on_fewer_than_ten_good_images_say_so(good: int, said: str) -> None:
    scores, labels = np.arange(good + 4.0), [0] * good + [1] * 4
    for policy in (F1(), Normal(0.9), Cost()):
        promise = choose_threshold(policy, scores, labels).promise
        assert ("It rests on only" in promise) == bool(said)
        assert said in promise
    assert "rests on" not in choose_threshold(Fixed(2.0), scores, labels).promise


def test_shares_that_are_none_and_policies_that_assume_none_are_refused() -> None:
    for prior in (0.0, 1.0, -0.1):
        with pytest.raises(ValueError, match="prior"):
            F1(prior=prior)
    with pytest.raises(ValueError, match=r"Expected threshold\.prior with f1 or cost, but Normal"):
        Calibration(Normal(), Normal(), prior=0.1)
    own = Calibration(F1(prior=0.1), Normal(), F1(prior=0.001), prior=0.1)
    assert (own.policy, own.pixel_policy) == (F1(prior=0.1), F1(prior=0.001))
    assert Calibration(F1(2.0, 0.1), Normal(), prior=0.1).pixel_policy == F1(2.0)  # the share is one of images
    assert repr(F1(prior=0.1)) == "F1(beta=1.0, prior=0.1)"
