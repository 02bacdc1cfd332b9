"""One end face, looked at without any training: what lies across the border of a zone is one thing, and whole."""

from __future__ import annotations

import math

import pytest

from datamodules.synthetic.measured_faces import MeasuredFace, Speck
from datamodules.zones.prior import Prior
from tools.runner.face import Inspection, classical

LOOK = Inspection(classical, {"A": (0.0, 65.0), "B": (65.0, 115.0)})


@pytest.mark.parametrize("turn", [0.0, 0.3, 0.8, 2.2])
@pytest.mark.parametrize(("away", "size"), [(22.0, 36.0), (30.0, 30.0), (24.0, 24.0), (27.0, 16.0)])
def test_a_disc_across_a_lit_cores_edge_is_one_disc(turn: float, away: float, size: float) -> None:
    """A filter marks the rim of a disc that is wider than its window, and leaves the border of the core out."""
    disc = Speck(away * math.cos(turn), away * math.sin(turn), size, -50.0)
    face = MeasuredFace((560, 560), (0.45, 0.45), core_um=50.0, core=190.0, cladding=80.0, planted=(disc,), seed=7)
    found = LOOK(face.draw(), Prior(50.0)).defects
    assert found is not None
    one, *crumbs = sorted(found, key=lambda defect: -defect.shape.extent.size)
    assert all(crumb.shape.extent.size < 2.0 for crumb in crumbs)  # less than a lens tells
    assert one.type != "scratch"
    assert one.shape.extent.size == pytest.approx(size, rel=0.1)
    assert one.place == pytest.approx((disc.x, disc.y), abs=1.5)
