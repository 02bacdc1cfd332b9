"""Where each pillar stands in its cell, and what the typical one of the array looks like: its reference.

Letters: N cells, S side of a cell in pixels. Offsets are x before y, from the middle of the cell to its pillar.
"""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.arrays.middle import median_cell, spread_evenly

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

CORE = 0.62  # of a cell's side: the part of the reference that is sought
ROUNDS = 5  # of aligning and taking the median anew
FREE_ROUNDS = 2  # of them without regard to where the neighbours' pillars stand
LOOSE_REACH = 0.28  # of the side: how far a pillar of a tile cut by hand may stand from the middle
CUT_REACH = 0.06  # likewise in a cell cut by the lattice
NEAR = 0.08  # of the side: how far a pillar may stand from where the drift over rows and columns puts it
SURE = 0.5  # correlation below which a pillar's own place is not believed
FLAT, FLAT_TIMES = 0.03, 1.5  # of the steepest slopes, and of the flattest fifth: what is less is none
GATHER = 0.22  # pitches over which a pillar is gathered
RING_WIDTH = 0.06  # pitches, to each side of half a pitch: no pillar reaches so far
BEST_SHARE = 0.6  # of the cells, the most alike, make the reference


class Aligned(NamedTuple):
    """Cells with their pillars in the middle.

    Attributes:
        cell_NSS: Relief of every cell, shifted.
        offset_N2: Where the pillar stood.
        score_N: Correlation with the reference, -1 to 1.
        reference_SS: Median of the cells that are most alike.
    """

    cell_NSS: Plane
    offset_N2: Floats
    score_N: Floats
    reference_SS: Plane


def align(relief_NSS: Plane, place_N2: npt.NDArray[np.intp], *, loose: bool) -> Aligned:
    """Find every pillar and the reference, in turns.

    Args:
        relief_NSS: Relative to the ground.
        place_N2: Row and column of every cell.
        loose: Whether the cells are tiles whose pillars drift over rows and columns; else the lattice cut them, and a
            pillar that cannot be made out stands in the middle.
    """
    side = relief_NSS.shape[1]
    core = int(CORE * side) // 2 * 2
    reach = round((LOOSE_REACH if loose else CUT_REACH) * side)
    reference_SS = median_cell(relief_NSS)
    reference_SS = shifted(reference_SS, *symmetric_middle(reference_SS))
    offset_N2: Floats = np.zeros((len(relief_NSS), 2))
    score_N: Floats = np.ones(len(relief_NSS))
    found_SS = reference_SS
    for turn in range(ROUNDS if loose else FREE_ROUNDS + 1):
        maps = _matches(relief_NSS, reference_SS, core, reach)
        offset_N2, score_N = _peaks(maps, reach)
        if loose and turn >= FREE_ROUNDS:
            expected_N2 = drift(offset_N2, np.clip(score_N, 0, 1) ** 2, place_N2)
            offset_N2, score_N = _peaks(maps, reach, expected_N2, NEAR * side)
        elif not loose:
            offset_N2 = np.where(score_N[:, None] < SURE, 0.0, offset_N2)
        alike = spread_evenly(np.flatnonzero(score_N >= np.quantile(score_N, 1 - BEST_SHARE)))
        found_SS = median_cell(all_shifted(relief_NSS[alike], offset_N2[alike]))
        reference_SS = shifted(found_SS, *symmetric_middle(found_SS))
    return Aligned(all_shifted(relief_NSS, offset_N2), offset_N2, score_N, found_SS)


def find_pillars(relief_NSS: Plane, reference_SS: Plane) -> tuple[Floats, Floats]:
    """Find every pillar by a known reference alone, wherever in its cell it stands.

    Returns:
        Offsets, (N, 2), and correlations with the reference, (N,).
    """
    side = relief_NSS.shape[1]
    core, reach = int(CORE * side) // 2 * 2, round(LOOSE_REACH * side)
    offset_N2, score_N = _peaks(_matches(relief_NSS, reference_SS, core, reach), reach)
    return np.where(score_N[:, None] < SURE, 0.0, offset_N2), score_N


