"""Enhancements act in training, test, prediction and bundle alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.enhancing.enhancement import read_enhancement
from datamodules.files.images import read_image
from datamodules.folder import FolderDataModule
from datamodules.samples.dataset import Reading, image_tensor
from tests.tools.bundles.conftest import write_pictures
from tests.tools.bundles.test_predicting import by_brightness, thresholds
from tools.cli import main
from tools.runner.bundle import Bundle
from tools.runner.decision import Decision
from tools.runner.judge import Judge

if TYPE_CHECKING:
    from pathlib import Path

ENHANCE = "data.enhance=[{name: clahe, clip: 3.0}, gradient]"


def test_samples_are_enhanced_as_files_are(tmp_path: Path) -> None:
    plates = write_pictures(tmp_path / "plates", good=8, defective=4)
    data = FolderDataModule(root=str(plates), image_size=(32, 32), enhance=("clahe", "gamma"), num_workers=0)
    data.setup()
    sample = data.dataset(data.samples)[0]
    enhanced = read_enhancement(["clahe", "gamma"])(read_image(sample.image_path))
    torch.testing.assert_close(sample.image, image_tensor(enhanced, Reading(32, 32)), rtol=0, atol=0)
    plain = image_tensor(read_image(sample.image_path), Reading(32, 32))
    assert not torch.equal(sample.image, plain)


def test_a_judge_prepares_as_training_does() -> None:
    values = np.random.default_rng(0).integers(0, 4096, (40, 50)).astype(np.uint16)
    enhance = read_enhancement(["clahe", "gamma"], "channels")
    judge = Judge(by_brightness, Decision(thresholds()), (16, 16), 4095, {}, enhance=enhance)
    expected = image_tensor(values, Reading(16, 16, 4095, enhance=enhance)).numpy()
    np.testing.assert_array_equal(judge.prepare(values), expected)
    assert np.ptp(expected[0] - expected[1]) > 0.01


@pytest.mark.slow
def test_a_run_and_its_bundle_enhance_alike(tmp_path: Path) -> None:
    plates = write_pictures(tmp_path / "plates", good=16, defective=6)
    run = tmp_path / "runs" / "folder-patchcore" / "one"
    options = ["data.image_size=[64,64]", "data.num_workers=0", "data.calibration_from=test", "trainer=cpu"]
    quick = ["callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", "model.coreset_ratio=0.02"]
    assert (
        main(
            [
                "train",
                "data=folder",
                f"data.root={plates}",
                ENHANCE,
                *options,
                *quick,
                f"out={tmp_path / 'runs'}",
                "id=one",
            ]
        )
        == 0
    )
    assert main(["export", f"run={run}", "pictures=6", "samples=4"]) == 0
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert [entry["name"] for entry in spec["input"]["enhance"]["entries"]] == ["clahe", "gradient"]
    source = plates / "pit"
    assert main(["predict", f"run={run}", f"source={source}", f"out={tmp_path / 'by_run'}"]) == 0
    assert main(["predict", f"bundle={run / 'bundle'}", f"source={source}", f"out={tmp_path / 'by_bundle'}"]) == 0
    one, other = (pd.read_csv(tmp_path / name / "predictions.csv") for name in ("by_run", "by_bundle"))
    np.testing.assert_allclose(one["score"], other["score"], rtol=1e-3)
    trained = pd.read_csv(run / "predictions.csv").set_index("image_path")["score"]
    both = one.set_index("image_path")["score"].reindex(trained.index).dropna()
    assert len(both)
    np.testing.assert_allclose(both, trained[both.index], rtol=1e-3)
    picture = next(iter(sorted(source.glob("*.png"))))
    spec["input"].pop("enhance")  # as bundles of earlier versions are
    (run / "bundle" / "spec.json").write_text(json.dumps(spec))
    assert abs(Bundle(run / "bundle")(picture).score - float(one["score"].iloc[0])) > 1e-3
