"""Scans to training squares, and their inclusions to crops: what ``loupe prepare metallography`` writes."""

from __future__ import annotations

import json
import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import cv2
import numpy as np
import pandas as pd

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.boxes import parse_box
from datamodules.files.csv_text import csv_text
from datamodules.files.images import read_image
from datamodules.files.object_crops import object_crops
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels
from datamodules.files.suffixes import is_hidden
from datamodules.files.walking import walk_images
from datamodules.files.whole_files import write_whole
from datamodules.layouts.files import SUMMARY, read_summary
from datamodules.metallography import MetallographyDataModule
from datamodules.progress import track
from datamodules.views import read_marks, read_view, views_of

from .preparation import Prepared

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datamodules.files.images import Array
    from datamodules.files.objects import Labels

PREPARED_BY = "loupe prepare metallography"
FOLDERS = ("images", "masks", "objects")
CROPPED = 50  # pixels; smaller inclusions show no shape
NORMAL, ANOMALOUS = 0.3, 0.55  # circle scores up to which, and from which, MLography's authors trained on an object
KINDS = ("good", "anomalous", "between")  # the last are of no use to learn from, and are not written


@dataclass(frozen=True, kw_only=True)
class MetallographySquares:
    """Cuts scans with masks to squares, and inclusions to crops of one size, sorted by how round they are.

    Under ``out``: ``images/{scan}-{y}-{x}.png`` and ``masks/`` of the same names, white on black, which
    ``data=metallography`` reads; ``objects/good`` and ``objects/anomalous`` with one folder per scan, which
    ``data=folder`` reads; ``objects.csv``, which names all inclusions, those between both, too; and a summary. The same
    source and settings give the same bytes.

    Args:
        source: Folder with ``images/`` and ``masks/``; or, with ``maps``, of binary maps of inclusions.
        out: Folder to write to: new, empty, or written by an earlier run, which is replaced.
        square: Side of a square in pixels.
        overlap: Pixels that neighbouring squares share at least.
        maps: The source holds maps: there are no squares to cut, only inclusions.
        objects: Cut inclusions, too.
        marks: As ``data=metallography`` has it, like the next four.
        mask_foreground: What of a mask is marked.
        dim_masks: What becomes of masks with no bright value.
        mask_sizes: What becomes of masks of another size than their scan.
        scan_pattern: What names the scan in a file's stem.
    """

    source: str
    out: str
    square: int = 128
    overlap: int = 32
    maps: bool = False
    objects: bool = True
    marks: str = "inclusion"
    mask_foreground: Literal["white", "black"] = "white"
    dim_masks: Literal["refuse", "convert"] = "refuse"
    mask_sizes: Literal["refuse", "align"] = "refuse"
    scan_pattern: str = MetallographyDataModule.scan_pattern

    def write(self) -> Prepared:
        """Cut and write everything.

        Raises:
            DataError: The source holds nothing usable, or ``out`` holds something else.
        """
        source, out = Path(self.source).expanduser().resolve(), Path(self.out).expanduser().resolve()
        self._clear(source, out)
        problems: list[UnreadableImageError] = []
        counts = {"squares": 0} if not self.maps else {}
        if not self.maps:
            data = self._data(self.square)
            problems += [UnreadableImageError(*row) for row in data.excluded.to_numpy()]
            counts["squares"] = write_squares(data, out)
        scans = 0
        tables = []
        for name, label_HW in self._labelled(source, problems):
            scans += 1
            if self.objects:
                tables.append(write_objects(name, label_HW, out))
        whole = pd.concat(tables, ignore_index=True) if tables else pd.DataFrame({"kind": []})
        if self.objects:
            write_whole(out / "objects.csv", csv_text(whole).encode())
        counts |= {f"objects {kind}": int((whole["kind"] == kind).sum()) for kind in KINDS if self.objects}
        if not any(counts.values()):
            raise DataError(f"Expected scans with masks, or maps with maps=true, but found nothing to cut in {source}.")
        write_whole(out / SUMMARY, (json.dumps(self._summary(counts, problems, source), indent=2) + "\n").encode())
        root = out / "objects" if self.maps else out
        words = ["experiment=metallography_shapes"] if self.maps else ["data=metallography", f"data.marks={self.marks}"]
        command = shlex.join(["loupe", "train", *words, f"data.root={root}"])
        return Prepared(out, scans, counts, problems, command)

    def _clear(self, source: Path, out: Path) -> None:
        """Make ``out`` empty, if it may be.

        Raises:
            DataError: It lies in the source, holds it, or holds what this did not write.
        """
        if source == out or source in out.parents or out in source.parents:
            raise DataError(f"Expected out to lie apart from source, but found {out} and {source}.")
        there = [path for path in out.iterdir() if not is_hidden(path)] if out.exists() else []  # locks are hidden
        if there and read_summary(out).get("prepared_by") != PREPARED_BY:
            raise DataError(f"Expected {out} to be new, empty, or written by {PREPARED_BY}, but it holds other files.")
        for folder in FOLDERS:
            shutil.rmtree(out / folder, ignore_errors=True)

    def _data(self, square: int | None) -> MetallographyDataModule:
        data = MetallographyDataModule(
            root=self.source,
            square=square,
            overlap=self.overlap,
            defects_in_train=True,
            marks=self.marks,
            mask_foreground=self.mask_foreground,
            dim_masks=self.dim_masks,
            mask_sizes=self.mask_sizes,
            scan_pattern=self.scan_pattern,
        )
        data.setup()
        return data

    def _labelled(self, source: Path, problems: list[UnreadableImageError]) -> Iterator[tuple[str, Labels]]:
        """Yield the objects of every map, or of every scan's mask, by the scan's name."""
        if self.maps:
            for path in track(walk_images(source, problems), "cutting inclusions"):
                try:
                    yield path.stem, object_labels(read_image(path))
                except UnreadableImageError as error:
                    problems.append(error)
                except DataError as error:
                    problems.append(UnreadableImageError(path, f"is no map: {error}", "see there"))
            return
        data = self._data(None)
        marked = data.samples[data.samples["mask_path"] != ""]
        for row, view in zip(marked.itertuples(), views_of(marked), strict=True):
            marks_HW = read_marks(str(row.mask_path), str(row.image_path), view, data.mask_on)
            yield Path(str(row.image_path)).stem, object_labels(marks_HW)

    def _summary(self, counts: dict[str, int], problems: list[UnreadableImageError], source: Path) -> dict[str, object]:
        keys = [key for key in self.__dataclass_fields__ if key not in {"source", "out"}]
        left_out = [
            {"path": str(problem.path).replace(f"{source}/", ""), "problem": problem.problem, "remedy": problem.remedy}
            for problem in problems
        ]
        settings = {key: getattr(self, key) for key in keys}
        return {"prepared_by": PREPARED_BY, "complete": True, "settings": settings, **counts, "left_out": left_out}


