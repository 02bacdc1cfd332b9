"""The leaderboard, the best by any metric, and what mattered."""

from __future__ import annotations

import csv
import io
import random
from dataclasses import replace

import pytest

from tools.errors import ConfigError
from tools.sweeps.importance import importances
from tools.sweeps.journal import Trial
from tools.sweeps.leaderboard import Leaderboard, best_trial


def trial(name: str, objective: float | None, auroc: float, fpr: float, speed: float, **changes: object) -> Trial:
    metrics = {"image_auroc": {"value": auroc, "low": auroc - 0.1, "high": None}, "image_fpr": {"value": fpr}}
    metrics |= {"image_precision": {"value": auroc}, "image_ece": {"value": fpr}}
    result = {"objective": objective, "metrics": metrics, "milliseconds_per_picture": speed}
    about: dict[str, object] = {
        "id": name,
        "state": "complete",
        "setting": {"model": name, "seed": "0"},
        "result": result,
    }
    return Trial(**(about | changes))  # type: ignore[arg-type]


TRIALS = [
    trial("a", 0.8, 0.7, 0.3, 20),
    trial("b", 0.9, 0.6, 0.2, 30),
    trial("c", None, 0.95, 0.5, 5),
    trial("d", 0.99, 0.99, 0.0, 1, state="pruned"),
    Trial("e", "failed", {"model": "e", "seed": "0"}, error="boom"),
]


def test_complete_trials_go_first_and_the_best_of_them_leads() -> None:
    board = Leaderboard.of(TRIALS)
    assert [one.id for one in board.trials] == ["b", "a", "c", "d", "e"]
    assert board.keys == ("model",)  # the seed is everybody's
    rows = list(csv.DictReader(io.StringIO(board.csv())))
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4", "5"]
    assert (rows[0]["image_auroc"], rows[0]["image_auroc_high"], rows[4]["objective"]) == ("0.6", "", "")


def test_data_sets_are_ranked_apart() -> None:
    sets = {"a": "rings", "b": "fibers", "c": "rings", "d": "fibers", "e": "fibers"}
    board = Leaderboard.of([replace(one, setting={"data": sets[one.id], "model": one.id}) for one in TRIALS])
    rows = [line.split() for line in board.text(20).splitlines()]
    assert [row[:2] for row in rows[1:4]] == [["1", "b"], ["2", "d"], ["3", "e"]]
    assert rows[4] == []
    assert [row[:2] for row in rows[5:]] == [["1", "a"], ["2", "c"]]
    assert [row["rank"] for row in csv.DictReader(io.StringIO(board.csv()))] == ["1", "1", "2", "2", "3"]
    assert "and 1 more" in Leaderboard.of([*board.trials, replace(board.trials[0], id="f")]).text(1)


@pytest.mark.parametrize(
    ("metric", "best"),
    [
        ("calibration/objective", "b"),
        ("objective", "b"),
        ("image_auroc", "c"),
        ("test/image_auroc", "c"),
        ("image_fpr", "b"),
        ("test/image_ece", "b"),
        ("image_precision", "c"),
        ("milliseconds_per_picture", "c"),
    ],
)
def test_the_best_by_any_metric(metric: str, best: str) -> None:
    assert best_trial(TRIALS, metric).id == best


def test_an_unknown_metric_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="did you mean 'image_auroc'"):
        best_trial(TRIALS, "image_aurco")


def test_what_decides_the_objective_matters_most() -> None:
    rng = random.Random(0)  # noqa: S311
    settings = [{"a": rng.choice("xy"), "b": rng.choice("uvw"), "c": str(rng.uniform(0, 1))} for _ in range(30)]
    values = [(one["a"] == "x") + 0.2 * float(one["c"]) for one in settings]
    found = importances(settings, values, ["a", "b", "c"])
    assert next(iter(found)) == "a"
    assert found["a"] > 0.8
    assert found["b"] < 0.1


def test_keys_of_one_model_are_judged_among_its_trials() -> None:
    settings = [{"model": "p", "k": str(k)} for k in range(8)] + [{"model": "q"} for _ in range(4)]
    values = [k / 10 for k in range(8)] + [0.3, 0.31, 0.32, 0.33]
    found = importances(settings, values, ["model", "k"])
    assert found["k"] == pytest.approx(1.0)
    assert found["model"] < 0.1  # by eta squared: the means of both models are nearly the same


def test_too_little_says_nothing() -> None:
    assert importances([{"a": "1"}, {"a": "2"}], [0.1, 0.2], ["a"]) == {}
    assert importances([{"a": str(k)} for k in range(9)], [0.5] * 9, ["a"]) == {}
