"""A threshold moved by hand: what it says of itself, and that the pixels' follows as maps follow scores."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.decisions.choosing import Seen
from callbacks.decisions.moving import follow, set_image_threshold, set_pixel_threshold
from callbacks.decisions.scopes import Scoped
from callbacks.policies.base import Threshold

SCORES = [float(value) for value in np.random.default_rng(0).normal(10, 2, 40)]
BEFORE = Scoped(Threshold(9.0, "F1()", "It was chosen.", 20, 20), kind={"a": Threshold(8.0, "F1()", "", 9, 9)})


def seen(slope: float, offset: float = 1.0) -> list[Seen]:
    return [Seen(score, index % 2, offset + slope * score, "ab"[index % 2]) for index, score in enumerate(SCORES)]


@pytest.mark.parametrize("slope", [0.25, 1.0, 3.0])
def test_pixels_follow_as_far_as_maps_rise_with_scores(slope: float) -> None:
    assert follow(9.0, 11.0, 5.0, seen(slope)) == pytest.approx(5.0 + 2.0 * slope)


def test_a_few_odd_images_do_not_move_the_slope() -> None:
    odd = [Seen(10.0 + index, 1, 1e6, "") for index in range(3)]
    assert follow(9.0, 11.0, 5.0, [*seen(1.0), *odd]) == pytest.approx(7.0, abs=0.2)


@pytest.mark.parametrize("given", [[], seen(1.0)[:1], [Seen(1.0, 0, 2.0)] * 5, seen(-1.0)])
def test_where_maps_do_not_rise_with_scores_pixels_stay(given: list[Seen]) -> None:
    assert follow(9.0, 11.0, 5.0, given) == 5.0


def test_the_promise_says_who_and_what_it_does() -> None:
    images = seen(1.0)
    after = set_image_threshold(BEFORE, 10.5, images, "Set by Ada.")
    missed = sum(one.score < 10.5 for one in images if one.label_index)
    assert after.all.value == 10.5
    assert after.all.promise.startswith("Set by Ada. It was given, not chosen")
    assert f"{missed} of 20 defective" in after.all.promise
    assert after.kind == BEFORE.kind


def test_a_kind_has_its_own() -> None:
    after = set_image_threshold(BEFORE, 10.5, seen(1.0), "Set by Ada.", "b")
    assert after.values() == {"all": 9.0, "kind a": 8.0, "kind b": 10.5}
    assert (after.kind["b"].n_good, after.kind["b"].n_defective) == (0, 20)
    assert set_pixel_threshold(BEFORE, 7.1, "Set.", "b").of_kind("b") == np.float32(7.1)


@pytest.mark.parametrize(("value", "kind"), [(float("nan"), ""), (float("inf"), ""), (1e300, ""), (1.0, "nosuch")])
def test_what_means_nothing_is_refused(value: float, kind: str) -> None:
    with pytest.raises(ValueError, match="Expected"):
        set_image_threshold(BEFORE, value, seen(1.0), "Set.", kind)
