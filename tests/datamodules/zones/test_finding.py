"""Zones are right, or not found: cases with values from outside, and drawn faces under every condition."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.files.images import Array, read_image
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.hard_fiber import CONDITIONS, UNSEEN, HardFiber, draw_hard
from datamodules.synthetic.measured_faces import MeasuredFace
from datamodules.zones.detectors import detectors, run_detector
from datamodules.zones.ellipse import Ellipse, overlap
from datamodules.zones.finding import SUPPORT, Zones, find_zones
from datamodules.zones.masks import zone_map
from datamodules.zones.prior import Prior
from datamodules.zones.rings import rings
from datamodules.zones.scale import scale_of_image
from datamodules.zones.view import make_view

CASES = Path(__file__).parents[4] / "shared" / "cases" / "fiber"
WITH_ZONES = ("02_cut_by_border", "03_non_square_pixels", "04_unlit_core", "05_outer_140")
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason=f"there are no cases at {CASES}")


@needs_cases
@pytest.mark.parametrize("case", WITH_ZONES)
def test_cases_come_out_within_their_tolerance(case: str) -> None:
    said = json.loads((CASES / f"fiber_{case}.json").read_text())
    expected, tolerance, prior = said["expected"], said["tolerance"], Prior(**said["given"])
    zones = find_zones(read_image(CASES / said["image"]), prior)
    assert zones.found
    assert zones.cladding is not None
    assert zones.core is not None
    # pixel centres lie at whole numbers there, and half a pixel from the corner here
    assert zones.cladding.cx - 0.5 == pytest.approx(expected["x"], abs=tolerance["centre_px"])
    assert zones.cladding.cy - 0.5 == pytest.approx(expected["y"], abs=tolerance["centre_px"])
    radii = ((zones.cladding, "cladding"), (zones.core, "core"))
    for shape, name in radii:
        wanted = expected[f"{name}_radius_y_px"]
        assert shape.radius == pytest.approx(wanted, abs=tolerance[f"{name}_radius_px"])
    assert zones.cladding.aspect == pytest.approx(expected["pixel_aspect_x_over_y"], rel=0.003)
    scale = scale_of_image(zones.cladding, prior)
    for found, name in ((scale.x, "um_per_pixel_x"), (scale.y, "um_per_pixel_y")):
        assert found == pytest.approx(expected[name], rel=tolerance["um_per_pixel_relative"])


@needs_cases
def test_no_circle_is_made_up() -> None:
    for name in ("fiber_06_no_fiber.png", "fiber_08_mask_in_zones.png"):
        zones = find_zones(read_image(CASES / name))
        assert not zones.found
        assert zones.cladding is zones.core is None


@needs_cases
def test_an_unlit_core_is_unknown_unless_its_size_is_given() -> None:
    """An index ring within the cladding is stronger than the core: it must not pass for one."""
    zones = find_zones(read_image(CASES / "fiber_04_unlit_core.png"))
    assert zones.found
    assert (zones.core, zones.core_source) == (None, "")


def drawn(condition: str, number: int, size: int = 448) -> tuple[HardFiber, Zones]:
    face = draw_hard(condition, Identity(3, "fiber", number, 0), size)
    return face, find_zones(face.drawing.image, Prior(face.core_um, face.cladding_um))


@pytest.mark.parametrize("number", [1])
@pytest.mark.parametrize("condition", [name for name in CONDITIONS if name not in UNSEEN])
def test_a_drawn_cladding_is_found_under_every_condition(condition: str, number: int) -> None:
    """Bounds of the benchmark's 95th percentile, in micrometres."""
    face, zones = drawn(condition, number)
    found = zones.cladding
    assert found is not None, zones
    um_x, um_y = face.um_per_pixel
    assert math.hypot((found.cx - face.cx) * um_x, (found.cy - face.cy) * um_y) < 0.2
    radius = face.cladding_radius * math.sqrt(face.aspect * face.tilt)
    assert (found.mean_radius - radius) * um_y == pytest.approx(0.0, abs=0.5)
    assert zones.core is not None  # its size is given


@pytest.mark.parametrize("number", range(3))
@pytest.mark.parametrize("condition", UNSEEN)
def test_what_nobody_can_see_is_not_found(condition: str, number: int) -> None:
    """Under oil only the lit core shows, a bright disc that must not pass for the cladding."""
    _, zones = drawn(condition, number)
    assert not zones.found
    assert zones.support < SUPPORT
    assert zones.cladding is None


