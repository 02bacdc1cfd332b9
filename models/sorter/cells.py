"""The cells of one array: cut from its image by its lattice, or given as tiles; grey, and relative to their ground.

Letters: R and C rows and columns of cells, N cells (row by row), S side of a cell, H and W of an image, in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays.lattice import find_lattice
from datamodules.arrays.mosaic import lay_together
from datamodules.arrays.repeats import LatticeError
from datamodules.errors import DataError
from datamodules.files.boxes import cut
from datamodules.files.images import Array, resize, scale

from .alignment import middle_within_ground, symmetric_middle
from .light import ENOUGH, Relief, own_relief, shared_relief, typical
from .measures import RIM

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datamodules.arrays.lattice import Lattice

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

ROUNDS_OF_CENTRING = 2
MARGIN_OF_CENTRING = 0.1  # of neighbours, in pitches
AROUND = 0.5  # likewise: the nodes of a lattice may lie at a pillar's rim
SHARED = 0.03  # of a cell's side: between neighbours, where a sharp edge shows in both
STRIP = 512  # rows of an image that are turned to grey at a time
LARGEST_SIDE = 96  # pixels; larger cells are shrunk first: no pillar needs more


@dataclass(frozen=True)
class ArrayCells:
    """The cells of one array.

    Attributes:
        name: Of the array.
        grey_NSS: Grey values in [0, 1], (R * C, S, S), row by row; NaN where there is no cell.
        shape: R and C.
        centre_N2: Centre of every cell, x before y, in pixels of the array's image, whose outer corner is (0, 0); NaN
            for tiles that do not say where they lie.
        image_HW: The whole image in grey, in [0, 1]; None where there are only tiles.
        pitch: Distance of neighbours in pixels of the image; None likewise.
        window_N4: The part of the image that every cell shows, x and y of its first and last corner; None likewise.
        first: Row and column of the first place.
        angle: By how many degrees rows sink to the right in the image; 0 for tiles.
        rim: Of a cell's side, across and down, that belongs to its neighbours.
    """

    name: str
    grey_NSS: Plane
    shape: tuple[int, int]
    centre_N2: Floats
    image_HW: Plane | None = None
    pitch: float | None = None
    window_N4: Floats | None = None
    first: tuple[int, int] = (1, 1)
    angle: float = 0.0
    rim: tuple[float, float] = (RIM, RIM)

    @property
    def present(self) -> npt.NDArray[np.bool_]:
        """Tell which places hold a cell."""
        return np.isfinite(self.grey_NSS[:, 0, 0])

    @property
    def places(self) -> npt.NDArray[np.intp]:
        """Return row and column of every place, counted from zero."""
        return np.stack(np.unravel_index(np.arange(len(self.grey_NSS)), self.shape), axis=1)


def cells_of_image(
    name: str,
    image: Array,
    grid: tuple[int, int] | None = None,
    margin: float = 0.1,
    white_level: float | None = None,
) -> ArrayCells:
    """Find the lattice of an image of an array, and cut its cells.

    Args:
        name: Of the array.
        image: (H, W) or (H, W, 3), as stored.
        grid: Rows and columns; None: as many as are found.
        margin: How much of its neighbours a cell shows on each side, in pitches.
        white_level: Stored value that means white; None: the largest that the type can hold.

    Raises:
        LatticeError: There is no lattice, or another one than ``grid``.
    """
    grey_HW = grey_of(image, white_level)
    lattice = centred_on_pillars(find_lattice(image, grid), grey_HW)
    rows, columns = lattice.likeness_RC.shape
    tile_NSS = cut_upright(grey_HW, lattice, margin)
    centre_N2 = lattice.centres().reshape(-1, 2) + 0.5
    half = tile_NSS.shape[1] / 2
    window_N4 = np.concatenate([centre_N2 - half, centre_N2 + half], axis=1)
    place = centre_N2, grey_HW, lattice.pitch, window_N4
    steps = [float(np.hypot(*step)) for step in (lattice.across, lattice.down)]
    across, down = (max(RIM, 0.5 - 0.5 * step / tile_NSS.shape[1] + SHARED) for step in steps)
    return ArrayCells(name, shrunk(tile_NSS), (rows, columns), *place, angle=lattice.angle, rim=(across, down))


def cut_upright(grey_HW: Plane, lattice: Lattice, margin: float, most: int | None = None) -> Plane:
    """Cut the cells of a lattice, (N, S, S), upright whatever its angle: turned pixels would be less sharp.

    Args:
        grey_HW: The image.
        lattice: Its own.
        margin: How much of its neighbours a cell shows on each side, in pitches.
        most: How many are cut, spread evenly; None: all.
    """
    boxes = [box._replace(angle=0.0) for row in lattice.boxes(margin) for box in row]
    if most is not None and most < len(boxes):
        boxes = [boxes[index] for index in np.linspace(0, len(boxes) - 1, most).astype(int)]
    return np.stack([cut(grey_HW, box) for box in boxes])


def centred_on_pillars(lattice: Lattice, grey_HW: Plane) -> Lattice:
    """Move a lattice so that its typical cell is symmetric about its middle.

    The lattice is where the image repeats; under light from one side its nodes lie towards a pillar's bright or dark
    side, as far as at its darkest corner.
    """
    around_SS = typical(cut_upright(grey_HW, lattice, AROUND, ENOUGH))
    lattice = replace(lattice, origin=lattice.origin + middle_within_ground(around_SS, lattice.pitch))
    for _ in range(ROUNDS_OF_CENTRING):
        typical_SS = typical(cut_upright(grey_HW, lattice, MARGIN_OF_CENTRING, ENOUGH))
        lattice = replace(lattice, origin=lattice.origin + symmetric_middle(typical_SS))
    return lattice


def cells_of_tiles(name: str, tiles: Mapping[tuple[int, int], Array], white_level: float | None = None) -> ArrayCells:
    """Lay out tiles by row and column, counted from one.

    Tiles that were cut from one image with an overlap are laid together again, and the cells are cut anew, each with
    its pillar in the middle: see ``datamodules.arrays.mosaic``.

    Raises:
        DataError: The tiles are of so many sizes that they cannot be cells of one array.
    """
    if (mosaic := lay_together(tiles)) is not None:
        grid = len(mosaic.top), len(mosaic.left)
        try:
            cells = cells_of_image(name, mosaic.image, grid, white_level=white_level)
        except LatticeError:
            pass  # the tiles themselves are all there is to go by
        else:
            window_N4 = np.array([mosaic.window(tiles, row + 1, column + 1) for row, column in np.ndindex(grid)])
            return replace(cells, window_N4=window_N4)
    sizes, counts = np.unique([tile.shape[:2] for tile in tiles.values()], axis=0, return_counts=True)
    height, width = sizes[counts.argmax()]
    if abs(int(height) - int(width)) > 0.2 * max(height, width):
        raise DataError(
            f"Expected the tiles of {name} to be about square, one pillar each, but found {width}x{height} pixels; cut "
            "them again, or give the picture of the whole array."
        )
    first = min(row for row, _ in tiles), min(column for _, column in tiles)
    rows, columns = (max(place[axis] for place in tiles) - first[axis] + 1 for axis in (0, 1))
    side = int(min(height, width, LARGEST_SIDE))
    grey_NSS = np.full((rows * columns, side, side), np.nan, np.float32)
    for (row, column), tile in tiles.items():
        whole = reflected(grey_of(tile, white_level), (int(height), int(width)), at_start=(row == 1, column == 1))
        grey_NSS[(row - first[0]) * columns + column - first[1]] = resize(whole, side, side)
    return ArrayCells(name, grey_NSS, (rows, columns), np.full((rows * columns, 2), np.nan), first=first)


def reflected(grey_HW: Plane, size: tuple[int, int], at_start: tuple[bool, bool]) -> Plane:
    """Extend a tile that an array's edge cut off to the size of the others, by reflection, where it lacks something."""
    lack = [max(wanted - found, 0) for wanted, found in zip(size, grey_HW.shape, strict=True)]
    lack = [min(missing, found - 1) for missing, found in zip(lack, grey_HW.shape, strict=True)]
    pad = [(missing, 0) if start else (0, missing) for missing, start in zip(lack, at_start, strict=True)]
    return np.pad(grey_HW, pad, mode="reflect").astype(np.float32)