def drift(offset_N2: Floats, weight_N: Floats, place_N2: npt.NDArray[np.intp]) -> Floats:
    """Fit offsets by a plane over rows and columns, robustly (Geman-McClure), and return it at every cell, (N, 2)."""
    design_N3 = np.column_stack([np.ones(len(place_N2)), place_N2 - place_N2.mean(axis=0)])
    robust_N = weight_N.copy()
    plane_N2 = np.zeros_like(offset_N2)
    for _ in range(20):
        root_N1 = np.sqrt(robust_N)[:, None]
        plane_N2 = design_N3 @ np.linalg.lstsq(design_N3 * root_N1, offset_N2 * root_N1, rcond=None)[0]
        residual_N = np.hypot(*(offset_N2 - plane_N2).T)
        spread = max(1.5 * float(np.median(residual_N[weight_N >= 0.5 * np.median(weight_N)])), 1.0)
        robust_N = weight_N / (1 + (residual_N / spread) ** 2) ** 2
    return plane_N2


def symmetric_middle(cell_SS: Plane) -> tuple[float, float]:
    """Return x and y, from the middle of a cell, of the point about which its slopes are the most symmetric.

    Slopes are capped at a quarter of the steepest, so that a rim lit from one side counts no more than the rest of it.
    """
    side = cell_SS.shape[0]
    most = side // 8
    smooth = cv2.GaussianBlur(cell_SS, (0, 0), side / 64)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    distance = radius_grid(side)
    steep = float(np.percentile(slope[distance < 0.45 * side], 95))
    if steep <= 0:
        return 0.0, 0.0
    fade = np.exp(-0.5 * (np.maximum(distance - 0.33 * side, 0) / (0.08 * side)) ** 2)
    capped = (np.clip(slope / steep - 0.15, 0, 0.25) * fade).astype(np.float32)
    turned = np.pad(capped[::-1, ::-1], 2 * most)
    x, y, _ = peak(np.asarray(cv2.matchTemplate(turned, capped, cv2.TM_CCORR), np.float32))
    middle = np.clip([-(x - 2 * most) / 2, -(y - 2 * most) / 2], -most, most)
    return float(middle[0]), float(middle[1])


