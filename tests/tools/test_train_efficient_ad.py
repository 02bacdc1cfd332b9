"""EfficientAD through the door: offline at the first try, and calibrated wherever its steps end."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.files.fitting import network_input
from datamodules.files.images import read_image
from tools.cli import main
from tools.configuring.config import compose_config
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.distilling import distill_images

if TYPE_CHECKING:
    from pathlib import Path


def test_it_trains_and_is_calibrated_in_the_middle_of_an_epoch(picture_folder: Path, tmp_path: Path) -> None:
    command = [
        *("train", "data=folder", f"data.root={picture_folder}", "data.image_size=[32,32]", "data.batch_size=2"),
        *("data.num_workers=0", "model=efficient_ad", "model.penalty_pictures=4", "trainer=cpu", "trainer.max_steps=3"),
        *(f"out={tmp_path}", "name=run", "id=1", "callbacks.evaluation.resamples=20", "report=false"),
    ]
    assert main(command) == 0
    run = tmp_path / "run" / "1"
    checkpoint = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    assert checkpoint["global_step"] == 3
    assert checkpoint["epoch"] == 0
    assert json.loads((run / "calibration.json").read_text(encoding="utf-8"))["image"]
    assert float(checkpoint["state_dict"]["model.student_scale.low"]) > 0


def test_the_larger_of_the_papers_networks_asks_for_its_teacher(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "model=efficient_ad_m"]) != 0
    asked = capsys.readouterr().err
    assert "make one with loupe distill student=pdn_m, and set model.teacher.weights=FILE or LOUPE_WEIGHTS" in asked


@pytest.mark.procedure
def test_a_teacher_that_two_networks_made_is_found_in_its_folder_and_normalised_on_the_training_images(
    picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "teacher"
    few = {"student": "pdn_s", "rounds": 1, "crops": 2, "batch_size": 2, "held_out_crops": 1, "crop_size": 48}
    config = compose_config("distill", ["data=[]", f"out={folder}", *(f"{key}={few[key]}" for key in few)])
    ships = compose_config("distill", ["teacher=loupe", "teacher.layers=[1,2]", "data=[]", "out=x"]).teacher
    config.teacher = {"networks": {"one": ships, "other": ships}}
    weights = distill_images(config)
    assert weights == folder / "pdn_s.safetensors"
    monkeypatch.setenv("LOUPE_WEIGHTS", str(folder))
    command = [
        *("train", "data=folder", f"data.root={picture_folder}", "data.image_size=[64,64]", "data.batch_size=2"),
        *("data.num_workers=0", "model=efficient_ad_s", "model.penalty_pictures=4", "trainer=cpu"),
        *("trainer.max_steps=2", f"out={tmp_path}", "name=run", "id=1", "report=false"),
    ]
    assert main(command) == 0
    run = tmp_path / "run" / "1"
    origin = json.loads((run / "environment.json").read_text(encoding="utf-8"))["weights"]
    assert origin["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()
    model: Any = restore(read_checkpoint(run / "checkpoints" / "best.ckpt")).model
    samples = pd.read_csv(run / "samples.csv")
    paths = samples["image_path"][(samples["split"] == "train") & (samples["label_index"] == 0)]
    images = torch.from_numpy(np.stack([network_input(read_image(path), 64, 64) for path in paths]))
    with torch.no_grad():
        taught = model.teach(images, model.study(images)[0].shape[-2:])
    torch.testing.assert_close(taught.mean(dim=(0, 2, 3)), torch.zeros(384), atol=1e-3, rtol=0)
    assert (taught.var(dim=(0, 2, 3), correction=0) < 1.01).all()
    assert taught.var(dim=(0, 2, 3), correction=0).median() > 0.99
