"""Fragments in a row, which are rated as one inclusion, a stringer, as type B of ASTM E45 and ISO 4967.

Rules, from public sources: at least three inclusions, aligned parallel to the direction of hot working, less than 40
micrometres apart (ASTM E1122-96, clause 3.2, withdrawn and taken into E45; IS 4163:2004, clause 2), and offset by no
more than 15 (the image analyser VideoTest 5 for ASTM E1122: videotest/vt5, ``comps/misc/Metall/Stringer.cpp``, class
``CStandard``). How that direction is found, and that a row is as wide as its widest member, is ours.

Letters: N inclusions, F fragments, P pairs of them that are near, S stringers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

if TYPE_CHECKING:
    import pandas as pd

    from .gaps import Floats

OFFSET_UM = 15.0  # that neighbours are apart across the axis, at most
GAP_UM = 40.0  # between the ends of neighbours along it, below
MIN_FRAGMENTS = 3  # fragments
AGREEING = 0.5  # length of the mean direction of elongated inclusions, 0 to 1, from which they have one
ELONGATED = 2.0  # ratio of the axes of an inclusion that shows a direction


class Stringer(NamedTuple):
    """A row of fragments.

    Attributes:
        members: Their places in the table.
        length: From end to end along the axis, in micrometres.
        width: The narrowest side of its widest member.
        x: Centre, in pixels.
        y: Centre, in pixels.
    """

    members: npt.NDArray[np.intp]
    length: float
    width: float
    x: float
    y: float


def working_axis(table: pd.DataFrame) -> float | None:
    """Return the direction in degrees that elongated inclusions share, weighted by their length; None if they do not.

    It is measured from the row axis (pointing right) towards the columns' (pointing down), in [0, 180).
    """
    some = table[table["major"] >= ELONGATED * table["minor"]]
    weight_N = some["longest"].to_numpy(float)
    if len(some) < MIN_FRAGMENTS:
        return None
    mean = (weight_N * np.exp(2j * np.radians(some["orientation"].to_numpy(float)))).sum() / weight_N.sum()
    return float(np.degrees(np.angle(mean)) / 2 % 180) if abs(mean) >= AGREEING else None


def stringers_of(
    table: pd.DataFrame, chosen_N: npt.NDArray[np.bool_], axis: float, um_per_pixel: float
) -> list[Stringer]:
    """Join fragments to stringers.

    Args:
        table: As ``datamodules.files.object_table`` makes it.
        chosen_N: Which of its rows are fragments.
        axis: Direction of working, see ``working_axis``.
        um_per_pixel: Micrometres per pixel.
    """
    place_F = np.flatnonzero(chosen_N)
    if len(place_F) < MIN_FRAGMENTS:
        return []
    some = table.iloc[place_F]
    way = np.radians(axis)
    x_F, y_F = some["x"].to_numpy(float), some["y"].to_numpy(float)
    along_F = (x_F * np.cos(way) + y_F * np.sin(way)) * um_per_pixel
    across_F = (y_F * np.cos(way) - x_F * np.sin(way)) * um_per_pixel
    half_F = _half_extent(some, axis) * um_per_pixel
    group_F = _joined(along_F, across_F, half_F)
    found = []
    for group in np.flatnonzero(np.bincount(group_F) >= MIN_FRAGMENTS):
        inside = np.flatnonzero(group_F == group)
        length = (along_F + half_F)[inside].max() - (along_F - half_F)[inside].min()
        width = some["narrowest"].to_numpy(float)[inside].max() * um_per_pixel
        found.append(
            Stringer(place_F[inside], float(length), float(width), float(x_F[inside].mean()), float(y_F[inside].mean()))
        )
    return found


def _half_extent(some: pd.DataFrame, axis: float) -> Floats:
    """Return half of what the ellipses of inclusions measure along an axis, in pixels."""
    angle_F = np.radians(some["orientation"].to_numpy(float) - axis)
    major_F, minor_F = some["major"].to_numpy(float), some["minor"].to_numpy(float)
    return np.asarray(np.hypot(major_F * np.cos(angle_F), minor_F * np.sin(angle_F)) / 2)


def _joined(along_F: Floats, across_F: Floats, half_F: Floats) -> npt.NDArray[np.intp]:
    """Number the rows that fragments belong to, (F,)."""
    reach = GAP_UM + 2 * float(half_F.max())
    # One pair is near where it is within `reach` along and OFFSET_UM across: a square, once the latter is stretched.
    stretched_F2 = np.stack([along_F, across_F * (reach / OFFSET_UM)], axis=1)
    pair_P2 = cKDTree(stretched_F2).query_pairs(reach, p=np.inf, output_type="ndarray")
    one_P, other_P = pair_P2[:, 0], pair_P2[:, 1]
    gap_P = np.abs(along_F[one_P] - along_F[other_P]) - half_F[one_P] - half_F[other_P]
    near_P = gap_P < GAP_UM
    links = coo_matrix(
        (np.ones(int(near_P.sum()), np.int8), (one_P[near_P], other_P[near_P])), shape=(len(along_F), len(along_F))
    )
    return np.asarray(connected_components(links, directed=False)[1], np.intp)
