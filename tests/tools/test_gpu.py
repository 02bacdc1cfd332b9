"""What only a GPU can show; run by name: ``pytest -m gpu``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]
OPTIONS = ("data.size=128", "data.image_size=[128,128]", "backbone=resnet18", "backbone.weights=none")


def train(out: Path, *overrides: str) -> Path:
    assert main(["train", f"out={out}", "id=it", *OPTIONS, *overrides]) == 0
    return out / "synthetic-fiber-patchcore" / "it"


def test_gpu_and_cpu_agree(tmp_path: Path) -> None:
    on_gpu, on_cpu = train(tmp_path / "gpu"), train(tmp_path / "cpu", "trainer=cpu", f"data.root={tmp_path}/gpu/drawn")
    scores = [pd.read_csv(run / "predictions.csv").set_index("name")["score"] for run in (on_gpu, on_cpu)]
    # Reductions run in another order, and near ties may give another coreset: scores agree, but not to the last digit.
    np.testing.assert_allclose(scores[0], scores[1], rtol=2e-2)
    values = [
        json.loads((run / "metrics.json").read_text())["test"]["image_auroc"]["value"] for run in (on_gpu, on_cpu)
    ]
    assert values[0] == pytest.approx(values[1], abs=0.02)
    environment = json.loads((on_gpu / "environment.json").read_text())
    assert environment["device"] == torch.cuda.get_device_name()


def test_the_same_seed_gives_the_same_numbers_on_a_gpu(tmp_path: Path) -> None:
    first, second = train(tmp_path / "a"), train(tmp_path / "b", f"data.root={tmp_path}/a/drawn")
    assert (first / "metrics.json").read_bytes() == (second / "metrics.json").read_bytes()


def test_a_run_from_a_gpu_is_tested_and_used_on_a_cpu(tmp_path: Path) -> None:
    run = train(tmp_path / "gpu")
    assert main(["test", f"run={run}", f"out={tmp_path / 'cpu'}", "trainer=cpu"]) == 0
    scores = [pd.read_csv(folder / "predictions.csv")["score"] for folder in (run, tmp_path / "cpu")]
    np.testing.assert_allclose(scores[0], scores[1], rtol=1e-3)