def middle_within_ground(cell_SS: Plane, pitch: float) -> tuple[float, float]:
    """Return x and y, from the middle of a cell, of the point within half a pitch that the ground surrounds.

    The ground is what is flat and of one piece, around all pillars. Where there is none, as out of focus, nothing is
    known better than the middle: 0, 0.

    Args:
        cell_SS: A typical cell with its neighbours, two pitches wide.
        pitch: Distance of neighbours in pixels.
    """
    smooth = cv2.GaussianBlur(cell_SS, (0, 0), pitch / 50)
    slope = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1))
    flat = max(FLAT * float(np.percentile(slope, 95)), FLAT_TIMES * float(np.percentile(slope, 20)))
    ground_SS = connected_ground(slope <= flat)
    if ground_SS is None:
        return 0.0, 0.0
    apart = radius_grid(2 * round(0.6 * pitch) + 1) / pitch
    near = np.exp(-0.5 * (apart / GATHER) ** 2)
    ring = (np.abs(apart - 0.5) < RING_WIDTH).astype(np.float64)
    kernel = near / near.sum() - ring / ring.sum()
    found = cv2.filter2D((~ground_SS).astype(np.float32), -1, kernel, borderType=cv2.BORDER_REFLECT_101)
    covered = np.asarray(found, np.float32)
    rim = max((cell_SS.shape[0] - round(pitch)) // 2, 0)
    x, y, _ = peak(covered[rim : cell_SS.shape[0] - rim, rim : cell_SS.shape[1] - rim])
    middle = (cell_SS.shape[0] - 1) / 2
    return x + rim - middle, y + rim - middle


def connected_ground(flat_SS: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_] | None:
    """Return the flat part that goes all the way across a cell and its neighbours, both ways; None where none does."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(flat_SS.astype(np.uint8), connectivity=4)
    across = (stats[:, [cv2.CC_STAT_WIDTH, cv2.CC_STAT_HEIGHT]] == flat_SS.shape[::-1]).all(axis=1)
    across[0] = False  # all that is not flat
    found = int(np.argmax(across * stats[:, cv2.CC_STAT_AREA]))
    return np.asarray(labels == found) if found else None


def shifted(cell_SS: Plane, x: float, y: float) -> Plane:
    """Return a cell so that what lay at ``x, y`` from its middle lies in its middle; reflected at the borders."""
    move = np.array([[1.0, 0.0, x], [0.0, 1.0, y]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = cv2.warpAffine(cell_SS, move, cell_SS.shape[::-1], flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(moved, dtype=np.float32)


def all_shifted(cell_NSS: Plane, offset_N2: Floats) -> Plane:
    """Return cells so that what lay at their offsets lies in their middles, (N, S, S)."""
    moved_NSS = np.empty_like(cell_NSS, dtype=np.float32)
    for moved_SS, cell_SS, (x, y) in zip(moved_NSS, cell_NSS, offset_N2, strict=True):
        moved_SS[:] = shifted(cell_SS, float(x), float(y))
    return moved_NSS


def radius_grid(side: int) -> Floats:
    """Return the distance of every pixel from the middle of a cell, (S, S), in pixels."""
    axis = np.arange(side) - (side - 1) / 2
    return np.asarray(np.hypot(axis[:, None], axis[None, :]))


def peak(values: Floats) -> tuple[float, float, float]:
    """Return x and y of the highest value, to a fraction of a pixel by parabolas, and the value."""
    y, x = (int(place) for place in np.unravel_index(int(values.argmax()), values.shape))
    across = values[y, x - 1 : x + 2] if 0 < x < values.shape[1] - 1 else None
    down = values[y - 1 : y + 2, x] if 0 < y < values.shape[0] - 1 else None
    return x + _vertex(across), y + _vertex(down), float(values[y, x])


def _vertex(values: Floats | None) -> float:
    if values is None:
        return 0.0
    low, middle, high = (float(value) for value in values)
    bend = low - 2 * middle + high
    return min(max(0.5 * (low - high) / bend, -0.5), 0.5) if bend < 0 else 0.0


def _framed(cell_SS: Plane, core: int, reach: int) -> Plane:
    """Return the middle of a cell in which a core is sought within ``reach``, with ground around it if it must be."""
    rim = reach - (cell_SS.shape[0] - core) // 2
    if rim <= 0:
        return cell_SS[-rim : cell_SS.shape[0] + rim, -rim : cell_SS.shape[1] + rim] if rim else cell_SS
    return np.pad(cell_SS, rim)


def _matches(relief_NSS: Plane, reference_SS: Plane, core: int, reach: int) -> list[Plane]:
    """Return the correlation of every cell with the middle of the reference, at every offset within ``reach``."""
    core_TT = _core(reference_SS, core)
    search = (_framed(cv2.GaussianBlur(cell, (0, 0), len(cell) / 64), core, reach) for cell in relief_NSS)
    return [np.asarray(cv2.matchTemplate(cell, core_TT, cv2.TM_CCOEFF_NORMED), np.float32) for cell in search]


def _core(reference_SS: Plane, core: int) -> Plane:
    start = (reference_SS.shape[0] - core) // 2
    return np.ascontiguousarray(reference_SS[start : start + core, start : start + core])


def _peaks(
    maps: list[Plane], reach: int, expected_N2: Floats | None = None, near: float = 0.0
) -> tuple[Floats, Floats]:
    """Return offset and score of the best match in every map, near to where it is expected if that is said."""
    found = []
    for index, scores in enumerate(maps):
        left = top = 0
        window = scores
        if expected_N2 is not None:
            (left, right), (top, bottom) = (
                _range(value + reach, near, scores.shape[1 - axis]) for axis, value in enumerate(expected_N2[index])
            )
            window = scores[top:bottom, left:right]
        x, y, score = peak(window)
        found.append((x + left - reach, y + top - reach, score))
    table = np.array(found).reshape(-1, 3)
    return table[:, :2], np.nan_to_num(table[:, 2])


def _range(middle: float, near: float, size: int) -> tuple[int, int]:
    """Return first and last index around ``middle``, at least one of them within the axis."""
    start = min(max(int(np.floor(middle - near)), 0), size - 1)
    return start, max(min(int(np.ceil(middle + near)) + 1, size), start + 1)
