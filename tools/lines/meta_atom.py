"""The line of meta-atom arrays: from images of arrays to the class of every cell, and pages to look at.

It writes ``cells.csv`` (one row per cell, see ``models.sorter.sorting.SortedArray``), ``summary.json`` (counts by layer
and array, limits, seams), ``errors.csv`` where something could not be sorted, and ``index.html`` with a page per array.
"""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from callbacks.report.array_page import ArrayContent, LotContent, render_array, render_lot, stretched
from datamodules.arrays.naming import TILE
from datamodules.arrays.repeats import LatticeError
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.csv_text import csv_text
from datamodules.files.images import read_image
from datamodules.files.walking import walk_images
from datamodules.files.whole_files import write_whole
from datamodules.masks.naming import in_mask_folder
from datamodules.progress import track
from models.sorter.cells import ArrayCells, as_image, cells_of_image, cells_of_tiles
from models.sorter.judging import TooFewCellsError
from models.sorter.layers import CLASSES, GOOD
from models.sorter.ranking import Ranking  # noqa: TC001 - typeguard reads the annotation
from models.sorter.seed_layers import reflected_levels, sort_by_clusters
from models.sorter.sorting import SortedArray, sort_array
from tools.errors import ConfigError

from .line import Judged
from .threads import side_by_side

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt


SEED = "notebook"
NOT_FEATURES = ("array", "row", "col", "x", "y", "class", "score", "reason", "inconsistency", "outlier", "rank", SEED)


