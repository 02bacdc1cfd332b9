"""Fiber-optic end faces."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from .base import InspectionDataModule, existing_root
from .errors import DataError, UnreadableImageError
from .folder import walk_images
from .table import DEFECTIVE, GOOD, UNKNOWN

LABELS = {"good": GOOD, "defective": DEFECTIVE, "": UNKNOWN}
LEFT_OUT = {"ambiguous"}
TIMESTAMP = re.compile(r"^\d{8,14}[-_]")


@dataclass(kw_only=True, eq=False)
class FiberDataModule(InspectionDataModule):
    """Fiber end faces under a microscope: good ones, and ones with scratches, pits, chips or dirt.

    On disk, under ``root``: ``labels.csv`` with ``image`` (path below ``root``) and ``label`` (``good``, ``defective``,
    empty for unknown, or ``ambiguous`` to leave a picture out), the images it names, and optionally

    * ``masks/`` and ``zones/`` with one PNG per image, same path and stem: a mask is a defect above 127 (see
      ``mask_on``); zones are 1 core, 2 cladding, 3 ferrule;
    * columns ``split`` (train, calibration, test), ``kind`` (by default the image's folder, such as the core size),
      ``group`` (by default the connector: the file name without a leading timestamp), ``defect`` (its type) and
      ``um_per_pixel`` (micrometres per pixel, where it differs from picture to picture).

    Without ``labels.csv``, every image below ``root`` counts as unknown: it can be predicted and examined, but nothing
    can be calibrated or tested on it.

    Args:
        um_per_pixel: Micrometres per pixel of the pictures on disk, where known; kept in the sample table.
    """

    um_per_pixel: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.um_per_pixel is not None and not self.um_per_pixel > 0:
            raise DataError(f"Expected data.um_per_pixel to be above 0 or null, but found {self.um_per_pixel}.")

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List what labels.csv names."""
        root = existing_root(self.root, "labels.csv and the images it names")
        problems: list[UnreadableImageError] = []
        labels = read_labels(root / "labels.csv") if (root / "labels.csv").exists() else unlabelled(root, problems)
        rows: list[dict[str, object]] = []
        for line, values in enumerate(labels.itertuples(index=False), start=2):
            entry = dict(zip(labels.columns, map(str, values), strict=True))
            label = entry["label"].strip().lower()
            image = Path(entry["image"].strip())
            if image == Path() or image.is_absolute() or ".." in image.parts:
                found = f"is named in line {line} of labels.csv as {entry['image']!r}"
                problems.append(UnreadableImageError(root / "labels.csv", found, "name a file below data.root"))
            elif label in LEFT_OUT:
                problems.append(UnreadableImageError(root / image, f"is labelled {label}", "label it if you can"))
            elif label not in LABELS:
                found = f"has label {entry['label']!r} in line {line} of labels.csv"
                remedy = "use good, defective, ambiguous, or leave it empty"
                problems.append(UnreadableImageError(root / image, found, remedy))
            else:
                rows.append(_row(root, image, entry, LABELS[label]) | {"um_per_pixel": self._scale(entry)})
        if not rows:
            raise DataError(
                f"Expected {root / 'labels.csv'} to name good pictures, but found none with a usable label."
            )
        return pd.DataFrame(rows), problems

    def _scale(self, entry: dict[str, str]) -> float | None:
        """Return micrometres per pixel: of the picture, or of all; None where nobody said."""
        try:
            return float(entry["um_per_pixel"])
        except (KeyError, ValueError):
            return self.um_per_pixel


def unlabelled(root: Path, problems: list[UnreadableImageError]) -> pd.DataFrame:
    """List every image below ``root`` that is neither mask nor zones, as labels.csv would, without labels.

    Raises:
        DataError: There is none.
    """
    beside = {root / "masks", root / "zones"}
    images = [path for path in walk_images(root, problems) if not beside & set(path.parents)]
    if not images:
        raise DataError(
            f"Expected data.root to be a folder with labels.csv, but found none at {root}, and no images either; "
            "write one with the columns image and label, or use data=folder for pictures sorted into folders."
        )
    return pd.DataFrame({"image": [path.relative_to(root).as_posix() for path in images], "label": ""})


def read_labels(path: Path) -> pd.DataFrame:
    """Read labels.csv as text.

    Raises:
        DataError: It is no table, or lacks a column.
    """
    try:
        # Spreadsheets write a byte order mark in front, and commas behind.
        labels = pd.read_csv(path, dtype=str, keep_default_na=False, index_col=False, encoding="utf-8-sig").fillna("")
    except (OSError, ValueError) as error:
        raise DataError(
            f"Expected {path} to be a table with columns image and label, but could not read it: {error}"
        ) from error
    labels.columns = labels.columns.str.strip()
    for column in ("image", "label"):
        if column not in labels:
            found = ", ".join(labels.columns)
            raise DataError(f"Expected {path} to have a column {column}, but found {found}; name it in the first line.")
    if (twice := labels["image"].duplicated()).any():
        raise DataError(f"Expected {path} to name every image once, but found {labels['image'][twice].iloc[0]} twice.")
    return labels


def _row(root: Path, image: Path, entry: dict[str, str], label_index: int) -> dict[str, object]:
    mask, zones = (root / folder / image.with_suffix(".png") for folder in ("masks", "zones"))
    return {
        "image_path": str(root / image),
        "name": image.as_posix(),
        "label_index": label_index,
        "split": entry.get("split", "").strip(),
        "mask_path": str(mask) if label_index == DEFECTIVE and mask.is_file() else "",
        "zones_path": str(zones) if zones.is_file() else "",
        "kind": entry.get("kind", "") or (image.parent.as_posix() if image.parent != Path() else ""),
        "group": entry.get("group", "") or TIMESTAMP.sub("", image.stem),
        "defect": entry.get("defect", ""),
    }
