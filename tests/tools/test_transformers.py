"""DINOv2 from a file, through PatchCore and Dinomaly, from training to a bundle: seeded random weights stand for it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import timm
import torch
from safetensors.torch import save_file

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.slow

NAME = "vit_small_patch14_reg4_dinov2"
DATA = (
    *("data=synthetic", "data.domain=oring", "data.size=112", "data.good=40", "data.defective=20"),
    *("data.num_workers=0", "data.batch_size=4", "trainer=cpu", "trainer.max_epochs=1", "report=false"),
)
MODELS = {
    "patchcore": ("backbone.layers=[5,8]", "model.bank_size=300"),
    "dinomaly": ("trainer.max_steps=4",),
}


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a folder with DINOv2 small, whole, as timm names it."""
    folder = tmp_path_factory.mktemp("weights")
    torch.manual_seed(0)
    save_file(timm.create_model(NAME, pretrained=False).state_dict(), folder / f"{NAME}.safetensors")
    return folder


@pytest.mark.parametrize(
    "tiling", [("data.image_size=[70,84]",), ("data.image_size=[112,112]", "tiling=hann", "tiling.size=56")]
)
@pytest.mark.parametrize("model", MODELS)
def test_a_run_from_a_file_of_weights_and_its_bundle_judge_alike(
    model: str, tiling: tuple[str, ...], weights: Path, tmp_path: Path
) -> None:
    file = weights / f"{NAME}.safetensors"
    keys = [f"model={model}", "backbone=dinov2_small", f"backbone.weights={file}", *MODELS[model], *DATA, *tiling]
    assert main(["train", *keys, f"data.root={tmp_path / 'drawn'}", f"out={tmp_path}", "name=a", "id=run"]) == 0
    run = tmp_path / "a" / "run"
    origin = json.loads((run / "environment.json").read_text())["weights"]
    assert len(origin["sha256"]) == 64
    assert main(["export", f"run={run}", "pictures=12", "samples=2"]) == 0
    parity = json.loads((run / "bundle" / "parity.json").read_text())
    assert parity["passed"]
    assert not any(form["flips"] for form in parity["forms"])
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert {form["runtime"] for form in spec["forms"]} == {"onnxruntime", "openvino"}
    tested = pd.read_csv(run / "predictions.csv").set_index("image_path")
    source = next((tmp_path / "drawn").iterdir()) / "images"
    spread = np.ptp(tested["score"])
    for runtime in ("onnxruntime", "openvino"):
        out = tmp_path / runtime
        words = [f"bundle={run / 'bundle'}", f"runtime={runtime}", f"source={source}", f"out={out}", "page=0"]
        assert main(["predict", *words]) == 0
        found = pd.read_csv(out / "predictions.csv").set_index("image_path").loc[tested.index]
        assert found["verdict"].tolist() == tested["verdict"].tolist()
        np.testing.assert_allclose(found["score"], tested["score"], atol=2e-4 * spread, rtol=1e-4)


def test_a_folder_of_weights_stands_in_for_the_hub_and_sides_that_cut_a_patch_are_refused(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("LOUPE_WEIGHTS", str(weights))
    keys = ["model=dinomaly", "backbone=dinov2_small", *DATA, f"data.root={tmp_path / 'drawn'}", f"out={tmp_path}"]
    assert main(["train", *keys, "data.image_size=[64,64]"]) != 0
    assert "data.image_size=[70,70]" in capsys.readouterr().err
    assert main(["train", *keys, "data.image_size=[56,56]", "trainer.max_steps=2", "name=a", "id=run"]) == 0
    origin = json.loads((tmp_path / "a" / "run" / "environment.json").read_text())["weights"]
    assert origin["name"].startswith(NAME)
    assert len(origin["sha256"]) == 64
