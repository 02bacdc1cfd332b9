"""Layers of 3D prints, photographed one by one as they are laid."""

from __future__ import annotations

import os
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from .errors import DataError, UnreadableImageError
from .fiber import LABELS
from .files.images import check_white_level, read_image
from .files.roots import existing_root
from .files.walking import walk_images
from .kinds import Finder, KindByAppearance, KindByName
from .layer_features import layer_features
from .layer_groups import find_groups, name_of_group
from .layer_places import LayerPlaces, first_group
from .layouts.label_table import FileIndex, read_labels
from .layouts.split_folders import SplitFolders, split_folders
from .layouts.strays import unused_documents
from .masks.beside import apart_from_masks
from .masks.pairing import with_masks
from .progress import track
from .table import DEFECTIVE, GOOD, UNKNOWN
from .views import ViewDataModule

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

MACHINE = r"(?i)(?:^|/)((?:machine|printer)[^/]*)/"
JOB = r"(?i)(?:^|/)(job[^/]*)/"


@dataclass(kw_only=True, eq=False)
class Print3dDataModule(ViewDataModule):
    """Layers of builds, most of them unlabelled.

    On disk, under ``root``, any folders of images. Names of folders say what a layer is:

    * one named in ``good``, ``unknown`` or ``defective``, in any case, labels what is below it;
    * where a ``good`` one lies directly under ``root``, but none named in ``defective``, every other folder beside it
      is a type of defect;
    * all other folders name the build: ``build_07/layer_0123.png``, or ``No_Defect/build_07/0123.jpg``.

    ``labels.csv``, if there is one, with ``image`` and ``label`` (good, defective, or empty), goes before folders.
    Masks of defective layers lie in ``masks/`` by the same paths, or beside them; see ``masks.pairing``.
    Whatever nobody labelled is unknown: it is trained on as if it were good, but counted nowhere. ``contamination``
    says how much of it may be defective.

    ``group`` is the build. Layers in no build's folder are grouped in runs of ``run_length``, in the order of their
    numbers: neighbouring layers are nearly the same image. ``kind`` is the group of layers that look alike, as
    ``kind_pattern`` reads it from the path, or else as ``layer_groups`` finds it. ``machine``, ``job``, ``build`` and
    ``layer`` are kept in the sample table; an unknown machine is empty, an unknown layer -1.

    Args:
        good: Names of folders with good layers, in any case.
        unknown: Names of folders with layers that may be either.
        defective: Names of folders with defective layers.
        layer_pattern: Regular expression; what its first group matches in a file's stem is the layer's number. By
            default the last number there.
        build_pattern: Regular expression; what its first group matches in a file's path below ``root`` names the build;
            null: folders do.
        machine_pattern: Regular expression; what its first group matches in a file's path below ``root`` names the
            machine. By default a folder whose name begins with ``machine`` or ``printer``.
        job_pattern: The same for the print job; null, or where it matches nothing: the build without its machine.
        run_length: Layers of no build that are kept together.
        kind_pattern: Regular expression; what its first group matches in a file's path below ``root`` names its kind.
        layer_groups: How many groups of layers to find by their look; 1: none; null: as many as fit best, up to 8.
            Defective layers join the nearest group, but do not decide the groups.
        neighbours: Stack the layer before, the layer itself and the layer after, in grey, as the three channels. At
            either end of a build, or beside a gap, the layer itself stands in.
        contamination: Share of the unknown layers that may be defective, as far as anybody knows; the report states it.
    """

    good: tuple[str, ...] = ("no_defect", "good", "ok", "normal", "holdout")
    unknown: tuple[str, ...] = ("unknown", "unlabelled", "unlabeled")
    defective: tuple[str, ...] = ("defect", "defective", "bad")
    layer_pattern: str = r"(\d+)(?!.*\d)"
    build_pattern: str | None = None
    machine_pattern: str | None = MACHINE
    job_pattern: str | None = JOB
    run_length: int = 4
    kind_pattern: str | None = None
    layer_groups: int | None = 1
    neighbours: bool = False
    contamination: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self._appearance: KindByAppearance | None = None
        for key in ("layer_pattern", "build_pattern", "machine_pattern", "job_pattern", "kind_pattern"):
            check_pattern(f"data.{key}", getattr(self, key))
        if self.run_length < 1:
            raise DataError(f"Expected data.run_length to be at least 1, but found {self.run_length}.")
        if self.layer_groups is not None and self.layer_groups < 1:
            raise DataError(f"Expected data.layer_groups to be at least 1 or null, but found {self.layer_groups}.")
        if self.contamination is not None and not 0 <= self.contamination < 1:
            raise DataError(f"Expected data.contamination to be 0 to 1, but found {self.contamination}.")

    @property
    def places(self) -> LayerPlaces:
        """What reads machine, job, build and layer from a path."""
        classes = [name.lower() for names in (self.good, self.unknown, self.defective) for name in names]
        patterns = (self.layer_pattern, self.build_pattern, self.machine_pattern, self.job_pattern)
        return LayerPlaces(*patterns, classes)

    def unlabelled(self) -> list[str]:
        """Say how many unlabelled layers are trained on, and what share of them is expected to be defective."""
        if self.contamination is None:
            more = "State how many you expect with data.contamination=SHARE."
        else:
            more = f"Expected: {self.contamination:.3g} of them (data.contamination)."
        return [f"{note} {more}" for note in super().unlabelled()]

    def more_groups(self) -> str:
        """Say how layers of no build can be kept apart."""
        return "set data.run_length=1, or add builds" if self.run_length > 1 else ""

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List the layers by folder and number."""
        root = existing_root(self.root, "folders of layers, such as No_Defect/ or build_01/")
        problems: list[UnreadableImageError] = []
        images, masks = apart_from_masks(root, walk_images(root, problems))
        paths = [path.relative_to(root) for path in images]
        labels = self._labels(root / "labels.csv", paths, problems)
        problems += unused_documents(root, {root / "labels.csv"})
        splits = split_folders(root, images)
        self.remarks += [splits.remark] if splits.remark else []
        tops = {folders[0].lower() for path in paths if (folders := splits.others(path.parts[:-1]))}
        named = [{name.lower() for name in names} & tops for names in (self.good, self.defective)]
        tops_are_classes = bool(named[0]) and not named[1]
        rows = [self._row(root, path, labels, tops_are_classes, splits) for path in paths]
        if not rows:
            raise DataError(f"Expected pictures of layers in folders under {root}, but found none; set data.root=PATH.")
        table = self._grouped(pd.DataFrame(with_masks(self, root, rows, masks, problems)))
        if self.kind_pattern is None and self.layer_groups != 1:
            table["kind"] = self._found_kinds(table)
        return (stack_neighbours(table) if self.neighbours else table), problems

    def _labels(self, path: Path, images: list[Path], problems: list[UnreadableImageError]) -> dict[str, int]:
        """Read labels.csv, if there is one; name the lines of it that belong to no image."""
        if not path.is_file():
            return {}
        table = read_labels(path)
        files = FileIndex(path.parent, [path.parent / image for image in images])
        found = [files.find(name) for name in table["image"].str.strip()]
        for name, file in zip(table["image"], found, strict=True):
            if file is None:
                remedy = "mend the name, or delete the line"
                problems.append(UnreadableImageError(path, f"names {name}, which is not there", remedy))
        if len(table) and not any(found):
            examples = ", ".join(table["image"].head(2))
            raise DataError(
                f"Expected {path} to name layers below its folder, but none of its {len(table)} names is there "
                f"({examples}, ...); write them as they are on disk."
            )
        table = table[[file is not None for file in found]]
        names = [file.relative_to(path.parent).as_posix() for file in found if file is not None]
        labels = table["label"].str.strip().str.lower()
        if (wrong := ~labels.isin(list(LABELS))).any():
            label, name = labels[wrong].iloc[0], table["image"][wrong].iloc[0]
            raise DataError(f"Expected {path} to label {name} good or defective, or not at all, but found {label!r}.")
        return dict(zip(names, labels.map(LABELS), strict=True))

    def _row(
        self, root: Path, path: Path, labels: dict[str, int], tops_are_classes: bool, splits: SplitFolders
    ) -> dict[str, object]:
        """Make the row of one layer, from its path below ``root``."""
        folders = splits.others(path.parts[:-1])
        label, class_folder = self._class_of(folders, tops_are_classes)
        label = labels.get(path.as_posix(), label)
        builds = [folder for folder in folders if folder != class_folder]
        place = self.places.of(PurePosixPath(path.as_posix()), builds)
        return {
            "image_path": str(root / path),
            "name": path.as_posix(),
            "label_index": label,
            "split": splits.of(root / path),
            "machine": place.machine,
            "job": place.job,
            "build": place.build,
            "run": place.build or class_folder,
            "layer": -1 if place.layer is None else place.layer,
            "kind": first_group(self.kind_pattern, path.as_posix()),
            "defect": (class_folder or "defect") if label == DEFECTIVE else "",
        }

    def _class_of(self, folders: list[str], tops_are_classes: bool) -> tuple[int, str]:
        """Return the label that folders say, and the one that says it."""
        for names, label in ((self.good, GOOD), (self.unknown, UNKNOWN), (self.defective, DEFECTIVE)):
            for folder in folders:
                if folder.lower() in {name.lower() for name in names}:
                    return label, folder
        return (DEFECTIVE, folders[0]) if tops_are_classes and folders else (UNKNOWN, "")

    def _grouped(self, table: pd.DataFrame) -> pd.DataFrame:
        """Add the group: the build, or a run of layers where there is none; a layer without a number is on its own.

        Runs are told by the layers' numbers, not by their place among the files, so that layers which are added later
        leave the others where they are.
        """
        table = table.sort_values(["run", "layer", "name"], ignore_index=True)
        numbered = table["layer"] >= 0
        length = table["run"].map(table[numbered].groupby("run")["layer"].agg(usual_step)).fillna(1) * self.run_length
        place = (table["layer"] // length * length).astype(int).astype(str)  # the first layer that belongs to it
        loose = (table["run"].where(table["run"] != "", "layers") + "/run " + place).where(numbered, table["name"])
        table["group"] = table["build"].where(table["build"] != "", loose)
        return table

    def _found_kinds(self, table: pd.DataFrame) -> list[str]:
        """Cluster the layers by their look; what cannot be read gets no kind, since the survey will leave it out."""

        def describe(path: str) -> Any:
            try:
                values = read_image(path)
                check_white_level(values, path, self.white_level)
            except UnreadableImageError:
                return None
            return layer_features(values, self.white_level)

        with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
            described = list(track(pool.map(describe, table["image_path"]), "finding layer groups", total=len(table)))
        readable = np.array([found is not None for found in described])
        fitted = (table["label_index"] != DEFECTIVE).to_numpy()[readable]
        if not fitted.any():
            return [""] * len(table)
        features = np.stack([found for found in described if found is not None])
        found = find_groups(features, fitted, self.layer_groups, self.seed)
        self._appearance = found.finder
        groups = iter(found.group_N.tolist())
        return [name_of_group(next(groups)) if known else "" for known in readable]

    def kind_finder(self) -> Finder | None:
        """Tell kinds by ``kind_pattern``, or by the groups that were found; see ``kinds.FindsKinds``."""
        return KindByName(self.kind_pattern) if self.kind_pattern is not None else self._appearance


def usual_step(layers: Iterable[int]) -> int:
    """Return the most common difference of layers' numbers (20 where every twentieth was kept); 1 of fewer than two."""
    steps = Counter(int(step) for step in np.diff(np.unique(np.fromiter(layers, dtype=np.int64))))
    return min(steps, key=lambda step: (-steps[step], step), default=1)


def stack_neighbours(table: pd.DataFrame) -> pd.DataFrame:
    """Add the layers before and after as ``before_path`` and ``after_path``; the layer itself where there is none.

    They are the usual step away: the most common difference of layer numbers within a build (20 where every twentieth
    layer was kept).
    """
    table = table.assign(before_path=table["image_path"], after_path=table["image_path"])
    for _, rows in table[table["layer"] >= 0].groupby("run"):
        step = usual_step(rows["layer"])
        paths = dict(zip(rows["layer"], rows["image_path"], strict=True))
        for column, away in (("before_path", -step), ("after_path", step)):
            table.loc[rows.index, column] = [
                paths.get(layer + away, own) for layer, own in zip(rows["layer"], rows["image_path"], strict=True)
            ]
    return table


def check_pattern(key: str, pattern: str | None) -> None:
    """Refuse what is not a regular expression with a group.

    Raises:
        DataError: As above; names ``key``.
    """
    try:
        groups = 1 if pattern is None else re.compile(pattern).groups
    except re.error as error:
        raise DataError(f"Expected {key} to be a regular expression, but found {pattern!r}: {error}.") from error
    if not groups:
        raise DataError(f"Expected {key} to have a group in parentheses, but found none in {pattern!r}.")
