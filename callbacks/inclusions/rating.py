"""A rating of inclusions after ASTM E45, as far as a binary map can tell.

Each type is rated by its worst square field of 0.50 mm2, thin and heavy series apart: globular inclusions (type D,
whose axes differ by less than a factor of two) by their number, elongated ones by their length in all, and rows of
globular fragments along the direction of working (type B, see ``stringers``) by theirs. A map has no grey values, so
that sulphides (A) and silicates (C) are not told apart and are rated by the limits of A. It says "E45-like" wherever it
is shown, and is not a rating by that standard.

Rules, after E45-13, whose text was not at hand to compare them with, and type B from memory: Table 1 in its regression
form, ``log10 severity = a log10 x - b`` (A: 0.5605 and 1.179, B: 0.4626 and 0.871, x the length in micrometres; D: 0.5
and 0.301, x the number: 1, 4, 9, 16 make 0.5, 1, 1.5, 2), severities rounded down to halves; widths of Table 2 in
micrometres (A thin 2 to 4, heavy to 12; B thin 2 to 9, heavy to 15; D thin 2 to 8, heavy to 13; larger ones are
oversized).

Letters: N inclusions, I inclusions or rows of a type, K fields.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .stringers import stringers_of, working_axis

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from .gaps import Floats

CAVEAT = "After ASTM E45-13, but not compared with its text; no rating by that standard."
FIELD_UM = 0.5**0.5 * 1000  # side of a field of 0.50 mm2
GLOBULAR = 2.0  # ratio of the axes below which an inclusion is of type D
NARROWEST = 2.0  # micrometres; thinner ones are not rated
ROUNDED = 0.04  # of a half: the regression misses its table, whose steps it is to reproduce, by up to as much


@dataclass(frozen=True)
class _Series:
    """A type: its name, the largest widths of thin and heavy ones in micrometres, and its regression."""

    name: str
    thin: float
    heavy: float
    slope: float
    offset: float


ELONGATED = _Series("elongated", 4.0, 12.0, 0.5605, 1.179)
STRINGER = _Series("stringers", 9.0, 15.0, 0.4626, 0.871)
ROUND = _Series("globular", 8.0, 13.0, 0.5, 0.301)


class _Rated(NamedTuple):
    """Inclusions or rows of a type.

    Attributes:
        width_I: In micrometres.
        amount_I: What is added up in a field: lengths in micrometres, or ones.
        x_I: Centres in pixels.
        y_I: Centres in pixels.
    """

    width_I: Floats
    amount_I: Floats
    x_I: Floats
    y_I: Floats


def e45_like(
    table: pd.DataFrame, shape: tuple[int, int], um_per_pixel: float, axis: float | None = None
) -> dict[str, float | int | None] | None:
    """Rate the inclusions of a map.

    Args:
        table: As ``datamodules.files.object_table`` makes it.
        shape: Height and width of the map in pixels.
        um_per_pixel: Micrometres per pixel.
        axis: Direction of working in degrees, from pointing right towards pointing down; None: the one that elongated
            inclusions share.

    Returns:
        ``fields``, how many whole ones the map holds; ``axis``, None where there is none, and then no rows are looked
        for; severities ``globular_thin``, ``globular_heavy``, ``elongated_thin``, ``elongated_heavy``,
        ``stringers_thin`` and ``stringers_heavy`` of the worst field; and ``oversized``, what is wider than heavy.
        None where the map is smaller than one field.
    """
    side = FIELD_UM / um_per_pixel
    grid = int(shape[0] // side), int(shape[1] // side)
    if not grid[0] * grid[1]:
        return None
    axis = working_axis(table) if axis is None else axis
    rating: dict[str, float | int | None] = {"fields": grid[0] * grid[1], "axis": axis}
    oversized = 0
    for kind, rated in _by_type(table, um_per_pixel, axis).items():
        field_I, within_I = _fields(rated, side, grid)
        for name, low, high in (("thin", NARROWEST, kind.thin), ("heavy", kind.thin, kind.heavy)):
            some = within_I & (rated.width_I <= high)
            some &= rated.width_I >= low if name == "thin" else rated.width_I > low
            worst = np.bincount(field_I[some], rated.amount_I[some], grid[0] * grid[1]).max(initial=0)
            rating[f"{kind.name}_{name}"] = severity(kind, float(worst))
        oversized += int((within_I & (rated.width_I > kind.heavy)).sum())
    return rating | {"oversized": oversized}


def _by_type(table: pd.DataFrame, um_per_pixel: float, axis: float | None) -> dict[_Series, _Rated]:
    """Tell types apart; members of a row are rated as that row alone."""
    globular_N = (table["major"] < GLOBULAR * table["minor"]).to_numpy()
    wide_N = table["narrowest"].to_numpy(float) * um_per_pixel >= NARROWEST
    rows = stringers_of(table, globular_N & wide_N, axis, um_per_pixel) if axis is not None else []
    single_N = globular_N.copy()
    for row in rows:
        single_N[row.members] = False
    row_I4 = np.array([(row.width, row.length, row.x, row.y) for row in rows]).reshape(-1, 4)
    return {
        ROUND: _single(table[single_N], um_per_pixel, by_length=False),
        ELONGATED: _single(table[~globular_N], um_per_pixel, by_length=True),
        STRINGER: _Rated(*row_I4.T),
    }


def _single(some: pd.DataFrame, um_per_pixel: float, *, by_length: bool) -> _Rated:
    width_I, length_I = (some[name].to_numpy(float) * um_per_pixel for name in ("narrowest", "longest"))
    amount_I = length_I if by_length else np.ones_like(length_I)
    return _Rated(width_I, amount_I, some["x"].to_numpy(float), some["y"].to_numpy(float))


def _fields(rated: _Rated, side: float, grid: tuple[int, int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the field of every centre, and whether it lies in a whole one."""
    row_I, column_I = np.asarray(rated.y_I // side, np.intp), np.asarray(rated.x_I // side, np.intp)
    return row_I * grid[1] + column_I, (row_I < grid[0]) & (column_I < grid[1])


def severity(kind: _Series, amount: float) -> float:
    """Return the severity of a length in micrometres, or a number, rounded down to halves."""
    if amount <= 0:
        return 0.0
    return floor(2 * 10 ** (kind.slope * log10(amount) - kind.offset) + ROUNDED) / 2
