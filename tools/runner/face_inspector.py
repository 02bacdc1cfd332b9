"""End faces under rules in micrometres, whatever model marks them: each mark is measured on the image on disk.

A map of 256 pixels cannot feed limits of 2 um: zones, outlines at half depth, types by shape and sizes are those of the
file, as in the line of fiber end faces; the model says only where to look.

Letters: P points of a defect.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.acceptance.inspecting import Inspected
from callbacks.defects.extents import smallest_rectangle
from callbacks.defects.measured import Defect, confidence_of
from callbacks.defects.severity import severity_of
from datamodules.zones.kinds import size_of
from datamodules.zones.masks import zone_map
from datamodules.zones.prior import Prior
from datamodules.zones.scale import Scale

from .face import Inspection, Marks
from .face_facts import condensed, facts_of, lengths_of, measures_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt

    from callbacks.acceptance.inspecting import Marked
    from callbacks.acceptance.judgement import Acceptance
    from datamodules.files.images import Array
    from datamodules.zones.finding import Zones
    from datamodules.zones.kinds import Sizes
    from datamodules.zones.view import View
    from models.faces.view import FaceView
    from tools.runner.measuring import Measuring

    from .face import Face, FaceDefect


@dataclass(frozen=True)
class FaceInspector:
    """Measures what a model marks on end faces, and judges them.

    Attributes:
        acceptance: Rules with ``zones_um``.
        measuring: The scale that somebody gave, severity, and the peaks of good images.
        core_um: Diameter of the core; or by kind; None: unknown.
        cladding_um: Of the outermost circle; likewise; None: 125.
    """

    acceptance: Acceptance
    measuring: Measuring
    core_um: Sizes = None
    cladding_um: Sizes = None

    def __call__(self, values: Array, kind: str, marked: Marked) -> Inspected:
        """Judge the end face on an image as stored, (H, W) or (H, W, 3)."""
        um = marked.um_per_pixel or self.measuring.um_per_pixel
        given = None if um is None else Scale(um, um, "given")
        inspect = Inspection(partial(_mark, marked), self.acceptance.rings, given)
        face = inspect(values, Prior(size_of(self.core_um, kind), size_of(self.cladding_um, kind)))
        facts = facts_of(face, kind, self.acceptance.asked_zones)
        judged = condensed(self.acceptance(facts), facts)
        ids_HW = None if face.zones.cladding is None else zone_map(face.zones.cladding, face.zones.core, face.size)
        found = (self._defect(one, face, marked, ids_HW, kind) for one in face.defects or ())
        return Inspected(judged, tuple(found), facts)

    def _defect(
        self, one: FaceDefect, face: Face, marked: Marked, ids_HW: npt.NDArray[np.uint8] | None, kind: str
    ) -> Defect:
        """Write a defect as one of a map is written: in pixels of the file."""
        x_P, y_P, _ = one.shape.points
        x_P, y_P, half = x_P + face.corner[0], y_P + face.corner[1], one.shape.step / 2
        corners_P2 = np.concatenate([np.stack([x_P + sx * half, y_P + sy * half], axis=1) for sx, sy in CORNERS])
        (left, top), (right, bottom) = corners_P2.min(axis=0), corners_P2.max(axis=0)
        peak = _peak(marked, x_P, y_P)
        scale = face.scale
        um: Mapping[str, float | None] = measures_of(one.shape.extent) if scale is not None else dict.fromkeys(IN_UM)
        zone = 0 if ids_HW is None else int(np.bincount(_at(ids_HW, x_P, y_P)).argmax())
        values: dict[str, Any] = {
            **lengths_of(one.shape),
            **um,
            "zone": zone,
            "um_per_pixel": None if scale is None else scale.y,
        }
        return Defect(
            defect=one.number,
            x=round(one.shape.centre[0] + face.corner[0], 3),
            y=round(one.shape.centre[1] + face.corner[1], 3),
            left=round(float(left), 3),
            top=round(float(top), 3),
            box_width=round(float(right - left), 3),
            box_height=round(float(bottom - top), 3),
            orientation=round(smallest_rectangle(corners_P2)[2], 3),
            fragments=len(one.shape.patches),
            peak=peak,
            confidence=confidence_of(peak, self.measuring.good_peaks),
            severity=severity_of(self.measuring.rules.severity, values, kind),
            predicted_type=one.type,
            inside=None if one.parts is None else {name: measures_of(part) for name, part in one.parts.items()},
            **values,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which ``inspector_of`` takes beside rules and measuring."""
        return {"core_um": self.core_um, "cladding_um": self.cladding_um}


CORNERS = ((-1, -1), (-1, 1), (1, -1), (1, 1))
IN_UM = ("size_um", "width_um", "length_um", "area_um2")


def inspector_of(
    acceptance: Acceptance | None, measuring: Measuring, core_um: Sizes = None, cladding_um: Sizes = None
) -> FaceInspector | None:
    """Return what looks at parts by these rules; None where a map tells all that they ask for."""
    if acceptance is None or not acceptance.rings:
        return None
    return FaceInspector(acceptance, measuring, core_um, cladding_um)


def _mark(marked: Marked, values: Array, view: View, face: FaceView | None, zones: Zones) -> Marks:
    """Say what a model marks of an image without its black frame."""
    del values, face, zones
    height, width = view.grey_HW.shape
    mask_HW = marked.placement.mask_on_disk(marked.mask_hw)
    inner_HW = mask_HW[view.top : view.top + height, view.left : view.left + width]
    return Marks(inner_HW, float(marked.map_hw.max()), "defective" if marked.defective else "good")


def _peak(marked: Marked, x_P: npt.NDArray[np.float64], y_P: npt.NDArray[np.float64]) -> float:
    """Return the highest map value of a defect."""
    (down, across), (top, left) = marked.placement.scale, marked.placement.origin
    return float(_at(marked.map_hw, (x_P - left) / across, (y_P - top) / down).max())


def _at(plane: npt.NDArray[Any], x_P: npt.NDArray[np.float64], y_P: npt.NDArray[np.float64]) -> npt.NDArray[Any]:
    """Return the values of a plane at points, whose outer corner is (0, 0)."""
    height, width = plane.shape
    found: npt.NDArray[Any] = plane[np.clip(y_P.astype(int), 0, height - 1), np.clip(x_P.astype(int), 0, width - 1)]
    return found
