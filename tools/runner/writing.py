"""Results on disk, row by row: what is written is whole, whatever happens, and a second call goes on where one stopped.

``predictions.jsonl`` is the record: one line per image, written after the files that belong to it.
``predictions.csv`` holds the same in columns, and ``defects.csv`` a row for each defect; both are made again from it
where a call goes on.
"""

from __future__ import annotations

import csv
import json
import os
from collections import Counter
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, Self, get_args

import cv2
import numpy as np

from datamodules.files.csv_text import LINE_END, Rows, guarded
from datamodules.files.made_folders import make_folder
from datamodules.layer_places import COLUMNS as LAYER_COLUMNS

from .familiar import Familiar
from .instance_files import write_instances
from .instance_rows import rows_of_instances
from .measuring import ABOUT as ABOUT_DEFECTS
from .measuring import COLUMNS as DEFECT_COLUMNS
from .overlays import drawn_over
from .owning import Owner
from .page_images import PageImages
from .record import whole_rows, write_row
from .specification import BundleError, read_object

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    from .measuring import Measuring
    from .result import Result

Which = Literal["defective", "all", "none"]
CHOICES: tuple[str, ...] = get_args(Which)
COLUMNS = (
    *(
        "image_path",
        "score",
        "threshold",
        "verdict",
        "accepted",
        "reasons",
        "predicted_type",
        "probability",
        "rank_among_good",
        "kind",
        "regions",
    ),
    *("unusual", "error"),
)
RECORD, TABLE, ABOUT = "predictions.jsonl", "predictions.csv", "predictions.json"
DEFECTS = "defects.csv"
EXAMPLES = 2  # of what could not be judged, in the last line


class Sink(Protocol):
    """Takes the rows of the record, too: a table of a database."""

    def known(self) -> set[str]:
        """Return the images of this folder that it holds already."""

    def write(self, row: Mapping[str, Any]) -> None:
        """Add a row."""

    def flush(self) -> None:
        """Keep all rows so far for good."""


