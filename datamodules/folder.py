"""Images sorted into folders: good ones, and one folder for every type of defect; or the layout of MVTec AD."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pandas as pd

from .base import InspectionDataModule
from .errors import DataError, UnreadableImageError
from .files.names import bare_name, is_image_folder
from .files.roots import existing_root
from .files.walking import walk_images
from .layouts.class_words import GOOD_WORDS, SPLIT_FOLDERS, may_be_either, sounds_good
from .layouts.contradictions import refuse_contradictions
from .layouts.files import is_prepared
from .layouts.finding import TABLE
from .layouts.relabelling import corrections, read_relabelled, relabelled
from .layouts.strays import unused_documents
from .masks.appearance import are_masks, are_photographs
from .masks.beside import masks_beside
from .masks.naming import is_mask_folder, masks_of
from .masks.pairing import with_masks
from .synthetic.write import is_drawn
from .table import DEFECTIVE, GOOD, UNASSIGNED, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Container, Sequence
    from pathlib import Path

MOST_EXAMINED = 20  # folders below classes
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

    ``labels.csv``, if there is one, with ``image`` (path below ``root``), ``label`` (good, defective, empty for
    unknown, or ``ambiguous`` to leave an image out) and, if wanted, ``defect``, goes before folders.

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
        self._check_names()
        problems: list[UnreadableImageError] = []
        images = walk_images(root, problems)
        labels = read_relabelled(root, images, problems)
        found = self._sorted(root, images)
        documents = unused_documents(root, set() if labels is None else {root / TABLE})
        problems += documents
        found.take_named({*(labels or ())})
        self._ask(root, found, documents)
        self._check_masks(root, found)
        problems += found.problems(root)
        by_folder = [self._row(root, sample) for sample in found.samples]
        self.remarks += corrections(by_folder, labels or {})
        rows = relabelled(by_folder, labels or {}, problems)
        if not any((found.samples, found.loose, found.masks, found.beside, found.drawn)):
            first = f"; for example: {problems[0]}" if problems else "; set data.root=PATH."
            raise DataError(
                f"Expected images in folders such as good/ and scratch/ under {root}, but found none{first}"
            )
        if not any(row["label_index"] != DEFECTIVE for row in rows):
            raise DataError(
                f"Expected a folder of good images under {root}, named one of {', '.join(map(str, self.good))}, but "
                f"found {_counted(found.classes) or 'none'}{_elsewhere(root, found)}.{_beside(root, documents)}"
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
        named = {bare_name(str(name)) for name in (*self.good, *self.unknown, *self.defective)}
        found = Sorted(list(supplied))
        tops = {path.parts[start] for path in paths if len(path.parts) > start + 1}
        drawn = {top for top in tops if is_drawn(root / top)}
        for path in paths:
            parts = path.parts[start:]
            if parts[0] in drawn:
                found.drawn[root / parts[0]] += 1
                continue
            rest = parts[1:] if parts[0] in supplied else parts
            if any(is_mask_folder(part) and bare_name(part) not in named for part in parts[:-1]):
                found.masks.append(path)
            elif supplied and parts[0] not in supplied:
                found.beside[parts[0] if len(parts) > 1 else ""] += 1
            elif len(rest) == 1:
                found.loose.append(path)
            else:
                found.samples.append(Sample(path, rest[0], rest[1:-1], supplied.get(parts[0], UNASSIGNED)))
        found.leave_out_image_folders()
        found.take_splits_below_classes()
        masks = masks_beside(sample.path for sample in found.samples)
        found.masks += sorted(masks)
        found.samples = [sample for sample in found.samples if sample.path not in masks]
        return found

    def _check_names(self) -> None:
        """Refuse names of folders that two keys call two things.

        Raises:
            DataError: Names the first.
        """
        keys: dict[str, str] = {}
        for key, names in (("good", self.good), ("unknown", self.unknown), ("defective", self.defective)):
            for name in {bare_name(str(entry)) for entry in names}:
                if name in keys:
                    raise DataError(
                        "Expected every folder in one of data.good, data.unknown and data.defective, but found "
                        f"{name} in data.{keys[name]} and data.{key}; set data.{keys[name]}=[NAMES] without it."
                    )
                keys[name] = key

    def _ask(self, root: Path, found: Sorted, documents: Sequence[UnreadableImageError]) -> None:
        """Refuse folders whose names may mean either, instead of guessing.

        Raises:
            DataError: Names them, and the keys that say what they are; or a folder below one, which says otherwise.
        """
        unclear = {name: count for name, count in found.classes.items() if self._label(name) is None}
        if unclear:
            first = next(iter(unclear))
            raise DataError(
                f"Expected every folder under {root} to be named good, or after a type of defect, but found "
                f"{_counted(unclear)}, which may be either; name each in data.good, data.defective or data.unknown, as "
                f"in data.{'good' if sounds_good(first) else 'defective'}=['{first}']{_deeper(root, found)}, or "
                f"move it away.{_beside(root, documents)}"
            )
        settled = {bare_name(str(name)) for name in self.defective}
        judged = [s for s in found.samples if bare_name(s.name) not in settled]
        refuse_contradictions(root, [(s.path, s.folders, self._label(s.name)) for s in judged])

    def _check_masks(self, root: Path, found: Sorted) -> None:
        """Move folders of masks by another name to the masks; refuse those whose name and look contradict each other.

        Raises:
            DataError: A folder of a class looks like masks, or one of masks like photographs.
        """
        named = {bare_name(str(name)) for name in (*self.good, *self.unknown, *self.defective)}
        by_class = {name: found.paths_of(name) for name in found.classes}
        good_ones = [path for name, paths in by_class.items() if self._label(name) != DEFECTIVE for path in paths]
        alike = {name for name, paths in by_class.items() if bare_name(name) not in named and are_masks(paths)}
        for name in sorted(alike) if alike and not are_masks(good_ones) else []:
            if masks_of(name) == name:
                raise DataError(
                    f"Expected images in {name}/ under {root}, but found {len(by_class[name])} that look like masks; "
                    f"rename the folder to masks if they are, or set data.defective=['{name}']."
                )
            found.take_for_masks(name)
        self._check_below(root, found)
        tops = {path.parts[len(root.parts)] for path in found.masks}
        for name in sorted(top for top in tops if is_mask_folder(top)):
            paths = [path for path in found.masks if path.parts[len(root.parts)] == name]
            if are_photographs(paths):
                raise DataError(
                    f"Expected masks in {name}/ under {root}, by its name, but found {len(paths)} that look like "
                    f"photographs; set data.defective=['{name}'] if that is a type of defect, or move it away."
                )

    def _check_below(self, root: Path, found: Sorted) -> None:
        """Refuse folders below a class that look like masks, where what lies beside them does not.

        Raises:
            DataError: Names one.
        """
        if is_prepared(root) or is_prepared(root.parent):  # crops of inclusions are black and white, and images
            return
        below: dict[tuple[str, ...], list[Path]] = defaultdict(list)
        for sample in found.samples:
            below[(sample.split, sample.name, *sample.folders)].append(sample.path)
        for place, paths in list(below.items())[:MOST_EXAMINED]:
            beside = [path for other, others in below.items() if other != place for path in others]
            if len(place) > 2 and are_masks(paths) and not are_masks(beside):
                name = paths[0].parent.relative_to(root)
                raise DataError(
                    f"Expected images in {name}/ under {root}, but found {len(paths)} that look like masks; rename the "
                    "folder to masks if they are, or move it away."
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
        same = bare_name(name)
        if not name:  # an image in no folder, of which labels.csv speaks
            return UNKNOWN
        for names, label in ((self.unknown, UNKNOWN), (self.good, GOOD), (self.defective, DEFECTIVE)):
            if same in (bare_name(str(entry)) for entry in names):
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

    def paths_of(self, name: str) -> list[Path]:
        """List the images of a class folder."""
        return [sample.path for sample in self.samples if sample.name == name]

    def take_named(self, named: Container[Path]) -> None:
        """Take images in no class folder whose labels a table says."""
        self.samples += [Sample(path, "", (), UNASSIGNED) for path in self.loose if path in named]
        self.loose = [path for path in self.loose if path not in named]

    def take_for_masks(self, name: str) -> None:
        """Move what is in a class folder to the masks."""
        self.masks += self.paths_of(name)
        self.samples = [sample for sample in self.samples if sample.name != name]

    def leave_out_image_folders(self) -> None:
        """Take the folders in ``images/`` for the classes, where all images lie there."""
        if self.samples and all(is_image_folder(sample.name) and sample.folders for sample in self.samples):
            self.samples = [
                Sample(sample.path, sample.folders[0], sample.folders[1:], sample.split) for sample in self.samples
            ]

    def take_splits_below_classes(self) -> None:
        """Take ``good/train`` and ``scratch/test`` for the splits that they name, where all images lie in such."""
        inner = [sample.folders[0].lower() if sample.folders else "" for sample in self.samples]
        if self.splits or not set(inner) <= {*SPLIT_FOLDERS}:
            return
        self.samples = [
            Sample(sample.path, sample.name, sample.folders[1:], SPLIT_FOLDERS[split])
            for sample, split in zip(self.samples, inner, strict=True)
        ]

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
    """Refuse a folder that Loupe itself drew: its folders are not classes.

    Raises:
        DataError: Says how it is read.
    """
    if is_drawn(root):
        raise DataError(
            f"Expected folders such as good/ and scratch/ under {root}, but found images that Loupe drew (samples.csv "
            "beside images/); set data.root to a folder of your own, or use data=synthetic."
        )


def _elsewhere(root: Path, found: Sorted) -> str:
    """Say what else is there, and what to do."""
    if not found.classes:
        return f", and {len(found.loose)} images in no folder; sort them into good/ and one folder per type of defect"
    return f"; name it with data.good=[NAME]{_deeper(root, found)}"


def _beside(root: Path, documents: Sequence[UnreadableImageError]) -> str:
    """Name the label files that lie beside the folders, and what reads them; empty where there are none."""
    if not documents:
        return ""
    first = documents[0]
    count = f"{len(documents)} such files, for example " if len(documents) > 1 else ""
    name = first.path.removeprefix(f"{root}/")
    return f" If labels say it: found {count}{name}, which {first.problem}; {first.remedy}."


def _deeper(root: Path, found: Sorted) -> str:
    """Say which folder holds classes itself, if one does; else nothing."""
    words = {*SPLIT_FOLDERS, *GOOD_WORDS}
    deeper = [
        sample
        for sample in found.samples
        if sample.folders and (sample.folders[0].lower() in words or is_image_folder(sample.folders[0]))
    ]
    # Images of a class may lie in good/images/, which holds no classes.
    deeper = [sample for sample in deeper if len(sample.folders) > 1 or sample.folders[0].lower() in words]
    if not deeper:
        return ""
    return f", or set data.root={root.joinpath(deeper[0].name)}, which holds such folders itself"


def _counted(classes: dict[str, int]) -> str:
    return ", ".join(f"{name}/ ({count} images)" for name, count in classes.items())
