"""How a run reads files, from its config alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from omegaconf import OmegaConf

from tools.runs.reading import squashed_squares

if TYPE_CHECKING:
    from pathlib import Path


def test_whole_images_are_told_from_squares_that_a_run_learnt_from(tmp_path: Path) -> None:
    for name, size in (("square.png", (128, 128)), ("whole.png", (90, 400))):
        assert cv2.imwrite(str(tmp_path / name), np.full(size, 90, np.uint8))
    (tmp_path / "cut.png").write_bytes(b"no image")
    squares = OmegaConf.create({"square": 128, "image_size": [128, 128]})
    warning = squashed_squares(squares, [str(tmp_path / "whole.png"), str(tmp_path / "square.png")])
    assert "squares of 128 pixels, but whole.png has 400x90" in warning
    assert "data.fit=keep" in warning
    assert squashed_squares(squares, [str(tmp_path / "square.png")]) == ""
    assert squashed_squares(squares, [str(tmp_path / "cut.png")]) == ""
    assert squashed_squares(squares, ["rtsp://camera"]) == ""
    for whole in ({"square": None}, {}):
        assert squashed_squares(OmegaConf.create(whole), [str(tmp_path / "whole.png")]) == ""
