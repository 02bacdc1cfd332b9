"""Labels and masks into the data set itself, in the layout that its datamodule reads the next time.

What is replaced there is kept beside the journal first. Nothing that nobody labelled is changed.
"""

from __future__ import annotations

import csv
import io
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.arrays.naming import TILE
from datamodules.errors import DataError
from datamodules.files.csv_text import LINE_END, Rows, bare, guarded, map_texts
from datamodules.files.whole_files import write_whole
from datamodules.layouts.label_table import read_text_table
from datamodules.masks.matching import split_mask
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.coco import is_coco_file
from datamodules.outlines.instances import is_named
from datamodules.outlines.names import same_parts, split_path

from .entries import DECIDED, DEFECTIVE, GOOD, REWORK
from .foreign import labelme_text, size_of
from .labels_file import LABELS, OPEN, labels_of, word_of

if TYPE_CHECKING:
    from .desk import Desk
    from .items import Item
    from .masks import Masks
    from .replay import Label

REPLACED = "replaced"
MASKS = "masks"


@dataclass(frozen=True)
class Layout:
    """How a datamodule reads labels.

    Attributes:
        words: What its labels.csv calls rework, and what nobody could tell; empty: it counts as unknown.
        column: Of the label; empty: it reads no table, since marks are its labels.
        masks: Whether it reads ``masks/``.
        outlines: Whether it reads a label file of labelme's beside each image instead.
        all_named: Whether it leaves out what its table does not name.
        cells: Whether it names cells of arrays.
    """

    words: tuple[str, str] = ("", "")
    column: str = "label"
    masks: bool = True
    outlines: bool = False
    all_named: bool = False
    cells: bool = False


LAYOUTS = {
    "folder": Layout(("ambiguous", "ambiguous")),
    "fiber": Layout(("ambiguous", "ambiguous"), all_named=True),
    "print3d": Layout(),
    "oring": Layout(("rework", ""), masks=False, outlines=True, all_named=True),
    "meta_atom": Layout(("unknown", "unknown"), column="class", cells=True),
    "metallography": Layout(column=""),
}
"""By the name of the data, as ``data=`` chooses it."""


