"""What sets a cell apart from its array's reference: four measures, one for each layer, higher is worse.

Letters: N cells, S side of a cell, P pixels near the pillar, K modes.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from .alignment import radius_grid, shifted
from .blocks import blocks

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

WINDOW = 1.3  # of the pillar's radius: what is looked at
BLOB = 0.5  # of the reference's power in its mean, from which a pillar is a blob rather than a rim
DISC = 1.05  # of the radius: the disc whose darkness tells a collapsed pillar
DISC_REACH = 0.9  # of the radius: how far from the middle it may lie
SMOOTH = 1.0  # pixels: the noise of single pixels has no form
STRETCH_WEIGHT = 0.3  # of a stretched outline beside one that no usual change explains
STRETCHES = (7, 8)  # the modes that stretch the pillar along the axes and along the diagonals
CHUNK = 32  # cells taken at a time, so that what is made of them stays in the processor's cache
OBLIQUE = 0.5  # degrees from which a lattice is not along the pixels
RIM = 0.06  # of the side: not searched for seams, where neighbours begin; more where these are nearer


@dataclass(frozen=True)
class Measures:
    """Measures of every cell, (N,) each.

    Attributes:
        absence: How much of the pillar is gone, 0 none to 1 all.
        darkness: How dark the darkest disc near the middle is, in parts of the ground.
        seam: The sharpest straight step across the cell, against the steps beside it.
        misfit: Root mean square of what no usual change of the reference explains, logarithm.
        stretch: How much the outline is stretched along the axes, in parts of the pillar.
        skew: Likewise along the diagonals.
        likeness: Correlation with the reference, -1 to 1; higher is better.
    """

    absence: Floats
    darkness: Floats
    seam: Floats
    misfit: Floats
    stretch: Floats
    skew: Floats
    likeness: Floats

    def pick(self, index: npt.NDArray[np.intp]) -> Measures:
        """Return the measures of some cells."""
        return Measures(*(getattr(self, field.name)[index] for field in fields(self)))


class Spread(NamedTuple):
    """Median and robust standard deviation of one measure over an array."""

    median: float
    deviation: float

    def of(self, value_N: Floats) -> Floats:
        """Return values in standard deviations from the median."""
        return np.asarray((value_N - self.median) / self.deviation)


class Gauge(NamedTuple):
    """What the measures of one array are taken against.

    Attributes:
        reference_SS: The typical cell.
        radius: Of its pillar, where its outline is steepest, in pixels.
        modes_PK: Usual changes of the reference: light, contrast, place, size, stretch, turn, focus.
        near_SS: The pixels near the pillar.
        depth: How far black lies below the ground, see ``cells.Relief``.
        dark_ground: Whether pillars are brighter than the ground.
        angle: Of the lattice in the cells, in degrees: seams run along it, or along the pixels.
        rim: Of the side, across and down, that belongs to the neighbours: their seams are not the cell's.
    """

    reference_SS: Plane
    radius: float
    modes_PK: Floats
    near_SS: npt.NDArray[np.bool_]
    depth: float = 1.0
    dark_ground: bool = False
    angle: float = 0.0
    rim: tuple[float, float] = (RIM, RIM)


def make_gauge(
    reference_SS: Plane,
    depth: float = 1.0,
    *,
    dark_ground: bool = False,
    angle: float = 0.0,
    rim: tuple[float, float] = (RIM, RIM),
) -> Gauge:
    """Prepare what the measures of an array need."""
    radius = pillar_radius(reference_SS)
    near_SS = radius_grid(reference_SS.shape[0]) <= WINDOW * radius
    modes_PK = usual_changes(reference_SS, near_SS)
    return Gauge(reference_SS, radius, modes_PK, near_SS, depth, dark_ground, angle, rim)


def pillar_radius(reference_SS: Plane) -> float:
    """Return the distance from the middle at which the slopes are steep, in pixels: the mean over the upper half."""
    side = reference_SS.shape[0]
    slope = np.hypot(cv2.Sobel(reference_SS, cv2.CV_32F, 1, 0), cv2.Sobel(reference_SS, cv2.CV_32F, 0, 1)).ravel()
    ring = radius_grid(side).astype(int).ravel()
    mean_R = np.bincount(ring, slope) / np.maximum(np.bincount(ring), 1)
    rings = np.arange(len(mean_R))
    mean_R = np.where((rings >= 2) & (rings < 0.42 * side), mean_R, 0.0)
    steep = np.where(mean_R > 0.5 * mean_R.max(), mean_R, 0.0)
    return float((rings * steep).sum() / max(steep.sum(), 1e-12)) or side / 4


def usual_changes(reference_SS: Plane, near_SS: npt.NDArray[np.bool_]) -> Floats:
    """Return what small changes that no pillar is to blame for do to the reference, (P, K).

    In order: light, its two slopes, contrast, shift along x and y, size, stretch along the axes and along the
    diagonals, turn, focus.
    """
    side = reference_SS.shape[0]
    axis = (np.arange(side) - (side - 1) / 2) * 4 / side
    x_SS, y_SS = np.meshgrid(axis, axis)
    smooth = cv2.GaussianBlur(reference_SS, (0, 0), 0.7)
    down, right = np.gradient(smooth)
    modes = [np.ones_like(smooth), x_SS, y_SS, reference_SS, right, down]
    modes += [x_SS * right + y_SS * down, x_SS * right - y_SS * down, x_SS * down + y_SS * right]
    modes += [x_SS * down - y_SS * right, cv2.Laplacian(smooth, cv2.CV_32F)]
    return np.stack([mode[near_SS] for mode in modes], axis=1).astype(np.float64)


def measure(aligned_NSS: Plane, relief_NSS: Plane, offset_N2: Floats, gauge: Gauge) -> Measures:
    """Measure cells.

    Args:
        aligned_NSS: Relief, with the pillar in the middle.
        relief_NSS: The same as it lies in the cell, where every pixel is as sharp as it was taken.
        offset_N2: Where the pillar stands there, from the middle, x before y.
        gauge: Of the array.
    """
    parts = [_measured(aligned_NSS[part], relief_NSS[part], offset_N2[part], gauge) for part in blocks(len(offset_N2))]
    if len(parts) == 1:
        return parts[0]
    return Measures(*(np.concatenate([getattr(part, one.name) for part in parts]) for one in fields(Measures)))


def _measured(aligned_NSS: Plane, relief_NSS: Plane, offset_N2: Floats, gauge: Gauge) -> Measures:
    distance = radius_grid(aligned_NSS.shape[1])
    pillar_SS = distance <= 1.1 * gauge.radius
    misfit, changes_NK = fit_changes(aligned_NSS, gauge)
    return Measures(
        absence=absence(aligned_NSS[:, pillar_SS], gauge.reference_SS[pillar_SS]),
        darkness=darkness(aligned_NSS, gauge),
        seam=seam_strength(beside_reference(relief_NSS, offset_N2, gauge), gauge.angle, gauge.rim),
        misfit=misfit,
        stretch=changes_NK[:, STRETCHES[0]],
        skew=changes_NK[:, STRETCHES[1]],
        likeness=correlation(aligned_NSS[:, gauge.near_SS], gauge.reference_SS[gauge.near_SS]),
    )


def absence(cell_NP: Floats, reference_P: Floats) -> Floats:
    """Return how much of the reference is missing in cells.

    That is what lacks of its projection on the reference. A pillar that is displaced, or another one, lacks up to half
    of it: there, as much must have gone of all that differs from the ground.
    """
    power = float(reference_P @ reference_P) / len(reference_P)
    lacking_N: Floats = 1 - cell_NP @ reference_P / max(power * len(reference_P), 1e-12)
    if float(reference_P.mean()) ** 2 >= BLOB * power:
        left_N = np.sqrt((cell_NP**2).mean(axis=1) / max(power, 1e-12))
    else:
        left_N = cell_NP.std(axis=1) / max(float(reference_P.std()), 1e-6)
    return np.asarray(np.minimum(lacking_N, np.maximum(1 - left_N, 2 * lacking_N - 1)))


def darkness(cell_NSS: Plane, gauge: Gauge) -> Floats:
    """Return how dark the darkest disc of a pillar's size near the middle is, in parts of the light.

    Where pillars are brighter than the ground, only what is darker than the ground counts: a hole is not.
    """
    reach = max(round(DISC * gauge.radius), 1)
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
    middle_SS = radius_grid(cell_NSS.shape[1]) <= max(DISC_REACH * gauge.radius, 1.0)
    parts = [cell_NSS[first : first + CHUNK] for first in range(0, len(cell_NSS), CHUNK)]
    dark_N = -np.concatenate([disc_means(part, disc, middle_SS).min(axis=1) for part in parts])
    return np.maximum(dark_N, 0.0) if gauge.dark_ground else dark_N


def disc_means(cell_NSS: Plane, disc_DD: npt.NDArray[np.integer | np.floating], at_SS: npt.NDArray[np.bool_]) -> Floats:
    """Return the mean over a disc around some places of every cell, (N, P), reflected beyond the borders.

    The disc is summed line by line, each from running sums: that does not take longer the larger it is.
    """
    reach = disc_DD.shape[0] // 2
    y_P, x_P = np.nonzero(at_SS)
    top, left, high, wide = y_P.min(), x_P.min(), int(np.ptp(y_P)) + 1, int(np.ptp(x_P)) + 1
    padded = np.pad(cell_NSS, ((0, 0), (reach, reach), (reach + 1, reach)), mode="reflect")
    running = np.cumsum(padded, axis=2)
    total = np.zeros((len(cell_NSS), high, wide), np.float32)
    for down, width in enumerate(disc_DD.sum(axis=1) // 2):
        rows = running[:, top + down : top + down + high]
        ends = left + reach + 1 + int(width), left + reach - int(width)
        total += rows[:, :, ends[0] : ends[0] + wide] - rows[:, :, ends[1] : ends[1] + wide]
    return np.asarray(total[:, y_P - top, x_P - left] / disc_DD.sum())


def beside_reference(relief_NSS: Plane, offset_N2: Floats, gauge: Gauge) -> Plane:
    """Return cells less the reference, laid over where their pillars stand: a pillar's own straight edges cancel."""
    apart_NSS = np.empty_like(relief_NSS, dtype=np.float32)
    for apart_SS, relief_SS, (x, y) in zip(apart_NSS, relief_NSS, offset_N2, strict=True):
        np.subtract(relief_SS, shifted(gauge.reference_SS, -float(x), -float(y)), out=apart_SS)
    return apart_NSS


