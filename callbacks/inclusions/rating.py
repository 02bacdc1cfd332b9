"""A rating of inclusions as ASTM E45 and ISO 4967 have it, as far as a binary map can tell and public sources say how.

Each type is rated by its worst square field of 0.50 mm2, thin and heavy series apart: globular inclusions (type D,
whose axes differ by less than a factor of two) by their number, elongated ones by their length in all, and rows of
globular fragments along the direction of working (type B, see ``stringers``) by theirs. A map has no grey values, so
that sulphides (A) and silicates (C) are not told apart: elongated ones are rated by the limits of both. It says
"E45-like" wherever it is shown, and is not a rating by that standard.

Sources, all public, of what the standards state:

* limits of severity: JIS G 0555:2015, Table 1 (after ISO 4967:2013), from 0.5 to the end of 2.5, where 3 begins. Only
  that of 36 globular ones was not read there: it goes on with the squares before it;
* fields of 0.50 mm2, and fragments: IS 4163:2004, clause 2 (the text of ISO 4967:1998); that the worst counts is method
  A of ASTM E45;
* widths, and the ratio of axes: the image analyser VideoTest 5, whose code is public (videotest/vt5,
  ``comps/misc/Metall/Stringer.cpp``, classes ``CIso4967`` and ``CAstm45A``).

Letters: N inclusions, I inclusions or rows of a type, K fields.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from .stringers import stringers_of, working_axis

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from .gaps import Floats

Rating: TypeAlias = "dict[str, float | int | dict[str, float] | None]"

CAVEAT = "By rules of ASTM E45 and ISO 4967 that public sources state; no rating by these standards."
FIELD_UM = 0.5**0.5 * 1000  # side of a field of 0.50 mm2
GLOBULAR = 2.0  # ratio of the axes below which an inclusion is of type D
SEVEREST = 3.0  # and what is above: no public source says how the table goes on


@dataclass(frozen=True)
class Series:
    """A type of inclusions.

    Attributes:
        name: Of its keys.
        type: As the standards call it.
        widths: In micrometres, from which its thin ones, its heavy ones and oversized ones begin.
        limits: From which severities 0.5, 1, 1.5, ... begin: lengths in micrometres, or numbers.
    """

    name: str
    type: str
    widths: tuple[float, float, float]
    limits: tuple[float, ...]


ELONGATED = Series("elongated", "A", (2.0, 4.0, 12.0), (37, 127, 261, 436, 649, 898))
STRINGER = Series("stringers", "B", (2.0, 9.0, 15.0), (17, 77, 184, 343, 555, 822))
SILICATE = Series("elongated_as_silicates", "C", (2.0, 5.0, 12.0), (18, 76, 176, 320, 510, 746))
ROUND = Series("globular", "D", (3.0, 8.0, 13.0), (1, 4, 9, 16, 25, 36))
SERIES = (ELONGATED, STRINGER, SILICATE, ROUND)


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
) -> Rating | None:
    """Rate the inclusions of a map.

    Args:
        table: As ``datamodules.files.object_table`` makes it.
        shape: Height and width of the map in pixels.
        um_per_pixel: Micrometres per pixel.
        axis: Direction of working in degrees, from pointing right towards pointing down; None: the one that elongated
            inclusions share.

    Returns:
        ``fields``, how many whole ones the map holds; ``axis``, None where there is none, and then no rows are looked
        for; the severities of the worst field, 0 to 3, where 3 stands for all above, ``NAME_thin`` and ``NAME_heavy``
        for every name of ``SERIES``; ``worst``, by the same keys, the lengths in micrometres, or the numbers, that
        these rest on; and ``oversized``, what is wider than heavy. None where the map is smaller than one field.
    """
    side = FIELD_UM / um_per_pixel
    grid = int(shape[0] // side), int(shape[1] // side)
    if not grid[0] * grid[1]:
        return None
    axis = working_axis(table) if axis is None else axis
    rating: Rating = {"fields": grid[0] * grid[1], "axis": axis}
    amounts: dict[str, float] = {}
    oversized = 0
    for kind, rated in _by_type(table, um_per_pixel, axis).items():
        field_I, within_I = _fields(rated, side, grid)
        thin, heavy, over = kind.widths
        width_I = rated.width_I
        for name, some in (
            ("thin", (width_I >= thin) & (width_I <= heavy)),
            ("heavy", (width_I > heavy) & (width_I <= over)),
        ):
            counted = some & within_I
            worst = float(np.bincount(field_I[counted], rated.amount_I[counted], grid[0] * grid[1]).max(initial=0))
            amounts[f"{kind.name}_{name}"] = worst
            rating[f"{kind.name}_{name}"] = severity(kind, worst)
        oversized += int((within_I & (width_I > over)).sum()) if kind is not SILICATE else 0  # they count as elongated
    return rating | {"worst": amounts, "oversized": oversized}


def _by_type(table: pd.DataFrame, um_per_pixel: float, axis: float | None) -> dict[Series, _Rated]:
    """Tell types apart; members of a row are rated as that row alone."""
    globular_N = (table["major"] < GLOBULAR * table["minor"]).to_numpy()
    wide_N = table["narrowest"].to_numpy(float) * um_per_pixel >= STRINGER.widths[0]
    rows = stringers_of(table, globular_N & wide_N, axis, um_per_pixel) if axis is not None else []
    single_N = globular_N.copy()
    for row in rows:
        single_N[row.members] = False
    row_I4 = np.array([(row.width, row.length, row.x, row.y) for row in rows]).reshape(-1, 4)
    elongated = _single(table[~globular_N], um_per_pixel, by_length=True)
    return {
        ELONGATED: elongated,
        SILICATE: elongated,
        STRINGER: _Rated(*row_I4.T),
        ROUND: _single(table[single_N], um_per_pixel, by_length=False),
    }


def _single(some: pd.DataFrame, um_per_pixel: float, *, by_length: bool) -> _Rated:
    width_I, length_I = (some[name].to_numpy(float) * um_per_pixel for name in ("narrowest", "longest"))
    amount_I = length_I if by_length else np.ones_like(length_I)
    return _Rated(width_I, amount_I, some["x"].to_numpy(float), some["y"].to_numpy(float))


def _fields(rated: _Rated, side: float, grid: tuple[int, int]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.bool_]]:
    """Return the field of every centre, and whether it lies in a whole one."""
    row_I, column_I = np.asarray(rated.y_I // side, np.intp), np.asarray(rated.x_I // side, np.intp)
    return row_I * grid[1] + column_I, (row_I < grid[0]) & (column_I < grid[1])


def severity(kind: Series, amount: float) -> float:
    """Return the severity of a length in micrometres, or a number: 0 to 3, where 3 stands for all above."""
    return bisect_right(kind.limits, amount) / 2