@pytest.mark.parametrize("off", [0.0, 0.25, 0.5])
@pytest.mark.parametrize("um", [0.42, 0.5, 0.9])
def test_a_lit_single_mode_core_is_found_where_it_is_and_as_large_as_it_is(um: float, off: float) -> None:
    side = int(280 / um)
    face = MeasuredFace(size=(side, side), um_per_pixel=(um, um), core_shift=(off, -off / 2), seed=3)
    zones = find_zones(face.draw(), Prior(9.0))
    assert zones.core_source == "seen"
    assert zones.core is not None
    assert zones.cladding is not None
    assert zones.core.mean_radius * um == pytest.approx(4.5, abs=0.12)
    assert (zones.core.cx - zones.cladding.cx) * um == pytest.approx(off, abs=0.1)
    assert (zones.core.cy - zones.cladding.cy) * um == pytest.approx(-off / 2, abs=0.1)


def test_rings_are_sought_without_a_bias() -> None:
    y, x = np.mgrid[:200, :200] + 0.5
    unit = Ellipse(100.3 - 0.5, 99.8 - 0.5, 60.0)  # rays count from the middles of pixels
    off = []
    for radius in np.arange(20.0, 70.0, 3.37):
        disc = np.clip(radius - np.hypot(x - 100.3, y - 99.8) + 0.5, 0, 1).astype(np.float32)
        (found,) = rings(disc, unit, 0.9 * radius / 60, 1.1 * radius / 60, 0.1)
        off.append(found.at * 60 - radius)
    assert np.abs(off).max() <= 0.51  # they are sought in steps of a pixel
    assert np.mean(off) == pytest.approx(0.0, abs=0.15)


def test_drawn_zones_and_found_ones_are_the_same_pixels() -> None:
    for condition in ("plain", "non_square", "apc", "black_frame"):
        face, zones = drawn(condition, 4)
        truth = face.drawing.zones
        assert truth is not None
        assert zones.cladding is not None
        found = zone_map(zones.cladding, zones.core, (truth.shape[0], truth.shape[1]))
        inside = truth > 0  # the drawn zones leave the frame out
        assert ((found >= 3) == (truth >= 3))[inside].mean() > 0.998


def test_depth_and_colour_change_nothing() -> None:
    image = draw_hard("plain", Identity(0, "fiber", 7, 0), 320).drawing.image
    plain = find_zones(image)
    assert plain.cladding is not None
    for other in (image.astype(np.uint16) * 257, image.astype(np.float32) / 255, cv2.merge([image] * 3)):
        again = find_zones(other)
        assert again.cladding is not None
        assert tuple(again.cladding) == pytest.approx(tuple(plain.cladding), abs=0.02)


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (8, 8), (16, 400), (64, 64), (64, 64, 3), (1000, 20)])
@pytest.mark.parametrize("content", ["black", "white", "noise", "noise16", "noise_float"])
def test_images_of_nothing_have_no_zones(shape: tuple[int, ...], content: str) -> None:
    rng = np.random.default_rng(len(shape) + shape[0])
    images: dict[str, Array] = {
        "black": np.zeros(shape, np.uint8),
        "white": np.full(shape, 255, np.uint8),
        "noise": rng.integers(0, 255, shape, dtype=np.uint8),
        "noise16": rng.integers(0, 65535, shape, dtype=np.uint16),
        "noise_float": rng.random(shape, dtype=np.float32),
    }
    assert not find_zones(images[content]).found


@pytest.mark.parametrize("name", list(detectors()))
def test_every_detector_says_what_it_found_how_long_it_took_or_why_not(name: str) -> None:
    face = draw_hard("plain", Identity(0, "fiber", 1, 0), 384)
    seen = run_detector(name, make_view(face.drawing.image))
    assert seen.cladding is not None
    true = Ellipse(face.cx - 0.5, face.cy - 0.5, face.cladding_radius)
    assert overlap(seen.cladding, true) > 0.9
    assert 0 < seen.confidence <= 1
    assert seen.seconds > 0
    assert seen.error == ""
    blind = run_detector(name, make_view(np.full((64, 64), 90, np.uint8)))
    assert blind.cladding is None
    assert blind.confidence == 0
    assert blind.error


def test_the_same_image_gives_the_same_zones() -> None:
    image = draw_hard("dirty", Identity(0, "fiber", 2, 0), 320).drawing.image
    first, second = find_zones(image), find_zones(image)
    assert (first.cladding, first.core, first.support) == (second.cladding, second.core, second.support)


def test_it_needs_no_torch() -> None:
    code = "import sys, datamodules.zones.finding as f; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[3]).returncode == 0
