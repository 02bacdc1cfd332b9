"""Arrays of meta-atoms under an optical microscope: one sample for every pillar."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from .arrays.lattice import find_lattice
from .arrays.naming import TILE
from .arrays.repeats import LatticeError
from .errors import DataError, UnreadableImageError
from .files.boxes import Box
from .files.csv_text import bare, map_texts
from .files.images import read_image
from .files.names import same_name
from .files.roots import existing_root
from .files.walking import walk_images
from .layouts.label_table import read_text_table
from .layouts.split_folders import unread_splits
from .layouts.strays import unused_documents
from .masks.matching import join_mask, split_mask
from .masks.naming import in_mask_folder
from .progress import track
from .table import DEFECTIVE, GOOD, TEST, TRAIN, UNASSIGNED, UNKNOWN
from .views import ViewDataModule, decoded

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ENOUGH_ARRAYS = 3


class Cell(NamedTuple):
    """A place in an array: rows and columns count from one."""

    array: str
    row: int
    col: int


@dataclass(kw_only=True, eq=False)
class MetaAtomDataModule(ViewDataModule):
    """Arrays of pillars, cut into one tile per pillar.

    On disk, under ``root``, in any folders:

    * tiles named ``{array}_{row},{col}.bmp`` (or any other kind of image), counted from one; those of the outermost
      rows and columns may be smaller than the others, and are then reflected to their size; or
    * images of whole arrays, whose lattice is found (see ``lattice``); nothing is written to disk;
    * optionally ``labels.csv`` with ``image`` (a tile's path or name) or ``array``, ``row`` and ``col``, and ``class``
      (or ``label``); what it does not name is unknown;
    * optionally ``masks/`` with one image per defective tile, or per array, of the same stem and size.

    Where an array has tiles, its whole image of the same name is left aside. ``array``, ``row`` and ``col`` are kept
    in the sample table; ``group`` is the array, so that no split cuts one. That takes three arrays, one for each split.
    With fewer, name those to keep for the test in ``test_arrays``, and let ``blocks`` divide the others: calibration is
    then carved from whole blocks of them (or of the test arrays, with ``calibration_from=test``).

    Args:
        grid: Rows and columns of pillars in the image of an array.
        margin: How much of its neighbours a tile cut from such an image shows on each side, in pitches.
        good_classes: Classes that are good, in any case.
        defective_classes: Classes that are defective.
        unknown_classes: Classes that may be either: trained on, but not counted in any test.
        left_out_classes: Classes that are not used at all. Those that the clustering of the seed calls irregular and
            stitching are unreliable: stitching marks the seams of the microscope's image, not the pillars.
        test_arrays: Names of arrays that only the test sees.
        blocks: 1 keeps arrays whole; 3 divides each into 3 x 3 parts, each a group of its own. Tiles at the borders of
            parts show a little of each other.
    """

    grid: tuple[int, int] = (21, 21)
    margin: float = 0.1
    good_classes: tuple[str, ...] = ("good",)
    defective_classes: tuple[str, ...] = ("defective", "missing", "collapsed")
    unknown_classes: tuple[str, ...] = ("", "unknown")
    left_out_classes: tuple[str, ...] = ("irregular", "stitching")
    test_arrays: tuple[str, ...] = ()
    blocks: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.grid) != 2 or min(self.grid) < 2:
            raise DataError(f"Expected data.grid to be [rows, columns], 2 or more, but found {list(self.grid)}.")
        if not 0 <= self.margin <= 1:
            raise DataError(f"Expected data.margin to be 0 to 1, in pitches, but found {self.margin}.")
        if self.blocks < 1:
            raise DataError(f"Expected data.blocks to be at least 1, but found {self.blocks}.")

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """List the tiles on disk, and those that arrays on disk fall into."""
        root = existing_root(self.root, "tiles named ARRAY_ROW,COLUMN.bmp, or pictures of whole arrays")
        problems: list[UnreadableImageError] = []
        images = walk_images(root, problems)
        masks = {path.stem: join_mask([path]) for path in images if _is_mask(path, root)}
        tiles, arrays = sort_files(path for path in images if not _is_mask(path, root))
        rows = tile_rows(root, tiles, problems)
        for path in track(arrays, "finding lattices"):
            rows += self._array_rows(root, path, problems)
        instead = "arrays are; name those of the test in data.test_arrays"
        self.remarks += unread_splits(root, [path for path in images if not _is_mask(path, root)], instead)
        table = root / "labels.csv"
        problems += unused_documents(root, {table})
        rows = self._labelled(rows, read_classes(table, problems), masks, problems)
        used = {row.get("mask_path") for row in rows}
        unused = [split_mask(text)[0] for text in masks.values() if text not in used]
        problems += [
            UnreadableImageError(path, "is a mask of no tile called defective", "label its tile, or move it away")
            for path in unused
        ]
        if not rows:
            first = f"for example: {problems[0]}" if problems else "there are no pictures at all"
            raise DataError(f"Expected tiles or pictures of arrays under {root}, but found none to use; {first}")
        try:
            return self._split(pd.DataFrame(rows)), problems
        except DataError as error:  # what was not read may be why there is too little
            raise DataError(" ".join([str(error), *self.remarks])) from error

    def _array_rows(self, root: Path, path: Path, problems: list[UnreadableImageError]) -> list[dict[str, object]]:
        """Make a row for every cell of the image of a whole array."""
        try:
            lattice = find_lattice(read_image(path), (self.grid[0], self.grid[1]))
        except LatticeError as error:
            problems.append(UnreadableImageError(path, f"is not an array: {error}", "see there"))
        except UnreadableImageError as error:
            problems.append(error)
        else:
            boxes = lattice.boxes(self.margin)
            return [
                _row(root, path, Cell(path.stem, row + 1, col + 1), boxes[row][col].text)
                for row, col in np.ndindex(len(boxes), len(boxes[0]))
            ]
        return []

    def _labelled(
        self,
        rows: list[dict[str, object]],
        classes: dict[Cell, str],
        masks: dict[str, str],
        problems: list[UnreadableImageError],
    ) -> list[dict[str, object]]:
        """Give rows their labels and masks; leave out those whose class says so."""
        verdicts = self._verdicts()
        classes = spelt_as_files(classes, {str(row["array"]) for row in rows})
        there = {Cell(str(row["array"]), int(str(row["row"])), int(str(row["col"]))) for row in rows}
        problems += strange_classes(Path(self.root).expanduser() / "labels.csv", set(classes) - there, rows)
        labelled = []
        for row in rows:
            name = classes.get(Cell(str(row["array"]), int(str(row["row"])), int(str(row["col"]))), "").lower()
            if name not in verdicts:
                raise DataError(
                    f"Expected the class of {row['name']} to be one of {', '.join(sorted(filter(None, verdicts)))}, "
                    f"but found {name!r}; name it in data.good_classes, defective_classes, unknown_classes or "
                    "left_out_classes."
                )
            label = verdicts[name]
            if label is None:
                remedy = "name the class in data.unknown_classes or data.defective_classes to use it"
                problems.append(UnreadableImageError(str(row["name"]), f"is of class {name}", remedy))
                continue
            mask = masks.get(Path(str(row["image_path"])).stem, "")
            defect = {"defect": name, "mask_path": mask} if label == DEFECTIVE else {}
            labelled.append({**row, "label_index": label, **defect})
        return labelled

    def _verdicts(self) -> dict[str, int | None]:
        """Return the label of every class, in lower case; None for those to leave out."""
        return {
            name.lower(): label
            for names, label in (
                (self.left_out_classes, None),
                (self.unknown_classes, UNKNOWN),
                (self.good_classes, GOOD),
                (self.defective_classes, DEFECTIVE),
            )
            for name in names
        }

    def _split(self, rows: pd.DataFrame) -> pd.DataFrame:
        """Name the groups, and supply the splits that ``test_arrays`` says.

        Raises:
            DataError: There are too few arrays to split them whole, or no such test array.
        """
        arrays = sorted(rows["array"].unique())
        if strangers := sorted(set(self.test_arrays) - set(arrays)):
            raise DataError(f"Expected data.test_arrays among {', '.join(arrays)}, but found {strangers[0]!r}.")
        left = [array for array in arrays if array not in self.test_arrays]
        if not left:
            raise DataError(
                f"Expected data.test_arrays to leave arrays to train on, but it names all of them: {', '.join(arrays)}."
            )
        needed = ENOUGH_ARRAYS if not self.test_arrays else 2
        if len(left) < needed and self.blocks == 1:
            parts = "data.blocks=3 to divide each into parts"
            unseen = f", and data.test_arrays=['{arrays[-1]}'] to keep one unseen" if len(left) > 1 else ""
            purpose = "train, calibrate and test with"
            if self.test_arrays:
                purpose = "train and calibrate with, besides data.test_arrays"
            found = ", ".join(left)
            raise DataError(
                f"Expected {needed} arrays, one each to {purpose}, but found only {found}; set {parts}{unseen}."
            )
        rows["group"] = rows["array"]
        if self.blocks > 1:
            extent = rows.groupby("array")[["row", "col"]].transform("max")
            part = ((rows[["row", "col"]] - 1) * self.blocks // extent).astype(str)
            rows["group"] = rows["array"] + "/" + part["row"] + "," + part["col"]
        test = rows["array"].isin(self.test_arrays)
        rows["split"] = np.where(test, TEST, TRAIN) if test.any() else UNASSIGNED
        return rows


def sort_files(images: Iterable[Path]) -> tuple[dict[Cell, Path], list[Path]]:
    """Sort images into tiles and whole arrays; an array that has tiles is dropped.

    Raises:
        DataError: Two tiles have the same place.
    """
    tiles: dict[Cell, Path] = {}
    arrays = []
    for path in images:
        if (match := TILE.match(path.stem)) is None:
            arrays.append(path)
            continue
        cell = Cell(match["array"], int(match["row"]), int(match["col"]))
        if cell in tiles:
            raise DataError(
                f"Expected one tile for row {cell.row}, column {cell.col} of {cell.array}, but found {tiles[cell]} and "
                f"{path}; keep one, or give the arrays different names."
            )
        tiles[cell] = path
    cut_already = {cell.array for cell in tiles}
    return tiles, [path for path in arrays if path.stem not in cut_already]


def tile_rows(root: Path, tiles: dict[Cell, Path], problems: list[UnreadableImageError]) -> list[dict[str, object]]:
    """Make a row for every tile, with a box that reflects those at an array's edges to the size of the others."""
    sizes: dict[Cell, tuple[int, ...]] = {}
    for cell, path in track(tiles.items(), "measuring tiles", total=len(tiles)):
        try:
            sizes[cell] = decoded(str(path)).shape[:2]
        except UnreadableImageError as error:
            problems.append(error)
    rows = []
    for array in sorted({cell.array for cell in sizes}):
        own = {cell: size for cell, size in sizes.items() if cell.array == array}
        common = Counter(own.values()).most_common(1)[0][0]
        last = Cell(array, max(cell.row for cell in own), max(cell.col for cell in own))
        for cell, size in own.items():
            try:
                box = edge_box(cell, last, size, common, tiles[cell])
            except UnreadableImageError as error:
                problems.append(error)
            else:
                rows.append(_row(root, tiles[cell], cell, box))
    return rows


def edge_box(cell: Cell, last: Cell, size: tuple[int, ...], common: tuple[int, ...], path: Path) -> str:
    """Return the box that a tile takes in its own file: what an array's edge cut off is reflected there.

    Args:
        cell: Its place.
        last: The place of the array's last row and column.
        size: (H, W) of the tile.
        common: (H, W) of most tiles of the array.
        path: Named in errors.

    Raises:
        UnreadableImageError: It is of another size, but not cut off at an edge.
    """
    if size == common:
        return ""
    missing = common[0] - size[0], common[1] - size[1]
    at_edge = [place in {1, end} for place, end in ((cell.row, last.row), (cell.col, last.col))]
    if any(lack < 0 or (lack > 0 and not edge) for lack, edge in zip(missing, at_edge, strict=True)):
        found = f"is a tile of {size[1]}x{size[0]} pixels, where the others of its array have {common[1]}x{common[0]}"
        raise UnreadableImageError(path, found, "cut it again")
    return Box(-missing[1] if cell.col == 1 else 0, -missing[0] if cell.row == 1 else 0, common[1], common[0]).text


def read_classes(path: Path, problems: list[UnreadableImageError]) -> dict[Cell, str]:
    """Read the class of every cell from labels.csv; none where there is no such file.

    Lines whose image is not a tile by its name are added to ``problems``.

    Raises:
        DataError: It is not a table, or lacks a column, or names no places.
    """
    if not path.is_file():
        return {}
    expected = f"Expected {path} to have image, or array, row and col, and class"
    table = map_texts(read_text_table(path, "image, or array, row and col, and class"), bare)
    try:
        column = "class" if "class" in table else "label"
        if {"array", "row", "col"} <= set(table.columns):
            cells = [Cell(a, int(r), int(c)) for a, r, c in table[["array", "row", "col"]].itertuples(index=False)]
        else:
            matches = [TILE.match(Path(image.replace("\\", "/")).stem) for image in table["image"]]
            cells = [Cell(match["array"], int(match["row"]), int(match["col"])) for match in matches if match]
            remedy = "write it as ARRAY_ROW,COLUMN, or delete the line"
            problems += [
                UnreadableImageError(path, f"names {name!r}, which is not a tile by its name", remedy)
                for name, match in zip(table["image"], matches, strict=True)
                if match is None
            ]
            table = table[[match is not None for match in matches]]
        named = list(zip(cells, table[column].str.strip(), strict=True))
    except (ValueError, KeyError) as error:
        raise DataError(f"{expected}, but could not read it so: {error}.") from error
    return one_class_each(path, named)


def one_class_each(path: Path, named: Iterable[tuple[Cell, str]]) -> dict[Cell, str]:
    """Return the class of every cell.

    Raises:
        DataError: A cell has two.
    """
    classes: dict[Cell, str] = {}
    for cell, name in named:
        if classes.setdefault(cell, name) != name:
            where = f"row {cell.row}, column {cell.col} of {cell.array}"
            raise DataError(f"Expected one class for {where} in {path}, but found {classes[cell]!r} and {name!r}.")
    return classes


def spelt_as_files(classes: Mapping[Cell, str], arrays: Iterable[str]) -> dict[Cell, str]:
    """Name arrays as their files do, where a table writes them in another case or Unicode form."""
    known = set(arrays)
    alike: dict[str, list[str]] = defaultdict(list)
    for array in known:
        alike[same_name(array)].append(array)

    def spelt(cell: Cell) -> Cell:
        found = [] if cell.array in known else alike[same_name(cell.array)]
        return cell._replace(array=found[0]) if len(found) == 1 else cell

    return {spelt(cell): name for cell, name in classes.items()}


def strange_classes(path: Path, cells: set[Cell], rows: list[dict[str, object]]) -> list[UnreadableImageError]:
    """Name the cells of labels.csv that no image shows, those of one array together."""
    known = ", ".join(sorted({str(row["array"]) for row in rows})) or "none"
    problems = []
    for array in sorted({cell.array for cell in cells}):
        places = sorted((cell.row, cell.col) for cell in cells if cell.array == array)
        first = f"row {places[0][0]}, column {places[0][1]}"
        found = f"names {len(places)} cells of {array} that no image shows, such as {first}"
        problems.append(UnreadableImageError(path, found, f"name arrays as their files ({known}), or delete the lines"))
    return problems


def _row(root: Path, path: Path, cell: Cell, box: str) -> dict[str, object]:
    whole = TILE.match(path.stem) is None
    name = path.relative_to(root)
    return {
        "image_path": str(path),
        "name": f"{name.with_suffix('').as_posix()}_{cell.row},{cell.col}" if whole else name.as_posix(),
        "array": cell.array,
        "row": cell.row,
        "col": cell.col,
        "box": box,
    }


def _is_mask(path: Path, root: Path) -> bool:
    return in_mask_folder(path.parts[len(root.parts) : -1])
