"""The shape of inclusions as a trained model scores it, in place of how little of a circle they leave free.

Letters: N inclusions, S side of a crop.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import numpy as np
import numpy.typing as npt
import torch

from callbacks.decisions.calibration import calibration_of
from datamodules.files.object_crops import object_crops
from tools.errors import ConfigError
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.reading import reading_of
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    import pandas as pd

    from datamodules.files.objects import Labels
    from models.base import InspectionModel

Floats: TypeAlias = npt.NDArray[np.float64]

BATCH = 256


class ShapeRun:
    """A run that was trained on crops of inclusions, as ``loupe prepare metallography`` writes them.

    Its raw score s becomes ``s / (s + threshold)``: 0.5 where its calibration draws the line, in [0, 1) as the circle
    score is, and in the same order as the scores.

    Args:
        run: Its folder, or a checkpoint.

    Raises:
        ConfigError: It cannot be read, has no threshold above 0, or takes images that are not square.
    """

    def __init__(self, run: str) -> None:
        checkpoint = read_checkpoint(run if run.endswith(".ckpt") else RunFolder.open(run).best_checkpoint)
        self.module: InspectionModel = restore(checkpoint).eval()
        reading = reading_of(checkpoint.config.data)
        self.threshold = float(calibration_of(self.module).image_threshold)
        self.side = reading.height
        if reading.height != reading.width or not 0 < self.threshold < float("inf"):
            raise ConfigError(
                "Expected shapes to be a run on square crops with a threshold above 0, such as "
                f"experiment=metallography_shapes, but found {reading.height} x {reading.width} pixels and a threshold "
                f"of {self.threshold:g} in {run}."
            )

    @torch.inference_mode()
    def __call__(self, label_HW: Labels, table: pd.DataFrame) -> Floats:
        """Score the inclusions of a table, (N,)."""
        crop_NSS = torch.from_numpy(object_crops(label_HW, table, self.side))
        scores = [
            self.module.predict(part[:, None].repeat(1, 3, 1, 1).float() / 255)[0].pred_score
            for part in torch.split(crop_NSS, BATCH)
        ]
        score_N = np.concatenate([np.zeros(0), *(np.asarray(score) for score in scores)])
        return np.asarray(score_N / (score_N + self.threshold), np.float64)
