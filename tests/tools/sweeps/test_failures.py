"""Failures have reasons: in the status, on the terminal, on the page, and in the log of the trial."""

from __future__ import annotations

import csv
import importlib
from typing import TYPE_CHECKING

import pytest

from datamodules.errors import DataError
from models.errors import DivergedError
from tools.cli import main
from tools.errors import ConfigError
from tools.sweeps.failures import cause_of, causes
from tools.sweeps.journal import Trial, read_records, read_trials

from .conftest import HERE, TINY, Sweep, starts

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (DataError("Expected one,\n found two."), "Expected one, found two."),
        (DivergedError("Ran away."), "Ran away."),
        (ZeroDivisionError("on purpose"), "ZeroDivisionError: on purpose"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_a_cause_is_one_line(error: BaseException, cause: str) -> None:
    assert cause_of(error) == cause


def test_numbers_do_not_make_another_cause() -> None:
    said = ["Expected 3, found 5.", "Expected 3, found 17.25.", "Expected none."]
    trials = [Trial(str(place), "failed", {}, cause=cause) for place, cause in enumerate(said)]
    old = Trial("x", "failed", {}, error="Traceback\n  line\nExpected none.")
    found = causes([*trials, old, Trial("y", "complete", {})])
    assert [(cause.sentence, cause.trials, cause.first) for cause in found] == [
        ("Expected 3, found 5.", 2, "0"),
        ("Expected none.", 2, "2"),
    ]


@pytest.mark.parametrize("workers", [0, 1])
def test_every_cause_is_told_once(
    workers: int, tiny: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = ("seed=0,1,2", "+tiny.act=crash,null", f"sweep.workers={workers}")
    found = tiny(*grid, status=1)
    said = capsys.readouterr()
    assert said.out.count("3 failed: ZeroDivisionError: on purpose (") == 1
    assert "3 of 6 trials failed" in said.err
    for trial in (trial for trial in found.values() if trial.state == "failed"):
        log = (tmp_path / "sweep" / "logs" / f"{trial.id}.txt").read_text(encoding="utf-8")
        assert "Traceback" in log
        assert log.rstrip().endswith("ZeroDivisionError: on purpose")
    page = (tmp_path / "sweep" / "index.html").read_text(encoding="utf-8")
    assert page.count("ZeroDivisionError: on purpose") == 2  # in the warning and in the table of failures
    rows = csv.DictReader((tmp_path / "sweep" / "leaderboard.csv").open(encoding="utf-8"))
    assert [row["cause"] for row in rows if row["state"] == "failed"] == ["ZeroDivisionError: on purpose"] * 3
    assert main(["sweep", "show", str(tmp_path / "sweep")]) == 0
    assert "3 failed: ZeroDivisionError" in capsys.readouterr().out
    tiny(*grid, "failures=ok")


def test_a_process_that_died_leaves_word_in_the_log(tiny: Sweep, tmp_path: Path) -> None:
    found = tiny("data.batch_size=64", "+tiny.act=kill", "sweep.workers=1", status=1)
    (trial,) = found.values()
    assert "signal 9" in (tmp_path / "sweep" / "logs" / f"{trial.id}.txt").read_text(encoding="utf-8")


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the data of one domain be unreadable; without a name, of none."""
    monkeypatch.syspath_prepend(str(HERE))
    tiny_trial = importlib.import_module("tiny_trial")

    def hide(domain: str) -> None:
        def data_identity(config: dict[str, dict[str, str]]) -> str:
            if config["data"]["domain"] == domain:
                raise DataError(f"Expected pictures of {domain}, but found none.")
            return config["data"]["domain"]

        monkeypatch.setattr(tiny_trial, "data_identity", data_identity)

    return hide


def test_a_data_set_that_does_not_fit_fails_its_own_trials_alone(
    hidden: Callable[[str], None], tiny: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden("oring")
    grid = ("data.domain=fiber,oring,print3d", "model.coreset_ratio=0.1,0.2", "sweep.workers=0")
    found = tiny(*grid, status=1)
    assert [trial.state for trial in found.values()].count("complete") == 4
    assert {trial.setting["data.domain"] for trial in found.values() if trial.state == "failed"} == {"oring"}
    assert "2 failed: Expected pictures of oring, but found none. (" in capsys.readouterr().out
    hidden("")
    mended = tiny(*grid)
    assert [trial.state for trial in mended.values()] == ["complete"] * 6  # what failed is void, not kept beside
    assert len(starts(tmp_path / "sweep")) == 6
    assert [record["event"] for record in read_records(tmp_path / "sweep")].count("drop") == 2


def test_one_data_set_that_does_not_fit_ends_the_command_and_leaves_nothing(
    hidden: Callable[[str], None], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hidden("fiber")
    assert main(["sweep", TINY, f"out={tmp_path}", "seed=0,1", "sweep.workers=0"]) == 1
    assert "Expected pictures of fiber" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("space", "message"),
    [
        (("model.coreset_ratio=0.1,5",), "model.coreset_ratio to be above 0 and at most 1, but found 5"),
        (("model.num_neighbors=1,0",), "model.num_neighbors to be at least 1, but found 0"),
        (("model=patchcore,conv_ae", "model.kernel_size=3,4"), "model.kernel_size to be odd, but found 4"),
        (("data.limit=20,0",), "data.limit to be at least 1 or null, but found 0"),
        (("model.coreset_ratio=interval(-1,0.5)", "sweep.search=random"), "at most 1, but found -1.0"),
    ],
)
def test_impossible_values_are_refused_before_anything_runs(
    space: tuple[str, ...], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    small = (
        "data=synthetic",
        "data.size=64",
        "data.image_size=[64,64]",
        "data.good=12",
        "data.defective=6",
        "trainer=cpu",
    )
    args = ("sweep", *small, *space, "sweep.workers=0", f"out={tmp_path}")
    assert main(list(args)) == 2
    assert message in capsys.readouterr().err
    assert read_trials(tmp_path / "sweep") == {}
    assert not (tmp_path / "sweep").exists()


def test_a_combination_that_fails_is_left_to_its_own_trial(tiny: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each value is good with another partner: two of four combinations are not."""
    tiny_trial = importlib.import_module("tiny_trial")

    def check(config: dict[str, dict[str, float]]) -> None:
        if (config["model"]["coreset_ratio"] > 0.15) != (config["model"]["num_neighbors"] > 1):
            raise ConfigError("Expected both or none.")

    monkeypatch.setattr(tiny_trial, "check", check, raising=False)
    assert len(tiny("model.coreset_ratio=0.1,0.2", "model.num_neighbors=3,1", "sweep.workers=0")) == 4
