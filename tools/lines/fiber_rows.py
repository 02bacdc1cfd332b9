"""From an end face to plain values: its report, and its rows in the tables."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

from tools.runner.face_facts import condensed, facts_of, hidden_zones, lengths_of, measures_of

if TYPE_CHECKING:
    from collections.abc import Collection

    from callbacks.acceptance.judgement import Acceptance
    from datamodules.zones.detectors import Detection
    from datamodules.zones.ellipse import Ellipse
    from tools.runner.face import Face, FaceDefect

Row: TypeAlias = dict[str, Any]
PREDICTIONS = (
    *("image_path", "time", "kind", "accepted", "reasons", "found", "support", "score", "threshold", "verdict"),
    *("defects", "scratches", "cx", "cy", "core_radius", "cladding_radius", "aspect", "core_source"),
    *("um_per_pixel_x", "um_per_pixel_y", "um_source", "core_offset_um", "ovality", "report", "overlay", "error"),
)
DEFECTS = (
    *("image_path", "kind", "defect", "x", "y", "left", "top", "box_width", "box_height", "type", "zone", "zones"),
    *("area", "length", "width", "size", "area_um2", "length_um", "width_um", "size_um"),
    *("distance_um", "angle", "depth", "fragments", "um_per_pixel_x", "um_per_pixel_y"),
)


def entry_of(face: Face, name: str, kind: str, time: str, acceptance: Acceptance | None, zones: Collection[str]) -> Row:
    """Return the record of an image: all that its report, its rows and the page say."""
    facts = facts_of(face, kind, zones)
    judged = None if acceptance is None else condensed(acceptance(facts), facts)
    marks, found = face.marks, face.zones
    return {
        "image": name,
        "time": time,
        "kind": kind,
        "size": list(face.size),
        "accepted": "" if judged is None else judged.state,
        "reasons": "" if judged is None else judged.text,
        "acceptance": None if judged is None else judged.row(),
        "zones": {
            "found": found.found,
            "support": round(found.support, 3),
            "methods": list(found.methods),
            "cladding": ellipse_row(found.cladding),
            "core": ellipse_row(found.core),
            "core_source": found.core_source,
            "hidden": hidden_zones(face, zones),
            "in_view": {zone: round(share, 4) for zone, share in face.in_view.items()},
            "detectors": [_detector_row(one, face.corner) for one in found.detections],
        },
        "scale": None
        if face.scale is None
        else {"x": round(face.scale.x, 6), "y": round(face.scale.y, 6), "source": face.scale.source},
        "measures": {key: None if value is None else round(value, 5) for key, value in face.measures.items()},
        "score": None if marks is None else round(marks.score, 6),
        "verdict": "" if marks is None else marks.verdict,
        "threshold": None if marks is None else marks.threshold,
        "defects": None if face.defects is None else [defect_row(one, face) for one in face.defects],
    }


def ellipse_row(shape: Ellipse | None) -> Row | None:
    """Return an ellipse as plain values."""
    return None if shape is None else {name: round(value, 5) for name, value in shape._asdict().items()}


def _detector_row(detection: Detection, corner: tuple[int, int]) -> Row:
    """Return what one zone detector said, in pixels of the image on disk."""
    cladding = None if detection.cladding is None else detection.cladding.moved(corner[0] + 0.5, corner[1] + 0.5)
    return {
        "method": detection.method,
        "cladding": ellipse_row(cladding),
        "core_radius": None if detection.core_radius is None else round(detection.core_radius, 3),
        "confidence": round(detection.confidence, 3),
        "seconds": round(detection.seconds, 4),
        "error": detection.error,
    }


def defect_row(defect: FaceDefect, face: Face) -> Row:
    """Return a defect as plain values: a row of ``defects.csv``, with its parts by zone beside it."""
    shape, extent = defect.shape, defect.shape.extent
    x_P, y_P, _ = shape.points
    half, (left, top) = shape.step / 2, face.corner
    x, y = shape.centre
    row: Row = {"defect": defect.number, "x": x + left, "y": y + top}
    row |= {"left": float(x_P.min()) - half + left, "top": float(y_P.min()) - half + top}
    row |= {"box_width": float(x_P.max() - x_P.min()) + 2 * half, "box_height": float(y_P.max() - y_P.min()) + 2 * half}
    row |= lengths_of(shape)
    if face.scale is not None:
        row |= measures_of(extent)
        row |= {"um_per_pixel_x": face.scale.x, "um_per_pixel_y": face.scale.y}
    row |= {"depth": max((patch.depth for patch in shape.patches), key=abs), "fragments": len(shape.patches)}
    row = {name: round(value, 6 if name.startswith("um_") else 3) for name, value in row.items()}
    row |= {"type": defect.type, "zone": defect.zone, "zones": " ".join(sorted(defect.parts or ()))}
    if defect.place is not None:
        row |= {"dx_um": round(defect.place[0], 3), "dy_um": round(defect.place[1], 3)}
        row |= _polar(*defect.place)
    row["inside"] = None if defect.parts is None else {name: measures_of(one) for name, one in defect.parts.items()}
    return row


def _polar(across: float, down: float) -> Row:
    """Say where a place lies: how far from the axis, and in which direction, clockwise from a row."""
    angle = math.degrees(math.atan2(down, across)) % 360
    return {"distance_um": round(math.hypot(across, down), 3), "angle": round(angle, 2)}


def prediction_row(entry: Row) -> Row:
    """Return the row of an image in ``predictions.csv``."""
    if "error" in entry:
        return {"image_path": entry["image"], **{key: entry.get(key, "") for key in ("time", "kind", "error")}} | (
            {"accepted": entry["accepted"], "reasons": entry["reasons"]} if entry.get("accepted") else {}
        )
    zones, scale = entry["zones"], entry["scale"] or {}
    cladding, core = zones["cladding"] or {}, zones["core"] or {}
    defects = entry["defects"]
    return {
        "image_path": entry["image"],
        **{key: entry[key] for key in ("time", "kind", "accepted", "reasons", "score", "threshold", "verdict")},
        "found": "true" if zones["found"] else "false",
        "support": zones["support"],
        "defects": None if defects is None else len(defects),
        "scratches": None if defects is None else sum(one["type"] == "scratch" for one in defects),
        **{key: cladding.get(key) for key in ("cx", "cy", "aspect")},
        "core_radius": core.get("radius"),
        "cladding_radius": cladding.get("radius"),
        "core_source": zones["core_source"],
        "um_per_pixel_x": scale.get("x"),
        "um_per_pixel_y": scale.get("y"),
        "um_source": scale.get("source"),
        **{key: entry["measures"].get(key) for key in ("core_offset_um", "ovality")},
        "report": entry.get("report", ""),
        "overlay": entry.get("overlay", ""),
    }
