"""Images on which a checkpoint and its bundle are compared: calibration images, and challenges."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from datamodules.files.images import Array, read_image
from datamodules.samples.dataset import FileDataset
from datamodules.table import CALIBRATION, UNKNOWN
from datamodules.views import ViewDataset, read_view

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import pandas as pd

    from datamodules.base import InspectionDataModule
    from datamodules.errors import UnreadableImageError
    from datamodules.samples.batch import Sample
    from datamodules.samples.dataset import Reading


MOST_TILES = 96  # that a checkpoint and each form of its bundle judge
MIN_TILED = 4  # images, however many tiles each has


class ComparedImage(NamedTuple):
    """One image, as both sides come by it.

    Attributes:
        name: For people.
        path: The file that the runner reads.
        label_index: 0 good, 1 defective, -1 unknown.
        values: Reads the pixels as stored.
        sample: Makes the sample that the checkpoint judges, or the error that it met instead.
    """

    name: str
    path: Path
    label_index: int
    values: Callable[[], Array]
    sample: Callable[[], Sample | UnreadableImageError]


def images_of_calibration(datamodule: InspectionDataModule, limit: int, folder: Path) -> list[ComparedImage]:
    """Take calibration images, at most ``limit`` of them, evenly from those of each label.

    Samples that are not whole files are written to ``folder``, for the runner to read.
    """
    table = spread(datamodule.split_samples(CALIBRATION), limit)
    dataset = datamodule.dataset(table)
    views = dataset.views if isinstance(dataset, ViewDataset) else [None] * len(table)
    images = []
    for index, (row, view) in enumerate(zip(dataset.rows, views, strict=True)):
        read: Callable[[], Array] = partial(read_image, row.image_path)
        path = Path(row.image_path)
        if view is not None and (view.box or view.before_path or view.after_path):
            read = partial(read_view, row.image_path, view)
            path = write_values(folder / f"{index:05}", read())
        images.append(ComparedImage(row.name, path, row.label_index, read, partial(dataset.__getitem__, index)))
    return images


def images_of_challenges(paths: Sequence[Path], reading: Reading) -> list[ComparedImage]:
    """Take files of no known label, read as ``loupe predict`` reads them."""
    dataset = FileDataset(paths, reading)
    return [
        ComparedImage(path.name, path, UNKNOWN, partial(read_image, path), partial(dataset.__getitem__, index))
        for index, path in enumerate(paths)
    ]


def images_for_graphs(images: Sequence[ComparedImage], tiles: int) -> frozenset[str]:
    """Name the images that graphs are compared on: all, or of tiled images as many as take a minute or two.

    The others are compared up to what the graph is given. To the graph every tile is an image: few images are many.

    Args:
        images: Of known labels first.
        tiles: Of an image; 1 where it is judged whole.
    """
    if tiles <= 1:
        return frozenset(image.name for image in images)
    most = max(MOST_TILES // tiles, MIN_TILED)
    known = [image for image in images if image.label_index != UNKNOWN]
    rest = [image for image in images if image.label_index == UNKNOWN]
    first = sorted(rest, key=lambda image: image.name.partition(".")[0] != "colours")[: max(1, most // 4)]
    defective = [image for image in known if image.label_index == 1][: (most - len(first)) // 2]
    good = [image for image in known if image.label_index != 1][: most - len(first) - len(defective)]
    return frozenset(image.name for image in (*good, *defective, *first))


def spread(table: pd.DataFrame, limit: int) -> pd.DataFrame:
    """Take at most ``limit`` rows, evenly over the table, and of each label as many as its share, but one at least."""
    if len(table) <= limit:
        return table.reset_index(drop=True)
    parts = []
    for _, rows in table.groupby("label_index"):
        count = max(1, round(limit * len(rows) / len(table)))
        parts.append(rows.index[np.linspace(0, len(rows) - 1, count).round().astype(int)])
    return table.loc[np.sort(np.concatenate(parts))].reset_index(drop=True)


def write_values(path: Path, values: Array) -> Path:
    """Write pixels without loss, as PNG, or as TIFF where they are floating-point; return the file's path."""
    path = path.with_suffix(".tif" if values.dtype == np.float32 else ".png")
    path.parent.mkdir(parents=True, exist_ok=True)
    _, encoded = cv2.imencode(path.suffix, values if values.ndim == 2 else np.ascontiguousarray(values[..., ::-1]))
    path.write_bytes(encoded.tobytes())
    return path
