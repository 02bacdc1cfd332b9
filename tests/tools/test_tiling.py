"""One key makes any model judge tiles: through training, test and prediction; what a network keeps is there to see."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from tools.cli import main

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


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("runs")
    assert main([*ARGUMENTS, f"data.root={tmp_path_factory.mktemp('drawn')}", f"out={out}"]) == 0
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


def test_misspelt_keys_of_tiles_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "tiling=hann", "tiling.sise=64", "data.root=x"]) == 2
    assert "No key 'tiling.sise'; did you mean 'tiling.size'?" in capsys.readouterr().err
    assert main(["train", "tiling=hannn", "data.root=x"]) == 2
    assert "No tiling named 'hannn'; did you mean 'hann'?" in capsys.readouterr().err
