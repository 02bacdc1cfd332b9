"""Commands that are killed at random moments: nothing is lost, nothing hangs, and going on leads to the same result.

The slow ones take minutes: ``pytest -m slow tests/faults/test_kills.py``; the seed of their moments is stored beside
them, so that a failure comes again.
"""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pandas as pd
import pytest
import torch

from tests.faults.harness import ROOT, Loupe, Storm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

KILLS = 20
IMAGES = (
    "data=synthetic",
    "data.good=24",
    "data.defective=8",
    "data.size=64",
    "data.image_size=[64,64]",
    "data.batch_size=4",
)
QUICK = (*IMAGES, "data.num_workers=0", "trainer=cpu", "callbacks.evaluation.resamples=20")
TINY = (*QUICK, "callbacks.evaluation.examples=1", "callbacks.evaluation.atlas=0")
LEARNER = ("model=conv_ae_small", "trainer.max_epochs=4")


@pytest.fixture(scope="module")
def loupe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Loupe]:
    with Loupe(tmp_path_factory.mktemp("faults")) as server:
        yield server


@pytest.fixture(scope="module")
def root(loupe: Loupe) -> Path:
    """The folder of drawn images."""
    return loupe.folder / "drawn"


@pytest.fixture(scope="module")
def whole(loupe: Loupe, root: Path) -> Path:
    """A run that nobody touched."""
    assert loupe.run(training(root, "whole")).status == 0
    return loupe.folder / "runs" / "whole"


def training(root: Path, name: str) -> list[str]:
    return ["train", *TINY, *LEARNER, f"data.root={root}", "out=.", "name=runs", f"id={name}"]


def assert_whole(run: Path) -> None:
    """Every file that is there can be read."""
    for path in run.rglob("*.json"):
        json.loads(path.read_text(encoding="utf-8"))
    for path in run.rglob("*.csv"):
        pd.read_csv(path)
    for path in run.glob("checkpoints/*.ckpt"):
        assert "state_dict" in torch.load(path, weights_only=True, mmap=True)


@pytest.mark.parametrize(
    "number", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.slow), signal.SIGKILL]
)
def test_a_training_that_is_ended_says_how_to_go_on_and_does(loupe: Loupe, root: Path, number: signal.Signals) -> None:
    run = loupe.folder / "runs" / number.name
    last = run / "checkpoints" / "last.ckpt"
    ended = loupe.end([*training(root, number.name), "trainer.max_epochs=400"], last, number)
    assert ended.status == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in ended.err
    if number != signal.SIGKILL:
        said = f"loupe train: ended by {number.name}; every whole epoch is kept in {run}; go on with: loupe train"
        assert ended.err.strip().endswith(f"{said} resume={run}")
    assert_whole(run)
    epochs = torch.load(last, weights_only=True)["epoch"] + 1
    config = (run / "config.yaml").read_text().replace("max_epochs: 400", f"max_epochs: {epochs + 1}")
    (run / "config.yaml").write_text(config)  # or it would take all day
    assert loupe.run(["train", f"resume={run}"]).status == 0
    assert torch.load(last, weights_only=True)["epoch"] == epochs
    assert json.loads((run / "environment.json").read_text())["state"] == "finished"
    assert not [path for path in run.rglob(".*") if path.is_file()]


def test_a_lost_loader_ends_the_training_in_a_sentence_and_it_goes_on(loupe: Loupe, root: Path) -> None:
    run = loupe.folder / "runs" / "loader"
    args = [*training(root, run.name), "trainer.max_epochs=400", "data.num_workers=2"]
    ended = loupe.end(args, run / "checkpoints" / "last.ckpt", signal.SIGKILL, child=True)
    assert ended.status == 1
    assert "Expected the processes that load images to live" in ended.err
    assert f"go on with: loupe train resume={run}" in ended.err
    assert "Traceback" not in ended.err
    assert_whole(run)


def test_the_command_itself_ends_as_shells_expect(root: Path, tmp_path: Path) -> None:
    """Without a warm process, from its very beginning."""
    command = [sys.executable, "-m", "tools", *training(root, "cold"), f"out={tmp_path}", "trainer.max_epochs=4000"]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as process:
        history = tmp_path / "runs" / "cold" / "history.csv"
        until = time.monotonic() + 120
        while not history.is_file() and time.monotonic() < until:
            time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 143
    assert err.count("ended by SIGTERM") == 1
    assert "Traceback" not in err


@pytest.mark.slow
def test_trainings(loupe: Loupe, root: Path, whole: Path) -> None:
    seconds = loupe.run(training(root, "timed")).seconds
    storm = Storm(loupe, "train", seconds)
    number = 0
    while storm.tally.tried < KILLS:
        run = loupe.folder / "runs" / f"storm-{number}"
        begun = (run / "config.yaml").is_file()
        if not begun:
            shutil.rmtree(run, ignore_errors=True)
        storm.strike(["train", f"resume={run}"] if begun else training(root, run.name), f"loupe train resume={run}")
        if run.is_dir():
            assert_whole(run)
        if storm.tally.tried % 5 == 0:  # the next one begins with a new run
            storm.tally.lost += finish(loupe, root, run, whole)
            number += 1
    storm.tally.check()


