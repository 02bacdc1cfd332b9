"""What is left of an image in the middle of a network, as a grid of grey images.

Letters: Z filters, h and w their size, H and W the grid's.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import torch
from lightning import Callback

from callbacks.tracking.event_log import epoch_of, log_image, writer_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from lightning import LightningModule, Trainer

    from datamodules.samples.batch import InspectionBatch

GAP = 1  # pixels between two maps
GAP_LEVEL = 255


def bottleneck_grid(map_Zhw: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Lay the maps of one image out as a near-square grid (H, W), each stretched from its lowest to its highest.

    A constant map, such as that of a dead filter, is black.
    """
    count, height, width = map_Zhw.shape
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    grid = np.full((rows * (height + GAP) - GAP, columns * (width + GAP) - GAP), GAP_LEVEL, dtype=np.uint8)
    for index, map_hw in enumerate(map_Zhw):
        low, high = float(map_hw.min()), float(map_hw.max())
        top, left = (index // columns) * (height + GAP), (index % columns) * (width + GAP)
        levels = np.zeros_like(map_hw) if high == low else (map_hw - low) / (high - low)
        grid[top : top + height, left : left + width] = np.rint(255 * levels).astype(np.uint8)
    return grid


class BottleneckMaps(Callback):
    """Shows TensorBoard the bottleneck maps of the first calibration image after every epoch.

    Models without a ``bottleneck`` have nothing to show, and nothing is computed for them.
    """

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, batch: InspectionBatch, *args: int
    ) -> None:
        """Draw the first image of the first batch."""
        del outputs
        writer = writer_of(trainer)
        if args[0] != 0 or writer is None:
            return
        bottleneck = getattr(pl_module, "bottleneck", None)
        with torch.inference_mode():
            map_1Zhw = None if bottleneck is None else bottleneck(batch.image[:1])
        if map_1Zhw is None:
            return
        grid = bottleneck_grid(map_1Zhw[0].float().cpu().numpy())
        log_image(writer, "calibration/bottleneck", grid, epoch_of(trainer))
