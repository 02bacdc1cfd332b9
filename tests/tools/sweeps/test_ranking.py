"""Which setting is best: by its mean over seeds, within its data set, by a fixed rule among equals."""

from __future__ import annotations

import random
from dataclasses import replace
from statistics import fmean

import pytest

from tools.errors import ConfigError
from tools.sweeps.data_names import data_names, is_data_of, pick_data
from tools.sweeps.journal import ALONE, MIDDLE, Trial
from tools.sweeps.leaderboard import Leaderboard, best_trial
from tools.sweeps.ranking import finalists, rank_settings, winners


def trial(name: str, objective: float | None, setting: dict[str, str], **result: float) -> Trial:
    return Trial(name, "complete", setting, result={"objective": objective, "metrics": {}, **result})


def equal(name: str, model: str, seed: str = "0", alone: float | None = None, mib: float | None = None) -> Trial:
    measured = {key: value for key, value in ((ALONE, alone), ("checkpoint_mib", mib)) if value is not None}
    return trial(name, 1.0, {"model": model, "seed": seed}, **measured)


def test_the_mean_over_seeds_ranks_not_the_luckiest_seed() -> None:
    rng = random.Random(0)  # noqa: S311
    for _ in range(50):
        values = {model: [rng.random() for _ in range(3)] for model in "abcd"}
        trials = [
            trial(f"{model}{seed}", value, {"model": model, "seed": str(seed)})
            for model, own in values.items()
            for seed, value in enumerate(own)
        ]
        rng.shuffle(trials)
        best = max(values, key=lambda model: fmean(values[model]))
        found = best_trial(trials)
        assert found.setting["model"] == best
        assert found.objective == max(values[best])
        ranked = [one.shipped.setting["model"] for one in rank_settings(trials)[""]]
        assert ranked == sorted(values, key=lambda model: -fmean(values[model]))


def test_one_lucky_seed_does_not_beat_settings_with_more() -> None:
    steady = [trial(f"s{seed}", 0.9, {"model": "a", "seed": str(seed)}) for seed in range(3)]
    lucky = trial("l", 0.99, {"model": "b", "seed": "0"})
    assert best_trial([lucky, *steady]).setting["model"] == "a"


@pytest.mark.parametrize(
    ("trials", "best"),
    [
        ((equal("z", "a", alone=9.0), equal("y", "b", alone=3.0)), "y"),
        ((equal("z", "a", alone=3.5, mib=1), equal("y", "b", alone=3.0, mib=2)), "z"),
        ((equal("z", "a", mib=2), equal("y", "b", mib=1)), "y"),
        ((equal("y", "a", "3"), equal("z", "b", "2")), "z"),
        ((equal("z", "a"), equal("y", "b")), "y"),
        ((equal("y", "a", "1"), equal("z", "a", "0")), "z"),  # seeds of one setting
    ],
    ids=["faster", "as fast and smaller", "smaller", "lower seed", "lower id", "lower seed of one setting"],
)
def test_a_rule_decides_between_equals_whichever_ended_first(trials: tuple[Trial, ...], best: str) -> None:
    assert best_trial(trials).id == best_trial(trials[::-1]).id == best
    assert winners(trials)[0].id == best


def test_times_that_rounds_cannot_tell_apart_count_as_equal() -> None:
    small, fast = equal("z", "a", alone=5.0, mib=1), equal("y", "b", alone=3.0, mib=2)
    noisy = replace(fast, result={**fast.result, MIDDLE: 6.0})
    assert best_trial([small, fast]).id == "y"
    assert best_trial([small, noisy]).id == "z"


def test_equals_are_counted_and_measured() -> None:
    trials = [equal(name, name) for name in "abc"] + [trial("d", 0.9, {"model": "d", "seed": "0"})]
    board = Leaderboard.of(trials)
    (remark,) = board.remarks()
    assert remark.startswith("3 settings are equal at 1.0000; first is a, by fewer milliseconds")
    assert {one.id for one in finalists(trials)} == {"a", "b", "c"}
    assert Leaderboard.of([*trials, equal("e", "e")]).remarks()[0].startswith("4 settings are equal")
    assert Leaderboard.of([trial("d", 0.9, {"model": "d"}), equal("a", "a")]).remarks() == []


def test_test_figures_never_decide() -> None:
    flattering = {"metrics": {"image_auroc": {"value": 0.99}}}
    plain = {"metrics": {"image_auroc": {"value": 0.5}}}
    one = Trial("a", "complete", {"model": "a"}, result={"objective": 1.0, **plain})
    other = Trial("b", "complete", {"model": "b"}, result={"objective": 1.0, **flattering})
    assert best_trial([other, one]).id == "a"


SETS = [
    trial("a", 0.99, {"data": "folder", "data.root": "/x/plates", "model": "m"}),
    trial("b", 0.6, {"data": "fiber", "data.root": "/x/ends", "model": "m"}),
    trial("c", 0.7, {"data": "folder", "data.root": "'/x/rings'", "model": "m"}),
    trial("d", 0.8, {"data": "folder", "data.root": "'/x/rings'", "model": "n"}),
]


def test_data_sets_are_named_in_the_fewest_words() -> None:
    assert list(data_names(SETS).values()) == ["plates", "ends", "rings"]
    assert list(data_names(SETS[:2]).values()) == ["folder", "fiber"]
    assert list(data_names(SETS[:1]).values()) == [""]
    same = [trial(str(place), 1, {"data.root": f"/{place}/test"}) for place in (1, 2)]
    assert list(data_names(same).values()) == ["/1/test", "/2/test"]


@pytest.mark.parametrize(("name", "best"), [("rings", "d"), ("/x/rings", "d"), ("ends", "b"), ("fiber", "b")])
def test_the_best_of_one_data_set(name: str, best: str) -> None:
    assert best_trial(SETS, data=name).id == best


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (None, r"Expected data=NAME, since this sweep has 3 data sets.*there are: plates, ends, rings"),
        ("folder", "found 2 of that name"),
        ("ring", "found no 'ring'; did you mean 'rings'"),
    ],
)
def test_nothing_is_compared_across_data_sets(name: str | None, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        best_trial(SETS, data=name)


def test_a_sweep_of_one_data_set_needs_no_name() -> None:
    assert len(pick_data(SETS[2:], None)) == 2
    assert is_data_of(SETS, "anything")
    assert is_data_of(SETS[2:], "rings")
    assert not is_data_of(SETS[2:], "fiber")


def test_what_cannot_be_ranked_says_why() -> None:
    blind = trial("a", None, {"model": "m"})
    with pytest.raises(ConfigError, match="good and defective"):
        best_trial([blind])
    with pytest.raises(ConfigError, match="all 1 failed: Expected better data"):
        best_trial([Trial("a", "failed", {}, cause="Expected better data.")])
    with pytest.raises(ConfigError, match="found none yet"):
        best_trial([])


def test_a_key_that_one_data_set_alone_knows_does_not_tell_settings_apart() -> None:
    drawn = [trial(f"a{model}", 0.9, {"data": "synthetic", "data.size": "64", "model": model}) for model in "mn"]
    rings = [trial(f"b{model}", 0.9, {"data": "oring", "model": model}) for model in "mn"]
    assert Leaderboard.of([*drawn, *rings]).keys == ("data", "model")
    larger = trial("c", 0.8, {"data": "synthetic", "model": "m"})  # of an earlier command, which left it at its default
    assert Leaderboard.of([*drawn, *rings, larger]).keys == ("data", "data.size", "model")