def grey_of(values: Array, white_level: float | None = None) -> Plane:
    """Return grey values in [0, 1]; of colours, the mean, since defects have no colour of their own."""
    top = white_level if values.dtype != np.float32 or white_level else float(max(values.max(), 1e-9))
    grey_HW = np.empty(values.shape[:2], np.float32)
    for first in range(0, len(values), STRIP):
        scaled = scale(values[first : first + STRIP], top)
        unit = 1 / 255 if scaled.dtype == np.uint8 else 1.0
        plane = scaled.astype(np.float32)
        if plane.ndim == 3:
            plane = np.asarray(cv2.transform(plane, np.full((1, plane.shape[2]), 1 / plane.shape[2])), np.float32)
        grey_HW[first : first + STRIP] = plane * np.float32(unit)
    return grey_HW


def shrunk(tile_NSS: Plane) -> Plane:
    """Shrink cells to ``LARGEST_SIDE`` where they are larger."""
    side = tile_NSS.shape[1]
    if side <= LARGEST_SIDE:
        return tile_NSS
    return np.stack([resize(tile, LARGEST_SIDE, LARGEST_SIDE) for tile in tile_NSS])


def relief(cells: ArrayCells) -> Relief:
    """Return every cell relative to its ground: cells of one image share its light, tiles have a light of their own.

    NaN where there is no cell.
    """
    return own_relief(cells.grey_NSS) if cells.image_HW is None else shared_relief(cells.grey_NSS, cells.shape)


def as_image(grey_SS: Plane) -> npt.NDArray[np.uint8]:
    """Return a cell's grey values as 8 bits."""
    return cv2.convertScaleAbs(np.nan_to_num(grey_SS), alpha=255.0).astype(np.uint8)
