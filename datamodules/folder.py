"""Images sorted into folders: good ones, and one folder for every type of defect; or the layout of MVTec AD."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from .base import InspectionDataModule, existing_root
from .errors import DataError, UnreadableImageError
from .masks.beside import masks_beside
from .masks.naming import is_image_folder, is_mask_folder
from .masks.pairing import with_masks
from .outlines.names import same_name
from .synthetic.write import is_drawn
from .table import CALIBRATION, DEFECTIVE, GOOD, TEST, TRAIN, UNASSIGNED, UNKNOWN
from .walking import walk_images

if TYPE_CHECKING:
    from pathlib import Path

SPLIT_FOLDERS = {
    "train": TRAIN,
    "training": TRAIN,
    "calibration": CALIBRATION,
    "dev": CALIBRATION,
    "validation": CALIBRATION,
    "val": CALIBRATION,
    "valid": CALIBRATION,
    "test": TEST,
    "testing": TEST,
}
GOOD_WORDS = {"good", "ok", "okay", "normal", "pass", "passed"}
BAD_WORDS = {"bad", "defect", "defective", "fail", "failed", "nio", "nok", "ng", "nogood", "notgood", "notok"}
# Names made of these alone say nothing about what is in a folder.
PLAIN_WORDS = {
    *("all", "archive", "backup", "copy", "data", "dataset", "export", "image", "images", "img", "imgs", "new", "of"),
    *("old", "output", "photos", "pics", "pictures", "raw", "results", "sample", "samples", "test", "train", "temp"),
    *("the", "tmp", "todo", "unsorted"),
}
SHOWN = 2  # names in a sentence


@dataclass(kw_only=True, eq=False)
class FolderDataModule(InspectionDataModule):
    """Good and bad images in folders, masks optional.

    On disk, under ``root``, either one folder per class::

        good/*.png    scratch/*.png    pit/*.png    masks/scratch/*.png

    or the layout of MVTec AD, whose splits are respected (``val`` or ``calibration`` may stand beside)::

        train/good/*.png    test/good/*.png    test/scratch/*.png    ground_truth/scratch/*_mask.png

    Every folder not named in ``good`` or ``unknown`` is a type of defect; one whose name may mean either has to be
    named. Folders below a class folder are groups: all of ``good/lot7`` and ``scratch/lot7`` stays in one split.

    Masks lie in folders of their own (``ground_truth``, ``masks``, ``gt``, ``labels``, ...), beside or below the class
    folders, or beside their images. A mask has its image's name, with or without ``_mask``, ``_GT``, ``_label``,
    ``_seg`` or the like; several of one image are united where they are numbered, or lie in a folder named like it, as
    in MVTec LOCO. Every mask is used, or named among what was left out.

    Args:
        good: Names of folders with good images, in any case.
        unknown: Names of folders whose images may be either; they are trained on, but not tested.
        defective: Names of folders that are types of defects, where their names do not say so.
    """

    good: tuple[str | int, ...] = ("good", "ok", "normal", "no_defect", "defect_free", "pass", "passed")
    unknown: tuple[str | int, ...] = ("unknown", "unlabelled", "unlabeled")
    defective: tuple[str | int, ...] = ()

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List images by folder, and find their masks."""
        root = existing_root(self.root, "folders of images, such as good/ and scratch/, or train/ and test/")
        refuse_drawn(root)
        problems: list[UnreadableImageError] = []
        found = self._sorted(root, walk_images(root, problems))
        self._ask(root, found)
        problems += found.problems(root)
        rows = [self._row(root, sample) for sample in found.samples]
        if not any(row["label_index"] != DEFECTIVE for row in rows):
            raise DataError(
                f"Expected a folder of good images under {root}, named one of {', '.join(map(str, self.good))}, but "
                f"found {_counted(found.classes) or 'none'}{_elsewhere(root, found)}."
            )
        return pd.DataFrame(with_masks(self, root, rows, found.masks, problems)), problems

    def _sorted(self, root: Path, paths: list[Path]) -> Sorted:
        """Sort files into images of classes, masks, and what is neither."""
        start = len(root.parts)
        supplied = {
            path.parts[start]: SPLIT_FOLDERS[path.parts[start].lower()]
            for path in paths
            if len(path.parts) > start + 1 and path.parts[start].lower() in SPLIT_FOLDERS
        }
        named = {same_name(str(name)) for name in (*self.good, *self.unknown, *self.defective)}
        found = Sorted(list(supplied))
        tops = {path.parts[start] for path in paths if len(path.parts) > start + 1}
        drawn = {top for top in tops if is_drawn(root / top)}
        for path in paths:
            parts = path.parts[start:]
            if parts[0] in drawn:
                found.drawn[root / parts[0]] += 1
                continue
            rest = parts[1:] if parts[0] in supplied else parts
            if any(is_mask_folder(part) and same_name(part) not in named for part in parts[:-1]):
                found.masks.append(path)
            elif supplied and parts[0] not in supplied:
                found.beside[parts[0] if len(parts) > 1 else ""] += 1
            elif len(rest) == 1:
                found.loose.append(path)
            else:
                found.samples.append(Sample(path, rest[0], rest[1:-1], supplied.get(parts[0], UNASSIGNED)))
        masks = masks_beside(sample.path for sample in found.samples)
        found.masks += sorted(masks)
        found.samples = [sample for sample in found.samples if sample.path not in masks]
        return found

    def _ask(self, root: Path, found: Sorted) -> None:
        """Refuse folders whose names may mean either, instead of guessing.

        Raises:
            DataError: Names them, and the keys that say what they are.
        """
        unclear = {name: count for name, count in found.classes.items() if self._label(name) is None}
        if unclear:
            raise DataError(
                f"Expected every folder under {root} to be named good, or after a type of defect, but found "
                f"{_counted(unclear)}, which may be either; name each in data.good, data.defective or data.unknown, as "
                f"in data.defective=['{next(iter(unclear))}'], or move it away."
            )

    def _row(self, root: Path, sample: Sample) -> dict[str, object]:
        """Make the row of an image."""
        label = self._label(sample.name)
        group = [part for part in sample.folders if not is_image_folder(part)]
        return {
            "image_path": str(sample.path),
            "name": "/".join(sample.path.parts[len(root.parts) :]),
            "label_index": label,
            "split": sample.split,
            "group": "/".join(group),
            "defect": sample.name if label == DEFECTIVE else "",
        }

    def _label(self, name: str) -> int | None:
        """Return the label that the name of a folder says; None where it may be either."""
        same = same_name(name)
        for names, label in ((self.unknown, UNKNOWN), (self.good, GOOD), (self.defective, DEFECTIVE)):
            if same in (same_name(str(entry)) for entry in names):
                return label
        return None if may_be_either(name) else DEFECTIVE


@dataclass(frozen=True)
class Sample:
    """An image in a class folder.

    Attributes:
        path: The file.
        name: Of the class folder.
        folders: Between the class folder and the file.
        split: That its folder supplies, or unassigned.
    """

    path: Path
    name: str
    folders: tuple[str, ...]
    split: str


@dataclass
class Sorted:
    """The files below a root by what they are.

    Attributes:
        splits: Names of the folders that supply splits.
        samples: Images in class folders.
        masks: Masks.
        loose: Images in no class folder.
        beside: Number of images in every folder beside the splits; those beside the folders under an empty name.
        drawn: Number of images in every folder that Loupe drew.
    """

    splits: list[str]
    samples: list[Sample] = field(default_factory=list)
    masks: list[Path] = field(default_factory=list)
    loose: list[Path] = field(default_factory=list)
    beside: Counter[str] = field(default_factory=Counter)
    drawn: Counter[Path] = field(default_factory=Counter)

    @property
    def classes(self) -> dict[str, int]:
        """Number of images in every class folder."""
        return dict(sorted(Counter(sample.name for sample in self.samples).items()))

    def problems(self, root: Path) -> list[UnreadableImageError]:
        """Name what is neither an image of a class nor a mask."""
        remedy = "move it into the folder of its class, such as good/"
        named = [UnreadableImageError(path, "is an image in no class folder", remedy) for path in self.loose]
        splits = " and ".join(f"{name}/" for name in self.splits[:SHOWN])
        for name, count in sorted(self.beside.items()):
            what = f"holds {count} images beside {splits}, which are not used"
            named.append(UnreadableImageError(root / name, what, f"move what is in it into {splits}, or away"))
        for path, count in sorted(self.drawn.items()):
            what = f"holds {count} images that Loupe drew, which are not read as a class"
            named.append(UnreadableImageError(path, what, "move it away, or read it with data=synthetic"))
        return named


def refuse_drawn(root: Path) -> None:
    """Refuse a folder that Loupe itself drew: its folders are no classes.

    Raises:
        DataError: Says how it is read.
    """
    if is_drawn(root):
        raise DataError(
            f"Expected folders such as good/ and scratch/ under {root}, but found images that Loupe drew (samples.csv "
            "beside images/); set data.root to a folder of your own, or use data=synthetic."
        )


def may_be_either(name: str) -> bool:
    """Tell whether the name of a folder leaves open if what is in it is good: ``backup of good``, ``test_images``."""
    words = [word for word in re.split(r"[\s_.\-]+", name.lower()) if word]
    if "".join(words) in BAD_WORDS or (words and words[0] in {"no", "non", "not"}) or BAD_WORDS & set(words):
        return False
    return bool(GOOD_WORDS & set(words)) or all(word in PLAIN_WORDS for word in words)


def _elsewhere(root: Path, found: Sorted) -> str:
    """Say what else is there, and what to do."""
    if not found.classes:
        return f", and {len(found.loose)} images in no folder; sort them into good/ and one folder per type of defect"
    deeper = [
        sample.name
        for sample in found.samples
        if sample.folders and sample.folders[0].lower() in {*SPLIT_FOLDERS, *GOOD_WORDS}
    ]
    whole = f", or set data.root={root / deeper[0]}, which holds such folders itself" if deeper else ""
    return f"; name it with data.good=[NAME]{whole}"


def _counted(classes: dict[str, int]) -> str:
    return ", ".join(f"{name}/ ({count} images)" for name, count in classes.items())