@dataclass(frozen=True, kw_only=True)
class MetaAtomLine:
    """Sorts the cells of arrays; see ``configs/line/meta_atom.yaml`` for its keys."""

    grid: tuple[int, int] | None = None
    margin: float = 0.1
    mode: Literal["layered", "seed"] = "layered"
    ranking: Ranking = "likeness"
    features: bool = True
    white_level: float | None = None
    seed: int = 0

    def __post_init__(self) -> None:
        if self.grid is not None and (len(self.grid) != 2 or min(self.grid) < 2):
            raise ConfigError(f"Expected grid to be [rows,columns], 2 or more, or null, but found {list(self.grid)}.")
        if not 0 <= self.margin <= 1:
            raise ConfigError(f"Expected margin to be 0 to 1, in pitches, but found {self.margin}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Sort every array of the sources.

        Raises:
            DataError: There is none that can be sorted.
        """
        problems: list[UnreadableImageError] = []
        arrays = find_arrays(sources, problems)
        found: list[SortedArray] = []
        levels: dict[str, npt.NDArray[np.floating]] = {}
        with side_by_side(len(arrays)) as pool:
            jobs = [pool.submit(self._sort, array) for array in arrays]
            for array, job in track(zip(arrays, jobs, strict=True), "sorting arrays", total=len(arrays)):
                try:
                    one, levels[array.name] = job.result()
                    found.append(one)
                except (LatticeError, TooFewCellsError) as error:
                    problems.append(UnreadableImageError(array.place, f"could not be sorted: {error}", "see there"))
                except UnreadableImageError as error:
                    problems.append(error)
        write_problems(out, problems)
        if not found:
            raise DataError(f"Expected arrays of meta-atoms, but could sort none; for example: {problems[0]}")
        tables = [one.table for one in found]
        if self.mode == "seed":
            tables = with_notebook(tables, [levels[one.name] for one in found])
        write_whole(out / "cells.csv", csv_text(pd.concat(tables, ignore_index=True)).encode())
        write_whole(out / "summary.json", (json.dumps(summary_of(found, tables), indent=2) + "\n").encode())
        index = write_pages(out, found, tables, problems, command) if page else None
        return Judged(summary_text(found, tables), len(problems), index)

    def cells(self, array: Given) -> ArrayCells:
        """Read one array and lay its cells out."""
        if array.tiles:
            tiles = {place: read_image(path) for place, path in array.tiles.items()}
            return cells_of_tiles(array.name, tiles, self.white_level)
        return cells_of_image(array.name, read_image(array.place), self.grid, self.margin, self.white_level)

    def _sort(self, array: Given) -> tuple[SortedArray, npt.NDArray[np.floating]]:
        """Read and sort one array; return its tiles for the notebook's arithmetic as well, where that is asked for."""
        cells = self.cells(array)
        tiles = {place: read_image(path) for place, path in array.tiles.items()} if self.mode == "seed" else {}
        levels = reflected_levels(tiles) if tiles else levels_of(cells)
        return sort_array(cells, ranking=self.ranking, features=self.features, seed=self.seed), levels


@dataclass(frozen=True)
class Given:
    """An array as it lies on disk.

    Attributes:
        name: Of the array.
        place: Its image, or the folder of its tiles.
        tiles: By row and column; empty where there is a whole image.
    """

    name: str
    place: Path
    tiles: dict[tuple[int, int], Path]


def find_arrays(sources: Sequence[str], problems: list[UnreadableImageError]) -> list[Given]:
    """List the arrays that sources hold: whole images, and tiles named ``{array}_{row},{col}``.

    An image of an array whose tiles are there as well is left aside.

    Raises:
        DataError: A source names nothing.
    """
    paths: list[Path] = []
    for source in sources:
        path = Path(source).expanduser().resolve()
        found = walk_images(path, problems) if path.is_dir() else [path] if path.is_file() else []
        if not found:
            raise DataError(f"Expected source to name images of arrays, or their tiles, but found none at {source}.")
        paths += [one for one in found if not path.is_dir() or not in_mask_folder(one.relative_to(path).parts[:-1])]
    tiles: dict[tuple[Path, str], dict[tuple[int, int], Path]] = defaultdict(dict)
    whole = []
    for path in paths:
        if match := TILE.match(path.stem):
            tiles[path.parent, match["array"]][int(match["row"]), int(match["col"])] = path
        else:
            whole.append(path)
    cut = {name for _, name in tiles}
    given = [Given(name, folder, places) for (folder, name), places in tiles.items()]
    given += [Given(path.stem, path, {}) for path in whole if path.stem not in cut]
    return with_own_names(sorted(given, key=lambda array: (array.name, array.place)))


def with_own_names(given: list[Given]) -> list[Given]:
    """Tell arrays of one name apart by their folders."""
    names = [array.name for array in given]
    return [
        Given(f"{array.place.parent.name}/{array.name}", array.place, array.tiles)
        if names.count(array.name) > 1
        else array
        for array in given
    ]


def levels_of(cells: ArrayCells) -> npt.NDArray[np.floating]:
    """Return the grey values of cells, 0 to 255, as the notebook would have had them."""
    return np.stack([as_image(cell) for cell in cells.grey_NSS[cells.present]]).astype(np.float64)


def with_notebook(tables: list[pd.DataFrame], levels: list[npt.NDArray[np.floating]]) -> list[pd.DataFrame]:
    """Add the class by the notebook's arithmetic, over all arrays pooled, as the column ``notebook``.

    Raises:
        DataError: The arrays have tiles of different sizes, which the notebook cannot pool.
    """
    if len({level.shape[1:] for level in levels}) > 1:
        raise DataError("Expected tiles of one size for mode=seed, which pools all arrays; judge them one by one.")
    class_N = sort_by_clusters(np.concatenate(levels))
    ends = np.cumsum([len(table) for table in tables])[:-1]
    return [table.assign(**{SEED: part}) for table, part in zip(tables, np.split(class_N, ends), strict=True)]


def summary_of(found: Sequence[SortedArray], tables: Sequence[pd.DataFrame]) -> dict[str, object]:
    """Gather counts by layer and array, limits and seams, as plain values."""
    arrays = {
        one.name: {
            "rows": one.shape[0],
            "columns": one.shape[1],
            "cells": len(one.table),
            "counts": one.counts,
            "layers": [
                {"name": layer.name, "limit": round(layer.limit, 3), "planted_found": round(layer.found, 3)}
                for layer in one.layers
            ],
            "seams": [seam._asdict() for seam in one.seams],
        }
        for one in found
    }
    totals = {name: sum(one.counts[name] for one in found) for name in (GOOD, *CLASSES)}
    summary: dict[str, object] = {"cells": sum(totals.values()), "counts": totals, "arrays": arrays}
    if SEED in tables[0]:
        summary[SEED] = pd.concat(tables)[SEED].value_counts().to_dict()
    return summary


def summary_text(found: Sequence[SortedArray], tables: Sequence[pd.DataFrame]) -> str:
    """Say the counts by layer and array."""
    lines = [f"{'array':<24}{'cells':>7}" + "".join(f"{name:>12}" for name in (GOOD, *CLASSES))]
    lines += [
        f"{one.name:<24}{len(one.table):>7}" + "".join(f"{count:>12}" for count in one.counts.values()) for one in found
    ]
    totals = [sum(one.counts[name] for one in found) for name in (GOOD, *CLASSES)]
    if len(found) > 1:
        lines.append(f"{'all':<24}{sum(totals):>7}" + "".join(f"{count:>12}" for count in totals))
    if SEED in tables[0]:
        counted = pd.concat(tables)[SEED].value_counts()
        counts = "".join(f"{int(counted.get(name, 0)):>12}" for name in (GOOD, *CLASSES))
        lines.append(f"{'by the notebook':<24}{sum(totals):>7}{counts}")
    return "\n".join(lines)


def write_problems(out: Path, problems: Sequence[UnreadableImageError]) -> None:
    """List what could not be sorted, if anything."""
    if problems:
        rows = [(problem.path, problem.problem, problem.remedy) for problem in problems]
        table = pd.DataFrame(rows, columns=["path", "problem", "remedy"])
        write_whole(out / "errors.csv", csv_text(table).encode())


def write_pages(
    out: Path,
    found: Sequence[SortedArray],
    tables: Sequence[pd.DataFrame],
    problems: Sequence[UnreadableImageError],
    command: str,
) -> Path:
    """Write a page per array, and the one that leads to them."""
    date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    contents = [content_of(one, table) for one, table in zip(found, tables, strict=True)]
    addresses = [f"arrays/{one.name.replace('/', '_')}.html" for one in found]
    with side_by_side(len(found)) as pool:
        pages = pool.map(lambda content: render_array(content, "../index.html", date), contents)
        for address, page in zip(addresses, pages, strict=True):
            write_whole(out / address, page.encode())
    left_out = [(problem.path, problem.problem, problem.remedy) for problem in problems]
    linked = list(zip(contents, addresses, strict=True))
    lot = LotContent(f"{len(found)} arrays of meta-atoms", linked, left_out, date, command)
    write_whole(out / "index.html", render_lot(lot).encode())
    return out / "index.html"


def content_of(one: SortedArray, table: pd.DataFrame) -> ArrayContent:
    """Gather what the page of an array shows."""
    features = [name for name in table if name not in NOT_FEATURES and not str(name).startswith("score_")]
    others = {}
    if SEED in table:
        others["by the notebook"] = {str(name): int(count) for name, count in table[SEED].value_counts().items()}
    return ArrayContent(
        name=one.name,
        shape=one.shape,
        table=table,
        features=[str(name) for name in features],
        layers=[(layer.name, layer.limit, layer.found, layer.meaning) for layer in one.layers],
        seams=[seam.text for seam in one.seams],
        cell_NSS=stretched(one.grey_NSS),
        others=others,
    )
