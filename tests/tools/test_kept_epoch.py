"""The kept epoch, from the checkpoint to the terminal, metrics.json, the report, TensorBoard and a bundle's card."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

TINY = (
    *("train", "model=conv_ae_small", "data=folder", "data.image_size=[48,48]", "data.num_workers=0", "trainer=cpu"),
    *(
        "data.batch_size=4",
        "callbacks.evaluation.resamples=20",
        "callbacks.evaluation.examples=2",
        "trainer.max_epochs=4",
    ),
)


def plates(root: Path, defective: int) -> Path:
    """Draw 16 noisy plates, and some with a pit."""
    rng = np.random.default_rng(0)
    for index in range(16 + defective):
        plate = rng.normal(110, 8, (48, 48)).clip(0, 255).astype(np.uint8)
        name = "good" if index < 16 else "pit"
        if name == "pit":
            y, x = rng.integers(4, 36, 2)
            plate[y : y + 8, x : x + 8] = 235
        (root / name).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / name / f"{index}.png"), plate)
    return root


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    root = plates(out / "plates", 8)
    assert main([*TINY, f"data.root={root}", f"out={out}", "id=four", "model.learning_rate=0.003"]) == 0
    return out / "folder-conv_ae_small" / "four"


def test_all_that_names_the_kept_epoch_agrees_with_the_checkpoint(run: Path) -> None:
    kept = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] + 1
    last = torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
    assert last["epoch"] == 3
    assert last["optimizer_states"]
    history = pd.read_csv(run / "history.csv", index_col="epoch")
    assert history.index.tolist() == [1, 2, 3, 4]
    objective = history["calibration/objective"]
    assert kept == objective[objective == objective.max()].index[-1]
    training = json.loads((run / "metrics.json").read_text())["training"]
    assert (training["epochs"], training["kept_epoch"]) == (4, kept)
    assert training["value"] == pytest.approx(objective.max())
    page = (run / "report" / "index.html").read_text(encoding="utf-8")
    assert f"Kept epoch {kept} of 4" in page
    assert f"epoch {kept} kept" in page


def test_tensorboard_has_one_clock(run: Path) -> None:
    events = EventAccumulator(
        str(run / "tensorboard"), size_guidance={"images": 0, "tensors": 0, "scalars": 0}
    ).Reload()
    tags, epochs = events.Tags(), [1, 2, 3, 4]
    kept = [json.loads((run / "metrics.json").read_text())["training"]["kept_epoch"]]
    for tag in tags["scalars"]:
        found = events.Scalars(tag)
        assert [event.step for event in found] == (kept if tag.startswith("test/") else epochs), tag
        assert np.isfinite([event.value for event in found]).all(), tag
    for tag in tags["images"]:
        steps = [event.step for event in events.Images(tag)]
        assert steps == (kept if tag.startswith("test/") else epochs), tag
    assert [event.step for event in events.Tensors("calibration/image")] == epochs
    assert {"calibration/miss", "calibration/false_alarm", "calibration/confusion", "test/confusion"} <= {
        *tags["images"]
    }
    assert len(tags["images"]) < 16  # one for each category, none for each image
    assert "epoch" not in tags["scalars"]


def test_a_row_of_the_hparams_tab_holds_what_was_set_and_no_class_paths(run: Path) -> None:
    chosen = hparams(run / "tensorboard")
    assert (chosen["model"], chosen["data"], chosen["model.learning_rate"], chosen["trainer"]) == (
        "conv_ae_small",
        "folder",
        0.003,
        "cpu",
    )
    assert "[48,48]" in str(chosen["data.image_size"])
    assert not any("_target_" in key or key in {"out", "id", "seed"} for key in chosen)


def hparams(folder: Path) -> dict[str, str | float]:
    """Read the one row that a folder of events holds."""
    from tensorboard.plugins.hparams import metadata  # noqa: PLC0415

    events = EventAccumulator(str(folder)).Reload()
    content = events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
    info = metadata.parse_session_start_info_plugin_data(content)
    return {key: getattr(value, str(value.WhichOneof("kind"))) for key, value in info.hparams.items()}


def test_testing_again_tells_the_same_and_another_epoch_nothing(
    run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["test", f"run={run}", f"out={tmp_path / 'best'}"]) == 0
    assert "Same metrics as the run, to the last digit" in capsys.readouterr().out
    assert "Learning curve" in (tmp_path / "best" / "report" / "index.html").read_text(encoding="utf-8")
    assert main(["test", f"run={run / 'checkpoints' / 'last.ckpt'}", f"out={tmp_path / 'last'}", "report=false"]) == 0
    assert "training" not in json.loads((tmp_path / "last" / "metrics.json").read_text())
    tags = EventAccumulator(str(tmp_path / "last" / "tensorboard")).Reload().Tags()
    assert "test/image_auroc" in tags["scalars"]  # numbers are written in any case
    assert hparams(tmp_path / "last" / "tensorboard")["model.learning_rate"] == 0.003


def test_a_bundle_names_it_on_its_card(run: Path, tmp_path: Path) -> None:
    assert main(["export", f"run={run}", f"out={tmp_path / 'b'}", "pictures=6", "samples=2"]) == 0
    training = json.loads((run / "metrics.json").read_text())["training"]
    card = (tmp_path / "b" / "MODEL_CARD.md").read_text()
    assert training["reason"] in card
    spec = json.loads((tmp_path / "b" / "spec.json").read_text())
    assert spec["made"]["epoch"] == training["kept_epoch"]


def test_a_network_that_stands_still_is_said_to_loudly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plates(tmp_path / "plates", 8)
    assert (
        main([*TINY, f"data.root={root}", f"out={tmp_path}", "id=still", "model.learning_rate=1e-12", "report=false"])
        == 0
    )
    training = json.loads((tmp_path / "folder-conv_ae_small" / "still" / "metrics.json").read_text())["training"]
    assert training["learned"] is False
    assert "THE NETWORK DID NOT LEARN: " in capsys.readouterr().out


def test_where_calibration_cannot_rank_no_objective_is_logged_and_the_last_epoch_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = plates(tmp_path / "plates", 0)
    assert main([*TINY, f"data.root={root}", f"out={tmp_path}", "id=good", "report=false"]) == 0
    run = tmp_path / "folder-conv_ae_small" / "good"
    assert "Kept epoch 4 of 4, the last: without good and defective calibration images" in capsys.readouterr().out
    assert "calibration/objective" not in pd.read_csv(run / "history.csv").columns
    tags = EventAccumulator(str(run / "tensorboard")).Reload().Tags()
    assert "calibration/objective" not in tags["scalars"]
    assert torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)["epoch"] == 3


def test_a_model_of_one_pass_has_no_epochs_to_speak_of(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = plates(tmp_path / "plates", 8)
    options = [option for option in TINY if not option.startswith(("model=", "trainer.max_epochs"))]
    network = ("model=patchcore", "backbone=resnet18", "backbone.weights=none", "report=false")
    assert main([*options, *network, f"data.root={root}", f"out={tmp_path}", "id=one"]) == 0
    run = tmp_path / "folder-patchcore" / "one"
    assert "epoch" not in capsys.readouterr().out.lower()
    assert "training" not in json.loads((run / "metrics.json").read_text())
    events = EventAccumulator(str(run / "tensorboard")).Reload()
    assert [image.step for image in events.Images("calibration/confusion")] == [1]
    assert [event.step for event in events.Scalars("test/image_auroc")] == [1]  # without a page, too
    assert hparams(run / "tensorboard")["model"] == "patchcore"
