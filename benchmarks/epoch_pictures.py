"""What logging the calibration to TensorBoard costs: processor seconds of one log, and their share of a training.

Run: ``.venv/bin/python benchmarks/epoch_pictures.py``. The default logs some twenty epochs of a training, so that logs
of s seconds slow N epochs of e seconds by ``20 s / (N e)``; the callback's budget, 5 s or 1 %, bounds that.
"""

from __future__ import annotations

import tempfile
import time

import numpy as np
import torch
from torch.utils.tensorboard import SummaryWriter

from callbacks.decisions.calibration import Calibration
from callbacks.measures.examples import ExampleGallery
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from callbacks.training.epoch_pictures import WORST, log_calibration
from datamodules.samples.batch import InspectionBatch, Sample, collate

IMAGES, EDGE, BATCH = 320, 256, 16


def main() -> None:
    """Time the collection of a calibration split and one log of it."""
    calibration, gallery = Calibration(F1(), Normal()), ExampleGallery(4, WORST)
    calibration.reset()
    collecting = 0.0
    for first in range(0, IMAGES, BATCH):
        batch = scored_batch(first)
        calibration.update(batch)
        start = time.process_time()
        batch.pred_label = batch.label_index == 0
        gallery.update(batch, [0.0] * len(batch))
        collecting += time.process_time() - start
    calibration.choose()
    with tempfile.TemporaryDirectory() as folder, SummaryWriter(folder) as writer:
        start = time.process_time()
        log_calibration(writer, calibration, gallery.examples(), epoch=9)
        logging = time.process_time() - start
    once = collecting + logging  # of processor time, which other programs do not stretch
    print(f"{IMAGES} calibration pictures of {EDGE}x{EDGE}: {once:.2f} s a log ({collecting:.2f} s collecting)")
    for epochs, seconds in ((20, 1), (50, 5), (100, 30)):
        whole = epochs * seconds
        spent = min(20 * once, max(5.0, 0.01 * whole))
        print(f"{epochs} epochs of {seconds} s: {spent:.1f} s of logs, {100 * spent / whole:.2f} % of the training")


def scored_batch(first: int) -> InspectionBatch:
    """Draw noise, every eighth image defective, with scores and maps."""
    generator = torch.Generator().manual_seed(first)
    samples = [
        Sample(torch.rand(3, EDGE, EDGE, generator=generator), f"{first + n}.png", "", int((first + n) % 8 == 0))
        for n in range(BATCH)
    ]
    batch = collate(samples)
    score_N = torch.from_numpy(np.random.default_rng(first).normal(batch.label_index.numpy() * 1.5, 1)).float()
    batch.pred_score, batch.anomaly_map = score_N, torch.rand(BATCH, EDGE, EDGE, generator=generator)
    return batch


if __name__ == "__main__":
    main()