def seam_strength(relief_NSS: Plane, angle: float = 0.0, rim: tuple[float, float] = (RIM, RIM)) -> Floats:
    """Return the strength of the sharpest straight line or step, (N,): along the pixels, or along the lattice."""
    sharp_NSS = np.stack([cell - cv2.GaussianBlur(cell, (0, 0), 2.0) for cell in relief_NSS])
    found = [line_profile(sharp_NSS, axis, rim).max(axis=1) for axis in (1, 2)]
    if abs(angle) >= OBLIQUE:
        found += [line_profile(slanted(sharp_NSS, angle, axis), axis, rim).max(axis=1) for axis in (1, 2)]
    return np.asarray(np.max(found, axis=0))


def slanted(cell_NSS: Plane, angle: float, axis: int) -> Plane:
    """Slant cells so that what runs along a lattice of this angle, in degrees, runs along ``axis``."""
    middle, slope = (cell_NSS.shape[1] - 1) / 2, float(np.tan(np.radians(angle)))
    move = (
        np.array([[1, -slope, slope * middle], [0, 1, 0]])
        if axis == 1
        else (np.array([[1, 0, 0], [slope, 1, -slope * middle]]))
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    border = cv2.BORDER_REFLECT_101
    slant = [cv2.warpAffine(cell, move, cell.shape[::-1], flags=flags, borderMode=border) for cell in cell_NSS]
    return np.stack(slant).astype(np.float32)


def line_profile(sharp_NSS: Plane, axis: int, rims: tuple[float, float] = (RIM, RIM)) -> Floats:
    """Return the strength of a straight line or step at every place, (N, L), rims left out.

    The optics blur a pillar over pixels; only where two shots or write fields meet do all pixels of a line change at
    once. What is sharp is averaged along the line, and taken as a line one pixel wide or as a step.

    Args:
        sharp_NSS: Cells less what is left of them once smoothed by 2 pixels.
        axis: Along which to average: 1 for upright lines, 2 for level ones.
        rims: Of the side, across and down, that are left out at each end.
    """
    across, down = (max(round(share * sharp_NSS.shape[1]), 2) for share in rims)
    own_NSS = sharp_NSS[:, down:-down, across:-across]
    mean_NL = own_NSS.mean(axis=axis)
    line = np.abs(2 * mean_NL[:, 1:-2] - mean_NL[:, :-3] - mean_NL[:, 2:-1]) / 2
    step = np.abs(mean_NL[:, 3:] - 3 * mean_NL[:, 2:-1] + 3 * mean_NL[:, 1:-2] - mean_NL[:, :-3]) / 4
    return np.asarray(np.maximum(line, step))


def fit_changes(cell_NSS: Plane, gauge: Gauge) -> tuple[Floats, Floats]:
    """Explain the difference from the reference by usual changes.

    Returns:
        Logarithm of the root mean square of what is left, (N,); and the changes, (N, K).
    """
    smooth = np.stack([cv2.GaussianBlur(cell, (0, 0), SMOOTH) for cell in cell_NSS])
    reference_P = cv2.GaussianBlur(gauge.reference_SS, (0, 0), SMOOTH)[gauge.near_SS]
    difference_NP = (smooth[:, gauge.near_SS] - reference_P).astype(np.float64)
    change_KN = np.linalg.lstsq(gauge.modes_PK, difference_NP.T, rcond=None)[0]
    left_NP = difference_NP - (gauge.modes_PK @ change_KN).T
    return 0.5 * np.log(np.maximum((left_NP**2).mean(axis=1), 1e-12)), change_KN.T


def correlation(cell_NP: Floats, reference_P: Floats) -> Floats:
    """Return the correlation of every cell with the reference, -1 to 1; 0 for a cell of one value."""
    centred_NP = cell_NP - cell_NP.mean(axis=1, keepdims=True)
    centred_P = reference_P - reference_P.mean()
    norm_N = np.sqrt((centred_NP**2).sum(axis=1) * (centred_P @ centred_P))
    return np.asarray(centred_NP @ centred_P / np.maximum(norm_N, 1e-12))