@dataclass
class Returned:
    """What was written.

    Attributes:
        labels: How many labels.
        masks: How many masks, or label files of outlines.
        root: Where to.
        notes: Whole sentences about what could not be said in this layout.
    """

    labels: int
    masks: int
    root: Path
    notes: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Say it in a sentence."""
        return " ".join([f"{self.labels} labels and {self.masks} masks are in {self.root}.", *self.notes])


def return_labels(
    desk: Desk, masks: Masks, data: str, root: Path, out: Path, defects: tuple[str, ...] = ()
) -> Returned:
    """Write labels and masks into a data set.

    Args:
        desk: With the labels.
        masks: That were drawn.
        data: Name of the data, as ``data=`` chooses it.
        root: Of the data set.
        out: Where what is replaced is kept, below ``replaced/``.
        defects: Classes that the data knows as defective; another type is written as ``defective``. Empty: all are.

    Raises:
        DataError: This data reads no labels that could be written, or its table cannot be read.
        OSError: It cannot be written to.
    """
    layout = LAYOUTS.get(data)
    root = root.expanduser().resolve()
    if layout is None:
        raise DataError(f"Expected data to be one of {', '.join(LAYOUTS)} to write labels into, but found {data!r}.")
    labels = {name: label for name, label in labels_of(desk).items() if desk.item(name).path.is_relative_to(root)}
    if not labels:
        raise DataError(f"Expected labels of images below {root}, but found none; label some first.")
    if (coco := _coco_of(desk, labels)) is not None:
        raise DataError(
            f"Expected {root} to say its labels by folders or labels.csv, but found {coco.name}, a COCO file that says "
            "them; write export=coco, and use that file."
        )
    keeper = _Keeper(root, out / REPLACED)
    found = Returned(len(labels), 0, root)
    if layout.column:
        _write_table(desk, labels, layout, keeper, defects)
    for name, label in labels.items():
        found.masks += _write_marks(desk.item(name), label, layout, masks, keeper)
    drawn = sum(bool(label.mark.mask) for label in labels.values())
    if drawn and not layout.masks and not layout.outlines:
        found.notes.append(f"data={data} reads no masks: the {drawn} that were drawn stay in {masks.folder}.")
    if not layout.column and (bare_ones := [name for name in labels if _lacks_marks(labels[name])]):
        found.notes.append(
            f"data={data} reads masks alone: {len(bare_ones)} images called defective have none, such as "
            f"{bare_ones[0]}, and are left as they were."
        )
    return found


class _Keeper:
    """Writes below a root, and keeps what was there before the first time."""

    def __init__(self, root: Path, backups: Path) -> None:
        self.root = root
        self.backups = backups

    def write(self, path: Path, data: bytes) -> None:
        self.keep(path)
        write_whole(path, data, durable=True)

    def keep(self, path: Path) -> None:
        place = self.backups / path.relative_to(self.root)
        if path.is_file() and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(path, place)

    def remove(self, path: Path) -> None:
        self.keep(path)
        path.unlink(missing_ok=True)


def _write_table(
    desk: Desk, labels: dict[str, Label], layout: Layout, keeper: _Keeper, defects: tuple[str, ...]
) -> None:
    """Write labels.csv anew: its own lines with new labels, and lines for images that it did not name."""
    path = keeper.root / LABELS
    rows: list[dict[str, str]] = []
    if path.is_file():
        table = map_texts(read_text_table(path, f"columns image and {layout.column}"), bare)
        rows = [{str(key): str(value) for key, value in row.items()} for row in table.to_dict("records")]
    by_place = {_place_of_row(row, layout): row for row in rows}
    for name, item in desk.gathered.items.items():
        if not item.path.is_relative_to(keeper.root) or (name not in labels and not layout.all_named):
            continue
        fresh = _named(item, keeper.root, layout)
        place = _place_of_row(fresh, layout)
        if place not in by_place:
            by_place[place] = {**fresh, layout.column: "" if item.given is None else item.given.verdict}
            by_place[place] |= {"defect": item.given.type} if item.given is not None and item.given.type else {}
            rows.append(by_place[place])
        if name in labels:
            by_place[place] |= _decided(labels[name], layout, defects)
    columns = list(dict.fromkeys(key for row in rows for key in row))
    text = io.StringIO(newline="")
    writer = csv.DictWriter(Rows(text), columns, restval="", lineterminator=LINE_END)
    writer.writeheader()
    for row in rows:
        writer.writerow({key: guarded(value) for key, value in row.items()})
    keeper.write(path, text.getvalue().encode())


def _decided(label: Label, layout: Layout, defects: tuple[str, ...]) -> dict[str, str]:
    """Say a label in the words of a layout."""
    word, kind = word_of(label), label.mark.type
    words = word if word in DECIDED else layout.words[0 if word == REWORK else 1]
    if layout.cells and word == DEFECTIVE and kind.lower() in {name.lower() for name in defects}:
        words = kind
    return {layout.column: words, "defect": kind if word == DEFECTIVE else ""}


def _named(item: Item, root: Path, layout: Layout) -> dict[str, str]:
    """Name an image as a table below its root does."""
    if not layout.cells:
        return {"image": item.path.relative_to(root).as_posix()}
    match = TILE.match(Path(item.name).name if item.box and not TILE.match(item.path.stem) else item.path.stem)
    if match is None:
        raise DataError(f"Expected cells named ARRAY_ROW,COLUMN, but found {item.name!r}.")
    return {"image": item.name, "array": match["array"], "row": match["row"], "col": match["col"]}


def _place_of_row(row: dict[str, str], layout: Layout) -> tuple[str, ...]:
    """Say which image a line is about, whatever the case and Unicode form of its name."""
    if not layout.cells:
        return same_parts(split_path(row["image"].strip()))
    if all(row.get(key) for key in ("array", "row", "col")):
        return (*same_parts([row["array"]]), str(int(row["row"])), str(int(row["col"])))
    match = TILE.match(Path(row.get("image", "").replace("\\", "/")).stem)
    return ("",) if match is None else (*same_parts([match["array"]]), str(int(match["row"])), str(int(match["col"])))


def _coco_of(desk: Desk, labels: dict[str, Label]) -> Path | None:
    """Find a COCO file that says what images of the set are."""
    files = dict.fromkeys(desk.item(name).outlines for name in labels)
    return next((Path(file) for file in files if file and is_coco_file(file)), None)


def _lacks_marks(label: Label) -> bool:
    return word_of(label) == DEFECTIVE and not label.mark.mask


def _write_marks(item: Item, label: Label, layout: Layout, masks: Masks, keeper: _Keeper) -> int:
    """Write the mask of an image, or take away one that says otherwise; return how many were written."""
    word = word_of(label)
    if layout.outlines:
        return _write_outlines(item, label, masks, keeper)
    if not layout.masks or item.box or word in {OPEN, REWORK}:
        return 0
    theirs = [Path(part) for part in split_mask(item.mask)]
    theirs = [path for path in theirs if path.is_relative_to(keeper.root)]
    place = keeper.root / MASKS / item.path.relative_to(keeper.root).with_suffix(".png")
    if not layout.column and (keeper.root / "images") in item.path.parents:
        place = keeper.root / MASKS / item.path.relative_to(keeper.root / "images").with_suffix(".png")
    if word == GOOD:
        for path in theirs:
            keeper.remove(path)
        if not layout.column:  # without a table, an empty mask is what says good
            keeper.write(place, _empty(size_of(item)))
        return 0
    if not label.mark.mask:
        return 0
    for path in theirs:
        keeper.remove(path)
    keeper.write(place, (masks.folder / label.mark.mask).read_bytes())
    return 1


def _write_outlines(item: Item, label: Label, masks: Masks, keeper: _Keeper) -> int:
    """Write a label file of labelme's beside an image, or take away one that says otherwise.

    What outlines the part or the ground stays.
    """
    word = word_of(label)
    if word not in DECIDED or (word == DEFECTIVE and not label.mark.mask):
        return 0
    places = [item.path.with_name(f"{item.path.stem}{end}") for end in ("_mask.json", ".json")]
    if item.outlines and Path(item.outlines).is_relative_to(keeper.root):
        places.insert(0, Path(item.outlines))
    there = [path for path in dict.fromkeys(places) if path.is_file()]
    beside = []
    if item.outlines and there:
        found = read_annotation(there[0], item.path, *size_of(item)).outlines
        beside = [outline for outline in found if is_named(outline.label, item.aside)]
    if word == GOOD and not beside:
        for path in there:
            keeper.remove(path)
        return 0
    path = there[0] if there else places[-1]
    text = labelme_text(item, label, masks, path.parent, flagged=False, beside=beside)
    keeper.write(path, text.encode())
    return int(word == DEFECTIVE)


def _empty(size: tuple[int, int]) -> bytes:
    from PIL import Image  # noqa: PLC0415 - metallography alone needs it

    buffer = io.BytesIO()
    Image.new("L", (size[1], size[0])).save(buffer, "PNG")
    return buffer.getvalue()
