"""The images that are labelled: where each lies, what a model says of it, and what is said of it on disk."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from callbacks.decisions.scopes import Scoped
from datamodules.errors import DataError
from datamodules.files.csv_text import bare, map_texts
from datamodules.table import DEFECTIVE as DEFECTIVE_INDEX
from datamodules.table import GOOD as GOOD_INDEX
from datamodules.table import read_table
from tools.runner.record import whole_rows
from tools.runner.specification import BundleError, read_object
from tools.runner.writing import ABOUT, RECORD, TABLE
from tools.runs.run_files import CALIBRATION, PREDICTIONS, SAMPLES

from .entries import DEFECTIVE, GOOD, Mark
from .queue import Scored

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tools.runs.run_folder import RunFolder

_TEXT = dict.fromkeys(("name", "image_path", "kind", "group", "defect"), "str")


@dataclass(frozen=True)
class Item:
    """An image that may be labelled.

    Attributes:
        name: By which the journal knows it; never changes.
        path: The file.
        box: The part of it that is meant, as ``Box.text`` writes it; empty: all.
        score: Raw; None: nobody judged it.
        threshold: That holds for it.
        kind: Its sub-population.
        given: What the data on disk calls it; None: unknown.
        mask: File of its mask on disk; empty where there is none.
        outlines: File with its outlines on disk, in place of a mask; empty where there is none.
        aside: Labels of outlines that mark no defect, but the part or the ground.
        group: What it belongs to: its part, build or scan.
        before: The layer below it; None where there is none.
        after: The layer above it.
    """

    name: str
    path: Path
    box: str = ""
    score: float | None = None
    threshold: float | None = None
    kind: str = ""
    given: Mark | None = None
    mask: str = ""
    outlines: str = ""
    aside: tuple[str, ...] = ()
    group: str = ""
    before: Path | None = None
    after: Path | None = None

    @property
    def scored(self) -> Scored:
        """What decides its place in the queue."""
        return Scored(self.name, self.score, self.threshold)

    @property
    def marked(self) -> bool:
        """Whether defects are marked on it on disk, so far as its label says."""
        defective = self.given is not None and self.given.verdict == DEFECTIVE
        return bool(self.mask) or (bool(self.outlines) and defective)


@dataclass(frozen=True)
class Gathered:
    """The images of one call.

    Attributes:
        items: By name, in the order of their names.
        model: What judged them, in words that the journal keeps; empty: nothing did.
        types: Of defects that the data knows.
        remarks: Whole sentences about what is left out.
    """

    items: dict[str, Item]
    model: str = ""
    types: list[str] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)


def gather(items: list[Item], model: str = "", remarks: list[str] | None = None) -> Gathered:
    """Put images in order.

    Raises:
        DataError: There are none.
    """
    notes = list(remarks or [])
    if not items:
        raise DataError(" ".join(["Expected images to label, but found none.", *notes]))
    types = {item.given.type for item in items if item.given is not None and item.given.type}
    return Gathered({item.name: item for item in sorted(items, key=lambda one: one.name)}, model, sorted(types), notes)


def items_of_predictions(folder: Path) -> Gathered:
    """Read what ``loupe predict`` wrote, or a ``predictions.csv`` with ``image_path``, ``score`` and ``threshold``.

    Raises:
        DataError: There is no such table, or it names no image that is there.
    """
    folder = folder.expanduser()
    table = folder if folder.is_file() else folder / TABLE
    if not folder.is_file() and (folder / RECORD).is_file():
        rows: list[dict[str, Any]] = list(whole_rows(folder / RECORD))
    else:
        rows = _read_rows(table)
    items, lost = [], []
    for row in rows:
        path = _find(str(row["image_path"]), table.parent)
        if path is None or row.get("error") or _number(row.get("score")) is None:
            lost.append(str(row["image_path"]))
            continue
        score, threshold = _number(row.get("score")), _number(row.get("threshold"))
        items.append(Item(str(row["image_path"]), path, "", score, threshold, str(row.get("kind") or "")))
    left = [f"{len(lost)} of {len(rows)} rows name no image that can be shown, such as {lost[0]}."] if lost else []
    return gather(items, _model_of(table.parent), left)


def items_of_run(folder: RunFolder) -> Gathered:
    """Read the test images of a run, with the scores of its test; no model is asked.

    Raises:
        DataError: The run has not been tested, or none of its images is there.
    """
    path = folder.path / PREDICTIONS
    if not path.is_file() or not (folder.path / SAMPLES).is_file():
        raise DataError(
            f"Expected {folder.path} to be a tested run, but it holds no {PREDICTIONS}; let the training end, or judge "
            f"images: loupe label run={folder.path} source=IMAGES."
        )
    table = map_texts(pd.read_csv(path, dtype=_TEXT, keep_default_na=False), bare)
    image = Scoped.from_dict(folder.read_json(CALIBRATION)["image"])
    samples = read_table(folder.path / SAMPLES)
    about = [{str(key): value for key, value in row.items()} for row in samples.to_dict("records")]
    aside = labels_aside(folder.load_config().data)
    made = [item_of_row(row, str(row["name"]), aside) for row in about]
    known = dict(zip(samples["name"], with_layers(made, about), strict=True))
    items = []
    for row in table.to_dict("records"):
        item = known.get(row["name"])
        if item is not None and item.path.is_file():
            items.append(with_score(item, float(row["score"]), image.of_kind(str(row["kind"]))))
    gone = len(table) - len(items)
    remarks = [f"{gone} of {len(table)} test images are not there any more."] if gone else []
    return gather(items, f"run {folder.path.parent.name}/{folder.path.name}", remarks)


def item_of_row(row: dict[str, Any], name: str, aside: tuple[str, ...] = ()) -> Item:
    """Make an item of a row of a sample table; ``aside`` are labels of outlines that mark no defect."""
    given = {GOOD_INDEX: Mark(GOOD), DEFECTIVE_INDEX: Mark(DEFECTIVE, str(row.get("defect") or ""))}
    return Item(
        name=name,
        path=Path(str(row["image_path"])),
        box=str(row.get("box") or ""),
        kind=str(row.get("kind") or ""),
        given=given.get(int(row["label_index"])),
        mask=str(row.get("mask_path") or ""),
        outlines=str(row.get("annotation_path") or ""),
        aside=aside,
        group=str(row.get("group") or ""),
    )


def labels_aside(data: Mapping[Any, Any]) -> tuple[str, ...]:
    """Return the labels of outlines that mark no defect, as the config of a data set says them."""
    return tuple(str(label) for key in ("parts", "background") for label in data.get(key) or ())


def with_score(item: Item, score: float | None, threshold: float | None) -> Item:
    """Give an item what a model says of it."""
    return replace(item, score=score, threshold=threshold)


def with_layers(items: list[Item], rows: list[dict[str, Any]]) -> list[Item]:
    """Give layers of builds the layers before and after them; ``rows`` have ``build`` and ``layer``, as items stand."""
    if not rows or not {"build", "layer"} <= set(rows[0]):
        return items
    builds: dict[str, list[tuple[int, int]]] = {}
    for place, row in enumerate(rows):
        if int(row["layer"]) >= 0:
            builds.setdefault(str(row["build"]), []).append((int(row["layer"]), place))
    found = list(items)
    for layers in builds.values():
        order = [place for _, place in sorted(layers)]
        for before, after in itertools.pairwise(order):
            found[before] = replace(found[before], after=items[after].path)
            found[after] = replace(found[after], before=items[before].path)
    return found


def _read_rows(table: Path) -> list[dict[str, Any]]:
    expected = f"Expected source to be a folder with {TABLE}, as loupe predict writes it"
    if not table.is_file():
        raise DataError(f"{expected}, but found none at {table.parent}; run: loupe predict RUN IMAGES out=FOLDER")
    try:
        found = map_texts(pd.read_csv(table, dtype=_TEXT, keep_default_na=False), bare)
    except ValueError as error:
        raise DataError(f"{expected}, but could not read {table}: {error}.") from error
    if lacking := [name for name in ("image_path", "score", "threshold") if name not in found]:
        raise DataError(f"{expected}, but {table} has no column {lacking[0]}.")
    return [{str(key): value for key, value in row.items()} for row in found.to_dict("records")]


def _find(name: str, beside: Path) -> Path | None:
    """Find the file that a row names: as it stands, or beside the table."""
    return next((path for path in (Path(name), beside / name) if path.is_file()), None)


def _number(value: object) -> float | None:
    try:
        found = float(str(value))
    except ValueError:
        return None
    return found if found == found else None  # noqa: PLR0124 - NaN


def _model_of(folder: Path) -> str:
    """Say what judged, by what its folder notes of it."""
    try:
        about = read_object(folder / ABOUT)
    except BundleError:
        return ""
    named = str(about.get("bundle") or about.get("checkpoint") or "")
    digest = str(about.get("sha256") or about.get("spec_sha256") or "")[:12]
    return " ".join(part for part in (named, digest) if part)
