"""``loupe predict line=grain_maps``: from drawn boundaries to grain sizes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tools.predict import main

if TYPE_CHECKING:
    from pathlib import Path


def test_square_grains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = np.zeros((401, 401), np.uint8)
    line[20::40] = line[:, 20::40] = 255
    (tmp_path / "maps").mkdir()
    assert cv2.imwrite(str(tmp_path / "maps" / "white.png"), line)
    assert cv2.imwrite(str(tmp_path / "maps" / "black.png"), 255 - line)
    command = ["line=grain_maps", f"source={tmp_path / 'maps'}", f"out={tmp_path / 'out'}", "um_per_pixel=2"]
    assert main(command) == 0
    found = json.loads((tmp_path / "out" / "grains.json").read_text())
    white, black = found["images"]["white"], found["images"]["black"]
    assert white == black
    assert white["by_direction_px"]["row"] == pytest.approx(40, rel=0.01)
    assert white["grains_inside"] == 81
    assert white["grains_cut"] == 40
    assert white["G_planimetric"] == pytest.approx(3.321928 * np.log10(101 / (0.802**2)) - 2.954, abs=1e-3)
    assert found["all"]["images"] == 2
    assert "intercept, px" in capsys.readouterr().out
    assert main(["line=grain_maps", f"source={tmp_path / 'maps'}", f"out={tmp_path / 'no'}", "um_per_pixel=-1"]) == 2
