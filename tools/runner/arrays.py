"""Cells of meta-atom arrays that meet before they are judged: each by its own array, as the line of arrays does it.

Tiles named ``ARRAY_ROW,COLUMN`` that lie together are one array; an image that shows a whole one is cut by its lattice,
and judged cell by cell. Cells whose array is too small, or has no lattice, are left to the standards of the training.

Letters: B batch, H and W height and width of the model's images, S side of a cell.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache, partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from datamodules.arrays.naming import TILE
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.boxes import Box, cut
from models.sorter.standard import maps_of_images, scaled_to

from .input_image import InputImage
from .specification import BundleError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from pathlib import PurePosixPath
    from types import ModuleType

    import numpy.typing as npt

    from datamodules.enhancing.enhancement import Enhancement
    from datamodules.files.images import Array
    from models.sorter.cells import ArrayCells

    from .result import Prediction

LARGEST_CELL = 96  # pixels along a side: what is no larger shows a cell, not an array


class Met(NamedTuple):
    """A cell as its array judged it: its raw score, and how far every pixel is from the reference, scaled to that."""

    score: float
    map_SS: Array


class WithinArrays:
    """Judges cells within their arrays, once these have met.

    Args:
        factor_4: By which the limits of the layers are multiplied: what labels taught.
        white_level: Stored value that means white; None: the largest that the type can hold.
        enhance: What happens to an image first.

    Attributes:
        met: What is known of cells, by their names.

    Raises:
        BundleError: SciPy is not there, which finds lattices.
    """

    def __init__(self, factor_4: Sequence[float], white_level: float | None, enhance: Enhancement) -> None:
        self.factor_4 = np.asarray(factor_4, dtype=np.float64)
        self.white_level = white_level
        self.enhance = enhance
        self.met: dict[str, Met] = {}
        self.laying, self.judging = _sorter()
        self._last_read = lru_cache(maxsize=2)(_read)  # the cells of an image follow one another

    def meet(self, images: Iterable[InputImage]) -> list[InputImage]:
        """Judge the arrays that images show; list what is to be judged: whole arrays cell by cell, all else as is."""
        listed: list[InputImage] = []
        tiles: dict[tuple[PurePosixPath, str], dict[tuple[int, int], InputImage]] = defaultdict(dict)
        for image in images:
            if match := TILE.match(image.place.stem) or TILE.match(image.place.name):
                tiles[image.place.parent, match["array"]][int(match["row"]), int(match["col"])] = image
                listed.append(image)
            else:
                listed += self._cells_of(image)
        for (_, name), members in tiles.items():
            self._meet_tiles(name, members)
        return listed

    def within(self, names: Sequence[str], alone: Prediction) -> Prediction:
        """Put what arrays said of their cells in place of what was said of each alone.

        Args:
            names: Of the images of a batch.
            alone: Raw scores (B,) and maps (B, H, W) of the same.
        """
        score_B, map_BHW = alone.score_B.copy(), alone.map_BHW.copy()
        for row, name in enumerate(names):
            if (own := self.met.get(name)) is not None:
                score_B[row] = own.score
                map_BHW[row] = maps_of_images(own.map_SS[None], map_BHW.shape[1:])[0]
        return alone._replace(score_B=score_B, map_BHW=map_BHW)

    def _meet_tiles(self, name: str, members: dict[tuple[int, int], InputImage]) -> None:
        values = {}
        for place, image in members.items():
            try:
                values[place] = self._read(image)
            except UnreadableImageError:
                continue  # it says so when it is judged
        if not values:
            return
        try:
            cells = self.laying.cells_of_tiles(name, values, self._white)
            self._judge(cells, {place: members[place].name for place in values})
        except DataError:
            return

    def _cells_of(self, image: InputImage) -> list[InputImage]:
        """List the cells of an image of an array, which meet; the image itself where it shows none."""
        try:
            values = self._read(image)
            if max(values.shape[:2]) <= LARGEST_CELL:
                return [image]
            cells = self.laying.cells_of_image(image.name, values, white_level=self._white)
            places = [(int(row) + 1, int(column) + 1) for row, column in cells.places]
            if not self._judge(cells, {(row, column): f"{image.name}#{row},{column}" for row, column in places}):
                return [image]
        except (UnreadableImageError, DataError):
            return [image]
        whole = partial(self._last_read, image.read)
        stem, suffix = image.place.stem, image.place.suffix
        return [
            InputImage(
                f"{image.name}#{row},{column}",
                image.place.with_name(f"{stem}_{row},{column}{suffix}"),
                partial(_cut, whole, Box(round(window[0]), round(window[1]), *size)),
            )
            for (row, column), window, size in zip(places, cells.window_N4, _sizes(cells.window_N4), strict=True)
        ]

    def _judge(self, cells: ArrayCells, name_of: dict[tuple[int, int], str]) -> bool:
        """Judge an array; tell whether it has enough cells for that."""
        try:
            found = self.judging.judge_array(cells)
        except self.judging.TooFewCellsError:
            return False
        score_N = (found.found.score_N4 / self.factor_4).max(axis=1)
        map_NSS = scaled_to(found.departures(), score_N)
        for (row, column), score, map_SS in zip(cells.places[found.present], score_N, map_NSS, strict=True):
            place = int(row) + cells.first[0], int(column) + cells.first[1]
            self.met[name_of[place]] = Met(float(score), map_SS)
        return True

    def _read(self, image: InputImage) -> Array:
        values = image.read()
        return self.enhance(values, self.white_level, None) if self.enhance else values

    @property
    def _white(self) -> float | None:
        return None if self.enhance else self.white_level


def _read(read: Callable[[], Array]) -> Array:
    return read()


def _sizes(window_N4: npt.NDArray[np.floating]) -> list[tuple[int, int]]:
    """Return width and height of windows in whole pixels."""
    return [(max(round(x1 - x0), 1), max(round(y1 - y0), 1)) for x0, y0, x1, y1 in window_N4.tolist()]


def _cut(whole: Callable[[], Array], box: Box) -> Array:
    return cut(whole(), box)


def _sorter() -> tuple[ModuleType, ModuleType]:
    """Import what sorts arrays.

    Raises:
        BundleError: SciPy is not there.
    """
    try:
        from models.sorter import cells, judging  # noqa: PLC0415 - bundles need SciPy for lattices alone
    except ImportError as error:
        raise BundleError(
            f"Expected SciPy, which finds the lattices of arrays, but found none ({error}); run "
            '"pip install -r requirements.txt" with the file of the bundle.'
        ) from error
    return cells, judging
