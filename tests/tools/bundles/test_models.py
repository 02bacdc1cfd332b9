"""Every model of ``configs/model`` leaves the house: trained for a moment, exported, and judged by its bundle."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from callbacks.decisions.calibration import calibration_of
from tools.cli import main
from tools.configuring.config import groups
from tools.runner import Bundle
from tools.runs.checkpoint import read_checkpoint, restore

DATA = (
    *("data=synthetic", "data.domain=oring", "data.size=64", "data.image_size=[64,64]", "data.num_workers=0"),
    *("data.good=520", "data.defective=380", "data.batch_size=8", "callbacks.evaluation.resamples=10"),
    *("callbacks.evaluation.atlas=0", "trainer=cpu", "trainer.max_epochs=1", "trainer.max_steps=8"),
)
NEEDS = {  # what a model needs beside, to be small and to need no file
    "dinomaly": ("backbone=dinov2_small", "backbone.layers=[0,1]", "backbone.weights=none", "data.image_size=[56,56]"),
    "efficient_ad_s": ("model.teacher.weights=none",),
    "efficient_ad_m": ("model.teacher.weights=none",),
    "mask_rcnn": ("model.limit=10",),
    "hybrid": ("model.inspection.limit=10",),
}
STAY = {"do2mr", "lei", "do2mr_lei"}  # they find zones on every image: export says so, and predict judges by the run

TIES = {
    "patchcore_sizes": 0.01
}  # share of images whose worst patch, or its match, ties with another in one of the sizes
OWN = {"layered"}  # its test compares every cell with its own array, which neither a bundle nor predict sees

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def parts_of(model: str, root: Path, out: Path) -> tuple[str, ...]:
    """Train a run that marks pixels for both parts of a chain, if the model is one."""
    if model != "metallography":
        return ()
    small = ("model=unet", "model.width=4", "model.depth=2", f"data.root={root}", f"out={out}", "name=a", "id=part")
    assert main(["train", *DATA, *small]) == 0
    return f"model.inclusions={out / 'a' / 'part'}", f"model.boundaries={out / 'a' / 'part'}"


def export(model: str, root: Path, out: Path, *more: str) -> Path:
    options = [
        f"model={model}",
        *DATA,
        *NEEDS.get(model, ()),
        *parts_of(model, root, out),
        f"data.root={root}",
        f"out={out}",
        "name=a",
        "id=run",
        *more,
    ]
    assert main(["train", *options]) == 0
    run = out / "a" / "run"
    assert main(["export", f"run={run}", "pictures=32", "samples=2"]) == 0
    return run


def judged_alone(run: Path, tested: pd.DataFrame) -> pd.DataFrame:
    """What ``loupe predict`` says of the images of a test."""
    folder, out = Path(tested["image_path"].iloc[0]).parent, run.parent / "alone"
    assert main(["predict", f"run={run}", f"source={folder}", f"out={out}", "overlay=none"]) == 0
    found = pd.read_csv(out / "predictions.csv").set_index("image_path")
    return found.loc[tested["image_path"]].reset_index()


def assert_judges_as_the_test_did(run: Path, *, alone: bool = False, ties: float = 0.0) -> None:
    expected = pd.read_csv(run / "predictions.csv")
    assert len(expected) >= 200
    if alone:
        expected = judged_alone(run, expected)
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    for runtime in {form["runtime"] for form in spec["forms"]}:
        bundle = Bundle(run / "bundle", runtime=runtime)
        for batch_size in (1, 8):
            found = list(bundle.stream(expected["image_path"], batch_size=batch_size))
            assert [result.verdict for result in found] == expected["verdict"].tolist(), (runtime, batch_size)
            spread = expected["score"].max() - expected["score"].min()
            scores = [result.score for result in found]
            apart = np.sort(np.abs(np.subtract(scores, expected["score"])))
            assert apart[int((1 - ties) * (len(apart) - 1))] <= 1e-4 * spread, runtime
            assert apart[-1] <= 0.02 * spread, runtime
            if "cloud" in spec or not describes(run):
                unusual = (expected["unusual"].fillna("") != "").tolist()
                assert [result.unusual != "" for result in found] == unusual, runtime


def describes(run: Path) -> bool:
    """Tell whether a run knows where the embeddings of usual images lie."""
    return calibration_of(restore(read_checkpoint(run / "checkpoints" / "best.ckpt"))).cloud is not None


@pytest.mark.parametrize("model", [name for name in groups()["model"] if name not in STAY])
def test_every_model_is_exported_and_judges_as_its_test_did(model: str, drawn: Path, tmp_path: Path) -> None:
    run = export(model, drawn, tmp_path)
    parity = json.loads((run / "bundle" / "parity.json").read_text())
    assert parity["passed"]
    assert not any(form["flips"] for form in parity["forms"])
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert ("cloud" in spec) == (describes(run) and model != "mask_rcnn")
    assert_judges_as_the_test_did(run, alone=model in OWN, ties=TIES.get(model, 0.0))


def test_places_of_patches_are_in_the_graph(drawn: Path, tmp_path: Path) -> None:
    assert_judges_as_the_test_did(export("patchcore", drawn, tmp_path, "model.position=1"))


@pytest.mark.parametrize("model", ["patchcore", "hybrid"])
def test_tiles_are_put_together_by_the_runner(model: str, drawn: Path, tmp_path: Path) -> None:
    assert_judges_as_the_test_did(export(model, drawn, tmp_path, "tiling=hann", "tiling.size=48"))


@pytest.mark.parametrize("model", ["patchcore", "padim", "reverse_distillation"])
def test_networks_side_by_side_are_one_graph(model: str, drawn: Path, tmp_path: Path) -> None:
    pair = ("backbone=[loupe,efficientnet_lite0]", "backbone.networks.efficientnet_lite0.weights=none")
    run = export(model, drawn, tmp_path, *pair)
    assert json.loads((run / "bundle" / "parity.json").read_text())["passed"]
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert spec["weights"]["loupe_licence"] == "Apache-2.0"
    assert spec["weights"]["efficientnet_lite0_weights"] == "none"
    assert_judges_as_the_test_did(run)


def test_the_mean_of_the_worst_patches_leaves_the_house(drawn: Path, tmp_path: Path) -> None:
    run = export("patchcore", drawn, tmp_path, "model.score=top_mean", "model.copies=turns")
    assert json.loads((run / "bundle" / "parity.json").read_text())["passed"]
    assert_judges_as_the_test_did(run)


def test_small_forms_state_what_they_lose(drawn: Path, tmp_path: Path) -> None:
    run = export("patchcore", drawn, tmp_path)
    assert main(["export", f"run={run}", "pictures=32", "precisions=[fp16,int8]", f"out={tmp_path / 'small'}"]) == 0
    forms = {form["form"]: form for form in json.loads((tmp_path / "small" / "parity.json").read_text())["forms"]}
    assert set(forms) == {"onnxruntime fp32", "openvino fp32", "onnxruntime fp16", "openvino fp16", "openvino int8"}
    assert (tmp_path / "small" / "model_fp16.onnx").stat().st_size < 0.6 * (
        run / "bundle" / "model.onnx"
    ).stat().st_size
    assert forms["onnxruntime fp32"]["score_error"] < forms["onnxruntime fp16"]["score_error"] <= 1e-2
    assert forms["openvino int8"]["tolerance"]["flips"] == 0.05