class Writer:
    """Writes results to a folder, and knows which ones are there already.

    Args:
        folder: Is made if it is not there.
        about: What judges, in plain values: where a folder holds results of something else, nothing is mixed.
        overlays: Images to draw the map over.
        masks: Images whose mask is written, as large as the image.
        measuring: How defects are listed; None: they are not.
        familiar: Gathers how unlike the images of the training these are.
        sink: Takes every row, too; None: nobody does.
        images: Of a page at most; 0: there is none.
        layered: Whether images are layers of prints, with machine, job, build and number.

    Attributes:
        images: Those of the page.
        done: Names of the images that earlier calls judged.
        rows: How many there are, earlier ones included.
        defective: Rows called defective, earlier ones included.
        failed: Rows that hold an error, earlier ones included.
        first_failed: The first names of those with an error, and why.
        familiar: How unlike the images of the training these are, earlier ones included.
        defects: That are listed, earlier ones included; None where nobody measures them.
        states: How many parts are accepted and so on, earlier ones included; empty without rules.

    Raises:
        BundleError: The folder holds results of something else, another process writes to it, or nobody can.
    """

    def __init__(
        self,
        folder: str | Path,
        about: dict[str, Any],
        overlays: Which = "defective",
        masks: Which = "none",
        measuring: Measuring | None = None,
        familiar: Familiar | None = None,
        sink: Sink | None = None,
        images: int = 0,
        *,
        layered: bool = False,
    ) -> None:
        self._columns = (*COLUMNS, *LAYER_COLUMNS) if layered else COLUMNS
        self.folder = Path(folder).expanduser()
        self.images = PageImages(self.folder, images)
        self.overlays, self.masks = overlays, masks
        self.done: set[str] = set()
        self.rows = self.defective = self.failed = 0
        self.defects = None if measuring is None else 0
        self.first_failed: list[str] = []
        self.states: Counter[str] = Counter()
        self.familiar = familiar or Familiar(None)
        self._measuring = measuring
        self._sink = sink
        self._begin(about)

    def __enter__(self) -> Self:
        """Open the files, behind the rows that are there."""
        with ExitStack() as opened:
            opened.callback(self._owner.release)
            self._table = Table(opened, self.folder / TABLE, self._columns)
            self._listed = None if self._measuring is None else Table(opened, self.folder / DEFECTS, DEFECT_COLUMNS)
            held = set() if self._sink is None else self._sink.known()
            for row in whole_rows(self.folder / RECORD):
                self.done.add(row["image_path"])
                self._count(row)
                if self._sink is not None and row["image_path"] not in held:
                    self._sink.write(row)
            self._record = opened.enter_context((self.folder / RECORD).open("a", encoding="utf-8"))
            self._open = opened.pop_all()
        self.flush()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the files."""
        self._open.close()

    def write(self, result: Result) -> None:
        """Write what belongs to an image, and then its row."""
        if result.anomaly_map is not None and result.mask is not None:
            if _wanted(self.overlays, result) and (drawn := drawn_over(result, result.map_range)) is not None:
                self._save("overlays", result, ".jpg", drawn[..., ::-1])
            if _wanted(self.masks, result):
                self._save("masks", result, ".png", result.placed.mask_on_disk(result.mask).astype(np.uint8) * 255)
        row = result.row()
        if result.searched:
            row |= {"size": [*result.size], "instances": rows_of_instances(result)}
        if self._measuring is not None and not result.error:
            defects = self._measuring(result) if result.defects is None else result.defects
            row["defects"] = [defect.to_dict() for defect in defects]
        if (page := self.images.keep(result)) is not None:
            row["page"] = page
        self._record.write(write_row(row))
        self._count(row)
        if self._sink is not None:
            self._sink.write(row)

    def conclude(self) -> None:
        """Write instances.csv and instances.json from the record, where an instance model looked."""
        self.flush()
        rows = (row for row in whole_rows(self.folder / RECORD) if "instances" in row)
        first = next(rows, None)
        if first is not None:
            named = (({"image_path": row["image_path"]}, row["size"], row["instances"]) for row in chain([first], rows))
            write_instances(self.folder, named)

    def flush(self) -> None:
        """Hand every row so far to the system: what is done is done."""
        for file in (self._record, self._table, self._listed):
            if file is not None:
                file.flush()
        if self._sink is not None:
            self._sink.flush()

    def _begin(self, about: dict[str, Any]) -> None:
        path = self.folder / ABOUT
        try:
            make_folder(self.folder, exist_ok=True)
            self._owner = Owner(self.folder)
            try:
                text = json.dumps(about, indent=2, allow_nan=False) + "\n"
                if path.is_file():
                    _compare(self.folder, read_object(path), json.loads(text))  # JSON knows no tuples
                _replace(path, text)
            except BaseException:
                self._owner.release()
                raise
        except OSError as error:
            raise BundleError(f"Expected a folder to write to, but {self.folder}: {error.strerror}.") from error

    def _count(self, row: dict[str, Any]) -> None:
        self.rows += 1
        self.images.note(row)
        self.familiar.add(row)
        self.defective += row.get("verdict") == "defective"
        if row.get("accepted"):
            self.states[row["accepted"]] += 1
        if "error" in row:
            self.failed += 1
            if len(self.first_failed) < EXAMPLES:
                self.first_failed.append(f"{row['image_path']}: {row['error']}")
        self._table.write(row | {"regions": len(row["regions"])} if "regions" in row else row)
        if self._listed is not None and self.defects is not None:
            for defect in row.get("defects", ()):
                self._listed.write({name: row[name] for name in ABOUT_DEFECTS} | defect)
                self.defects += 1

    def _save(self, kind: str, result: Result, suffix: str, values: np.ndarray[Any, Any]) -> None:
        path = self.folder / kind / result.place.with_name(result.place.name + suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(suffix, np.ascontiguousarray(values))
        part = path.with_name(f".{path.name}.{os.getpid()}")
        part.write_bytes(encoded.tobytes())
        part.replace(path)


class Table:
    """A CSV file that is written anew, row by row; what a row lacks stays empty."""

    def __init__(self, opened: ExitStack, path: Path, columns: Sequence[str]) -> None:
        self._file = opened.enter_context(path.open("w", newline="", encoding="utf-8"))
        self._writer = csv.DictWriter(Rows(self._file), columns, restval="", lineterminator=LINE_END)
        self._columns = columns
        self._writer.writeheader()

    def write(self, row: dict[str, Any]) -> None:
        """Write a row."""
        self._writer.writerow({column: guarded(row[column]) for column in self._columns if column in row})

    def flush(self) -> None:
        """Hand every row so far to the system."""
        self._file.flush()


def _wanted(which: Which, result: Result) -> bool:
    return which == "all" or (which == "defective" and result.defective)


def _compare(folder: Path, found: dict[str, Any], about: dict[str, Any]) -> None:
    """Refuse to mix results of different judges in one folder."""
    if found != about:
        differing = ", ".join(sorted(key for key in {*found, *about} if found.get(key) != about.get(key)))
        raise BundleError(
            f"Expected {folder} to be new or to hold results of the same model and thresholds, but they differ in "
            f"{differing}; choose another folder."
        )


def _replace(path: Path, text: str) -> None:
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
