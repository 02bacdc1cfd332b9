"""Defects as objects: the regions of a predicted mask, measured in pixels of the image on disk and in micrometres.

Letters: H and W height and width of the model's image, R regions, P pixels, D defects.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import cv2
import numpy as np

from callbacks.statistics.regions import regions_of

from .extents import DIGITS, extents_of, largest_diameter, smallest_rectangle
from .image_scale import SAME_SCALE, ImageScale
from .merging import merge_near
from .severity import check_rules, severity_of
from .zone_parts import parts_by_zone

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from callbacks.statistics.curves import FloatArray

    from .zone_parts import Parts


@dataclass(frozen=True)
class Defect:
    """One defect; all lengths in pixels of the image on disk where its size is known, else of the model's image.

    Attributes:
        defect: Its number within its image, from 1, in the order of rows.
        x: Column of its centroid; 0 is the left border of the image.
        y: Row of its centroid; 0 is the upper border.
        left: Left border of its box.
        top: Upper border of its box.
        box_width: Of the upright box around it.
        box_height: The same.
        area: In square pixels.
        length: Longer side of the smallest rectangle around it, at any angle.
        width: Shorter side of the same.
        size: Largest Feret diameter.
        orientation: Of the longer side, in degrees clockwise from a row, in [0, 180).
        fragments: How many regions were merged to it.
        zone: The zone that holds most of it, 0 where there is none.
        peak: Its highest raw map value.
        confidence: Share of good calibration images whose own peaks all lie below this one, counting one more that
            does not: n of n good ones give n / (n + 1). One minus it is the chance, at most, that a new good image
            would show so high a peak. None without good calibration images.
        severity: By the rules of the config; empty where none holds, or where the scale that it asks for is unknown.
        um_per_pixel: Micrometres per pixel of the image on disk; None where nobody said.
        area_um2: In square micrometres, or None.
        length_um: In micrometres, or None.
        width_um: In micrometres, or None.
        size_um: In micrometres, or None.
        predicted_type: Such as ``scratch``; empty where the model tells no types.
        inside: By the id of each zone that it touches (by its name, where rules name zones), ``area``, ``length``,
            ``width`` and ``size`` of its part there, in micrometres too; None where the image has no zones.
    """

    defect: int
    x: float
    y: float
    left: float
    top: float
    box_width: float
    box_height: float
    area: float
    length: float
    width: float
    size: float
    orientation: float
    fragments: int
    zone: int
    peak: float
    confidence: float | None
    severity: str
    um_per_pixel: float | None
    area_um2: float | None
    length_um: float | None
    width_um: float | None
    size_um: float | None
    predicted_type: str = ""
    inside: Parts | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values, by the names of the table's columns, and ``inside``."""
        return {field.name: getattr(self, field.name) for field in fields(self)}


MEASURES = tuple(field.name for field in fields(Defect) if field.name != "inside")


class FoundDefects(NamedTuple):
    """The defects of one image.

    Attributes:
        defects: From the top, then from the left, by their boxes.
        label_HW: (H, W) int32, the number of the defect at every pixel, 0 where there is none.
    """

    defects: list[Defect]
    label_HW: npt.NDArray[np.int32]


@dataclass(frozen=True)
class DefectRules:
    """How regions become defects.

    Attributes:
        min_area: Smaller defects are not listed; square pixels of the image on disk, after merging.
        merge_gap: Regions whose nearest pixels are at most this far apart (centre to centre, pixels of the image on
            disk) are fragments of one defect; 0 merges none.
        severity: Rules as data, the worst first; the first that holds gives its name. Each has a ``name`` and any of
            ``min_area``, ``min_length``, ``min_width`` (pixels on disk), ``min_area_um2``, ``min_length_um``,
            ``min_width_um``, ``zones`` (a list of zone ids) and ``kinds`` (a list of names), all of which must hold.
    """

    min_area: float = 0.0
    merge_gap: float = 0.0
    severity: Sequence[Mapping[str, Any]] = ()

    def __post_init__(self) -> None:
        """Refuse rules that mean nothing."""
        if not self.min_area >= 0 or not self.merge_gap >= 0:
            raise ValueError(
                f"Expected min_area and merge_gap of defects to be 0 or more pixels, but found {self.min_area} and "
                f"{self.merge_gap}."
            )
        check_rules(self.severity)


