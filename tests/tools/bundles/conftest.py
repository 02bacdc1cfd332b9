"""A small run, made without training for long, and its bundle: the parts that tests of bundles share."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from tools.cli import main
from tools.runs.run_folder import RunFolder
from tools.runs.trained import Trained, find_trained

SIZE = 64


def write_pictures(root: Path, good: int = 24, defective: int = 10) -> Path:
    """Draw grey plates of several sizes; the defective ones have a bright pit."""
    for index in range(good + defective):
        rng = np.random.default_rng(index)
        height, width = (70, 90) if index % 2 else (64, 64)
        values = rng.normal(110, 8, (height, width, 3)).clip(0, 255).astype(np.uint8)
        folder = "good"
        if index >= good:
            folder = "pit"
            cv2.circle(values, (int(rng.integers(15, 50)), int(rng.integers(15, 50))), 6, (230, 200, 170), -1)
        path = root / folder / f"{index:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(path), values)
    return root


@pytest.fixture(scope="session")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained run on plates."""
    folder = tmp_path_factory.mktemp("bundles")
    pictures = write_pictures(folder / "plates")
    options = [
        f"data.root={pictures}",
        f"data.image_size=[{SIZE},{SIZE}]",
        "data.num_workers=0",
        "data.calibration_from=test",
        "callbacks.evaluation.resamples=10",
        "report=false",
        "trainer=cpu",
        "model.coreset_ratio=0.02",
        f"out={folder / 'runs'}",
        "id=one",
    ]
    assert main(["train", "data=folder", *options]) == 0
    return folder / "runs" / "folder-patchcore" / "one"


@pytest.fixture(scope="session")
def exported(run: Path) -> Path:
    """Its bundle, which nothing changes."""
    assert main(["export", f"run={run}", "pictures=12", "samples=4"]) == 0
    return run / "bundle"


@pytest.fixture
def bundle(exported: Path, tmp_path: Path) -> Path:
    """A copy of the bundle, to be tampered with."""
    return Path(shutil.copytree(exported, tmp_path / "bundle"))


@pytest.fixture(scope="session")
def trained(run: Path) -> Trained:
    """The run, as the verb finds it."""
    found = find_trained("export", [f"run={run}"], changeable=("data",))
    assert isinstance(found.folder, RunFolder)
    return found
