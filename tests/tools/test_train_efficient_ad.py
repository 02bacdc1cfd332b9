"""EfficientAD through the door: offline at the first try, and calibrated wherever its steps end."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import torch

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


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


def test_the_papers_network_asks_for_its_teacher(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "model=efficient_ad_s"]) == 2
    assert "set model.teacher.weights=VALUE" in capsys.readouterr().err
