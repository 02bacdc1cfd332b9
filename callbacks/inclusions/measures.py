"""All measures of the inclusions of one map, from the table of its objects.

``default``: the shape is the circle score over pixel corners, in [0, 1) for every object, and an inclusion that an area
buys from another moves there. ``source``: as MLography runs, with circles around pixel centres (which put a disc of few
pixels below a square) and inclusions that stay in the area that lost them. The spatial measure is the same in both.

Letters: N inclusions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np

from .combined import combined
from .gaps import Floats, boxes_of
from .market import CORES, Area, find_areas
from .order_keys import FINAL, order_keys
from .spatial import NEIGHBOUR, normalised_spatial, raw_spatial

if TYPE_CHECKING:
    import pandas as pd

Mode: TypeAlias = Literal["default", "source"]

MEASURES = ("spatial", "shape", "combined")


@dataclass(frozen=True)
class FoundArea:
    """An area of anomalous inclusions.

    Attributes:
        cores: Rows of the table, of the inclusions that founded it.
        members: Rows of the table.
        keys: What areas are ordered by, see ``order_keys``.
        box: top, bottom, left, right: first and last rows and columns of its members.
    """

    cores: tuple[int, ...]
    members: tuple[int, ...]
    keys: dict[str, float]
    box: tuple[int, int, int, int]


@dataclass(frozen=True)
class MeasuredMap:
    """The inclusions of a map with their measures.

    Attributes:
        table: As ``object_table`` returns it, and ``spatial_raw`` (above 0, without a bound), ``spatial``, ``shape``
            and ``combined`` (see ``MEASURES``; in [0, 1]).
        areas: By their final key, the highest first.
    """

    table: pd.DataFrame
    areas: list[FoundArea]


def measure_map(
    table: pd.DataFrame,
    *,
    mode: Mode = "default",
    neighbour: int = NEIGHBOUR,
    cores: int = CORES,
    shape_N: Floats | None = None,
) -> MeasuredMap:
    """Measure the inclusions of a map.

    Args:
        table: As ``datamodules.files.object_table`` makes it.
        mode: ``default`` or ``source``.
        neighbour: k of the spatial measure.
        cores: Areas that the market begins with.
        shape_N: Another shape measure in place of the circle score, such as that of an autoencoder.
    """
    box_N4, area_N = boxes_of(table), table["area"].to_numpy(np.float64)
    raw_N = raw_spatial(box_N4, area_N, neighbour)
    spatial_N = normalised_spatial(raw_N)
    if shape_N is None:
        shape_N = table["circle_score" if mode == "default" else "circle_score_centres"].to_numpy(np.float64)
    combined_N = combined(spatial_N, shape_N)
    found = find_areas(box_N4, combined_N, cores=cores, mode="serial" if mode == "default" else "source")
    areas = [_described(area, table, box_N4, area_N, combined_N) for area in found]
    measured = table.assign(spatial_raw=raw_N, spatial=spatial_N, shape=shape_N, combined=combined_N)
    return MeasuredMap(measured, sorted(areas, key=lambda area: area.keys[FINAL], reverse=True))


def _described(area: Area, table: pd.DataFrame, box_N4: Floats, area_N: Floats, combined_N: Floats) -> FoundArea:
    some = table.iloc[area.members]
    return FoundArea(
        cores=tuple(area.cores),
        members=tuple(area.members),
        keys=order_keys(area.members, box_N4, area_N, combined_N),
        box=(int(some["top"].min()), int(some["bottom"].max()), int(some["left"].min()), int(some["right"].max())),
    )
