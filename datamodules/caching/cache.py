"""A cache of decoded and resized samples on disk, so that only the first epoch decodes large images."""

from __future__ import annotations

import hashlib
import io
import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from datamodules.files.fitting import Part
from datamodules.files.whole_files import write_whole
from datamodules.masks.matching import split_mask
from datamodules.samples.batch import Sample
from datamodules.samples.sized import SizedDataset

if TYPE_CHECKING:
    import pandas as pd
    from torch import Tensor

    from datamodules.samples.dataset import InspectionDataset

BESIDE = ("mask_path", "zones_path", "annotation_path")
VIEW = ("box", "mask_box", "mask_above", "mask_inverted", "before_path", "after_path", "found_zones")
ABOUT = ("sha256", "label_index", *BESIDE, *VIEW)
BESIDE_IMAGE = ("mask", "zones", "target", "foreground")  # tensors of a sample


class CachedDataset(SizedDataset[Sample]):
    """Samples of another dataset, kept as tensors under a key of their content.

    Names, labels and groups always come from the table. The cache changes no value: a test compares bit by bit.

    Args:
        dataset: Where samples come from the first time.
        table: Its rows, surveyed.
        folder: Where to keep them; may be shared by runs and processes.
    """

    def __init__(self, dataset: InspectionDataset, table: pd.DataFrame, folder: str | Path) -> None:
        self.dataset = dataset
        self.folder = Path(folder).expanduser()
        self.keys = content_keys(table, repr(dataset.reading))

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        """Return a sample, from the cache if it is there.

        Raises:
            UnreadableImageError: It is not, and its file changed since the survey.
        """
        path = self.folder / self.keys[index][:2] / f"{self.keys[index]}.pt"
        row = self.dataset.rows[index]
        try:
            stored = _unpack(torch.load(path, weights_only=True))
        except (OSError, RuntimeError, EOFError, KeyError, pickle.UnpicklingError):  # missing, or cut short by a kill
            sample = self.dataset[index]
            _write(path, sample)
            return sample
        return Sample(
            image=stored["image"],
            name=row.name,
            image_path=row.image_path,
            label_index=row.label_index,
            mask=stored["mask"],
            zones=stored["zones"],
            group=row.group,
            kind=row.kind,
            target=stored["target"],
            frame=None if stored["frame"] is None else Part(*stored["frame"]),
            foreground=stored["foreground"],
        )


def content_keys(table: pd.DataFrame, reading: str) -> list[str]:
    """Return a key per row: it changes with the image's bytes, its mask or labels, and with how they are read."""
    columns = [column for column in ABOUT if column in table]
    keys = []
    for values in table[columns].itertuples(index=False, name=None):
        about = dict(zip(columns, values, strict=True))
        states = [list(map(_state, _files(column, str(about.get(column, ""))))) for column in BESIDE]
        row_values = [str(about[column]) for column in columns if column not in BESIDE]
        keys.append(hashlib.sha256(repr((row_values, states, reading)).encode()).hexdigest())
    return keys


def _files(column: str, text: str) -> list[str]:
    return split_mask(text) if column == "mask_path" else [text] * bool(text)


def _state(path: str) -> tuple[str, int, int]:
    """Tell one state of a file beside an image from another, by size and time."""
    try:
        found = Path(path).stat()
    except OSError:
        return path, 0, 0
    return path, found.st_size, found.st_mtime_ns


def _write(path: Path, sample: Sample) -> None:
    """Keep the tensors of a sample; the file is whole or absent, whatever happens."""
    eight_bit = sample.image.mul(255).round().to(torch.uint8)
    exact = torch.equal(eight_bit.float().div_(255), sample.image)  # a quarter of the space, where nothing is lost
    tensors: dict[str, Any] = {"image": eight_bit if exact else sample.image}
    frame = None if sample.frame is None else [*sample.frame]
    tensors |= {name: getattr(sample, name) for name in BESIDE_IMAGE} | {"frame": frame}
    buffer = io.BytesIO()
    torch.save(tensors, buffer)  # not to the file: torch ends the process where the disk is full
    write_whole(path, buffer.getbuffer())


def _unpack(tensors: dict[str, Any]) -> dict[str, Any]:
    image: Tensor = tensors["image"]
    scaled = image.float().div_(255) if image.dtype == torch.uint8 else image
    return {"image": scaled} | {name: tensors[name] for name in (*BESIDE_IMAGE, "frame")}
