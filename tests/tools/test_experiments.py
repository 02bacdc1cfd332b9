"""Every experiment of ``configs/experiment`` trains, whatever it needs, at tiny size."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.synthetic.measured_rings import MeasuredRing
from tests.tools.test_train import SMALL, make_mvtec, train
from tools.configuring.config import groups

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


@pytest.mark.parametrize("experiment", groups()["experiment"])
def test_every_experiment_trains(experiment: str, tmp_path: Path, drawn: Path) -> None:
    tiny = ["backbone.name=resnet18", "data.limit=12", "trainer.max_epochs=1", "trainer.max_steps=-1"]
    tiny += [option for option in SMALL if option != "backbone=resnet18"]
    if experiment.startswith("metallography"):
        tiny = [option for option in tiny if not option.startswith(("data.size", "data.good", "data.defective"))]
    if experiment == "metallography_shapes":
        make_mvtec(drawn := tmp_path / "crops")
    elif experiment == "oring_rings":
        tiny = [option for option in tiny if not option.startswith(("data.size", "data.good", "data.defective"))]
        drawn = write_rings(tmp_path / "rings")
    elif experiment.startswith("metallography"):
        tiny += ["data.mask_foreground=black"]
        drawn = write_squares(tmp_path / "squares")
    if experiment == "efficient_ad_paper":
        tiny += ["model.teacher.weights=none"]
    folder = train(tmp_path, f"experiment={experiment}", f"data.root={drawn}", *tiny)
    assert (folder / "report" / "index.html").is_file()


def write_rings(root: Path) -> Path:
    """Write twelve photographs of a ring each, outlined."""
    turn = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    points = [{"x": 32 + 20 * np.cos(angle), "y": 32 + 20 * np.sin(angle)} for angle in turn]
    for index in range(12):
        ring = MeasuredRing(size=(64, 64), x=31.5, y=31.5, outer=20.0, inner=11.0, seed=index)
        for name in ("images", "labels"):
            (root / name).mkdir(parents=True, exist_ok=True)
        Image.fromarray(ring.draw()).save(root / "images" / f"{index}.png")
        (root / "labels" / f"{index}.json").write_text(json.dumps({"polygons": [{"points": points}]}))
    return root


def write_squares(root: Path) -> Path:
    """Write squares of twelve scans, and masks with a dark line each, as etched grains have them."""
    rng = np.random.default_rng(0)
    for name in ("images", "masks"):
        (root / name).mkdir(parents=True)
    for index in range(12):
        image = rng.normal(150, 10, (64, 64)).clip(0, 255).astype(np.uint8)
        mask = np.full((64, 64), 255, np.uint8)
        row = 10 + 4 * index
        image[row : row + 3], mask[row : row + 3] = 60, 0
        assert cv2.imwrite(str(root / "images" / f"{index}_1.png"), image)
        assert cv2.imwrite(str(root / "masks" / f"{index}_1.png"), mask)
    return root