def write_squares(data: MetallographyDataModule, out: Path) -> int:
    """Write the squares of a datamodule with their masks; return how many."""
    rows = data.samples.sort_values("name")
    for row, view in zip(track(rows.itertuples(), "cutting squares", total=len(rows)), views_of(rows), strict=True):
        box = parse_box(view.box) if view.box else None
        stem = Path(str(row.name).partition("#")[0]).stem
        name = f"{stem}-{box.y}-{box.x}.png" if box and "#" in str(row.name) else f"{stem}.png"
        values = read_view(str(row.image_path), view)
        _write(out / "images" / name, values if values.ndim == 2 else values[..., ::-1])
        if row.mask_path:
            marks_HW = read_marks(str(row.mask_path), str(row.image_path), view, data.mask_on)
            _write(out / "masks" / name, marks_HW.astype(np.uint8) * 255)
    return len(rows)


def write_objects(name: str, label_HW: Labels, out: Path) -> pd.DataFrame:
    """Write the crops of a scan's inclusions; return where they came from, and of which kind they are."""
    table = object_table(label_HW, min_area=CROPPED)
    score_N = table["circle_score_centres"].to_numpy(float)
    kind_N = np.where(score_N <= NORMAL, KINDS[0], np.where(score_N >= ANOMALOUS, KINDS[1], KINDS[2]))
    files = []
    for crop, number, kind in zip(object_crops(label_HW, table), table["label"], kind_N, strict=True):
        file = f"{kind}/{name}/{number:06}.png" if kind != KINDS[2] else ""
        if file:
            _write(out / "objects" / file, crop)
        files.append(file)
    found = table[["x", "y", "area", "circle_score_centres"]].assign(kind=kind_N, file=files)
    found.insert(0, "map", name)
    return found


def _write(path: Path, values: Array) -> None:
    _, encoded = cv2.imencode(".png", values)
    write_whole(path, encoded.tobytes())
