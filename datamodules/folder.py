"""Pictures sorted into folders: good ones, and one folder for every type of defect; or the layout of MVTec AD."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .base import InspectionDataModule, existing_root
from .errors import DataError, UnreadableImageError
from .suffixes import is_image
from .table import CALIBRATION, DEFECTIVE, GOOD, TEST, TRAIN, UNASSIGNED, UNKNOWN

SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "calibration": CALIBRATION,
    "validation": CALIBRATION,
    "val": CALIBRATION,
    "valid": CALIBRATION,
    "test": TEST,
}
MASK_FOLDERS = ("ground_truth", "masks", "mask")


@dataclass(kw_only=True, eq=False)
class FolderDataModule(InspectionDataModule):
    """Good and bad pictures in folders, masks optional.

    On disk, under ``root``, either one folder per class::

        good/*.png    scratch/*.png    pit/*.png    masks/scratch/*.png

    or the layout of MVTec AD, whose splits are respected (``val`` or ``calibration`` may stand beside)::

        train/good/*.png    test/good/*.png    test/scratch/*.png    ground_truth/scratch/*_mask.png

    A mask has its picture's name, or that with ``_mask`` behind it. Every folder not named in ``good`` or ``unknown``
    is a type of defect. Folders below a class folder are groups: all of ``good/lot7`` and ``scratch/lot7`` stays in one
    split.

    Args:
        good: Names of folders with good pictures, in any case.
        unknown: Names of folders whose pictures may be either; they are trained on, but not tested.
    """

    good: tuple[str, ...] = ("good", "ok", "normal", "no_defect")
    unknown: tuple[str, ...] = ("unknown", "unlabelled", "unlabeled")

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List pictures by folder."""
        root = existing_root(self.root, "folders of pictures, such as good/ and scratch/, or train/ and test/")
        problems: list[UnreadableImageError] = []
        folders = [entry for entry in list_folder(root, problems) if entry.is_dir()]
        supplied = {
            entry: SPLIT_FOLDERS[entry.name.lower()] for entry in folders if entry.name.lower() in SPLIT_FOLDERS
        }
        bases = supplied or {root: UNASSIGNED}
        rows = []
        for base, split in bases.items():
            for folder in list_folder(base, problems):
                if folder.is_dir() and folder.name.lower() not in MASK_FOLDERS:
                    rows += self._class_rows(root, folder, split, problems)
        if not any(row["label_index"] != DEFECTIVE for row in rows):
            names = ", ".join(
                sorted(folder.name for base in bases for folder in list_folder(base, []) if folder.is_dir())
            )
            raise DataError(
                f"Expected a folder of good pictures under {root}, named one of {', '.join(self.good)}, but found "
                f"{names or 'no folders'}; name it with data.good=[NAME]."
            )
        return pd.DataFrame(rows), problems

    def _class_rows(
        self, root: Path, folder: Path, split: str, problems: list[UnreadableImageError]
    ) -> list[dict[str, object]]:
        """Make a row for every picture of one class folder."""
        name = folder.name
        label = self._label(name)
        masks = {} if label != DEFECTIVE else find_masks(root, name, problems)
        return [
            {
                "image_path": str(path),
                "name": path.relative_to(root).as_posix(),
                "label_index": label,
                "split": split,
                "mask_path": masks.get(path.relative_to(folder).with_suffix("").as_posix(), ""),
                "group": "" if path.parent == folder else path.parent.relative_to(folder).as_posix(),
                "defect": name if label == DEFECTIVE else "",
            }
            for path in walk_images(folder, problems)
        ]

    def _label(self, name: str) -> int:
        lowered = name.lower()
        if lowered in (entry.lower() for entry in self.unknown):
            return UNKNOWN
        return GOOD if lowered in (entry.lower() for entry in self.good) else DEFECTIVE


def find_masks(root: Path, defect: str, problems: list[UnreadableImageError]) -> dict[str, str]:
    """Map the stem of every picture of one type of defect (path below its folder) to its mask."""
    masks: dict[str, str] = {}
    for folder in (entry / defect for entry in list_folder(root, []) if entry.name.lower() in MASK_FOLDERS):
        if folder.is_dir():
            for path in walk_images(folder, problems):
                stem = path.relative_to(folder).with_suffix("").as_posix()
                masks[stem.removesuffix("_mask")] = str(path)
    return masks


def walk_images(folder: Path, problems: list[UnreadableImageError]) -> list[Path]:
    """Find every picture below ``folder``, sorted; folders that cannot be read are added to ``problems``."""
    found: list[Path] = []
    for entry in list_folder(folder, problems):
        if entry.is_symlink() and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(entry)):
            problems.append(UnreadableImageError(entry, "is a link to a folder that it lies in", "delete the link"))
        elif entry.is_dir():
            found += walk_images(entry, problems)
        elif is_image(entry):
            found.append(entry)
    return found


def list_folder(folder: Path, problems: list[UnreadableImageError]) -> list[Path]:
    """List a folder, sorted by name; one that cannot be read is added to ``problems`` and counts as empty."""
    try:
        with os.scandir(folder) as entries:
            return sorted(Path(entry.path) for entry in entries)
    except OSError as error:
        remedy = "allow reading it, or move it away"
        problems.append(UnreadableImageError(folder, f"is a folder that cannot be read ({error.strerror})", remedy))
        return []
