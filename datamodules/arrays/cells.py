"""Cells of a straightened array: what the typical one looks like, where each one is, and which row and column it has.

Straightened means that the image was resampled so that its lattice is upright and ``PITCH`` pixels wide, from two
steps that are nearly right. Seams may shift whole parts of it by up to a third of a cell, and pillars may be missing,
so that nothing here trusts the lattice over more than a few cells.

Letters: H and W height and width of the straightened image, P ``PITCH``, N votes. Points are x before y, in pixels,
with whole numbers at the pixels' centres.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Literal, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from .middle import median_cell

if TYPE_CHECKING:
    from scipy.spatial import cKDTree

Floats = npt.NDArray[np.float64]
Plane = npt.NDArray[np.float32]

PITCH = 32
MIDDLE = (PITCH - 1) / 2  # of a cell, where pixels are counted from zero
BLOCK = 6  # cells along a side of the blocks in which the lattice is trusted
MIN_LIKENESS = 0.45  # correlation with the typical cell from which a place votes
Ground: TypeAlias = Literal["bright", "dark", "slopes"]  # what is known of the ground between the pillars
GROUNDS: tuple[Ground, ...] = ("bright", "dark", "slopes")
ENOUGH = 1001  # cells of which a median is taken
REACH = 0.3  # a neighbour is sought so far from where it is expected, in pitches


class Votes(NamedTuple):
    """Places that look like the typical cell.

    Attributes:
        point_N2: Centres.
        likeness_N: Correlation with the typical cell, up to 1.
    """

    point_N2: Floats
    likeness_N: Floats


def first_cell(relief_HW: Plane) -> Plane:
    """Return the typical cell (P, P) of the most regular block of the image, cut anywhere."""
    block, rows, columns = BLOCK * PITCH, relief_HW.shape[0] // PITCH, relief_HW.shape[1] // PITCH
    folded = [
        fold(relief_HW[y : y + block, x : x + block])
        for y in range(0, max(rows - BLOCK, 0) * PITCH + 1, 3 * PITCH)
        for x in range(0, max(columns - BLOCK, 0) * PITCH + 1, 3 * PITCH)
    ]
    return max(folded, key=lambda cell: float(cell.var()))


def fold(block_HW: Plane) -> Plane:
    """Return the median over all whole cells of a block, (P, P)."""
    rows, columns = block_HW.shape[0] // PITCH, block_HW.shape[1] // PITCH
    whole = block_HW[: rows * PITCH, : columns * PITCH]
    cells = whole.reshape(rows, PITCH, columns, PITCH).transpose(0, 2, 1, 3).reshape(-1, PITCH, PITCH)
    if min(rows, columns) < BLOCK:  # a small array: what lies beyond the image is not to outvote it
        shown = (cells != 0).mean(axis=(1, 2)) > 0.5
        cells = cells[shown] if shown.any() else cells
    return median_cell(cells)


def typical_cell(relief_HW: Plane, votes: Votes, ground: Ground) -> Plane:
    """Return the median (P, P) of the voting cells, centred on its pillar."""
    for _ in range(2):
        corner_N2 = np.rint(votes.point_N2 - MIDDLE).astype(np.intp)
        inside = (corner_N2 >= 0).all(axis=1) & (corner_N2 + PITCH <= relief_HW.shape[::-1]).all(axis=1)
        corner_N2 = corner_N2[inside]
        corner_N2 = corner_N2[np.linspace(0, len(corner_N2) - 1, min(ENOUGH, len(corner_N2))).astype(np.intp)]
        cell_PP = median_cell(np.stack([relief_HW[y : y + PITCH, x : x + PITCH] for x, y in corner_N2]))
        votes = Votes(votes.point_N2 + pillar_centre(cell_PP, ground) - MIDDLE, votes.likeness_N)
    return cell_PP


def centred(cell_PP: Plane, ground: Ground) -> Plane:
    """Return a cell (P, P) that repeats endlessly, rolled so that its pillar is in the middle."""
    shift = np.rint(MIDDLE - pillar_centre(cell_PP, ground)).astype(int)
    return np.roll(cell_PP, shift[::-1], axis=(0, 1))


def pillar_centre(cell_PP: Plane, ground: Ground) -> Floats:
    """Return x and y, in [0, P), of the pillar in a cell that repeats endlessly: where it differs from the ground.

    That is the phase of the first harmonic of its footprint: what differs by 0.3 of the most, so that a dark shadow
    counts no more than the pillar that throws it, and what that encloses. ``"slopes"`` takes the squared gradient
    instead, whatever the ground.
    """
    from scipy import ndimage  # noqa: PLC0415 - bundles hold this file, and need SciPy for arrays alone

    if ground == "slopes":
        across = np.roll(cell_PP, -1, axis=1) - np.roll(cell_PP, 1, axis=1)
        down = np.roll(cell_PP, -1, axis=0) - np.roll(cell_PP, 1, axis=0)
        mass_PP = across.astype(np.float64) ** 2 + down.astype(np.float64) ** 2
    else:
        away_PP = np.abs(cell_PP - np.percentile(cell_PP, 95 if ground == "bright" else 5)).astype(np.float64)
        footprint = ndimage.binary_fill_holes(np.tile(away_PP > 0.3 * away_PP.max(), (3, 3)))
        mass_PP = footprint[PITCH : 2 * PITCH, PITCH : 2 * PITCH].astype(np.float64)
    spectrum = np.fft.fft2(mass_PP)
    centre: Floats = -np.angle([spectrum[0, 1], spectrum[1, 0]]) / (2 * np.pi) * PITCH % PITCH
    return centre


def peak_offset(values_33: Floats | Plane) -> Floats:
    """Return x and y, each within half a pixel, of the top of the parabolas through the middle of 3 x 3 values."""
    found: Floats = peak_offsets(values_33, np.array([1]), np.array([1]))
    return np.asarray(found[0], dtype=np.float64)


def peak_offsets(values_HW: Floats | Plane, y_N: npt.NDArray[np.intp], x_N: npt.NDArray[np.intp]) -> Floats:
    """Return the same for many places of one plane, (N, 2), none of them at its border."""
    middle_N = values_HW[y_N, x_N].astype(np.float64)
    offset_N2 = np.zeros((len(y_N), 2))
    for axis, (down, right) in enumerate(((0, 1), (1, 0))):
        low_N, high_N = values_HW[y_N - down, x_N - right], values_HW[y_N + down, x_N + right]
        bend_N = low_N - 2 * middle_N + high_N
        vertex_N = 0.5 * (low_N - high_N) / np.where(bend_N < 0, bend_N, 1.0)
        offset_N2[:, axis] = np.where(bend_N < 0, np.clip(vertex_N, -0.5, 0.5), 0.0)
    return offset_N2


def likeness(relief_HW: Plane, cell_PP: Plane, inside_HW: npt.NDArray[np.bool_]) -> Plane:
    """Return (H, W) the correlation of each pixel's surroundings with ``cell_PP``, -1 to 1; 0 where nothing is shown.

    Args:
        relief_HW: Straightened.
        cell_PP: Typical cell.
        inside_HW: See ``well_inside``.
    """
    half = PITCH // 2
    padded = cv2.copyMakeBorder(relief_HW, half, half - 1, half, half - 1, cv2.BORDER_CONSTANT, value=0.0)
    found = np.asarray(cv2.matchTemplate(padded, cell_PP, cv2.TM_CCOEFF_NORMED), dtype=np.float32)
    found[~(inside_HW & np.isfinite(found))] = 0.0
    return found


def well_inside(relief_HW: Plane) -> npt.NDArray[np.bool_]:
    """Tell what may be the middle of a cell: nothing nearer than a quarter of one to where the image ends.

    There, the relief is zero.
    """
    shown = cv2.morphologyEx((relief_HW != 0).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    half = PITCH // 2
    return np.asarray(cv2.erode(shown, np.ones((half + 1, half + 1), np.uint8), borderValue=0) > 0)


def collect_votes(likeness_HW: Plane) -> Votes:
    """Return the tops of the likeness, to a fraction of a pixel, no two nearer than a third of a cell."""
    reach = PITCH // 3
    highest = cv2.dilate(likeness_HW, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8))
    top = (likeness_HW >= highest) & (likeness_HW >= MIN_LIKENESS)
    top[[0, -1], :] = top[:, [0, -1]] = False
    y_N, x_N = np.nonzero(top)
    # A patch of even size has its centre between pixels: half a pixel left of and above the pixel that it is filed by.
    point_N2 = np.stack([x_N, y_N], axis=1) - 0.5 + peak_offsets(likeness_HW, y_N, x_N)
    return Votes(point_N2, likeness_HW[y_N, x_N].astype(np.float64))


def number_votes(votes: Votes) -> tuple[Votes, npt.NDArray[np.intp]]:
    """Number votes by walking from neighbour to neighbour, so that a seam's shift never adds up.

    Returns:
        The votes of the largest connected part, of two for one cell the likelier, and the column and row of each,
        (M, 2), from any zero.
    """
    neighbours = _link(votes.point_N2)
    seen: dict[int, tuple[int, int]] = {}
    largest: dict[int, tuple[int, int]] = {}
    for start in np.argsort(-votes.likeness_N):
        if int(start) not in seen:
            part = _walk(int(start), neighbours)
            seen |= part
            largest = max(largest, part, key=len)
    best: dict[tuple[int, int], int] = {}
    for vote, index in largest.items():
        if index not in best or votes.likeness_N[vote] > votes.likeness_N[best[index]]:
            best[index] = vote
    chosen = list(best.values())
    return Votes(votes.point_N2[chosen], votes.likeness_N[chosen]), np.array(list(best), dtype=np.intp).reshape(-1, 2)


def _link(point_N2: Floats) -> dict[int, list[tuple[int, int, int]]]:
    """Return for every vote its neighbours, with their step in columns and rows; both must find each other."""
    from scipy.spatial import cKDTree  # noqa: PLC0415 - bundles hold this file, and need SciPy for arrays alone

    links: dict[int, list[tuple[int, int, int]]] = {vote: [] for vote in range(len(point_N2))}
    if len(point_N2) < 2:
        return links
    tree = cKDTree(point_N2)
    for step in ((1, 0), (0, 1), (1, 1), (1, -1)):  # diagonals lead around missing pillars
        there_N = _nearest(tree, point_N2 + PITCH * np.array(step))
        back_N = _nearest(tree, point_N2 - PITCH * np.array(step))
        here_N = np.flatnonzero(there_N < len(point_N2))
        here_N = here_N[back_N[there_N[here_N]] == here_N]
        for here, there in zip(here_N.tolist(), there_N[here_N].tolist(), strict=True):
            links[here].append((there, *step))
            links[there].append((here, -step[0], -step[1]))
    return links


def _nearest(tree: cKDTree, point_N2: Floats) -> npt.NDArray[np.intp]:
    return np.asarray(tree.query(point_N2, distance_upper_bound=REACH * PITCH)[1], dtype=np.intp)


def _walk(start: int, neighbours: dict[int, list[tuple[int, int, int]]]) -> dict[int, tuple[int, int]]:
    """Return column and row, counted from ``start``, of every vote that can be reached from it."""
    found = {start: (0, 0)}
    queue = deque([start])
    while queue:
        here = queue.popleft()
        column, row = found[here]
        for there, right, below in neighbours[here]:
            if there not in found:
                found[there] = (column + right, row + below)
                queue.append(there)
    return found
