"""Defects as objects: their measures against shapes of known size and against scikit-image."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest

from callbacks.defects.extents import smallest_rectangle
from callbacks.defects.image_scale import ImageScale
from callbacks.defects.measured import Defect, DefectRules, confidence_of, find_defects

measure = pytest.importorskip("skimage.measure", reason="scikit-image is an oracle of the tests only")


def found(mask: np.ndarray, rules: DefectRules | None = None, scale: ImageScale | None = None) -> list[Defect]:
    values = np.where(mask, 2.0, 0.0).astype(np.float32)
    return find_defects(mask, values, rules or DefectRules(), scale or ImageScale()).defects


def box(top: int, left: int, height: int, width: int, size: tuple[int, int] = (64, 64)) -> np.ndarray:
    mask = np.zeros(size, dtype=bool)
    mask[top : top + height, left : left + width] = True
    return mask


def test_an_upright_box_has_its_exact_measures() -> None:
    (one,) = found(box(10, 20, 4, 12))
    assert (one.left, one.top, one.box_width, one.box_height) == (20, 10, 12, 4)
    assert (one.x, one.y, one.area) == (26, 12, 48)
    assert (one.length, one.width, one.orientation) == pytest.approx((12, 4, 0))
    (one,) = found(box(10, 20, 12, 4))
    assert (one.length, one.width, one.orientation) == pytest.approx((12, 4, 90))


def test_a_single_pixel_is_one_by_one() -> None:
    (one,) = found(box(0, 0, 1, 1))
    assert (one.x, one.y, one.area, one.length, one.width) == pytest.approx((0.5, 0.5, 1, 1, 1))


@pytest.mark.parametrize("angle", [0, 20, 45, 70, 110, 160])
def test_a_tilted_bar_has_its_length_width_and_angle(angle: int) -> None:
    mask = np.zeros((400, 400), np.uint8)
    corners = cv2.boxPoints(((200.0, 200.0), (220.0, 30.0), float(angle)))
    cv2.fillPoly(mask, [np.rint(corners).astype(np.int32)], 1)
    (one,) = found(mask > 0)
    assert one.length == pytest.approx(220, abs=3)
    assert one.width == pytest.approx(30, abs=3)
    assert abs((one.orientation - angle + 90) % 180 - 90) < 1
    assert (one.x, one.y) == pytest.approx((200.5, 200.5), abs=1)


@pytest.mark.parametrize("seed", range(4))
def test_regions_are_those_of_scikit_image(seed: int) -> None:
    noise = np.random.default_rng(seed).normal(size=(80, 90)).astype(np.float32)
    values = np.asarray(cv2.GaussianBlur(noise, (0, 0), 2.0), dtype=np.float32)
    mask = values > 0.2
    defects, label = find_defects(mask, values, DefectRules())
    theirs = measure.regionprops(measure.label(mask, connectivity=2), intensity_image=values)
    assert len(defects) == len(theirs)
    ours = {(d.top, d.left, d.top + d.box_height, d.left + d.box_width, d.area): d for d in defects}
    for other in theirs:
        top, left, bottom, right = other.bbox
        one = ours[top, left, bottom, right, other.area]
        assert (one.y - 0.5, one.x - 0.5) == pytest.approx(other.centroid, abs=1e-3)
        assert one.peak == pytest.approx(other.intensity_max)
        assert one.length <= other.feret_diameter_max + 1.5
        assert (label == one.defect).sum() == one.area
    assert [one.defect for one in defects] == list(range(1, len(defects) + 1))


def test_measures_are_in_pixels_of_the_file_and_in_micrometres() -> None:
    (one,) = found(box(10, 20, 4, 12), scale=ImageScale(x=2.0, y=3.0, um_per_pixel=0.5))
    assert (one.left, one.top, one.box_width, one.box_height) == (40, 30, 24, 12)
    assert (one.x, one.y, one.area) == (52, 36, 288)
    assert (one.length, one.width) == pytest.approx((24, 12))
    assert (one.area_um2, one.length_um, one.width_um) == pytest.approx((72, 12, 6))
    assert (one.size, one.size_um) == pytest.approx((math.hypot(24, 12), math.hypot(12, 6)), abs=1e-3)
    (one,) = found(box(10, 20, 4, 12))
    assert (one.um_per_pixel, one.area_um2, one.length_um, one.width_um) == (None,) * 4


def test_fragments_are_merged_measured_as_one_and_counted() -> None:
    mask = box(10, 4, 2, 20) | box(10, 28, 2, 20)
    (one,) = found(mask, DefectRules(merge_gap=6))
    assert (one.fragments, one.area, one.box_width) == (2, 80, 44)
    assert (one.length, one.width) == pytest.approx((44, 2))
    assert len(found(mask, DefectRules(merge_gap=4))) == 2


def test_small_ones_are_dropped_after_merging() -> None:
    mask = box(10, 4, 2, 4) | box(10, 10, 2, 4) | box(40, 40, 2, 4)
    (one,) = found(mask, DefectRules(merge_gap=4, min_area=10))
    assert one.area == 16
    _, label = find_defects(mask, mask.astype(np.float32), DefectRules(min_area=100))
    assert not label.any()


def test_zone_severity_and_confidence() -> None:
    mask = box(10, 20, 4, 12)
    zones = np.ones((64, 64), np.uint8)
    zones[:, 29:] = 2
    values = np.where(mask, 2.0, 0.0).astype(np.float32)
    rules = DefectRules(severity=[{"name": "core", "zones": [1]}, {"name": "other"}])
    (one,) = find_defects(mask, values, rules, zones_HW=zones, good_peaks=[0.5, 1.0, 1.5, 2.0]).defects
    assert (one.zone, one.severity) == (1, "core")
    assert one.confidence == 3 / 5  # three of four good images stay below


def test_confidence_is_one_minus_the_conformal_chance() -> None:
    """On average over calibration sets, a new good image's peak reaches a confidence of c with a chance of 1 - c."""
    generator = np.random.default_rng(0)
    confidences = [confidence_of(peaks[0], sorted(peaks[1:])) for peaks in generator.random((4000, 20))]
    for level in (0.5, 0.8, 0.95):
        assert np.mean([c is not None and c >= level for c in confidences]) == pytest.approx(1 - level, abs=0.03)
    assert confidence_of(1.0, []) is None


