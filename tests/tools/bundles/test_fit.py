"""Images that keep their proportions, the whole way: train, test, predict, export through the parity gate, bundle."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest

from datamodules.files.images import read_image
from tests.tools.bundles.conftest import SIZE, write_pictures
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path


AUTOENCODER = ["model=conv_ae_small", "model.widths=[16,16]", "trainer.max_epochs=4", "model.learning_rate=0.01"]


@pytest.mark.parametrize(
    ("fit", "keys"),
    [
        ("letterbox", ["model.coreset_ratio=0.02"]),
        ("crop", AUTOENCODER),
        ("keep", AUTOENCODER),
        ("letterbox", [*AUTOENCODER, "tiling=hann", "tiling.size=48"]),
    ],
)
def test_a_fit_is_the_same_in_training_prediction_and_bundle(tmp_path: Path, fit: str, keys: list[str]) -> None:
    pictures = write_pictures(tmp_path / "plates")
    run = tmp_path / "runs" / "fitted" / "one"
    options = [
        f"data.root={pictures}",
        f"data.image_size=[{SIZE},{SIZE}]",
        f"data.fit={fit}",
        "data.num_workers=0",
        "data.calibration_from=test",
        "callbacks.evaluation.resamples=10",
        "trainer=cpu",
        f"out={tmp_path / 'runs'}",
        "name=fitted",
        "id=one",
        *keys,
    ]
    assert main(["train", "data=folder", *options]) == 0
    assert main(["export", f"run={run}", "pictures=8", "samples=4"]) == 0
    assert json.loads((run / "bundle" / "spec.json").read_text())["input"]["resize"]["fit"] == fit
    source = [f"source={pictures}", "overlay=all", "page=40"]
    for name, judge in (("by_run", f"run={run}"), ("by_bundle", f"bundle={run / 'bundle'}")):
        assert main(["predict", judge, *source, f"out={tmp_path / name}"]) == 0
        assert (tmp_path / name / "index.html").is_file()
    rows, of_bundle = (
        pd.read_csv(tmp_path / name / "predictions.csv", keep_default_na=False) for name in ("by_run", "by_bundle")
    )
    assert rows["verdict"].tolist() == of_bundle["verdict"].tolist()
    assert rows["score"].to_numpy(float) == pytest.approx(of_bundle["score"].to_numpy(float), rel=1e-3)
    tested = pd.read_csv(run / "predictions.csv").set_index("image_path")["score"]
    again = rows.set_index("image_path")["score"].astype(float)
    assert again.loc[tested.index].to_numpy() == pytest.approx(tested.to_numpy(), rel=1e-5)
    defects = pd.read_csv(tmp_path / "by_run" / "defects.csv")
    assert len(defects) >= 4
    sizes = {path: read_image(path).shape for path in defects["image_path"].unique()}
    for defect in defects.to_dict("records"):
        height, width = sizes[defect["image_path"]][:2]
        assert min(defect["left"], defect["top"]) >= -1e-6
        assert defect["left"] + defect["box_width"] <= width + 1e-6
        assert defect["top"] + defect["box_height"] <= height + 1e-6
    assert set(defects["image_path"]) <= set(rows["image_path"][rows["verdict"] == "defective"])
    shapes = {
        path.name.removesuffix(".jpg"): read_image(path).shape[:2]
        for path in (tmp_path / "by_run" / "overlays").rglob("*.jpg")
    }
    assert set(shapes.values()) == {(70, 90), (64, 64)}
