"""Trainings that are ended and go on: the same figures to the last bit as those that nobody touched."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest
import torch
from lightning import Callback
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from callbacks.decisions.calibration import Calibration
from models.conv_ae import ConvAutoencoder
from tools.cli import main
from tools.configuring.config import compose_config
from tools.runs import repeating
from tools.runs.ownership import owned
from tools.runs.resuming import is_longer
from tools.runs.training import train
from tools.signals import Interrupted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning import LightningModule, Trainer

SMALL = [
    "data=synthetic",
    "data.good=24",
    "data.defective=8",
    "data.size=64",
    "data.image_size=[64,64]",
    "data.batch_size=4",
    "data.num_workers=0",
    "data.augment=[{_target_: torchvision.transforms.v2.RandomHorizontalFlip}]",
    "trainer=cpu",
    "trainer.max_epochs=4",
    "callbacks.evaluation.resamples=20",
    "callbacks.evaluation.examples=1",
    "callbacks.epoch_pictures.every=1",
    "callbacks.epoch_pictures.budget=null",
    "report=false",
]
MORE = ["data.good=40", "data.defective=24", "data.batch_size=8"]  # parts with defects in every split
MODELS = {
    "conv_ae": ["model=conv_ae_small", "model.dropout=0.3"],
    "efficient_ad": ["model=efficient_ad", "model.penalty_pictures=8"],
    "mask_rcnn": ["model=mask_rcnn", "model.lr_step=2", *MORE],
    "unet": ["model=unet", *MORE],
}


class EndAt(Callback):
    """Ends a training as a signal does: at the beginning of an epoch, within it, or in the test (None)."""

    def __init__(self, epoch: int | None, batch: int) -> None:
        self.epoch, self.batch = epoch, batch

    def on_train_batch_start(self, trainer: Trainer, pl_module: LightningModule, batch: Any, batch_idx: int) -> None:
        del pl_module, batch
        if (trainer.current_epoch, batch_idx) == (self.epoch, self.batch):
            raise Interrupted(15)

    def on_test_batch_start(self, *args: Any) -> None:
        del args
        if self.epoch is None:
            raise Interrupted(15)


def ended(keys: Sequence[str], out: Path, epoch: int | None, batch: int = 0) -> Path:
    """Train until the end comes; return the run."""
    config = compose_config("train", [*keys, f"out={out}", "name=runs", f"id=ended-{epoch}-{batch}"])
    with pytest.raises(Interrupted):
        train(config, [EndAt(epoch, batch)])
    return out / "runs" / f"ended-{epoch}-{batch}"


def files(run: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def scalars(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run / "tensorboard"), purge_orphaned_data=False).Reload()
    found = {tag: [(one.step, one.value) for one in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    pictures = {tag: [(one.step, 0.0) for one in events.Images(tag)] for tag in events.Tags()["images"]}
    return found | pictures


def bookkeeping(checkpoint: dict[str, Any]) -> list[tuple[str, str]]:
    """What decides about the best epoch and an early end, without places."""
    wanted = ("wait_count", "stopped_epoch", "best_score", "best_model_score", "current_score", "kth_value")
    states = checkpoint["callbacks"].items()
    return [(key.split("{")[0] + name, str(state.get(name))) for key, state in states for name in wanted]


def assert_alike(run: Path, other: Path) -> None:
    assert (run / "metrics.json").read_bytes() == (other / "metrics.json").read_bytes()
    assert (run / "predictions.csv").read_bytes() == (other / "predictions.csv").read_bytes()
    assert (run / "history.csv").read_bytes() == (other / "history.csv").read_bytes()
    assert scalars(run) == scalars(other)
    for name in ("best", "last"):
        one, two = (torch.load(where / "checkpoints" / f"{name}.ckpt", weights_only=True) for where in (run, other))
        assert one["epoch"] == two["epoch"]
        assert one["global_step"] == two["global_step"]
        for key, value in one["state_dict"].items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, two["state_dict"][key]), (name, key)
        assert str(one["optimizer_states"]) == str(two["optimizer_states"])
        assert str(one["lr_schedulers"]) == str(two["lr_schedulers"])
        assert bookkeeping(one) == bookkeeping(two)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def unbroken(model: str, drawn: Path) -> tuple[list[str], Path]:
    """Train a model without an end; return the keys of the training, and its run."""
    keys = [*SMALL, *MODELS[model], f"data.root={drawn / model}"]
    assert main(["train", *keys, f"out={drawn}", "name=runs", "id=unbroken"]) == 0
    return keys, drawn / "runs" / "unbroken"


@pytest.fixture(scope="module")
def autoencoder(drawn: Path) -> tuple[list[str], Path]:
    """Keys of the training of an autoencoder, and its run."""
    return unbroken("conv_ae", drawn)


def check_that_it_goes_on(keys: Sequence[str], whole: Path, out: Path, epoch: int | None, batch: int) -> None:
    run = ended(keys, out, epoch, batch)
    assert json.loads((run / "environment.json").read_text())["state"] == ("testing" if epoch is None else "training")
    assert main(["train", f"resume={run}"]) == 0
    assert_alike(run, whole)
    environment = json.loads((run / "environment.json").read_text())
    assert environment["state"] == "finished"
    assert len(environment["resumed"]) == 1


@pytest.mark.parametrize(("epoch", "batch"), [(2, 0), (2, 1), (0, 1), (None, 0)])
def test_a_resumed_autoencoder_equals_an_unbroken_one(
    autoencoder: tuple[list[str], Path], epoch: int | None, batch: int, tmp_path: Path
) -> None:
    check_that_it_goes_on(*autoencoder, tmp_path, epoch, batch)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["efficient_ad", "mask_rcnn", "unet"])
def test_every_kind_of_training_goes_on(model: str, tmp_path: Path) -> None:
    keys, whole = unbroken(model, tmp_path)
    check_that_it_goes_on(keys, whole, tmp_path, 2, 1)
    check_that_it_goes_on(keys, whole, tmp_path, None, 0)


@pytest.mark.slow
def test_the_number_of_loading_processes_changes_nothing(autoencoder: tuple[list[str], Path], tmp_path: Path) -> None:
    keys, whole = autoencoder
    run = ended([*keys, "data.num_workers=2"], tmp_path, 2, 1)
    assert main(["train", f"resume={run}", "data.num_workers=1"]) == 0
    assert_alike(run, whole)


def test_a_run_that_was_moved_goes_on_where_it_is(autoencoder: tuple[list[str], Path], tmp_path: Path) -> None:
    keys, whole = autoencoder
    run = ended(keys, tmp_path, 3, 0)
    moved = tmp_path / "elsewhere" / "runs" / "again"
    moved.parent.mkdir(parents=True)
    run.rename(moved)
    assert main(["train", f"resume={moved}", f"out={moved.parent.parent}"]) == 0
    assert_alike(moved, whole)
    assert not run.exists()


def test_a_training_can_be_made_longer(autoencoder: tuple[list[str], Path], tmp_path: Path) -> None:
    keys, whole = autoencoder
    run = ended([*keys, "trainer.max_epochs=2"], tmp_path, None)
    assert main(["train", f"resume={run}", "trainer.max_epochs=4"]) == 0
    assert_alike(run, whole)


def test_a_finished_run_says_so_and_changes_nothing(
    autoencoder: tuple[list[str], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    _, whole = autoencoder
    before = files(whole)
    assert main(["train", f"resume={whole}"]) == 0
    assert f"{whole} is finished; nothing was changed." in capsys.readouterr().out
    assert files(whole) == before


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["model.dropout=0.1"], "Expected model.dropout to stay as the run has it"),
        (["data=folder"], "Expected data to stay"),
        (["seed=3"], "Expected seed to stay"),
        (["trainer.max_epochs=1"], "Expected trainer.max_epochs to be at least that of the run, 4, but found 1"),
        (["trainer.max_epochs=many"], "a whole number"),
        (["out=/elsewhere"], "in its own folder"),
        (["+data.more=1"], "Expected data.more to stay"),
        (["resume=null"], "but found null"),
        (["trainer.max_steps=10"], "Expected trainer.max_steps to be at least that of the run, -1, but found 10"),
    ],
)
def test_what_would_make_another_run_is_refused(
    autoencoder: tuple[list[str], Path], keys: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", f"resume={autoencoder[1]}", *keys]) == 2
    assert words in capsys.readouterr().err


@pytest.mark.parametrize(
    ("now", "before", "longer"),
    [((4, -1), (4, -1), False), ((5, -1), (4, -1), True), ((4, -1), (4, 30), True), ((4, 31), (4, 30), True)],
)
def test_what_makes_a_training_longer(now: tuple[int, int], before: tuple[int, int], longer: bool) -> None:
    names = ("max_epochs", "max_steps")
    assert is_longer(dict(zip(names, now, strict=True)), dict(zip(names, before, strict=True))) == longer


def test_what_another_verb_wrote_is_no_training(
    autoencoder: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tested = tmp_path / "tested"
    assert main(["test", f"run={autoencoder[1]}", f"out={tested}"]) == 0
    before = files(tested)
    assert main(["train", f"resume={tested}"]) == 2
    assert "to be the run of a training" in capsys.readouterr().err
    assert files(tested) == before


def test_a_training_that_lost_patience_is_over(
    autoencoder: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys, _ = autoencoder
    monkeypatch.setattr(ConvAutoencoder, "patience", 1)
    monkeypatch.setattr(Calibration, "objective", lambda _: 0.5)  # never better
    run = ended([*keys, "trainer.max_epochs=9"], tmp_path, None)
    epochs = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 1
    assert epochs == 2
    assert main(["train", f"resume={run}", "trainer.max_epochs=20"]) == 0
    assert torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)["epoch"] + 1 == epochs
    whole = [*keys, "trainer.max_epochs=9", f"out={tmp_path}", "name=runs", "id=whole"]
    assert main(["train", *whole]) == 0
    halfway = ended([*keys, "trainer.max_epochs=9"], tmp_path, 1)
    assert main(["train", f"resume={halfway}"]) == 0
    assert_alike(halfway, tmp_path / "runs" / "whole")


def test_there_must_be_a_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", f"resume={tmp_path}"]) == 2
    assert f"found none at {tmp_path}" in capsys.readouterr().err


def test_images_that_changed_or_vanished_are_named(
    autoencoder: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    keys, _ = autoencoder
    shutil.copytree(next(key for key in keys if key.startswith("data.root=")).partition("=")[2], tmp_path / "own")
    run = ended([*keys, f"data.root={tmp_path / 'own'}"], tmp_path, 2)
    paths = pd.read_csv(run / "samples.csv")["image_path"]
    Path(paths[0]).unlink()
    shutil.copy(paths[2], paths[1])
    before = files(run)
    assert main(["train", f"resume={run}"]) == 1
    shown = capsys.readouterr().err
    assert "but 2 of them changed or vanished, for example" in shown
    assert "Traceback" not in shown
    assert files(run) == before


def test_a_damaged_checkpoint_is_named(
    autoencoder: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ended(autoencoder[0], tmp_path, 2)
    last = run / "checkpoints" / "last.ckpt"
    last.write_bytes(last.read_bytes()[:1000])
    assert main(["train", f"resume={run}"]) == 2
    assert f"Expected {last} to be a whole checkpoint" in capsys.readouterr().err


def test_a_run_at_work_is_left_alone(
    autoencoder: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ended(autoencoder[0], tmp_path, 2)
    with owned(run):
        before = files(run)
        assert main(["train", f"resume={run}"]) == 2
        assert files(run) == before
    assert f"process {os.getpid()} is at work on it" in capsys.readouterr().err


def test_verbs_warn_of_an_unfinished_run_and_export_refuses_it(
    autoencoder: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ended(autoencoder[0], tmp_path, 2)
    images = pd.read_csv(run / "samples.csv")["image_path"]
    warned = f"{run} is not finished: its training was stopped, or runs now; go on with: loupe train resume={run}"
    assert main(["predict", f"run={run}", f"source={images[0]}", f"out={tmp_path / 'judged'}"]) == 0
    assert warned in capsys.readouterr().err
    assert main(["test", f"run={run}", f"out={tmp_path / 'tested'}"]) == 0
    assert warned in capsys.readouterr().err
    assert main(["export", f"run={run}"]) == 2
    assert f"{warned}, or export it as it is with unfinished=true." in capsys.readouterr().err
    assert not (run / "bundle").exists()


def test_a_run_that_was_tested_but_not_finished_is_compared_with_a_warning(
    autoencoder: tuple[list[str], Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, whole = autoencoder
    other = tmp_path / "other"
    shutil.copytree(whole, other)
    environment = json.loads((other / "environment.json").read_text())
    (other / "environment.json").write_text(json.dumps({**environment, "state": "testing"}))
    assert main(["compare", str(whole), str(other), f"out={tmp_path}", "resamples=20"]) == 0
    assert f"{other} is not finished: its test was stopped" in capsys.readouterr().err


@pytest.mark.parametrize("epoch", [0, None])
def test_what_learns_in_one_pass_begins_anew_or_ends_its_test(epoch: int | None, drawn: Path, tmp_path: Path) -> None:
    keys = [*SMALL, "model=patchcore", "backbone=resnet18", "backbone.weights=none", f"data.root={drawn / 'one_pass'}"]
    assert main(["train", *keys, f"out={tmp_path}", "name=runs", "id=whole"]) == 0
    run = ended(keys, tmp_path, epoch)
    assert main(["train", f"resume={run}"]) == 0
    assert (run / "metrics.json").read_bytes() == (tmp_path / "runs" / "whole" / "metrics.json").read_bytes()
    assert (run / "history.csv").read_bytes() == (tmp_path / "runs" / "whole" / "history.csv").read_bytes()


def test_repeats_go_on_within_the_part_that_was_ended(
    autoencoder: tuple[list[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = [*autoencoder[0], "repeat=2", "trainer.max_epochs=2", f"out={tmp_path}", "name=runs"]
    assert main(["train", *keys, "id=whole"]) == 0
    ends = iter([None, EndAt(1, 0)])
    monkeypatch.setattr(
        repeating, "train", lambda config, overrides: train(config, [one] if (one := next(ends)) else [], overrides)
    )
    assert main(["train", *keys, "id=ended"]) == 143
    run, whole = tmp_path / "runs" / "ended", tmp_path / "runs" / "whole"
    first = (run / "seed-0" / "metrics.json").stat().st_mtime_ns
    assert json.loads((run / "environment.json").read_text())["state"] == "training"
    monkeypatch.undo()
    assert main(["train", f"resume={run}"]) == 0
    assert (run / "seed-0" / "metrics.json").stat().st_mtime_ns == first
    assert (run / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert json.loads((run / "environment.json").read_text())["state"] == "finished"
    assert_alike(run / "seed-1", whole / "seed-1")
