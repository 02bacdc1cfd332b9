"""TensorBoard over a sweep: each trial once, under a name that says what sets it apart, however the sweep grows."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata
from torch.utils.tensorboard import SummaryWriter

from tools.cli import main
from tools.sweeps.events import gather_events, short_keys, trial_names
from tools.sweeps.journal import Trial, read_trials
from tools.sweeps.leaderboard import Leaderboard

if TYPE_CHECKING:
    from pathlib import Path


def trial(name: str, state: str = "complete", **setting: str) -> Trial:
    keys = {key.replace("__", "."): value for key, value in setting.items()}
    result = {"objective": 0.9, "metrics": {"image_auroc": {"value": 0.8}}, "checkpoint_mib": 1.5}
    return Trial(name, state, keys, "d", result, [], 1.0, "", None)  # type: ignore[arg-type]  # one of the three


def write_events(folder: Path, name: str, tag: str, suffix: str = "") -> None:
    with SummaryWriter(str(folder / "trials" / name / "tensorboard"), filename_suffix=suffix) as writer:
        writer.add_scalar(tag, 0.5, 1)


def runs_of(folder: Path) -> dict[str, EventAccumulator]:
    """Every folder with events below a sweep, as TensorBoard names runs."""
    places = sorted({path.parent for path in folder.rglob("events*")})
    return {str(place.relative_to(folder)): EventAccumulator(str(place)).Reload() for place in places}


def row(events: EventAccumulator) -> dict[str, str]:
    content = events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    return {key: value.string_value or f"{value.number_value:g}" for key, value in info.hparams.items()}


def test_each_trial_is_there_once_and_a_longer_sweep_renames_it(tmp_path: Path) -> None:
    first = [trial("a", seed="0", model__lr="0.1"), trial("b", seed="1", model__lr="0.1")]
    for one in first:
        write_events(tmp_path, one.id, "train/loss")
    gather_events(Leaderboard.of(first), tmp_path)
    assert set(runs_of(tmp_path)) == {"tensorboard/seed=0", "tensorboard/seed=1"}
    grown = [*first, trial("c", seed="0", model__lr="0.2"), trial("d", "failed", seed="1", model__lr="0.2")]
    write_events(tmp_path, "c", "train/loss")
    for _ in range(2):  # the second time nothing changes
        gather_events(Leaderboard.of(grown), tmp_path)
        found = runs_of(tmp_path)
        assert set(found) == {f"tensorboard/seed={seed},lr={lr}" for seed, lr in ((0, 0.1), (1, 0.1), (0, 0.2))}
        assert row(found["tensorboard/seed=0,lr=0.2"]) == {"seed": "0", "model.lr": "0.2"}
        for events in found.values():
            assert events.Tags()["scalars"].count("train/loss") == 1
            assert [event.value for event in events.Scalars("sweep/objective")] == pytest.approx([0.9])


def test_what_is_right_already_is_left_alone_and_needs_no_torch(tmp_path: Path) -> None:
    trials = [trial("a", x="1"), trial("b", x="2")]
    write_events(tmp_path, "a", "train/loss")
    gather_events(Leaderboard.of(trials), tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")}
    gather_events(Leaderboard.of(trials), tmp_path)
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*")} == before
    code = "import sys, tools.sweeps.events; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_names_may_change_places(tmp_path: Path) -> None:
    trials = [trial("a", x="1"), trial("b", x="2")]
    for one in trials:
        write_events(tmp_path, one.id, f"of/{one.id}")
    gather_events(Leaderboard.of(trials), tmp_path)
    gather_events(Leaderboard.of([trial("a", x="2"), trial("b", x="1")]), tmp_path)
    assert {name: events.Tags()["scalars"][0] for name, events in runs_of(tmp_path).items()} == {
        "tensorboard/x=2": "of/a",
        "tensorboard/x=1": "of/b",
    }


def test_a_page_that_is_written_later_adds_its_test_once(tmp_path: Path) -> None:
    trials = [trial("a", x="1"), trial("b", x="2")]
    for one in trials:
        write_events(tmp_path, one.id, "train/loss")
        write_events(tmp_path, one.id, "test/image_auroc", ".test")
    gather_events(Leaderboard.of(trials), tmp_path)
    write_events(tmp_path, "a", "test/image_auroc", ".test")
    gather_events(Leaderboard.of(trials), tmp_path)
    events = runs_of(tmp_path)["tensorboard/x=1"]
    assert len(events.Scalars("test/image_auroc")) == len(events.Scalars("train/loss")) == 1


def test_names_are_short_and_differ_and_can_be_folders() -> None:
    assert short_keys(["model", "model.lr", "data.root", "zoom.root"]) == {
        "model": "model",
        "model.lr": "lr",
        "data.root": "data.root",
        "zoom.root": "zoom.root",
    }
    alike = [
        trial("a", data__root="/x/plates"),
        trial("b", data__root="/y/plates"),
        trial("c", data__root="'/z/o ring/'"),
    ]
    assert trial_names(alike, ["data.root"]) == {"a": "root=plates,a", "b": "root=plates,b", "c": "root=o_ring"}
    assert trial_names([trial("a", seed="0")], []) == {"a": "a"}
    long = [trial("a", x="y" * 300), trial("b", x="y" * 300)]
    assert len({*trial_names(long, ["x"]).values()}) == 2


def test_a_sweep_that_trains_shows_its_trials_by_what_differs(tmp_path: Path) -> None:
    drawn = ("data=synthetic", "data.size=64", "data.image_size=[64,64]", "data.good=30", "data.defective=14")
    keys = (
        *drawn,
        "model=conv_ae_small",
        "trainer=cpu",
        "trainer.max_epochs=2",
        "data.num_workers=0",
        "callbacks.evaluation.resamples=10",
        "callbacks.evaluation.examples=1",
        "callbacks.evaluation.atlas=0",
        f"data.root={tmp_path / 'd'}",
    )
    own = (f"out={tmp_path}", "name=s", "sweep.workers=0", "sweep.cpus=1")
    assert main(["sweep", *keys, *own, "model.learning_rate=0.001,0.01"]) == 0
    found = runs_of(tmp_path / "s")
    assert set(found) == {"tensorboard/learning_rate=0.001", "tensorboard/learning_rate=0.01"}
    for events in found.values():
        tags = events.Tags()["scalars"]
        assert len(events.Scalars("test/image_auroc")) == 1
        assert [event.step for event in events.Scalars("train/loss")] == [1, 2]
        assert "sweep/objective" in tags
    best = max(read_trials(tmp_path / "s").values(), key=lambda one: one.objective or 0)
    shown = json.loads((tmp_path / "s" / "tensorboard" / "trials.json").read_text())[best.id]["name"]
    assert (
        "test/miss" in found[f"tensorboard/{shown}"].Tags()["images"]
        or "test/hit" in found[f"tensorboard/{shown}"].Tags()["images"]
    )
