"""Scratch against all else by shape: on drawn masks, and on what the untrained detector marks of the same faces.

    python -m benchmarks.fiber_types [--each 20] [--size 640] [--seed 0]

Every face has one scratch, pit, chip or patch of dirt. By its mask, the largest region is named; by the image, the
largest defect that touches the mask is.
"""

from __future__ import annotations

import argparse
from collections import Counter
from typing import NamedTuple

import numpy as np

from callbacks.defects.face_zones import FaceZones
from callbacks.defects.fragments import join_fragments
from callbacks.defects.half_depth import of_mask
from callbacks.defects.region_shape import RegionShape
from callbacks.defects.sizes import Scale
from callbacks.defects.typing_by_shape import type_by_shape
from callbacks.statistics.bootstrap import wilson
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.fiber import CLADDING_UM, DEFECTS, draw, end_face
from datamodules.zones.ellipse import Ellipse
from datamodules.zones.prior import Prior
from tools.lines.fiber_rules import SINGLE_MODE
from tools.runner.face import Inspection, classical


class Outcome(NamedTuple):
    """One face: what was drawn, and what its mask and its image were taken for (empty: nothing was marked there)."""

    drawn: str
    by_mask: str
    by_image: str


def outcome(defect: str, number: int, size: int, severity: float) -> Outcome:
    """Draw a face, and name its defect."""
    identity = Identity(0, "fiber", number, 0)
    drawing, face = draw(identity, size, defect, severity), end_face(identity, size)
    um = CLADDING_UM / (2 * face.cladding_radius)
    rings = FaceZones(Ellipse(face.x + 0.5, face.y + 0.5, face.cladding_radius), CLADDING_UM / 2, SINGLE_MODE)
    shapes = join_fragments([RegionShape((patch,), None, Scale(um, um)) for patch in of_mask(drawing.mask)])
    largest = max(shapes, key=lambda shape: shape.extent.area)
    looked = Inspection(classical, dict(SINGLE_MODE))(drawing.image, Prior())
    touching = [one for one in looked.defects or () if _touches(one.shape, drawing.mask)]
    named = max(touching, key=lambda one: one.shape.extent.area).type if touching else ""
    return Outcome(defect, type_by_shape(largest, rings.edge_away(largest)), named)


def _touches(shape: RegionShape, mask_HW: np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> bool:
    x_P, y_P, _ = shape.points
    return bool(mask_HW[np.clip(y_P.astype(int), 0, None), np.clip(x_P.astype(int), 0, None)].any())


def said(right: int, total: int) -> str:
    """Say a share with its interval."""
    low, high = wilson(right / total, total, 0.95)
    return f"{right} of {total} ({right / total:.3f}, 95 % interval {low:.3f} to {high:.3f})"


def main() -> None:
    """Print both shares and the table of names."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=20)
    parser.add_argument("--size", type=int, default=640)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    outcomes = [
        outcome(defect, 1000 * options.seed + 37 * place + number, options.size, 0.5 + 0.5 * (number % 2))
        for place, defect in enumerate(DEFECTS)
        for number in range(options.each)
    ]
    for name, found in (("masks", [one.by_mask for one in outcomes]), ("images", [one.by_image for one in outcomes])):
        pairs = [(one.drawn, other) for one, other in zip(outcomes, found, strict=True) if other]
        right = sum((drawn == "scratch") == (other == "scratch") for drawn, other in pairs)
        print(f"{name}: marked {len(pairs)} of {len(outcomes)}; scratch against all else right in")
        print(f"  {said(right, len(pairs))}")
        for (drawn, other), count in sorted(Counter(pairs).items()):
            print(f"  {drawn:14}{other:10}{count:4}")


if __name__ == "__main__":
    main()
