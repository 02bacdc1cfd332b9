"""The lattice of an image of an array: where every cell lies, found in the image and not assumed.

The autocorrelation gives the two shortest repeats, whatever is missing and however the light falls; the image is
straightened with them; every place that looks like the typical cell votes, and a robust least-squares fit of
``centre = origin + column * across + row * down`` takes the votes together. What then still moves whole neighbourhoods
(a seam between write fields, or between the shots of a mosaic) is kept as a displacement of their cells.

Letters: H and W height and width in pixels, R and C rows and columns of cells, N votes. Points are x before y, with
whole numbers at the pixels' centres.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.boxes import Box, cut
from datamodules.files.images import Array, resize

from .cells import (
    GROUNDS,
    PITCH,
    Votes,
    centred,
    collect_votes,
    first_cell,
    likeness,
    number_votes,
    typical_cell,
    well_inside,
)
from .repeats import SIDE, LatticeError, find_steps, flatten
from .stagger import Stagger, straighten_index

Floats = npt.NDArray[np.float64]
Plane = npt.NDArray[np.float32]


SQUARE = 0.1  # radians that steps may be off a right angle
SAME_SCORE = 0.97  # of the best fit's: the difference that a pillar's own irregularities make


@dataclass(frozen=True)
class Lattice:
    """Where the cells of an array lie in its image, in pixels.

    Attributes:
        origin: (2,) x and y of the centre of the first cell: top row, left column.
        across: (2,) x and y of the step from one column to the next.
        down: (2,) the same from one row to the next.
        shift_RC2: (R, C, 2) how far cells lie from where those steps put them: the work of seams, and of rows, or
            columns, that are staggered, as in a hexagonal array.
        likeness_RC: (R, C) correlation with the typical cell, -1 to 1: low where a pillar is missing.
    """

    origin: Floats
    across: Floats
    down: Floats
    shift_RC2: Floats
    likeness_RC: Floats

    @property
    def pitch(self) -> float:
        """Mean distance of neighbours in pixels."""
        return float(np.hypot(*self.across) + np.hypot(*self.down)) / 2

    @property
    def angle(self) -> float:
        """Rotation in degrees, positive where rows sink to the right: the mean over both steps, if they are square."""
        right = math.atan2(self.across[1], self.across[0])
        below = math.atan2(-self.down[0], self.down[1])
        return math.degrees((right + below) / 2 if abs(right - below) < SQUARE else right)

    def centres(self) -> Floats:
        """Return the centre of every cell, (R, C, 2), x before y."""
        rows, columns = self.likeness_RC.shape
        row, column = np.arange(rows)[:, None, None], np.arange(columns)[None, :, None]
        return self.origin + column * self.across + row * self.down + self.shift_RC2

    def boxes(self, margin: float = 0.1) -> list[list[Box]]:
        """Return a tile for every cell: upright for the lattice, of one even size, ``margin`` pitches added per side.

        A lattice turned by less than half a degree gives tiles that are upright for the image, so that they keep its
        pixels as they are.
        """
        side = 2 * round(self.pitch * (1 + 2 * margin) / 2)
        angle = self.angle if abs(self.angle) >= 0.5 else 0.0
        corners = np.rint(self.centres() - (side - 1) / 2).astype(int)
        return [[Box(int(x), int(y), side, side, round(angle, 2)) for x, y in row] for row in corners]


def find_lattice(image: Array, grid: tuple[int, int] | None = (21, 21)) -> Lattice:
    """Find the cells of an array.

    Args:
        image: (H, W) or (H, W, 3), as stored, rows turned by 40 degrees at most.
        grid: Rows and columns of cells; None: as many as are found.

    Raises:
        LatticeError: Nothing repeats, or the image does not show so many rows and columns.
    """
    steps = find_steps(image, max(SIDE, 24 * max(grid or (0,))))
    straight_HW, to_straight = straighten(image, steps)
    found = _candidates(straight_HW, first_cell(straight_HW))
    if not found:
        wanted = f" of {grid[0]}x{grid[1]} cells" if grid else ""
        raise LatticeError(
            f"Expected an array{wanted}, but found not even four neighbours that look alike; check that the picture "
            "shows a whole array in focus."
        )
    wanted_grid = grid or _best(found, None).grid
    best = _best(found, wanted_grid)
    # Rows or columns may lack most of their pillars, but not so many that a tenth of them is gone altogether.
    if any(seen > wanted or seen < 0.9 * wanted for seen, wanted in zip(best.grid, wanted_grid, strict=True)):
        raise LatticeError(
            f"Expected an array of {wanted_grid[0]}x{wanted_grid[1]} cells (rows x columns), but found {best.grid[0]}x"
            f"{best.grid[1]} in the picture; set data.grid=[ROWS,COLUMNS], or crop the picture to one array.",
            best.grid,
        )
    return _in_image(best.lattice(wanted_grid), to_straight)


def cut_tiles(image: Array, lattice: Lattice, margin: float = 0.1) -> Array:
    """Cut a tile for every cell, (R, C, S, S) or (R, C, S, S, 3), as stored; reflected beyond the image's edges.

    Args:
        image: (H, W) or (H, W, 3).
        lattice: Where its cells are.
        margin: How much of the neighbours a tile shows on every side, in pitches.
    """
    return np.stack([np.stack([cut(image, box) for box in row]) for row in lattice.boxes(margin)])


def straighten(image: Array, steps: tuple[Floats, Floats]) -> tuple[Plane, Floats]:
    """Resample an image so that its steps are ``PITCH`` pixels to the right and down.

    Returns:
        Its relief, 0 beyond the image, and the (2, 3) affine map from the image to it.
    """
    pitch = float(np.hypot(*steps[0]) + np.hypot(*steps[1])) / 2
    factor = min(1.0, PITCH / pitch)  # shrunk first: without aliasing, and faster
    height, width = image.shape[:2]
    relief = flatten(resize(image, max(1, round(height * factor)), max(1, round(width * factor))), 1.5 * pitch * factor)
    turn = np.linalg.inv(np.stack(steps, axis=1)) * PITCH
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)]) @ turn.T
    low = corners.min(axis=0) - PITCH
    size = np.ceil(corners.max(axis=0) - low + PITCH).astype(int)
    zoom = np.array([width, height]) / relief.shape[::-1]  # image = (small + 0.5) * zoom - 0.5
    small_to_straight = np.column_stack([turn * zoom, turn @ (0.5 * zoom - 0.5) - low])
    straight = cv2.warpAffine(relief, small_to_straight, size.tolist(), flags=cv2.INTER_LINEAR)
    return straight.astype(np.float32), np.column_stack([turn, -low])


def fit_steps(point_N2: Floats, index_N2: Floats, weight_N: Floats) -> tuple[Floats, Floats, Floats]:
    """Fit origin, across and down to votes by least squares, reweighted (Huber, at 2 % of the pitch)."""
    design_N3 = np.column_stack([np.ones(len(index_N2)), index_N2])
    robust_N = np.ones(len(index_N2))
    for _ in range(10):
        root_N1 = np.sqrt(weight_N * robust_N)[:, None]
        solution = np.linalg.lstsq(design_N3 * root_N1, point_N2 * root_N1, rcond=None)[0]
        residual_N = np.hypot(*(point_N2 - design_N3 @ solution).T)
        robust_N = np.minimum(1.0, 0.02 * PITCH / np.maximum(residual_N, 1e-9))
    return solution[0], solution[1], solution[2]


class _Found(NamedTuple):
    """Cells that were found in the straightened image, under one hypothesis about the ground between the pillars.

    Attributes:
        votes: Of places that look like the typical cell.
        index_N2: Column and row of each, the first of them zero.
        stagger: How rows or columns are shifted.
        voted_RC: Likeness of the votes by row and column, 0 where there is none.
        alike_HW: Correlation of every place with the typical cell.
        symmetry: Correlation of the typical cell with itself turned by 180 degrees, -1 to 1.
    """

    votes: Votes
    index_N2: npt.NDArray[np.intp]
    stagger: Stagger
    voted_RC: Floats
    alike_HW: Plane
    symmetry: float

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns that are there (see ``count_full``)."""
        rows, columns = (count_full(self.voted_RC.mean(axis=axis)) for axis in (1, 0))
        return rows, columns

    def within(self, grid: tuple[int, int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
        """Return the first column and row of the window of a grid that holds the most, and which votes lie in it."""
        first_2 = fullest_window(self.voted_RC, grid)
        index_N2 = self.index_N2 - first_2
        return first_2, np.asarray(((index_N2 >= 0) & (index_N2 < grid[::-1])).all(axis=1))

    def score(self, grid: tuple[int, int] | None) -> float:
        """Return the sum of the likeness of the votes within a grid, less that of those outside; None: of all."""
        if grid is None:
            return float(self.votes.likeness_N.sum())
        inside_N = self.within(grid)[1]
        return float(self.votes.likeness_N[inside_N].sum() - self.votes.likeness_N[~inside_N].sum())

    def lattice(self, grid: tuple[int, int]) -> Lattice:
        """Return the lattice of a grid, in the coordinates of the straightened image."""
        first_2, inside_N = self.within(grid)
        votes = Votes(self.votes.point_N2[inside_N], self.votes.likeness_N[inside_N])
        return _lattice(
            votes, self.index_N2[inside_N] - first_2, self.stagger.counted_from(first_2), self.alike_HW, grid
        )


def _candidates(straight_HW: Plane, first_PP: Plane) -> list[_Found]:
    """Look for cells under every hypothesis about the ground; a wrong one puts cells astride the array's border."""
    inside_HW = well_inside(straight_HW)
    found: list[_Found] = []
    for ground in GROUNDS:
        alike_HW = likeness(straight_HW, centred(first_PP, ground), inside_HW)
        for _ in range(2):  # the second time with a typical cell from everywhere
            votes, index_N2 = number_votes(collect_votes(alike_HW))
            if len(index_N2) < 4 or (np.ptp(index_N2, axis=0) == 0).any():
                break
            typical_PP = typical_cell(straight_HW, votes, ground)
            alike_HW = likeness(straight_HW, typical_PP, inside_HW)
        else:
            found.append(_numbered(alike_HW, typical_PP))
    return found


def _numbered(alike_HW: Plane, typical_PP: Plane) -> _Found:
    """Number the votes of a typical cell by rows and columns."""
    symmetry = float(np.corrcoef(typical_PP.ravel(), typical_PP[::-1, ::-1].ravel())[0, 1])
    votes, index_N2 = number_votes(collect_votes(alike_HW))
    index_N2, stagger = straighten_index(index_N2)
    stagger = stagger.counted_from(index_N2.min(axis=0))
    index_N2 = index_N2 - index_N2.min(axis=0)
    voted_RC = np.zeros(np.ptp(index_N2, axis=0)[::-1] + 1)
    voted_RC[index_N2[:, 1], index_N2[:, 0]] = votes.likeness_N
    return _Found(votes, index_N2, stagger, voted_RC, alike_HW, symmetry)


def _best(found: list[_Found], grid: tuple[int, int] | None) -> _Found:
    """Return what fits a grid best; None: what looks most like an array."""
    fits = [one for one in found if grid is not None and one.grid == tuple(grid)] or found
    scores = [one.score(grid) for one in fits]
    near_best = max(scores) - (1 - SAME_SCORE) * abs(max(scores))
    # Those that cover the same pillars differ little in that; then the middle of a pillar is where it is symmetric.
    alike = [one for one, score in zip(fits, scores, strict=True) if score >= near_best]
    return max(alike, key=lambda one: one.symmetry)


def count_full(likeness_N: Floats) -> int:
    """Count rows, or columns, from the first to the last whose mean likeness is at least 0.6 of the usual.

    What looks like half a pillar at either end is none; one whose pillars have gone, between others, is.
    """
    full_N = np.flatnonzero(likeness_N >= 0.6 * np.median(likeness_N))
    return int(full_N[-1] - full_N[0] + 1)


def fullest_window(voted: Floats, grid: tuple[int, int]) -> npt.NDArray[np.intp]:
    """Return the first column and row of the window of ``grid`` cells that holds the largest sum of ``voted``."""
    rows, columns = grid
    up, left = max(rows - voted.shape[0], 0), max(columns - voted.shape[1], 0)
    sums = np.pad(voted, ((up + 1, up), (left + 1, left))).cumsum(axis=0).cumsum(axis=1)
    window = sums[rows:, columns:] - sums[:-rows, columns:] - sums[rows:, :-columns] + sums[:-rows, :-columns]
    row, column = np.unravel_index(int(window.argmax()), window.shape)
    return np.array([column - left, row - up])


def _lattice(
    votes: Votes, index_N2: npt.NDArray[np.intp], stagger: Stagger, alike_HW: Plane, grid: tuple[int, int]
) -> Lattice:
    """Fit the steps to votes whose column and row are known, and keep what then still moves neighbourhoods."""
    from scipy import ndimage  # noqa: PLC0415 - bundles hold this file, and need SciPy for arrays alone

    along_N2 = index_N2 + stagger.shift(index_N2)
    origin, across, down = fit_steps(votes.point_N2, along_N2, votes.likeness_N)
    shift_RC2 = np.full((*grid, 2), np.nan)
    expected_N2 = origin + along_N2[:, :1] * across + along_N2[:, 1:] * down
    shift_RC2[index_N2[:, 1], index_N2[:, 0]] = votes.point_N2 - expected_N2
    place_N2 = np.indices(grid)[::-1].reshape(2, -1).T
    staggered_RC2 = (stagger.shift(place_N2) @ np.stack([across, down])).reshape(*grid, 2)
    lattice = Lattice(origin, across, down, neighbourhood_median(shift_RC2) + staggered_RC2, np.zeros(grid))
    place = np.rint(lattice.centres() + 0.5).astype(int)
    x, y = (np.clip(place[..., axis], 0, alike_HW.shape[1 - axis] - 1) for axis in (0, 1))
    near_HW = ndimage.maximum_filter(alike_HW, size=5)
    return replace(lattice, likeness_RC=near_HW[y, x].astype(np.float64))


def neighbourhood_median(shift_RC2: Floats) -> Floats:
    """Return for every cell the median shift of those around it, of the smallest square (3, 5, ...) with three."""
    known_RC = ~np.isnan(shift_RC2[..., 0])
    fewest = min(3, int(known_RC.sum()))
    windows = np.lib.stride_tricks.sliding_window_view(
        np.pad(shift_RC2, ((1, 1), (1, 1), (0, 0)), constant_values=np.nan), (3, 3), axis=(0, 1)
    ).reshape(*shift_RC2.shape, 9)
    enough_RC = (~np.isnan(windows[:, :, 0])).sum(axis=2) >= fewest
    smooth = np.zeros_like(shift_RC2)
    smooth[enough_RC] = np.nanmedian(windows[enough_RC], axis=2)
    for row, column in np.argwhere(~enough_RC):
        for reach in range(2, max(shift_RC2.shape) + 1):
            around = (
                slice(max(row - reach, 0), row + reach + 1),
                slice(max(column - reach, 0), column + reach + 1),
            )
            if known_RC[around].sum() >= fewest:
                smooth[row, column] = np.median(shift_RC2[around][known_RC[around]], axis=0)
                break
    return smooth


def _in_image(lattice: Lattice, to_straight: Floats) -> Lattice:
    """Map the lattice of a straightened image back to the image."""
    turn = np.linalg.inv(to_straight[:, :2])
    origin = turn @ (lattice.origin - to_straight[:, 2])
    shift = lattice.shift_RC2 @ turn.T
    return Lattice(origin, turn @ lattice.across, turn @ lattice.down, shift, lattice.likeness_RC)
