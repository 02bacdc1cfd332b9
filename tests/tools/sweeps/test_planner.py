"""Whole sweeps of trials that train nothing: nothing done is repeated, whatever happens."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest

from tools.cli import main
from tools.configuring.config import groups
from tools.sweeps.journal import read_records, read_trials
from tools.sweeps.leaderboard import best_run
from tools.sweeps.plan import read_plan
from tools.sweeps.settings import Composer

from .conftest import TINY, Sweep, starts

GRID = ("model=patchcore", "model.coreset_ratio=0.02,0.1", "seed=0,1,2")


def test_every_combination_runs_once_wherever_it_runs(tiny: Sweep, tmp_path: Path) -> None:
    here = tiny(*GRID, "sweep.workers=0")
    assert len(here) == 6
    assert {trial.state for trial in here.values()} == {"complete"}
    pool = tiny(*GRID, "sweep.workers=2", "name=pool", "sweep.cpus=1")
    assert len(read_trials(tmp_path / "pool")) == 6
    assert set(read_trials(tmp_path / "pool")) == set(here)
    assert pool == here
    processes = {trial.result["process"] for trial in read_trials(tmp_path / "pool").values()}
    assert len(processes) == 2  # workers stay
    assert {trial.result["threads"] for trial in read_trials(tmp_path / "pool").values()} == {"1"}


def test_the_same_command_again_runs_nothing_and_a_longer_one_the_rest(tiny: Sweep, tmp_path: Path) -> None:
    before = tiny(*GRID, "sweep.workers=0")
    assert tiny(*GRID, "sweep.workers=0") == before
    longer = tiny("model=patchcore", "model.coreset_ratio=0.02,0.05,0.1", "seed=0,1,2,3", "sweep.workers=0")
    assert len(longer) == 12
    assert set(starts(tmp_path / "sweep").values()) == {1}
    assert {key: longer[key].result for key in before} == {key: before[key].result for key in before}


def test_a_key_left_at_its_default_is_the_same_trial(tiny: Sweep, tmp_path: Path) -> None:
    (first,) = tiny("sweep.workers=0")
    found = tiny("model=patchcore,padim", "seed=0,1", "model.coreset_ratio=0.1", "sweep.workers=0")
    assert len(found) == 4
    assert found[first].setting == {"model": "patchcore", "seed": "0", "model.coreset_ratio": "0.1"}
    assert starts(tmp_path / "sweep")[first] == 1


def test_a_crash_is_recorded_and_the_sweep_goes_on(
    tiny: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    found = tiny("seed=0,1", "+tiny.act=crash,null", "sweep.workers=0", status=1)
    states = [trial.state for trial in found.values()]
    assert sorted(states) == ["complete", "complete", "failed", "failed"]
    for trial in found.values():
        assert ("ZeroDivisionError: on purpose" in trial.error) == (trial.state == "failed")
    assert "FAILED" in capsys.readouterr().out
    tiny(
        "seed=0,1", "+tiny.act=crash,null", "sweep.workers=0", "failures=ok"
    )  # a failed one is tried again, for what was wrong may be mended
    assert sorted(starts(tmp_path / "sweep").values()) == [1, 1, 2, 2]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_trial_out_of_memory_has_half_the_batch_once(tiny: Sweep, tmp_path: Path, workers: int) -> None:
    found = tiny("data.batch_size=12,32", "+tiny.act=memory", f"sweep.workers={workers}", status=1)
    by_size = {trial.setting["data.batch_size"]: trial for trial in found.values()}
    assert (by_size["12"].state, by_size["12"].batch_size) == ("complete", 6)
    assert (by_size["32"].state, by_size["32"].batch_size) == ("failed", 16)
    assert "MemoryError: on purpose" in by_size["32"].error
    assert sorted(starts(tmp_path / "sweep").values()) == [2, 2]


def test_a_worker_that_is_killed_fails_its_own_trial_alone(tiny: Sweep, tmp_path: Path) -> None:
    found = tiny("data.batch_size=8,16,64", "+tiny.act=kill", "sweep.workers=1", status=1)
    states = {trial.setting["data.batch_size"]: (trial.state, trial.batch_size) for trial in found.values()}
    assert states == {"8": ("complete", None), "16": ("complete", 8), "64": ("failed", 32)}
    assert "signal 9" in next(trial.error for trial in found.values() if trial.state == "failed")
    assert sum(starts(tmp_path / "sweep").values()) == 5


def test_a_budget_counts_trials_over_all_commands(tiny: Sweep) -> None:
    space = ("model.coreset_ratio=tag(log,interval(0.01,0.5))", "sweep.search=tpe", "sweep.workers=0")
    assert len(tiny(*space, "sweep.trials=4")) == 4
    assert len(tiny(*space, "sweep.trials=4")) == 4
    assert len(tiny(*space, "sweep.trials=7")) == 7
    assert len(tiny(*GRID, "sweep.trials=2", "sweep.workers=0")) == 9


def test_a_search_in_a_small_space_ends(tiny: Sweep) -> None:
    found = tiny("model.coreset_ratio=0.1,0.2", "sweep.search=random", "sweep.trials=50", "sweep.workers=0")
    assert len(found) == 2


def test_no_trial_starts_after_the_time_is_up(tiny: Sweep) -> None:
    found = tiny("seed=range(0,1000)", "+tiny.sleep=0.2", "sweep.minutes=0.02", "sweep.workers=0")
    assert 0 < len(found) < 20


@pytest.mark.parametrize("workers", [0, 2])
def test_trials_that_fall_behind_end_early(tiny: Sweep, workers: int) -> None:
    ratios = "0.1,0.11,0.12,0.13,0.14,0.15,0.7,0.8,0.9"
    found = tiny(f"model.coreset_ratio={ratios}", "+tiny.epochs=6", "sweep.prune=median", f"sweep.workers={workers}")
    states = {float(trial.setting["model.coreset_ratio"]): trial for trial in found.values()}
    assert {states[ratio].state for ratio in (0.7, 0.8, 0.9)} == {"pruned"}
    assert all(len(states[ratio].values) < 6 for ratio in (0.7, 0.8, 0.9))
    assert states[0.1].state == "complete"
    assert len(states[0.1].values) == 6


def test_pruning_compares_trials_of_the_same_data_alone(tiny: Sweep) -> None:
    """The third data set's trials are all worse than the others', and yet none of them falls behind its own."""
    grid = ("+tiny.epochs=3", "sweep.prune=median", "sweep.workers=0")
    tiny("data.domain=fiber", "model.coreset_ratio=0.1,0.101,0.102,0.103,0.104,0.105", *grid)
    found = tiny("data.domain=oring", "model.coreset_ratio=0.9,0.901,0.902", *grid)
    assert {trial.state for trial in found.values() if trial.setting["data.domain"] == "oring"} == {"complete"}


def test_the_leaderboard_and_the_actions(tiny: Sweep, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = tiny(*GRID, "sweep.workers=0")
    best = max(found.values(), key=lambda trial: trial.objective or 0)
    rows = list(csv.DictReader((tmp_path / "sweep" / "leaderboard.csv").open(encoding="utf-8")))
    assert rows[0]["id"] == best.id
    assert [float(row["objective"]) for row in rows] == sorted((float(row["objective"]) for row in rows), reverse=True)
    assert {row["model.coreset_ratio"] for row in rows} == {"0.02", "0.1"}
    assert "model" not in rows[0]  # it does not differ
    assert best_run(tmp_path / "sweep") == tmp_path / "sweep" / "trials" / best.id
    capsys.readouterr()
    assert main(["sweep", "show", str(tmp_path / "sweep"), "rows=3"]) == 0
    shown = capsys.readouterr().out
    assert best.id in shown
    assert "and 3 more" in shown
    assert main(["sweep", "best", str(tmp_path / "sweep")]) == 0
    assert capsys.readouterr().out.strip().endswith(best.id)
    assert main(["sweep", "best", str(tmp_path / "sweep"), "metric=image_aroc"]) == 2
    assert main(["sweep", "best", str(tmp_path)]) == 2
    assert main(["sweep", "shwo", str(tmp_path)]) == 2
    assert "did you mean 'loupe sweep show" in capsys.readouterr().err


def test_a_sweep_is_resumed_by_its_folder(tiny: Sweep, tmp_path: Path) -> None:
    tiny(*GRID, "sweep.trials=2", "sweep.workers=0", "name=rings")
    moved = tmp_path / "moved"
    (tmp_path / "rings").rename(moved)
    assert main(["sweep", "resume", str(moved), "sweep.trials=null"]) == 0
    assert len(read_trials(moved)) == 6
    assert {record["event"] for record in read_records(moved)} == {"plan", "start", "end"}


def test_lines_of_a_log_are_plain(tiny: Sweep, capsys: pytest.CaptureFixture[str]) -> None:
    tiny(*GRID, "sweep.workers=0")
    shown = capsys.readouterr().out
    assert "\033" not in shown
    assert re.search(r"^ +trial +objective +time +setting$", shown, re.MULTILINE)
    line = r"^ +\d/6  [0-9a-f]{12}  \d\.\d{4} +\d\.\d s  model.coreset_ratio=\S+ seed=\d$"
    assert len(re.findall(line, shown, re.MULTILINE)) == 6


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["sweep.serch=tpe"], "did you mean 'sweep.search'"),
        (["sweep.prune=bad", "seed=1,2"], "one of none, median"),
        (["sweep.workers=-1"], "at least 0"),
        (["sweep.report=some"], "one of best, all, none"),
        (["sweep=nothing.yaml"], "found none at nothing.yaml"),
        (["sweep=defualt"], "did you mean 'default'"),
        (["id=x"], "Expected no id"),
        (["name=a,b"], "Expected one value"),
        (["sweep.gpus=1.5"], "a whole number or a share below 1"),
        (["model.coreset_ratio=interval(0,1)"], "since a grid tries every value"),
    ],
)
def test_mistakes_exit_2_before_anything_is_written(
    args: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    assert main(["sweep", TINY, f"out={tmp_path}", *args]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("choice", groups()["sweep"])
def test_shipped_spaces_can_be_planned(choice: str, tmp_path: Path) -> None:
    plan = read_plan([f"sweep={choice}", f"out={tmp_path}", "seed=3", "model.coreset_ratio=0.1,0.2"])
    assert [axis.choices for axis in plan.axes if axis.key == "model.coreset_ratio"] == [("0.1", "0.2")]
    Composer(plan.axes, plan.base)


def test_a_file_of_ones_own_gives_the_space(tiny: Sweep, tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "space: {seed: '0,1,2', model.coreset_ratio: [0.1, 0.2]}\nworkers: 0\ntrials: 5\n"
    )
    assert len(tiny(f"sweep={tmp_path / 'mine.yaml'}")) == 5
    assert len(tiny(f"sweep={tmp_path / 'mine.yaml'}", "sweep.trials=6", "seed=0")) == 5  # two of these, both known
