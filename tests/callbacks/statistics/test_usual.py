"""What a model knows of its own images, and what it says of others, in words and in plain values."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pytest
import torch

from callbacks.decisions.familiarity import map_medians
from callbacks.statistics.novelty import FACTS
from callbacks.statistics.usual import EMBEDDING, LEVEL, MOST_REFERENCES, Usual, map_level

RNG = np.random.default_rng(0)


def columns(count: int, **shift: float) -> dict[str, list[float]]:
    """Facts of images that vary a little."""
    usual = {
        "height": 64.0,
        "width": 64.0,
        "brightness": 0.5,
        "contrast": 0.2,
        "sharpness": 0.3,
        "warmth": 0.0,
        "level": 0.0,
    }
    spread = {"height": 0.0, "width": 0.0, "contrast": 0.01, "level": 0.05}
    return {
        name: (value + shift.get(name, 0.0) + spread.get(name, 0.02) * RNG.normal(size=count)).tolist()
        for name, value in usual.items()
    }


def facts(count: int, **shift: float) -> list[dict[str, float]]:
    drawn = columns(count, **shift)
    return [{name: drawn[name][row] for name in drawn} for row in range(count)]


def names(count: int) -> list[str]:
    return [f"{index}.png" for index in range(count)]


USUAL = Usual.learn(columns(60), names(60), ["a", "b"] * 30, (1.0, 3.0))


def test_fresh_images_are_usual_and_others_are_not() -> None:
    same = USUAL.examine(facts(30), names(30), names(30))
    assert (same.flagged, same.sentences()) == (0, [])
    dark = USUAL.examine(facts(30, brightness=-0.3), names(30), names(30))
    assert dark.flagged == 30
    flagged, differs = dark.sentences()
    assert flagged.startswith(
        "30 of 30 images are unlike those of the training (30 by brightness); for example 0.png: bright"
    )
    assert "instead of 0.5" in differs
    assert "(p = 0.001)" in differs  # of two tests, the smaller p value twice


def test_a_mild_change_that_no_image_shows_is_seen_in_the_set() -> None:
    found = USUAL.examine(facts(30, brightness=0.03), names(30), names(30))
    assert found.flagged == 0
    (said,) = found.sentences()
    assert said.startswith("As a whole, these 30 images differ")


def test_an_average_does_not_hide_a_kind() -> None:
    """One kind has moved up, the other down: their mean ranks are those of the training."""
    moved = facts(20, brightness=0.04) + facts(20, brightness=-0.04)
    found = USUAL.examine(moved, names(40), names(40), ["a"] * 20 + ["b"] * 20)
    assert not found.drift.drifted
    (said,) = found.sentences()
    assert "images of kind a (p = 0.0005), b (p = 0.0005) differ" in said
    assert found.to_dict()["kinds"]["a"]["differs"]


def test_good_images_alone_decide_where_labels_are_known() -> None:
    mixed = facts(20) + facts(20, brightness=0.3)
    found = USUAL.examine(mixed, names(40), names(40), counted_N=[True] * 20 + [False] * 20)
    assert (found.flagged, found.drift.images, found.drift.drifted) == (20, 20, False)


def test_one_group_says_that_it_says_nothing_of_the_set() -> None:
    few = Usual.learn(columns(40), ["one"] * 40)
    found = few.examine(facts(20, brightness=0.04), ["video"] * 20, names(20))
    assert found.drift.p_value is None
    assert "20 images fall into 1 group: too few" in found.sentences()[-1]


def test_a_change_that_every_image_shows_is_seen_where_groups_are_few() -> None:
    """Nine groups and four: of 715 ways to choose, some facts are as extreme in a dozen by chance."""
    group_N = [str(index // 10) for index in range(90)]
    few = Usual.learn(columns(90), group_N)
    found = few.examine(facts(40, sharpness=-0.2), [str(index // 10) for index in range(40)], names(40))
    assert found.drift.p_value is not None
    assert found.drift.p_value <= 0.015
    assert "sharpness" in found.sentences()[-1]
    one = few.examine(facts(10, sharpness=-0.2), ["one"] * 10, names(10))
    assert one.drift.drifted
    assert one.drift.p_value == pytest.approx(few.rate)
    half = few.examine(facts(10, sharpness=-0.2) + facts(30), [str(index // 10) for index in range(40)], names(40))
    assert not half.drift.drifted  # one group of four is no set


@pytest.mark.parametrize(("known", "fresh"), [(5, 1), (9, 4), (12, 12), (40, 3)])
def test_fresh_sets_alarm_as_rarely_as_promised_whatever_their_tails(known: int, fresh: int) -> None:
    """Groups that differ by Student's t with four degrees of freedom, and images that differ little within."""
    rng, alarms, draws = np.random.default_rng(1), 0, 300
    for _ in range(draws):
        group_N = np.repeat(np.arange(known + fresh), 4)
        value_NF = rng.standard_t(4, (known + fresh, 5))[group_N] + 0.2 * rng.normal(size=(len(group_N), 5))
        told = dict(zip(("brightness", "contrast", "sharpness", "warmth", "level"), value_NF.T, strict=True))
        told["contrast"], told["sharpness"] = np.exp(told["contrast"]), np.exp(told["sharpness"])
        is_known, text_N = group_N < known, group_N.astype(str)
        usual = Usual.learn({name: v[is_known].tolist() for name, v in told.items()}, text_N[is_known].tolist())
        new = [{name: float(v[row]) for name, v in told.items()} for row in np.flatnonzero(~is_known)]
        alarms += usual.examine(new, text_N[~is_known].tolist(), names(len(new))).drift.drifted
    assert alarms / draws <= 0.05


