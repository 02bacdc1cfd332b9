"""Drawn images as a datamodule: the default before anyone has data, and what tests and demos run on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from datamodules.base import InspectionDataModule
from datamodules.errors import DataError, UnreadableImageError
from datamodules.masks.matching import join_mask

from .drawing import DrawingError
from .write import TABLE, is_complete, is_drawing, write_dataset

PATHS = ("image_path", "mask_path", "zones_path", "annotation_path")


@dataclass(kw_only=True, eq=False)
class SyntheticDataModule(InspectionDataModule):
    """Images of one of five domains, drawn with exact masks when first needed, and kept.

    On disk, under ``root``, one folder per set, as ``write_dataset`` describes it.

    Args:
        domain: ``fiber``, ``oring``, ``meta_atom``, ``metallography`` or ``print3d``.
        good: How many good images.
        defective: How many defective ones.
        size: Height and width of the images on disk, in pixels.
        drawing_seed: Decides the images; ``seed`` decides their splits.
    """

    domain: str = "fiber"
    good: int = 160
    defective: int = 40
    size: int = 256
    drawing_seed: int = 0

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """Draw what has not been drawn yet, and read its table."""
        name = f"{self.domain}-{self.size}-{self.good}-{self.defective}-{self.drawing_seed}"
        root = (Path(self.root).expanduser() / name).resolve()
        if not is_complete(root):
            refuse_strangers(root.parent)
            try:
                write_dataset(root, self.domain, self.size, self.good, self.defective, self.drawing_seed)
            except DrawingError as error:
                raise DataError(str(error)) from error
        rows = pd.read_csv(root / TABLE, dtype=dict.fromkeys(PATHS, "str"), keep_default_na=False)
        rows["name"] = rows["image_path"]
        for column in PATHS:
            rows[column] = [str(root / path) if path else "" for path in rows[column]]
        rows["mask_path"] = [join_mask([Path(path)]) if path else "" for path in rows["mask_path"]]
        return rows, []


def refuse_strangers(folder: Path) -> None:
    """Refuse to draw into a folder that holds anything but drawn images: it may be somebody's data.

    Raises:
        DataError: Says what was found there, and how to train on it.
    """
    if not folder.is_dir():
        return
    strangers = sorted(entry.name for entry in folder.iterdir() if not (entry.is_dir() and is_drawing(entry)))
    if strangers:
        raise DataError(
            f"Expected data.root to be a folder for drawn images alone, but found {strangers[0]!r} in {folder}; to "
            f"train on your own images, use data=folder data.root={folder}; to draw, choose an empty folder."
        )
