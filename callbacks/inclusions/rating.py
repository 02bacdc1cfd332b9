"""A rating of inclusions after ASTM E45, as far as a binary map can tell.

Each type is rated by its worst square field of 0.50 mm2, thin and heavy series apart: globular ones (type D, whose axes
differ by less than a factor of two) by their number, elongated ones by their length in all. A map has no grey values,
so that sulphides (A) and silicates (C) are not told apart and are rated by the limits of A, and aligned fragments (B)
are not joined to stringers. It says "E45-like" wherever it is shown, and is not a rating by that standard.

Rules: E45-13, Table 1 in its regression form, ``log10 severity = a log10 x - b`` (A: 0.5605 and 1.179, x the length in
micrometres; D: 0.5 and 0.301, x the number: 1, 4, 9, 16 make 0.5, 1, 1.5, 2), severities rounded down to halves;
widths of Table 2 (A thin 2 to 4, heavy to 12; D thin 2 to 8, heavy to 13 micrometres; larger ones are oversized).

Letters: N inclusions.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import floor, log10
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

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
ROUND = _Series("globular", 8.0, 13.0, 0.5, 0.301)


def e45_like(table: pd.DataFrame, shape: tuple[int, int], um_per_pixel: float) -> dict[str, float | int] | None:
    """Rate the inclusions of a map.

    Args:
        table: As ``datamodules.files.object_table`` makes it.
        shape: Height and width of the map in pixels.
        um_per_pixel: Micrometres per pixel.

    Returns:
        ``fields``, how many whole ones the map holds; severities ``globular_thin``, ``globular_heavy``,
        ``elongated_thin`` and ``elongated_heavy`` of the worst; and ``oversized``, inclusions wider than heavy ones.
        None where the map is smaller than one field.
    """
    side = FIELD_UM / um_per_pixel
    rows, columns = int(shape[0] // side), int(shape[1] // side)
    if not rows * columns:
        return None
    row_N, column_N = (table["y"] // side).to_numpy(int), (table["x"] // side).to_numpy(int)
    within_N = (row_N < rows) & (column_N < columns)
    field_N = row_N * columns + column_N
    width_N, length_N = table["narrowest"].to_numpy() * um_per_pixel, table["longest"].to_numpy() * um_per_pixel
    globular_N = (table["major"] < GLOBULAR * table["minor"]).to_numpy()
    rating: dict[str, float | int] = {"fields": rows * columns}
    oversized = 0
    for kind, chosen_N, weight_N in ((ROUND, globular_N, np.ones_like(length_N)), (ELONGATED, ~globular_N, length_N)):
        bounds = ((NARROWEST, kind.thin, "thin"), (kind.thin, kind.heavy, "heavy"))
        for low, high, name in bounds:
            some = chosen_N & within_N & (width_N <= high)
            some &= width_N >= low if name == "thin" else width_N > low
            worst = np.bincount(field_N[some], weight_N[some], rows * columns).max(initial=0)
            rating[f"{kind.name}_{name}"] = severity(kind, float(worst))
        oversized += int((chosen_N & within_N & (width_N > kind.heavy)).sum())
    return rating | {"oversized": oversized}


def severity(kind: _Series, amount: float) -> float:
    """Return the severity of a length in micrometres, or a number, rounded down to halves."""
    if amount <= 0:
        return 0.0
    return floor(2 * 10 ** (kind.slope * log10(amount) - kind.offset) + ROUNDED) / 2
