"""Objects in a binary map: what the anomaly of inclusions, in space, in shape and in area, is measured on.

Letters: H and W height and width of the map in pixels, N objects.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.errors import DataError

if TYPE_CHECKING:
    from .images import Array

THRESHOLD = 127
CLOSINGS, DILATIONS = 1, 3  # with a 3 x 3 square
LEAST_AREA = 3  # pixels; an object must be larger
COLUMNS = ("label", "x", "y", "width", "height", "area", "centroid_x", "centroid_y")

_SQUARE = np.ones((3, 3), np.uint8)


def objects_in(
    map_HW: Array, *, dark: bool = True, dilations: int = DILATIONS, least_area: int = LEAST_AREA
) -> pd.DataFrame:
    """Find the objects of a map, by connected components (8 neighbours).

    As MLography extracts inclusions (impurity_extract.py; Sci Rep 12:4776): an inverse threshold, one closing with a
    3 x 3 square, three dilations, and whatever is larger than three pixels. Components stand for its watershed, which
    divides nothing that the threshold keeps apart; every area is that of the dilated object, as there.

    Args:
        map_HW: (H, W) grey values, (H, W, 3) colours, or booleans that are true on objects.
        dark: Objects are darker than ``THRESHOLD`` on a bright ground; false: brighter on a dark one.
        dilations: How often objects are dilated, which joins those less than twice as many pixels apart.
        least_area: Objects of no more pixels are dropped.

    Returns:
        One row per object, from the top: ``label`` (its number in ``label_map``), ``x``, ``y``, ``width`` and
        ``height`` of its bounding box, ``area`` in pixels, and ``centroid_x`` and ``centroid_y``.

    Raises:
        DataError: The map is no map: it has other axes, or values of another kind.
    """
    _, statistics, centroids = _components(map_HW, dark=dark, dilations=dilations)
    large = np.flatnonzero(statistics[:, cv2.CC_STAT_AREA] > least_area)
    large = large[large > 0]  # zero is the ground
    rows = pd.DataFrame(statistics[large], columns=["x", "y", "width", "height", "area"]).astype(int)
    rows.insert(0, "label", large)
    return rows.assign(centroid_x=centroids[large, 0], centroid_y=centroids[large, 1])[list(COLUMNS)]


def label_map(map_HW: Array, *, dark: bool = True, dilations: int = DILATIONS) -> npt.NDArray[np.int32]:
    """Return the number of the object at every pixel, (H, W), 0 on the ground; numbers as in ``objects_in``."""
    return _components(map_HW, dark=dark, dilations=dilations)[0]


def _components(
    map_HW: Array, *, dark: bool, dilations: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32], npt.NDArray[np.float64]]:
    if map_HW.ndim not in {2, 3} or map_HW.dtype not in (np.bool_, np.uint8):
        raise DataError(
            f"Expected a map of 8-bit values or booleans, (H, W), but found {map_HW.dtype} {map_HW.shape}; save it as "
            "8-bit grey."
        )
    values = map_HW if map_HW.ndim == 2 else map_HW.max(axis=2)
    on = values if values.dtype == np.bool_ else (values <= THRESHOLD if dark else values > THRESHOLD)
    closed = cv2.morphologyEx(on.astype(np.uint8), cv2.MORPH_CLOSE, _SQUARE, iterations=CLOSINGS)
    grown = cv2.dilate(closed, _SQUARE, iterations=dilations) if dilations else closed
    _, labels, statistics, centroids = cv2.connectedComponentsWithStats(grown, connectivity=8)
    return (
        np.asarray(labels, dtype=np.int32),
        np.asarray(statistics, dtype=np.int32),
        np.asarray(centroids, dtype=np.float64),
    )