def find_defects(
    mask_HW: npt.NDArray[np.bool_],
    map_HW: npt.NDArray[np.floating[Any]],
    rules: DefectRules,
    scale: ImageScale = SAME_SCALE,
    zones_HW: npt.NDArray[np.uint8] | None = None,
    kind: str = "",
    good_peaks: Sequence[float] = (),
) -> FoundDefects:
    """Find and measure the defects of one image.

    Args:
        mask_HW: The predicted mask.
        map_HW: The raw anomaly map.
        rules: What to merge, to drop, and how severe it is.
        scale: From the model's pixels to those on disk.
        zones_HW: Zone ids, or None.
        kind: Sub-population of the image, for the rules.
        good_peaks: The highest map value of each good calibration image, ascending.
    """
    number, region_HW = regions_of(mask_HW)
    if number == 1:
        return FoundDefects([], region_HW)
    outline_HW = mask_HW & (cv2.erode(mask_HW.astype(np.uint8), _CROSS, borderValue=0) == 0)
    rows, columns = np.nonzero(outline_HW)
    centre_P2 = np.stack([(columns + 0.5) * scale.x + scale.left, (rows + 0.5) * scale.y + scale.top], axis=1)
    region_P = region_HW[outline_HW]
    merged_R = merge_near(region_P - 1, centre_P2, number - 1, rules.merge_gap)
    area_D = np.bincount(merged_R, weights=np.bincount(region_HW.ravel())[1:]) * scale.x * scale.y
    large_K = np.flatnonzero(area_D >= rules.min_area)
    place_D = np.zeros(area_D.size + 1, dtype=np.int32)
    place_D[large_K + 1] = np.arange(1, large_K.size + 1)
    label_HW = place_D[np.concatenate([[0], merged_R + 1])[region_HW]]
    fragments_D = np.bincount(merged_R)[large_K]
    outline_D = _split(label_HW[outline_HW], centre_P2, large_K.size)
    pixels_D = _split(label_HW[label_HW > 0], np.argwhere(label_HW > 0), large_K.size)
    measured = [
        _measure(index, pixels_P2, outline_P2, int(fragments), map_HW, scale, zones_HW, good_peaks)
        for index, (pixels_P2, outline_P2, fragments) in enumerate(zip(pixels_D, outline_D, fragments_D, strict=True))
    ]
    judged = [values | {"severity": severity_of(rules.severity, values, kind)} for values in measured]
    return _in_order(judged, label_HW)


_CROSS = cv2.getStructuringElement(cv2.MORPH_CROSS, (3, 3))


def _split(label_P: npt.NDArray[np.int32], value_P: npt.NDArray[Any], number: int) -> list[npt.NDArray[Any]]:
    """Return the values of each label from 1 to ``number``."""
    order = np.argsort(label_P, kind="stable")
    ends = np.searchsorted(label_P[order], np.arange(1, number + 2))
    return [value_P[order[start:end]] for start, end in pairwise(ends)]


def _measure(
    index: int,
    pixels_P2: npt.NDArray[np.int64],
    outline_P2: FloatArray,
    fragments: int,
    map_HW: npt.NDArray[np.floating[Any]],
    scale: ImageScale,
    zones_HW: npt.NDArray[np.uint8] | None,
    good_peaks: Sequence[float],
) -> dict[str, Any]:
    """Return all measures of a defect but its severity."""
    half = np.array([scale.x, scale.y]) / 2
    corners = np.concatenate([outline_P2 + half * sign for sign in ((-1, -1), (-1, 1), (1, -1), (1, 1))])
    left, top = corners.min(axis=0)
    right, bottom = corners.max(axis=0)
    length, width, orientation = smallest_rectangle(corners)
    row_P, column_P = pixels_P2[:, 0], pixels_P2[:, 1]
    area = len(pixels_P2) * scale.x * scale.y
    peak = float(map_HW[row_P, column_P].max())
    um = scale.um_per_pixel
    measures = {
        "x": (column_P.mean() + 0.5) * scale.x + scale.left,
        "y": (row_P.mean() + 0.5) * scale.y + scale.top,
        "left": left,
        "top": top,
        "box_width": right - left,
        "box_height": bottom - top,
        "orientation": orientation,
    }
    extents = extents_of(area, length, width, largest_diameter(corners), um)
    return {name: round(float(value), DIGITS) for name, value in measures.items()} | {
        **extents,
        "defect": index + 1,
        "fragments": fragments,
        "zone": 0 if zones_HW is None else int(np.bincount(zones_HW[row_P, column_P]).argmax()),
        "inside": None if zones_HW is None else parts_by_zone(pixels_P2, zones_HW, scale),
        "peak": peak,
        "confidence": confidence_of(peak, good_peaks),
        "um_per_pixel": um,
    }


def confidence_of(peak: float, good_peaks: Sequence[float]) -> float | None:
    """See ``Defect.confidence``; ``good_peaks`` ascending."""
    return bisect_left(good_peaks, peak) / (len(good_peaks) + 1) if good_peaks else None


def _in_order(measured: list[dict[str, Any]], label_HW: npt.NDArray[np.int32]) -> FoundDefects:
    """Number the defects from the top, then from the left."""
    order = sorted(range(len(measured)), key=lambda index: (measured[index]["top"], measured[index]["left"]))
    number = np.zeros(len(measured) + 1, dtype=np.int32)
    number[np.array(order, dtype=np.int64) + 1] = np.arange(1, len(measured) + 1)
    defects = [Defect(**measured[index] | {"defect": place}) for place, index in enumerate(order, start=1)]
    return FoundDefects(defects, number[label_HW])
