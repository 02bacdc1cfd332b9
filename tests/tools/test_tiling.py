"""One key makes any model judge tiles: through training, test and prediction; what a network keeps is there to see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from datamodules.synthetic.measured_faces import MeasuredFace, Speck
from tools.cli import main
from tools.runs.predicting import judge_of
from tools.runs.reading import reading_of
from tools.runs.trained import find_trained

if TYPE_CHECKING:
    from pathlib import Path

ARGUMENTS = (
    *("train", "model=conv_ae_small", "tiling=hann", "tiling.size=64", "tiling.crops=2", "data.image_size=[96,128]"),
    *(
        "data=synthetic",
        "data.size=64",
        "data.good=20",
        "data.defective=8",
        "data.num_workers=0",
        "data.batch_size=8",
        "report=false",
    ),
    *("callbacks.evaluation.resamples=20", "trainer=cpu", "trainer.max_epochs=2", "id=tiled"),
)


@pytest.fixture(scope="module", params=["squash", "letterbox"])
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    places = (f"data.root={tmp_path_factory.mktemp('drawn')}", f"out={out}")
    assert main([*ARGUMENTS, *places, f"data.fit={request.param}"]) == 0
    return out / "synthetic-fiber-conv_ae_small" / "tiled"


def test_tiles_are_kept_with_the_model(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["test", f"run={run}"]) == 0
    assert "Same metrics as the run, to the last digit." in capsys.readouterr().out
    samples = pd.read_csv(run / "samples.csv")
    picture = samples.loc[samples["split"] == "test", "image_path"].iloc[0]
    assert main(["predict", f"run={run}", f"source={picture}", f"out={run / 'one'}"]) == 0
    name = samples.loc[samples["image_path"] == picture, "name"].iloc[0]
    tested = pd.read_csv(run / "predictions.csv").set_index("name").loc[name, "score"]
    assert pd.read_csv(run / "one" / "predictions.csv")["score"][0] == pytest.approx(tested, rel=1e-4)
    assert json.loads((run / "metrics.json").read_text())["test"]["boundary_f1"]["value"] is not None


def test_tensorboard_shows_the_bottleneck(run: Path) -> None:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"images": 0})
    events.Reload()
    pictures = events.Images("calibration/bottleneck")
    assert [picture.step for picture in pictures] == [1, 2]  # one per epoch
    assert (pictures[0].height, pictures[0].width) == (6 * 25 - 1, 6 * 33 - 1)  # 32 maps of 24 x 32 on a grid


@pytest.mark.parametrize("tiling", ["unwrapped", "face"])
def test_faces_are_cut_out_by_the_run_and_its_bundle_alike(tiling: str, tmp_path: Path) -> None:
    root = tmp_path / "faces"
    root.mkdir()
    lines = ["image,label,group"]
    for number in range(24):
        marks = (Speck(20.0, -30.0, 16.0),) if number % 4 == 0 else ()
        face = MeasuredFace((160, 176), (1.5, 1.5), core_um=50.0, blur=1.2, planted=marks, seed=number)
        assert cv2.imwrite(str(root / f"{number:02}.png"), face.draw())
        lines.append(f"{number:02}.png,{'defective' if marks else 'good'},g{number}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    words = [f"tiling={tiling}", "tiling.size=96", "tiling.reach=1.0", "data.image_size=[160,176]", "id=cut"]
    quick = ["data.num_workers=0", "callbacks.evaluation.resamples=10", "report=false", "trainer=cpu"]
    model = ["data=fiber", f"data.root={root}", "model.coreset_ratio=0.05", f"out={tmp_path}"]
    assert main(["train", *model, *words, *quick]) == 0
    run = tmp_path / "fiber-patchcore" / "cut"
    assert json.loads((run / "metrics.json").read_text())["test"]["image_auroc"]["value"] == 1.0
    assert main(["export", f"run={run}", "pictures=4", "samples=2"]) == 0
    found = {}
    for model_ in (f"run={run}", f"bundle={run / 'bundle'}"):
        out = tmp_path / model_.partition("=")[0]
        assert (
            main(
                [
                    "predict",
                    model_,
                    f"source=[{','.join(str(root / f'{number:02}.png') for number in range(9))}]",
                    f"out={out}",
                ]
            )
            == 0
        )
        found[model_] = pd.read_csv(out / "predictions.csv")
    by_run, by_bundle = found.values()
    assert by_bundle["score"].tolist() == pytest.approx(by_run["score"].tolist(), rel=1e-4)
    listed = pd.read_csv(tmp_path / "run" / "defects.csv")
    x, y = 88 + 20 / 1.5, 80 - 30 / 1.5
    judge = judge_of(
        trained := find_trained("predict", [f"run={run}"], changeable=("data",)), reading_of(trained.config.data)
    )
    for marked in listed["image_path"].unique():
        map_HW = judge(marked).anomaly_map
        assert map_HW is not None
        row, column = np.unravel_index(int(map_HW.argmax()), map_HW.shape)
        assert np.hypot(column + 0.5 - x, row + 0.5 - y) < 8  # laid back to where the speck is


def test_misspelt_keys_of_tiles_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tiling=hann", "tiling.sise=64", "data.root=x"]) == 2
    assert "No key 'tiling.sise'; did you mean 'tiling.size'?" in capsys.readouterr().err
    assert main(["train", "tiling=hannn", "data.root=x"]) == 2
    assert "No tiling named 'hannn'; did you mean 'hann'?" in capsys.readouterr().err
