"""Seams of an image: straight lines along which two shots of a microscope, or two write fields, were joined.

The optics blur every pillar over several pixels, so that only a seam changes from one pixel to the next along a whole
line. It is looked for piece by piece, a piece as long as a cell, and the pieces of one line vote together: a seam too
faint in any one cell shows over many.

Letters: H and W of the image, G pieces (one for each row, or column, of cells), L places between pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

STRONGEST = 6.0  # standard deviations that one piece may vote with: no speck of dirt makes a line alone
GAP = 1.0  # votes that a piece without a step costs the line that runs over it
MIN_VOTES = 25.0  # of a line, or MIN_PART of what it could have: never reached in images without seams
MIN_PART = 0.8
SHOWN = 2  # pixels of a cell's window beyond a seam, so that it counts
MIN_PIECES = 3  # of a line
MIN_LENGTH = 5  # pitches along each side of the image: in less, the edges of pillars in line look like a seam
RIVAL = 0.35  # of a line's votes: another line with as many is a rival
MOST_RIVALS = 3  # seams of one mosaic that run the same way, beside the one
BLOCK = 8  # pixels along a side of the blocks of JPEG (ITU-T T.81)
EXCLUSIVE = 0.25  # pitches: of two lines so near to each other, the stronger is kept


class Seam(NamedTuple):
    """A straight seam.

    Attributes:
        upright: Whether it runs down the image, or across.
        place: Its x, or y, in pixels of the image, whose outer corner is (0, 0).
        start: Where it begins along its direction, in pixels.
        end: Where it ends.
        votes: How clearly it shows, in standard deviations, summed over its pieces.
    """

    upright: bool
    place: float
    start: float
    end: float
    votes: float

    @property
    def text(self) -> str:
        """Where it runs, in words."""
        axis, along = ("x", "y") if self.upright else ("y", "x")
        return f"{axis} = {self.place:.0f}, {along} from {self.start:.0f} to {self.end:.0f}"


def find_seams(image_HW: Plane, pitch: float) -> list[Seam]:
    """Find the straight seams of an image of an array, upright and level, clearest first.

    Args:
        image_HW: Grey values, any scale.
        pitch: Distance of neighbouring pillars in pixels.
    """
    found = _upright(image_HW, pitch, upright=True) + _upright(image_HW.T, pitch, upright=False)
    return sorted(found, key=lambda seam: -seam.votes)


def cells_on(seams: list[Seam], window_N4: Floats) -> npt.NDArray[np.bool_]:
    """Tell which cells show a seam: those whose window a seam crosses, not merely along its rim.

    Args:
        seams: Of the image.
        window_N4: x and y of the first and the last corner of what every cell shows, in pixels of the image.
    """
    crossed = np.zeros(len(window_N4), dtype=np.bool_)
    for seam in seams:
        across, along = (0, 1) if seam.upright else (1, 0)
        middle_N = (window_N4[:, along] + window_N4[:, along + 2]) / 2
        within = (window_N4[:, across] + SHOWN <= seam.place) & (seam.place <= window_N4[:, across + 2] - SHOWN)
        crossed |= within & (middle_N >= seam.start) & (middle_N <= seam.end)
    return crossed


def _upright(image_HW: Plane, pitch: float, *, upright: bool) -> list[Seam]:
    step = round(pitch)
    pieces = image_HW.shape[0] // step
    if min(image_HW.shape) // step < MIN_LENGTH:
        return []
    vote_GL = piece_votes(piece_excess(image_HW[: pieces * step], pieces))
    all_L = best_runs(vote_GL)[0]
    found: list[Seam] = []
    near = max(round(EXCLUSIVE * pitch), 1)
    while True:
        votes, first, last = best_runs(vote_GL)
        votes = np.where(last - first + 1 >= MIN_PIECES, votes, 0.0)
        place = int(votes.argmax())
        if votes[place] < min(MIN_VOTES, MIN_PART * (STRONGEST - GAP) * pieces):
            return found
        start, end = int(first[place]), int(last[place])
        if rivals(all_L, place, near) <= MOST_RIVALS:
            found.append(Seam(upright, place + 1.0, start * step, (end + 1) * step, float(votes[place])))
        vote_GL[start : end + 1, max(place - near, 0) : place + near + 1] = -STRONGEST


def rivals(votes_L: Floats, place: int, near: int) -> int:
    """Count the other lines with a good part of the votes of one: edges of pillars repeat, and noisy lines of a scan.

    Args:
        votes_L: Of every line.
        place: Of the one.
        near: Lines to each side that count as one.
    """
    window = np.lib.stride_tricks.sliding_window_view(np.pad(votes_L, near, constant_values=-np.inf), 2 * near + 1)
    tops = votes_L >= np.maximum(window.max(axis=1), RIVAL * votes_L[place])
    tops[max(place - near, 0) : place + near + 1] = False
    return int(tops.sum())


def piece_excess(image_HW: Plane, pieces: int) -> Floats:
    """Return by how much each piece of each line between two columns is sharper than those beside it, (G, W - 1).

    That is the mean absolute step across the line, less the largest of the two on either side of it.
    """
    step_GL = np.stack([step_of(piece) for piece in image_HW.reshape(pieces, -1, image_HW.shape[1])])
    padded = np.pad(step_GL, ((0, 0), (2, 2)), mode="reflect")
    width = step_GL.shape[1]
    beside_GL = np.max([padded[:, start : start + width] for start in (0, 1, 3, 4)], axis=0)
    return np.asarray(step_GL - beside_GL)


def step_of(piece_HW: Plane) -> Floats:
    """Return the mean absolute step between every two columns of a piece, (W - 1,)."""
    return np.asarray(np.abs(np.diff(piece_HW, axis=1)).mean(axis=0, dtype=np.float64))


def piece_votes(excess_GL: Floats) -> Floats:
    """Return how many standard deviations each piece of each line stands out, (G, L).

    An image that was once a JPEG has steps between its blocks: lines are compared with those of the same phase.
    """
    votes: Floats = np.empty_like(excess_GL)
    for phase in range(BLOCK):
        alike = excess_GL[:, phase::BLOCK]
        median = np.median(alike)
        deviation = max(1.4826 * float(np.median(np.abs(alike - median))), 1e-9)
        votes[:, phase::BLOCK] = np.minimum((alike - median) / deviation - GAP, STRONGEST)
    votes[:, :2] = votes[:, -2:] = -STRONGEST  # the image's own border
    return np.where(excess_GL > 0, votes, -GAP)


def best_runs(vote_GL: Floats) -> tuple[Floats, npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return for every line the largest sum of votes over neighbouring pieces, with the first and last of them."""
    lines = vote_GL.shape[1]
    total, best = np.zeros(lines), np.zeros(lines)
    begun, first, last = (np.zeros(lines, dtype=np.intp) for _ in range(3))
    for piece, vote_L in enumerate(vote_GL):
        begun = np.where(total <= 0, piece, begun)
        total = np.maximum(total, 0) + vote_L
        better = total > best
        best, first, last = np.where(better, total, best), np.where(better, begun, first), np.where(better, piece, last)
    return best, first, last