def test_what_crosses_zones_is_measured_in_each() -> None:
    """A bar of 4 x 12 pixels, 9 columns in zone 1, 2 outside all zones and 1 in zone 2; pixels are 2 x 1, 0.5 um."""
    zones = np.zeros((64, 64), np.uint8)
    zones[:, :29], zones[:, 31:] = 1, 2
    mask = box(10, 20, 4, 12)
    values = mask.astype(np.float32)
    (one,) = find_defects(mask, values, DefectRules(), ImageScale(2.0, 1.0, 0.5), zones).defects
    sizes = {"1": (72, 18, 4), "2": (8, 4, 2)}
    assert one.inside is not None
    assert set(one.inside) == set(sizes)
    for zone, (area, length, width) in sizes.items():
        pixels = {"area": area, "length": length, "width": width, "size": math.hypot(length, width)}
        um = {"area_um2": area / 4} | {f"{name}_um": pixels[name] / 2 for name in ("length", "width", "size")}
        assert one.inside[zone] == pytest.approx(pixels | um, abs=1e-3)
    assert found(mask)[0].inside is None
    (outside,) = find_defects(mask, values, DefectRules(), zones_HW=np.zeros((64, 64), np.uint8)).defects
    assert outside.inside == {}


def test_an_empty_mask_holds_no_defects() -> None:
    assert found(np.zeros((8, 8), dtype=bool)) == []


def test_the_smallest_rectangle_far_from_the_origin_is_exact() -> None:
    points = np.array([[0.0, 0.0], [3.0, 0.0], [3.0, 1.0], [0.0, 1.0]]) + 1e5
    assert smallest_rectangle(points) == pytest.approx((3.0, 1.0, 0.0), abs=1e-4)


def test_negative_limits_are_refused() -> None:
    with pytest.raises(ValueError, match="0 or more pixels"):
        DefectRules(min_area=-1)
