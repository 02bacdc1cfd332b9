"""Bundles flag images by how far out their embeddings lie, as the run does, without torch."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from callbacks.decisions.calibration import calibration_of
from callbacks.decisions.described import describe
from tools.cli import main
from tools.runner import Bundle
from tools.runner.specification import BundleError
from tools.runs.checkpoint import read_checkpoint, restore

from .conftest import SIZE, write_pictures

if TYPE_CHECKING:
    from collections.abc import Callable

OPTIONS = (
    *("data=folder", f"data.image_size=[{SIZE},{SIZE}]", "data.num_workers=0", "trainer=cpu", "report=false"),
    *("callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", "trainer.max_epochs=1"),
)
MODELS = {
    "patchcore": ("model.coreset_ratio=0.02",),
    "conv_ae": (),
    "patchcore tiled": ("model.coreset_ratio=0.02", "tiling=hann", "tiling.size=48"),
}


@pytest.fixture(scope="module")
def plates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("plates") / "plates", 60, 10)


SLOW = [pytest.param(name, marks=pytest.mark.slow) for name in MODELS if name != "patchcore"]


@pytest.fixture(scope="module", params=["patchcore", *SLOW])
def run(request: pytest.FixtureRequest, plates: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of one model, with its bundle in single precision and in 8 bits."""
    out, model = tmp_path_factory.mktemp("runs"), request.param.split()[0]
    options = [*OPTIONS, *MODELS[request.param], f"model={model}", f"data.root={plates}"]
    assert main(["train", *options, f"out={out}", "name=a", "id=one"]) == 0
    assert main(["export", f"run={out / 'a' / 'one'}", "pictures=8", "samples=2", "precisions=[int8]"]) == 0
    return Path(out / "a" / "one")


def expected_distances(run: Path, images: np.ndarray) -> list[float]:
    module = restore(read_checkpoint(run / "checkpoints" / "best.ckpt")).eval()
    cloud = calibration_of(module).cloud
    assert cloud is not None
    with torch.inference_mode():
        described = describe(module, torch.from_numpy(images))
    assert described is not None
    return cloud.distances(described)


def test_run_and_bundle_measure_the_same_distance(run: Path, plates: Path) -> None:
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert spec["outputs"][-1]["name"] == "embedding"
    pictures = sorted((plates / "good").iterdir())[::4] + sorted((plates / "pit").iterdir())
    for form in spec["forms"]:
        bundle = Bundle(run / "bundle", runtime=form["runtime"], precision=form["precision"])
        found = list(bundle.stream(pictures, batch_size=4))
        if form["precision"] == "int8":
            assert all("embedding" not in result.facts for result in found)
            continue
        images = np.stack([result.input_3HW for result in found if result.input_3HW is not None])
        wanted = expected_distances(run, images)
        np.testing.assert_allclose([result.facts["embedding"] for result in found], wanted, rtol=1e-3)


def test_another_camera_is_flagged_by_its_features_in_both(run: Path, plates: Path, tmp_path: Path) -> None:
    """Stripes as bright, contrasty and large as the plates are: the file's facts say little, the features much."""
    pictures = tmp_path / "stripes"
    pictures.mkdir()
    for path in sorted((plates / "good").iterdir())[:12]:
        values = cv2.imread(str(path))
        assert values is not None
        ordered = np.sort(values.reshape(-1, 3), axis=0).reshape(values.shape)
        cv2.imwrite(str(pictures / path.name), np.ascontiguousarray(ordered))
    tables = {}
    for how in (f"run={run}", f"bundle={run / 'bundle'}"):
        out = tmp_path / how.partition("=")[0]
        assert main(["predict", how, f"source={pictures}", f"out={out}", "overlay=none"]) == 0
        tables[out.name] = pd.read_csv(out / "predictions.csv", keep_default_na=False)
    flagged = {name: table["unusual"].str.contains("distance of the features") for name, table in tables.items()}
    assert (flagged["run"] == flagged["bundle"]).all()
    if "patchcore" in (run / "config.yaml").read_text():  # a small autoencoder's bottleneck knows nothing of stripes
        assert flagged["bundle"].all()


def test_the_network_is_computed_once(run: Path) -> None:
    """The graph describes images by features that the score needs anyway."""
    nodes = Counter(node.op_type for node in onnx.load(str(run / "bundle" / "model.onnx")).graph.node)
    module = restore(read_checkpoint(run / "checkpoints" / "best.ckpt"))
    layers = sum(isinstance(layer, torch.nn.Conv2d) for layer in module.model.modules())
    assert nodes["Conv"] <= layers + 2  # two of them smooth the map


TAMPERED: dict[str, Callable[[Path], object]] = {
    "cut short": lambda path: path.write_bytes(path.read_bytes()[:99]),
    "gone": lambda path: path.unlink(),
    "edited": lambda path: path.write_text(path.read_text().replace("1", "2")),
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_cloud_that_is_not_as_it_was_is_refused(run: Path, tmp_path: Path, how: str) -> None:
    bundle = Path(shutil.copytree(run / "bundle", tmp_path / "bundle"))
    TAMPERED[how](bundle / "cloud.json")
    with pytest.raises(BundleError, match=r"cloud\.json"):
        Bundle(bundle)


def test_earlier_bundles_open_and_flag_by_the_other_facts(run: Path, plates: Path, tmp_path: Path) -> None:
    bundle = Path(shutil.copytree(run / "bundle", tmp_path / "bundle"))
    spec = json.loads((bundle / "spec.json").read_text())
    del spec["cloud"], spec["usual"]["limits"]["embedding"]
    (bundle / "spec.json").write_text(json.dumps(spec))
    (result,) = Bundle(bundle).stream([next((plates / "good").iterdir())])
    assert {"brightness", "level"} <= set(result.facts)
    assert "embedding" not in result.facts
