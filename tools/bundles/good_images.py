"""A few good images that travel with a bundle, small: a page shows the most similar one beside what it judges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from callbacks.report.layers import encode, preview
from datamodules.errors import UnreadableImageError
from datamodules.files.boxes import cut, parse_box
from datamodules.files.images import read_image
from datamodules.table import CALIBRATION, GOOD

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule

FOLDER = "good"
EDGE = 320  # pixels along the longer side


def write_good(folder: Path, datamodule: InspectionDataModule, count: int) -> int:
    """Write up to ``count`` good calibration images, spread over all of them by name; return how many."""
    samples = datamodule.split_samples(CALIBRATION)
    rows = samples[samples["label_index"] == GOOD].sort_values("name")
    chosen = rows.iloc[np.unique(np.linspace(0, len(rows) - 1, min(count, len(rows))).round().astype(int))]
    written = 0
    boxes = chosen["box"] if "box" in chosen else [""] * len(chosen)
    for path, box in zip(chosen["image_path"], boxes, strict=True):
        try:
            values = read_image(Path(str(path)))
        except UnreadableImageError:
            continue
        part = cut(values, parse_box(str(box))) if box else values
        (folder / FOLDER).mkdir(exist_ok=True)
        drawn = encode(preview(part, datamodule.reading.white_level, EDGE), quality=80)
        (folder / FOLDER / f"{written:02}.webp").write_bytes(drawn)
        written += 1
    return written
