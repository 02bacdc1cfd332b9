"""Fiber-optic end faces."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

import pandas as pd

from .base import InspectionDataModule
from .errors import DataError, UnreadableImageError
from .files.names import same_name
from .files.roots import existing_root
from .files.walking import walk_images
from .layouts.label_table import FileIndex, read_labels
from .layouts.split_folders import SplitFolders, split_folders
from .layouts.strays import unused_documents
from .layouts.words import unread_verdicts
from .masks.beside import masks_beside
from .masks.naming import in_mask_folder
from .masks.pairing import with_masks
from .outlines.names import same_parts, split_path
from .samples.found_zones import FIND, ZonedDataset, found_on, zone_notes
from .table import DEFECTIVE, GOOD, UNKNOWN
from .zones.kinds import Sizes  # noqa: TC001 - configs are checked against it

if TYPE_CHECKING:
    from .samples.dataset import InspectionDataset

LABELS = {"good": GOOD, "defective": DEFECTIVE, "": UNKNOWN}
LEFT_OUT = {"ambiguous"}
TIMESTAMP = re.compile(r"^\d{8,14}[-_]")


@dataclass(kw_only=True, eq=False)
class FiberDataModule(InspectionDataModule):
    """Fiber end faces under a microscope: good ones, and ones with scratches, pits, chips or dirt.

    On disk, under ``root``: ``labels.csv`` with ``image`` (path below ``root``) and ``label`` (``good``, ``defective``,
    empty for unknown, or ``ambiguous`` to leave an image out), the images it names, and optionally

    * ``masks/`` and ``zones/`` with one PNG per image, same path and stem: a mask is a defect above 127 (see
      ``mask_on``); zones are 1 core, 2 cladding, 3 ferrule;
    * columns ``split`` (train, calibration, test; by default what folders of such names say, where every image lies in
      one), ``kind`` (by default the image's folder, such as the core size),
      ``group`` (by default the connector: the file name without a leading timestamp), ``defect`` (its type) and
      ``um_per_pixel`` (micrometres per pixel, where it differs from image to image).

    ``zones=find`` finds the zones of images that have none on disk, and their micrometres per pixel where nobody said.

    Without ``labels.csv``, every image below ``root`` counts as unknown: it can be predicted and examined, but nothing
    can be calibrated or tested on it.

    Args:
        um_per_pixel: Micrometres per pixel of the images on disk, where known; kept in the sample table.
        zones: ``find``, or a folder that ``loupe prepare fiber`` wrote; null: ``zones/`` below ``root``, if any.
        core_um: Diameter of the core, for finding: a number, or one per kind; null: unknown.
        cladding_um: Diameter of the outermost circle, likewise; null: 125.
    """

    um_per_pixel: float | None = None
    zones: str | None = None
    core_um: Sizes = None
    cladding_um: Sizes = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.um_per_pixel is not None and not 0 < self.um_per_pixel < math.inf:
            raise DataError(
                f"Expected data.um_per_pixel to be above 0 and finite, or null, but found {self.um_per_pixel}."
            )

    def survey(self, table: pd.DataFrame) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """Look at every file once; find zones where they are asked for."""
        table, problems = super().survey(table)
        return (found_on(table, self.core_um, self.cladding_um) if self.zones == FIND else table), problems

    def dataset(self, table: pd.DataFrame) -> InspectionDataset:
        """Make samples of rows, with the zones that were found."""
        return ZonedDataset(table, self.reading) if self.zones == FIND else super().dataset(table)

    def notes(self) -> list[str]:
        """Say in how many images no zones were found."""
        return [*super().notes(), *zone_notes(self.samples)]

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List what labels.csv names."""
        root = existing_root(self.root, "labels.csv and the images it names")
        problems: list[UnreadableImageError] = []
        paths = [path for path in walk_images(root, problems) if not is_overlay(root, path)]
        masks, zones, images = sort_beside(root, paths)
        files, beside = FileIndex(root, images), masks_beside(images)
        splits = split_folders(root, sorted({*images} - beside))
        table = root / "labels.csv"
        labels = read_labels(table) if table.exists() else unlabelled(root, sorted({*images} - beside))
        instead = "labels.csv with columns image and label"
        self.remarks += [] if table.exists() else unread_verdicts(root, images, "fiber", instead)
        problems += unused_documents(root, {table})
        rows: list[dict[str, object]] = []
        for line, values in enumerate(labels.itertuples(index=False), start=2):
            entry = dict(zip(labels.columns, map(str, values), strict=True))
            try:
                rows.append(self._row(root, entry, files, line, splits))
            except UnreadableImageError as error:
                problems.append(error)
        if not any(row["split"] for row in rows):
            rows = [row | {"split": splits.of(Path(str(row["image_path"])))} for row in rows]
            self.remarks += [splits.remark] if splits.remark else []
        if not rows:
            first = f"; for example: {problems[0]}" if problems else "."
            raise DataError(f"Expected {table} to name good images, but found none with a usable label{first}")
        problems += [
            UnreadableImageError(path, "is not named in labels.csv", "add a line for it, or move it away")
            for path in files.unused.values()
            if path not in beside
        ]
        masks += sorted(beside & set(files.unused.values()))
        rows = with_masks(self, root, rows, masks, problems)
        if self.zones not in (None, FIND):
            apart = existing_zones(str(self.zones))
            return pd.DataFrame(with_zones(root, rows, walk_images(apart, problems), problems, apart)), problems
        return pd.DataFrame(with_zones(root, rows, zones, problems, root)), problems

    def _row(
        self, root: Path, entry: dict[str, str], files: FileIndex, line: int, splits: SplitFolders
    ) -> dict[str, object]:
        """Make the row of a line of labels.csv.

        Raises:
            UnreadableImageError: It names no file, or its label means nothing.
        """
        label, name = entry["label"].strip().lower(), entry["image"].strip()
        where = f"in line {line} of labels.csv"
        if not name or not split_path(name) or ".." in PureWindowsPath(name).parts or PureWindowsPath(name).anchor:
            raise UnreadableImageError(
                root / "labels.csv", f"is named {where} as {entry['image']!r}", "name a file below data.root"
            )
        path = files.find(name)
        image = root.joinpath(*split_path(name)) if path is None else path
        if path is None and not image.exists():
            raise UnreadableImageError(
                image, f"is named {where}, but is not there", "write the name as on disk, with its suffix"
            )
        if label in LEFT_OUT:
            raise UnreadableImageError(image, f"is labelled {label}", "label it if you can")
        if label not in LABELS:
            raise UnreadableImageError(
                image, f"has label {entry['label']!r} {where}", "use good, defective, ambiguous, or leave it empty"
            )
        return _row(root, image, entry, LABELS[label], splits) | {"um_per_pixel": self._scale(entry)}

    def _scale(self, entry: dict[str, str]) -> float | None:
        """Return micrometres per pixel: of the image, or of all; None where nobody said."""
        text = entry.get("um_per_pixel", "").strip()
        if not text:
            return self.um_per_pixel
        try:
            scale = float(text)
        except ValueError:
            scale = math.nan
        if not 0 < scale < math.inf:
            raise DataError(
                f"Expected um_per_pixel in labels.csv to be above 0 and finite, with a point and no comma, but "
                f"found {text!r} for {entry['image']}."
            )
        return scale


def is_overlay(root: Path, path: Path) -> bool:
    """Tell what ``loupe prepare fiber`` wrote to be looked at, where it was told to write beside the images."""
    return root / "overlays" in path.parents and (root / "zones.csv").is_file()


def sort_beside(root: Path, paths: list[Path]) -> tuple[list[Path], list[Path], list[Path]]:
    """Sort files into masks, zones and images, by the folders that they lie in."""
    masks: list[Path] = []
    zones: list[Path] = []
    images: list[Path] = []
    for path in paths:
        folders = path.parts[len(root.parts) : -1]
        kind = masks if in_mask_folder(folders) else zones if "zones" in map(same_name, folders) else images
        kind.append(path)
    return masks, zones, images


def with_zones(
    root: Path,
    rows: list[dict[str, object]],
    zones: list[Path],
    problems: list[UnreadableImageError],
    zones_root: Path,
) -> list[dict[str, object]]:
    """Give rows the zones of their path and stem; name the zones that belong to none."""

    def key(path: Path, below: Path) -> tuple[str, ...]:
        parts = path.parts[len(below.parts) :]
        return same_parts([*(part for part in parts[:-1] if same_name(part) != "zones"), path.stem])

    beside = {key(path, zones_root): path for path in zones}
    found = [beside.pop(key(Path(str(row["image_path"])), root), None) for row in rows]
    remedy = "name it as its image, or move it away"
    problems += [UnreadableImageError(path, "are zones that belong to no image", remedy) for path in beside.values()]
    return [row | {"zones_path": str(path or "")} for row, path in zip(rows, found, strict=True)]


def existing_zones(folder: str) -> Path:
    """Return the folder of zones, drawn by hand or written by ``loupe prepare fiber``.

    Raises:
        DataError: There is none.
    """
    path = Path(folder).expanduser().resolve()
    if not path.is_dir():
        raise DataError(
            f"Expected data.zones to be find, or a folder that 'loupe prepare fiber' wrote, but found none at {folder}."
        )
    return path / "zones" if (path / "zones").is_dir() else path


def unlabelled(root: Path, images: list[Path]) -> pd.DataFrame:
    """List images as labels.csv would, without labels.

    Raises:
        DataError: There is none.
    """
    if not images:
        raise DataError(
            f"Expected data.root to be a folder with labels.csv, but found none at {root}, and no images either; "
            "write one with the columns image and label, or use data=folder for images sorted into folders."
        )
    return pd.DataFrame({"image": [path.relative_to(root).as_posix() for path in images], "label": ""})


def _row(root: Path, path: Path, entry: dict[str, str], label_index: int, splits: SplitFolders) -> dict[str, object]:
    image = path.relative_to(root)
    return {
        "image_path": str(path),
        "name": image.as_posix(),
        "label_index": label_index,
        "split": entry.get("split", "").strip(),
        "kind": entry.get("kind", "") or "/".join(splits.others(image.parts[:-1])),
        "group": entry.get("group", "") or TIMESTAMP.sub("", image.stem),
        "defect": entry.get("defect", ""),
    }
