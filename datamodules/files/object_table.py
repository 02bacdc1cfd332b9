"""The table of the objects of a map: all in one pass over their pixels, whatever the number of objects.

Letters: H and W height and width of the map in pixels, N objects, K their pixels in all, R runs (rows of objects).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from .object_circles import enclosing_circles

if TYPE_CHECKING:
    from .objects import Labels

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = npt.NDArray[np.intp]

MIN_AREA = 3  # pixels; an object must be larger, as in MLography
DIRECTIONS = 24  # of the callipers, 7.5 degrees apart: the longest distance is at most 0.2 % short
REFINEMENTS = 5  # halvings around the narrowest of these: 0.2 degrees in the end
COLUMNS = (
    *("label", "x", "y", "area", "top", "bottom", "left", "right"),
    *("circle_x", "circle_y", "circle_radius", "circle_score", "circle_score_centres"),
    *("perimeter", "circularity", "longest", "narrowest", "major", "minor", "orientation"),
)
INTEGERS = ("label", "area", "top", "bottom", "left", "right")


class _Pixels(NamedTuple):
    """The pixels of the objects that count, sorted by object, row and column.

    Attributes:
        label_N: Number of every object.
        first_N: Where its pixels begin.
        area_N: How many they are.
        y_K: Row of every pixel.
        x_K: Column.
    """

    label_N: Places
    first_N: Places
    area_N: Places
    y_K: Places
    x_K: Places


def object_table(label_HW: Labels, *, min_area: int = MIN_AREA) -> pd.DataFrame:
    """Measure the objects of a map, which ``objects.object_labels`` has numbered.

    Args:
        label_HW: Number of the object at every pixel, 0 on the ground.
        min_area: Objects of no more pixels are left out.

    Returns:
        One row per object by its number, in pixels, with the centre of the map's first pixel at (0, 0): ``label``;
        ``x`` and ``y``, its centroid; ``area``; ``top, bottom, left, right``, its first and last rows and columns;
        ``circle_x, circle_y, circle_radius``, the smallest circle around its pixels, their corners included;
        ``circle_score``, the share of that circle which it leaves free, in [0, 1); ``circle_score_centres``, the same
        of the circle around the centres of its pixels, as MLography has it, which small objects make negative;
        ``perimeter`` (Crofton's formula in four directions, holes included) and ``circularity``, 4 pi area over its
        square; ``longest`` and ``narrowest``, between callipers; ``major`` and ``minor``, the axes of the ellipse with
        its second moments, and ``orientation``, the angle of the major one in degrees, [0, 180), from the row axis
        (pointing right) towards the columns' (pointing down).
    """
    pixels = _pixels_of(label_HW, min_area)
    if not len(pixels.label_N):
        return pd.DataFrame({name: np.zeros(0, int if name in INTEGERS else float) for name in COLUMNS})
    extreme = _Extremes.of(pixels)
    return pd.DataFrame(
        {"label": pixels.label_N, "area": pixels.area_N}
        | _boxes(pixels)
        | _moments(pixels)
        | _circles(pixels, extreme)
        | _outlines(pixels, label_HW)
        | _callipers(extreme)
    )[list(COLUMNS)]


def _pixels_of(label_HW: Labels, min_area: int) -> _Pixels:
    flat = label_HW.reshape(-1)
    place_K = np.flatnonzero(flat)
    number_K = flat[place_K]
    area_L = np.bincount(number_K)
    large_L = area_L > min_area
    large_K = large_L[number_K]
    place_K, number_K = place_K[large_K], number_K[large_K]
    place_K = place_K[np.argsort(number_K, kind="stable")]
    label_N = np.flatnonzero(large_L)
    area_N = area_L[label_N]
    y_K, x_K = np.divmod(place_K, label_HW.shape[1])
    return _Pixels(label_N, np.cumsum(area_N) - area_N, area_N, y_K, x_K)


def _boxes(pixels: _Pixels) -> dict[str, Places]:
    return {
        "top": np.minimum.reduceat(pixels.y_K, pixels.first_N),
        "bottom": np.maximum.reduceat(pixels.y_K, pixels.first_N),
        "left": np.minimum.reduceat(pixels.x_K, pixels.first_N),
        "right": np.maximum.reduceat(pixels.x_K, pixels.first_N),
    }


def _moments(pixels: _Pixels) -> dict[str, Floats]:
    """Return centroids, and the ellipses with the objects' second moments; a pixel is a square, not a point."""
    x_N, y_N = (np.add.reduceat(of_K, pixels.first_N) / pixels.area_N for of_K in (pixels.x_K, pixels.y_K))
    dx_K = pixels.x_K - np.repeat(x_N, pixels.area_N)
    dy_K = pixels.y_K - np.repeat(y_N, pixels.area_N)
    xx_N, xy_N, yy_N = (
        np.add.reduceat(product_K, pixels.first_N) / pixels.area_N for product_K in (dx_K**2, dx_K * dy_K, dy_K**2)
    )
    xx_N, yy_N = xx_N + 1 / 12, yy_N + 1 / 12
    middle_N, half_N = (xx_N + yy_N) / 2, np.hypot((xx_N - yy_N) / 2, xy_N)
    return {
        "x": x_N,
        "y": y_N,
        "major": 4 * np.sqrt(middle_N + half_N),
        "minor": 4 * np.sqrt(np.maximum(middle_N - half_N, 0)),
        "orientation": np.degrees(np.arctan2(2 * xy_N, xx_N - yy_N) / 2) % 180,
    }


class _Extremes(NamedTuple):
    """The first and last pixel of every row of every object: no other can touch its convex hull.

    Attributes:
        point_R2: (x, y) of the first pixels of the runs, and of the last, alternately.
        first_N: Where those of every object begin.
    """

    point_R2: Floats
    first_N: Places

    @classmethod
    def of(cls, pixels: _Pixels) -> _Extremes:
        """Find them in sorted pixels."""
        new = np.ones(len(pixels.y_K), np.bool_)
        new[1:] = np.diff(pixels.y_K) != 0
        new[pixels.first_N] = True
        start_R = np.flatnonzero(new)
        end_R = np.append(start_R[1:], len(new)) - 1
        column_R = np.stack([pixels.x_K[start_R], pixels.x_K[end_R]], axis=1).reshape(-1)
        row_R = np.repeat(pixels.y_K[start_R], 2)
        return cls(np.stack([column_R, row_R], axis=1).astype(float), 2 * np.searchsorted(start_R, pixels.first_N))


def corners(extreme: _Extremes) -> tuple[Floats, Places]:
    """Return the outer corners of the pixels that are first or last in a row, two for each, and where objects begin."""
    point_R22 = np.repeat(extreme.point_R2[:, None], 2, axis=1)
    point_R22[::2, :, 0] -= 0.5
    point_R22[1::2, :, 0] += 0.5
    point_R22[:, 0, 1] -= 0.5
    point_R22[:, 1, 1] += 0.5
    return point_R22.reshape(-1, 2), 2 * extreme.first_N


def _circles(pixels: _Pixels, extreme: _Extremes) -> dict[str, Floats]:
    center_N2, radius_N = enclosing_circles(*corners(extreme))
    _, centres_N = enclosing_circles(extreme.point_R2, extreme.first_N)
    return {
        "circle_x": center_N2[:, 0],
        "circle_y": center_N2[:, 1],
        "circle_radius": radius_N,
        "circle_score": 1 - pixels.area_N / (np.pi * radius_N**2),
        "circle_score_centres": 1 - pixels.area_N / (np.pi * np.maximum(centres_N, 1e-6) ** 2),
    }


def _outlines(pixels: _Pixels, label_HW: Labels) -> dict[str, Floats]:
    """Measure perimeters by Crofton's formula: the ends of an object along rows, columns and diagonals are counted."""
    padded = np.zeros((label_HW.shape[0] + 2, label_HW.shape[1] + 2), np.int32)
    padded[1:-1, 1:-1] = label_HW
    width, flat = padded.shape[1], padded.reshape(-1)
    place_K = (pixels.y_K + 1) * width + pixels.x_K + 1
    own_K = np.repeat(pixels.label_N.astype(np.int32), pixels.area_N)

    def ends(step: int) -> Floats:
        """Count the pixels of every object that are its last in a direction, twice for its first."""
        return 2.0 * np.add.reduceat(flat[place_K + step] != own_K, pixels.first_N, dtype=np.int64)

    straight_N = ends(1) + ends(width)
    diagonal_N = ends(width + 1) + ends(width - 1)
    perimeter_N = np.pi / 8 * (straight_N + diagonal_N / np.sqrt(2))
    return {"perimeter": perimeter_N, "circularity": 4 * np.pi * pixels.area_N / perimeter_N**2}


def _callipers(extreme: _Extremes) -> dict[str, Floats]:
    """Return the largest and the smallest distance between two parallel lines around every object.

    The smallest is searched on around the best of all directions, in halved steps: slender objects need it.
    """
    count = len(extreme.first_N)
    step = np.pi / DIRECTIONS
    longest_N, narrowest_N, angle_N = np.zeros(count), np.full(count, np.inf), np.zeros(count)

    def keep(tried_N: Floats) -> None:
        width_N = _widths(extreme, tried_N)
        np.maximum(longest_N, width_N, out=longest_N)
        np.copyto(angle_N, tried_N, where=width_N < narrowest_N)
        np.minimum(narrowest_N, width_N, out=narrowest_N)

    for index in range(DIRECTIONS):
        keep(np.full(count, index * step))
    for halving in range(1, REFINEMENTS + 1):
        best_N = angle_N.copy()
        for side in (-1, 1):
            keep(best_N + side * step / 2**halving)
    return {"longest": longest_N, "narrowest": narrowest_N}


def _widths(extreme: _Extremes, angle_N: Floats) -> Floats:
    """Return how wide every object is along its own angle, from corner to corner of its pixels."""
    along_N, across_N = np.cos(angle_N), np.sin(angle_N)
    count_N = np.diff(np.append(extreme.first_N, len(extreme.point_R2)))
    place_R = extreme.point_R2[:, 0] * np.repeat(along_N, count_N) + extreme.point_R2[:, 1] * np.repeat(
        across_N, count_N
    )
    width_N = np.maximum.reduceat(place_R, extreme.first_N) - np.minimum.reduceat(place_R, extreme.first_N)
    return np.asarray(width_N + np.abs(along_N) + np.abs(across_N))
