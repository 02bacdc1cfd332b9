"""Images that come at another scale than the training's: the run and its bundle say so alike."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

TINY = ["model=unet", "model.width=4", "model.depth=2", "data.image_size=[64,64]", "data.defects_in_train=true"]
TINY += ["trainer=cpu", "trainer.max_epochs=1", "report=false", "callbacks.evaluation.resamples=10"]


def write(path: Path, height: int, width: int, seed: int = 100) -> None:
    values = np.random.default_rng(seed).integers(90, 160, (height, width)).astype(np.uint8)
    values[5:12, 6:14] = 10
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Scans of 64 x 130, each with one inclusion."""
    root = tmp_path_factory.mktemp("scans")
    for index in range(8):
        write(root / "images" / f"{index}.png", 64, 130, index)
        mask = np.zeros((64, 130), np.uint8)
        mask[5:12, 6:14] = 255
        (root / "masks").mkdir(exist_ok=True)
        assert cv2.imwrite(str(root / "masks" / f"{index}.png"), mask)
    return root


@pytest.mark.parametrize(
    ("keys", "small", "large", "words"),
    [
        (["data.square=64"], (64, 64), (90, 200), "one of the squares of 64 pixels"),
        (["data.square=32"], (32, 32), (64, 64), "one of the squares of 32 pixels"),
        (["data.square=null", "data.fit=keep", "data.image_size=[64,144]"], (40, 100), (90, 200), "[64,144]"),
        (["data.square=null"], (64, 64), (64, 130), ""),
    ],
)
def test_another_scale_is_said(
    root: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    keys: list[str],
    small: tuple[int, int],
    large: tuple[int, int],
    words: str,
) -> None:
    data = ["data=metallography", f"data.root={root}", "data.overlap=8", "data.num_workers=0"]
    assert main(["train", *data, *TINY, *keys, f"out={tmp_path}", "name=a", "id=run"]) == 0
    run = tmp_path / "a" / "run"
    assert main(["export", f"run={run}", "pictures=2", "samples=1"]) == 0
    write(tmp_path / "same" / "a.png", *small)
    write(tmp_path / "both" / "a.png", *small)
    write(tmp_path / "both" / "b.png", *large)
    for folder, expected in (("same", False), ("both", bool(words))):
        capsys.readouterr()
        assert main(["predict", f"run={run}", f"source={tmp_path / folder}", f"out={tmp_path / f'{folder}_run'}"]) == 0
        printed = capsys.readouterr().out
        command = [sys.executable, str(run / "bundle" / "predict.py"), str(tmp_path / folder)]
        out = tmp_path / f"{folder}_bundle"
        done = subprocess.run([*command, "--out", str(out)], capture_output=True, text=True, check=True)
        for text in (printed, done.stdout, (out / "index.html").read_text()):
            assert ("1 of 2 images were seen at another scale" in text) == expected
            assert (f"b.png with {large[1]}x{large[0]} pixels" in text and words in text) == expected
    resize = json.loads((run / "bundle" / "spec.json").read_text())["input"]["resize"]
    assert resize.get("square") == (None if "data.square=null" in keys else int(keys[0][12:]))
