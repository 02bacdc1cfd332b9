"""Searches: seeded, resumable, conditional, and better than chance."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.errors import ConfigError
from tools.sweeps.journal import Trial
from tools.sweeps.search import OptunaSearch, make_search
from tools.sweeps.settings import Composer
from tools.sweeps.space import read_space

if TYPE_CHECKING:
    from tools.sweeps.suggesting import Suggestion

SPACE = (
    "model=patchcore,padim",
    "model.coreset_ratio=tag(log,interval(0.001,1))",
    "model.num_neighbors=int(interval(1,20))",
)


def search(kind: str, *args: str, seed: int = 0) -> OptunaSearch:
    found = make_search(kind, Composer(read_space(args or SPACE, {}, 0)), seed)
    assert isinstance(found, OptunaSearch)
    return found


def quality(setting: dict[str, str]) -> float:
    """Best at a ratio of 0.03 with six neighbours; the other model is poor."""
    if setting["model"] == "padim":
        return 0.2
    ratio, neighbors = float(setting["model.coreset_ratio"]), int(setting["model.num_neighbors"])
    return float(1 - abs(ratio - 0.03) ** 0.5 - abs(neighbors - 6) / 40)


def suggested(study: OptunaSearch) -> Suggestion:
    found = study.ask()
    assert found is not None
    return found


def go_on(study: OptunaSearch, count: int) -> list[Trial]:
    found: list[Trial] = []
    for _ in range(count):
        suggestion = suggested(study)
        setting = suggestion.setting
        found.append(Trial(str(len(found)), "complete", setting, result={"objective": quality(setting)}))
        study.tell(suggestion, found[-1])
    return found


@pytest.mark.parametrize("kind", ["random", "tpe", "qmc"])
def test_suggestions_lie_in_the_space_and_know_their_model(kind: str) -> None:
    trials = go_on(search(kind), 25)
    assert {trial.setting["model"] for trial in trials} == {"patchcore", "padim"}
    for trial in trials:
        if trial.setting["model"] == "padim":
            assert set(trial.setting) == {"model"}
        else:
            assert 0.001 <= float(trial.setting["model.coreset_ratio"]) <= 1
            assert 1 <= int(trial.setting["model.num_neighbors"]) <= 20


def test_the_seed_decides() -> None:
    one, same, other = (go_on(search("tpe", seed=seed), 15) for seed in (1, 1, 2))
    assert one == same
    assert one != other


def test_a_search_that_was_killed_goes_on_as_if_it_had_not_been() -> None:
    whole = go_on(search("tpe"), 24)
    resumed = search("tpe")
    assert resumed.learn(whole[:14]) == 14
    assert [trial.setting for trial in go_on(resumed, 10)] == [trial.setting for trial in whole[14:]]


def test_a_model_guided_search_beats_chance() -> None:
    def best(kind: str, seed: int) -> float:
        return max(quality(trial.setting) for trial in go_on(search(kind, seed=seed), 25))

    better = [best("tpe", seed) - best("random", seed) for seed in range(3)]
    assert sum(better) > 0


def test_what_lies_outside_the_space_teaches_nothing() -> None:
    study = search("tpe")
    inside = {"model": "patchcore", "model.coreset_ratio": "0.1", "model.num_neighbors": "3"}
    trials = [
        Trial("a", "complete", inside, result={"objective": 0.5}),
        Trial("b", "complete", inside | {"model.coreset_ratio": "7"}, result={"objective": 0.5}),
        Trial("c", "complete", inside | {"model": "dfm"}, result={"objective": 0.5}),
        Trial("d", "failed", inside),
        Trial("e", "complete", inside),
        Trial("f", "pruned", inside, result={"objective": 0.3}, values=[(0, 0.3)]),
    ]
    assert study.learn(trials) == 2


def test_a_failed_trial_does_not_stop_the_search() -> None:
    study = search("tpe")
    study.tell(suggested(study), Trial("a", "failed", {}))
    study.tell(suggested(study), None)
    assert len(go_on(study, 3)) == 3


@pytest.mark.parametrize(
    ("kind", "args", "message"),
    [
        ("bayes", ["seed=1,2"], "one of grid, random, tpe"),
        ("grid", ["model.coreset_ratio=interval(0,1)"], "since a grid tries every value"),
        ("tpe", ["seed=0,1", "model.coreset_ratio=0.1,0.2"], "would find luck"),
        ("tpe", ["data.domain=fiber,oring"], "would find the easiest data"),
        ("random", ["seed=0"], "something to search"),
    ],
)
def test_mistakes_are_named(kind: str, args: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        search(kind, *args)


def test_a_search_without_an_objective_says_what_is_missing() -> None:
    study = search("random")
    with pytest.raises(ConfigError, match=r"good and defective calibration pictures.*data\.calibration_from=test"):
        study.tell(suggested(study), Trial("a", "complete", {}, result={"objective": None}))