def finish(loupe: Loupe, root: Path, run: Path, whole: Path) -> list[str]:
    """Let a run end, and compare it with one that nobody touched."""
    begun = (run / "config.yaml").is_file()
    if not begun:
        shutil.rmtree(run, ignore_errors=True)
    ended = loupe.run(["train", f"resume={run}"] if begun else training(root, run.name))
    if ended.status:
        return [f"{run.name} did not go on: {ended.err}"]
    names = ("metrics.json", "history.csv", "predictions.csv", "sweep.csv", "calibration.json")
    return [f"{run.name}/{name}" for name in names if (run / name).read_bytes() != (whole / name).read_bytes()]


@pytest.mark.slow
def test_tests(loupe: Loupe, whole: Path) -> None:
    before = {path: path.read_bytes() for path in whole.rglob("*") if path.is_file() and "tests" not in path.parts}
    args = ["test", f"run={whole}"]
    storm = Storm(loupe, "test", loupe.run(args).seconds)
    for number in range(KILLS):
        storm.strike([*args, f"out=tested-{number}"], "the run itself is unchanged")
    last = loupe.run([*args, "out=tested"])
    assert "Same metrics as the run, to the last digit." in last.out
    storm.tally.lost += [str(path) for path, content in before.items() if path.read_bytes() != content]
    storm.tally.check()


@pytest.mark.slow
def test_predictions(loupe: Loupe, root: Path, whole: Path) -> None:
    args = ["predict", f"run={whole}", f"source={next(root.iterdir())}/images", "overlay=all", "mask=all", "errors=ok"]
    first = loupe.run([*args, "out=judged"])
    assert first.status == 0, first.err
    expected = pd.read_csv(loupe.folder / "judged" / "predictions.csv").sort_values("image_path", ignore_index=True)
    storm = Storm(loupe, "predict", first.seconds)
    for number in range(KILLS):
        out = f"judged-{number // 4}"
        storm.strike([*args, f"out={out}"], "the same command with out=")
        if number % 4 == 3:
            assert loupe.run([*args, f"out={out}"]).status == 0
            found = pd.read_csv(loupe.folder / out / "predictions.csv").sort_values("image_path", ignore_index=True)
            storm.tally.lost += [] if found.equals(expected) else [f"{out}/predictions.csv"]
    storm.tally.check()


@pytest.mark.slow
def test_exports(loupe: Loupe, whole: Path) -> None:
    args = ["export", f"run={whole}", "pictures=4", "samples=2"]
    storm = Storm(loupe, "export", loupe.run([*args, "out=bundle"]).seconds)
    for number in range(KILLS):
        out = loupe.folder / f"bundle-{number}"
        storm.strike([*args, f"out={out}"], "no bundle was written")
        if out.is_dir():
            storm.tally.lost += [] if (out / "SHA256SUMS").is_file() or any(out.glob("*sum*")) else [str(out)]
    assert loupe.run([*args, "out=bundle-last"]).status == 0
    assert loupe.run(["predict", "bundle=bundle-last", "source=bundle-last/samples", "out=exported"]).status == 0
    storm.tally.check()


@pytest.mark.slow
def test_distillations(loupe: Loupe) -> None:
    args = ["distill", "student=pdn_s", "teacher=loupe", "teacher.layers=[2,3]", "data=[]", "rounds=4", "crops=8"]
    args += ["crop_size=64", "passes=1", "batch_size=4", "held_out_crops=4", "device=cpu"]
    first = loupe.run([*args, "out=taught"])
    assert first.status == 0, first.err
    weights = (loupe.folder / "taught" / "pdn_s.safetensors").read_bytes()
    storm = Storm(loupe, "distill", first.seconds)
    for number in range(KILLS):
        out = f"taught-{number // 4}"
        storm.strike([*args, f"out={out}"], "the same command goes on")
        if number % 4 == 3:
            assert loupe.run([*args, f"out={out}"]).status == 0
            found = (loupe.folder / out / "pdn_s.safetensors").read_bytes()
            storm.tally.lost += [] if found == weights else [f"{out}/pdn_s.safetensors"]
    storm.tally.check()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_sweeps(loupe: Loupe, root: Path, workers: int) -> None:
    args = ["sweep", *TINY, "model=conv_ae_small", "trainer.max_epochs=2", f"data.root={root}", "out=."]
    args += ["seed=0,1,2", f"sweep.workers={workers}", "sweep.report=none"]
    first = loupe.run([*args, f"name=swept-{workers}"])
    assert first.status == 0, first.err
    expected = objectives(loupe.folder / f"swept-{workers}")
    storm = Storm(loupe, f"sweep, {workers} at a time", first.seconds)
    for number in range(KILLS // 2):
        name = f"swept-{workers}-{number // 5}"
        storm.strike([*args, f"name={name}"], "loupe sweep resume")
        if number % 5 == 4:
            assert loupe.run([*args, f"name={name}"]).status == 0
            storm.tally.lost += [] if objectives(loupe.folder / name) == expected else [name]
    storm.tally.check()


def objectives(folder: Path) -> list[tuple[int, float]]:
    table = pd.read_csv(folder / "leaderboard.csv")
    return sorted(zip(table["seed"].tolist(), table["objective"].tolist(), strict=True))
