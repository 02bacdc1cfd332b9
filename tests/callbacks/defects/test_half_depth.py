"""True outlines: drawn discs and scratches come out as large as they are, and a mask's parts by zone as a case says."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest

from callbacks.defects.face_zones import FaceZones
from callbacks.defects.fragments import join_fragments
from callbacks.defects.half_depth import Plane, of_mask, outlines
from callbacks.defects.region_shape import RegionShape
from callbacks.defects.sizes import Scale
from callbacks.defects.typing_by_shape import is_scratch, type_by_shape
from datamodules.files.images import read_image
from datamodules.zones.ellipse import Ellipse

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "fiber"
UM = 0.4337
FINE = 6


def draw(shape: str, um: float, rng: np.random.Generator, *, depth: float = -40.0, long: float = 60.0) -> Plane:
    """Draw a disc or a scratch by the exact area of every pixel, blurred by a lens, with noise, in 8 bits."""
    side = int(((long if shape == "scratch" else um) + 30) / UM)
    y, x = (np.mgrid[: side * FINE, : side * FINE] + 0.5) / FINE * UM
    cx, cy = side * UM / 2 + rng.uniform(-0.5, 0.5, 2)
    angle = rng.uniform(0, math.pi)
    along = (x - cx) * math.cos(angle) + (y - cy) * math.sin(angle)
    across = (y - cy) * math.cos(angle) - (x - cx) * math.sin(angle)
    inside = np.hypot(x - cx, y - cy) <= um / 2
    if shape == "scratch":
        inside = (np.abs(across) <= um / 2) & (np.abs(along) <= long / 2)
    cover = cv2.resize(inside.astype(np.float32), (side, side), interpolation=cv2.INTER_AREA)
    grey = 120 + depth * cv2.GaussianBlur(cover, (0, 0), 1.2) + rng.normal(0, 1.5, (side, side))
    return np.asarray(np.rint(grey), dtype=np.float32)


def measure(plane: Plane) -> list[RegionShape]:
    """Measure what a filter of nine pixels would mark."""
    seed = cv2.dilate((np.abs(plane - np.median(plane)) > 9).astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
    return [RegionShape((patch,), plane, Scale(UM, UM)) for patch in outlines(plane, seed)]


@pytest.mark.parametrize("um", [2.0, 3.0, 5.0, 10.0, 20.0, 30.0])
def test_discs_are_as_large_as_they_were_drawn(um: float) -> None:
    rng = np.random.default_rng(int(um))
    for sign in (-40.0, 40.0, -25.0):
        (found,) = measure(draw("disc", um, rng, depth=sign))
        assert found.extent.size == pytest.approx(um, abs=max(0.4, 0.1 * um))
        assert not is_scratch(found)


@pytest.mark.parametrize("um", [1.5, 2.0, 3.0, 5.0, 7.0, 10.0])
def test_scratches_are_as_wide_as_they_were_drawn(um: float) -> None:
    rng = np.random.default_rng(int(10 * um))
    for _ in range(3):
        (found,) = measure(draw("scratch", um, rng, long=max(60.0, 9 * um)))
        assert found.extent.width == pytest.approx(um, abs=max(0.4, 0.1 * um))
        assert is_scratch(found)


def test_the_end_of_a_scratch_in_a_zone_is_as_wide_as_the_scratch() -> None:
    """Scratches are judged by their width: a zone that holds 3 um of one must not make it 3 um wide."""
    (found,) = measure(draw("scratch", 6.0, np.random.default_rng(8)))
    x_P, y_P, _ = found.points
    x_S, y_S, width_S = found.profile
    along_2 = np.array([x_S[-1] - x_S[0], y_S[-1] - y_S[0]]) / math.hypot(x_S[-1] - x_S[0], y_S[-1] - y_S[0])
    far_P, far_S = x_P * along_2[0] + y_P * along_2[1], x_S * along_2[0] + y_S * along_2[1]
    corner_P = (far_P > far_P.max() - 3 / UM) & (
        y_P * along_2[0] - x_P * along_2[1] > np.median(y_P * along_2[0] - x_P * along_2[1])
    )
    part = found.within(corner_P, far_S > far_P.max() - 3 / UM)
    assert part is not None
    assert part.size < 5.0
    assert part.width == pytest.approx(6.0, abs=0.6)
    assert np.isfinite(width_S).any()


def test_two_things_in_one_region_are_two_and_nothing_is_none() -> None:
    rng = np.random.default_rng(0)
    plane = rng.normal(100, 1.5, (60, 80)).astype(np.float32)
    cv2.circle(plane, (25, 30), 5, (60.0,), -1)
    cv2.circle(plane, (45, 30), 3, (125.0,), -1)
    seed = np.zeros(plane.shape, bool)
    seed[20:42, 15:55] = True
    found = sorted(outlines(plane, seed), key=lambda patch: patch.left)
    assert [patch.depth > 0 for patch in found] == [False, True]
    quiet = rng.normal(100, 1.5, (60, 80)).astype(np.float32)
    assert outlines(quiet, seed) == []
    assert outlines(quiet, np.zeros_like(seed)) == []


def test_pieces_of_one_scratch_are_joined_and_neighbours_are_not() -> None:
    mask = np.zeros((120, 160), bool)
    mask[60:63, 10:50] = mask[60:63, 56:100] = mask[61:64, 106:150] = True
    mask[90:93, 20:60] = mask[97:100, 20:60] = True  # side by side
    shapes = join_fragments([RegionShape((patch,), None, Scale()) for patch in of_mask(mask)])
    long, *rest = sorted(shapes, key=lambda shape: -shape.extent.length)
    assert len(long.patches) == 3
    assert long.extent.length == pytest.approx(140, abs=3)
    assert long.extent.width == pytest.approx(3, abs=0.3)
    assert [len(shape.patches) for shape in rest] == [1, 1]


def test_a_crumb_at_the_end_of_a_scratch_belongs_to_it_and_one_beside_it_does_not() -> None:
    """The border of a zone cuts pieces off that are hardly longer than they are wide."""
    mask = np.zeros((120, 160), bool)
    mask[60:64, 30:110] = mask[60:64, 114:124] = True
    mask[20:24, 114:124] = mask[72:76, 60:70] = True  # elsewhere, and beside it
    mask[100:104, 30:40] = mask[100:104, 44:54] = True  # two crumbs are no scratch
    shapes = join_fragments([RegionShape((patch,), None, Scale()) for patch in of_mask(mask)])
    assert sorted(len(shape.patches) for shape in shapes) == [1, 1, 1, 1, 2]
    (scratch,) = (shape for shape in shapes if len(shape.patches) == 2)
    assert scratch.extent.length == pytest.approx(94, abs=3)


@pytest.mark.parametrize("bend", [0.0, 200.0, 90.0])
def test_a_bent_scratch_has_its_own_length(bend: float) -> None:
    mask = np.zeros((300, 300), np.uint8)
    if bend:
        half = math.degrees(60 / bend)
        cv2.ellipse(mask, (150, int(150 + bend)), (int(bend), int(bend)), 0, 270 - half, 270 + half, 1, 5)
    else:
        mask[148:153, 90:211] = 1
    (shape,) = [RegionShape((patch,), None, Scale()) for patch in of_mask(mask > 0)]
    assert shape.extent.length == pytest.approx(124, rel=0.06)
    assert shape.extent.width == pytest.approx(mask.sum() / 124, abs=0.6)


def test_types_follow_shape_and_place() -> None:
    plane = np.zeros((200, 300), np.uint8)
    cv2.circle(plane, (40, 40), 6, 1, -1)
    cv2.line(plane, (80, 150), (250, 160), 1, 2)
    cv2.fillPoly(plane, [np.array([[100, 30], [135, 44], [118, 52], [140, 80], [104, 70]])], 1)
    shapes = [RegionShape((patch,), None, Scale(0.5, 0.5)) for patch in of_mask(plane > 0)]
    by_size = sorted(shapes, key=lambda shape: shape.extent.size)
    assert [type_by_shape(shape, 20.0) for shape in by_size] == ["pit", "dirt", "scratch"]
    assert type_by_shape(by_size[1], 0.5) == "chip"


@pytest.mark.skipif(not CASES.is_dir(), reason="needs ../shared/cases/fiber")
def test_a_mask_counts_in_every_zone_that_it_crosses() -> None:
    case = json.loads((CASES / "fiber_08_mask_in_zones.json").read_text())
    mask = read_image(CASES / case["image"]) > 127
    um = case["given"]["um_per_pixel"]
    shapes = [RegionShape((patch,), None, Scale(um, um)) for patch in of_mask(mask if mask.ndim == 2 else mask[..., 0])]
    assert len(shapes) == case["expected"]["regions"]
    axis = Ellipse(case["given"]["x"] + 0.5, case["given"]["y"] + 0.5, 62.5 / um)
    zones = FaceZones(axis, 62.5, {"A": (0, 25), "B": (25, 115), "C": (115, 135), "D": (135, 250)})
    (scratch,) = [shape for shape in shapes if is_scratch(shape)]
    parts = zones.parts(scratch)
    assert sorted(parts) == case["expected"]["scratch"]["zones"]
    for part in (*parts.values(), scratch.extent):
        assert part.width == pytest.approx(7 * um, abs=0.2)  # asked for were 5 pixels; OpenCV drew 7, and 607 of 600
    assert scratch.extent.length == pytest.approx(607 * um, abs=case["tolerance"]["length_um"])
    discs = sorted((shape for shape in shapes if shape is not scratch), key=lambda shape: shape.extent.size)
    for disc, expected in zip(discs, case["expected"]["discs"], strict=True):
        ((zone, part),) = zones.parts(disc).items()
        assert zone == expected["zone"]
        assert part.size == pytest.approx(expected["size_um"], abs=case["tolerance"]["size_um"])


@pytest.mark.parametrize("seen", [0.4, 0.75])
def test_a_wide_disc_is_one_thing_where_a_part_of_its_edge_is_marked(seen: float) -> None:
    """A filter marks the edge of a disc that is wider than its window, and less of it by the border of a zone."""
    y, x = np.mgrid[:160, :160] + 0.5
    away, turn = np.hypot(x - 80, y - 80), np.arctan2(y - 80, x - 80)
    plane = (-40 * np.clip(40.5 - away, 0, 1) + np.random.default_rng(5).normal(0, 1.5, away.shape)).astype(np.float32)
    ring = (np.abs(away - 40) < 6) & (np.abs(turn) < math.pi * 0.97)
    arcs = ring & (turn > math.pi * (1 - 2 * seen))
    found = outlines(plane, arcs, 1.5)
    largest = max((patch.area for patch in found), default=0.0)
    assert (largest == pytest.approx(math.pi * 1600, rel=0.03)) == (seen > 0.6)


def test_nothing_stands_out_on_an_even_plane() -> None:
    """A model may mark what has no contrast at all."""
    even_HW = np.full((40, 50), 120, np.float32)
    seed_HW = np.zeros((40, 50), np.bool_)
    seed_HW[10:20, 10:30] = True
    assert outlines(even_HW, seed_HW, 0.0) == []