def test_too_few_images_to_learn_from_are_named() -> None:
    few = Usual.learn(columns(4), names(4))
    assert few.limits == {}
    assert "Only 4 good images to learn from" in few.note
    assert few.judge(facts(1)[0]) == ""


def test_plain_values_bring_back_the_same_judgement() -> None:
    values: dict[str, Any] = json.loads(json.dumps(USUAL.to_dict(), allow_nan=False))
    again = Usual.from_dict(values)
    assert again.to_dict() == USUAL.to_dict()
    strange = facts(12, contrast=0.2)
    expected = USUAL.examine(strange, names(12), names(12))
    assert again.examine(strange, names(12), names(12)) == expected
    assert json.dumps(expected.to_dict(), allow_nan=False)


@pytest.mark.parametrize(
    "change",
    [
        {"limits": {"brightness": [0.9, 0.1, 5]}},
        {"limits": {"brightness": ["a"]}},
        {"reference": []},
        {"groups": [0, 1]},
        {"level_range": [1.0, 1.0]},
        {"kinds": None},
    ],
)
def test_what_was_never_noted_is_refused(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="as it was noted"):
        Usual.from_dict(USUAL.to_dict() | change)


def test_what_travels_is_bounded() -> None:
    drawn = columns(3000) | {"level": [math.nan] * 2400 + columns(600)["level"]}
    large = Usual.learn(drawn, names(3000))
    assert large.reference_NF.shape == (2 * MOST_REFERENCES, len(FACTS))
    assert np.isfinite(large.reference_NF[:, list(FACTS).index(LEVEL)]).sum() == MOST_REFERENCES


@pytest.mark.parametrize("size", [(5, 7), (4, 6), (1, 1)])
def test_the_level_is_the_same_by_torch_and_by_numpy(size: tuple[int, int]) -> None:
    map_HW = RNG.normal(2, 1, size).astype(np.float32)
    (median,) = map_medians(torch.from_numpy(map_HW)[None])
    assert map_level(map_HW, (1.0, 3.0)) == (median - 1.0) / 2.0
    assert math.isnan(Usual.learn(columns(9), names(9)).level(map_HW))


def test_a_fact_that_nothing_tells_is_forgotten() -> None:
    drawn = columns(40) | {EMBEDDING: (1 + 0.1 * RNG.random(40)).tolist()}
    usual = Usual.learn(drawn, names(40))
    far = facts(30)[0] | {EMBEDDING: 90.0}
    assert usual.judge(far).startswith("distance of the features 90 (usual: 0 to ")
    assert usual.judge(far | {EMBEDDING: 0.001}) == ""  # near is not unusual
    forgotten = usual.without(EMBEDDING)
    assert forgotten.judge(far) == ""
    assert set(forgotten.limits) == set(usual.limits) - {EMBEDDING}


def test_distances_of_those_that_were_left_out_flag_images_and_compare_no_set() -> None:
    usual = Usual.learn(columns(40) | {EMBEDDING: (1 + 0.1 * RNG.random(40)).tolist()}, names(40))
    found = usual.examine([one | {EMBEDDING: 1.1} for one in facts(30)], names(30), names(30))
    assert (found.flagged, found.drift.drifted) == (0, False)
    far = usual.examine([one | {EMBEDDING: 90.0} for one in facts(30)], names(30), names(30))
    assert far.flagged == 30
    assert "distance of the features 90 (median; usual: " in far.sentences()[1]
