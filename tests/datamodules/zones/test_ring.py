"""Rings: measures against drawings whose truth is known, against the cases, and on photographs."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest

from datamodules.files.images import Array, read_image
from datamodules.synthetic.measured_rings import Lot, MeasuredRing, Tip
from datamodules.zones.ring import find_rings
from datamodules.zones.ring_source import LIMITED, contour_distances, ring_contours, ring_mask, source_measures

SHARED = Path(__file__).parents[3].parent / "shared"
CASES = SHARED / "cases" / "oring"
PHOTOS = SHARED / "data" / "oring" / "rings"
WITHIN = {
    "outer_diameter": 0.3,
    "inner_diameter": 0.3,
    "centre_distance": 0.2,
    "mean_thickness": 0.4,
    "min_thickness": 0.7,
    "max_thickness": 0.7,
    "ovality": 0.6,
    "flash": 0.8,
    "gap": 1.0,
}
NAMES = {
    "eccentricity": "centre_distance",
    "thickness_mean": "mean_thickness",
    "thickness_min": "min_thickness",
    "thickness_max": "max_thickness",
    "ovality_max_minus_min_diameter": "ovality",
    "flash_height": "flash",
}
PLAIN = MeasuredRing(size=(480, 520), x=255.3, y=238.8, outer=190.4, inner=112.7)


@pytest.mark.parametrize("number", range(10))
def test_drawn_rings_are_measured_as_drawn(number: int) -> None:
    _, what, ring = Lot((1024, 1224), seed=5).ring(number)
    found = find_rings(ring.draw())
    assert len(found.rings) == 1, what
    measures = found.rings[0].measures()
    away = {name: abs(measures[name] - ring.truth[name]) for name in WITHIN}
    assert {name: value for name, value in away.items() if value > WITHIN[name]} == {}, (what, ring)
    fin = abs(ring.flash) * ring.fin * 1.3
    assert measures["area"] == pytest.approx(
        ring.truth["area"] + fin / 2, abs=0.15 * math.pi * 2 * ring.outer + fin / 2
    )
    assert found.rings[0].whole


@pytest.mark.parametrize("name", ["oring_02_one_sided_light", "oring_03_flash"])
def test_cases(name: str) -> None:
    if not CASES.is_dir():
        pytest.skip("needs ../shared/cases/oring")
    case = json.loads((CASES / f"{name}.json").read_text())
    ring = find_rings(read_image(CASES / case["image"])).rings[0]
    measures, expected = ring.measures(), case["expected"]
    assert (ring.outer.x, ring.outer.y) == pytest.approx((expected["x"], expected["y"]), abs=0.2)
    for key, value in expected.items():
        column = NAMES.get(key, key)
        if column in WITHIN:
            assert measures[column] == pytest.approx(value, abs=WITHIN[column]), key


def test_a_fin_and_a_speck_move_neither_centre_nor_radius() -> None:
    plain = find_rings(PLAIN.draw()).rings[0]
    finned = find_rings(replace(PLAIN, flash=14.0, fin=10.0, angle=0.6, seed=1).draw()).rings[0]
    assert finned.outer.radius == pytest.approx(plain.outer.radius, abs=0.1)
    assert finned.outer.x == pytest.approx(plain.outer.x, abs=0.1)
    assert finned.fin is not None
    assert finned.fin.at == pytest.approx(math.degrees(0.6), abs=1.5)
    assert plain.fin is None


@pytest.mark.parametrize("flash", [-9.0, 5.0, 14.0])
@pytest.mark.parametrize(("fin", "blur"), [(6.0, 2.0), (8.0, 2.4), (12.0, 1.2), (30.0, 2.0)])
def test_a_fin_is_as_high_as_drawn_though_blur_takes_its_tip(fin: float, blur: float, flash: float) -> None:
    ring = find_rings(replace(PLAIN, flash=flash, fin=fin, blur=blur, angle=0.9).draw()).rings[0]
    assert ring.measures()["flash"] == pytest.approx(abs(flash), abs=0.8)


@pytest.mark.parametrize("tip", ["sharp", "square", "round"])
@pytest.mark.parametrize(("fin", "flash"), [(8.0, 7.0), (12.0, 13.0), (25.0, -9.0)])
def test_the_form_of_a_fin_does_not_change_its_height(tip: Tip, fin: float, flash: float) -> None:
    ring = find_rings(replace(PLAIN, flash=flash, fin=fin, blur=1.8, angle=0.9, tip=tip).draw()).rings[0]
    assert ring.measures()["flash"] == pytest.approx(abs(flash), abs=0.8)


@pytest.mark.parametrize("gap", [5.0, 20.0, 60.0])
def test_a_gap_is_as_wide_as_drawn_where_the_ground_is_not_as_it_seems(gap: float) -> None:
    ring = replace(PLAIN, gap=gap, angle=2.0, noise=1.0)
    drawn = ring.draw().astype(np.float32)
    x, y = ring.x + 151 * math.cos(2.0), ring.y + 151 * math.sin(2.0)
    down, across = np.mgrid[0 : drawn.shape[0], 0 : drawn.shape[1]]
    drawn += 6.0 * (np.hypot(across - x, down - y) < 75)  # dust in the light: all is a little brighter there
    found = find_rings(drawn.clip(0, 255).astype(np.uint8)).rings[0]
    assert found.measures()["gap"] == pytest.approx(gap, abs=0.6)


@pytest.mark.parametrize(("reach", "gaps"), [(20, 0), (30, 0), (37, 1)])
def test_a_hole_is_a_gap_only_where_hardly_any_body_is_left_beside_it(reach: int, gaps: int) -> None:
    drawn = replace(PLAIN, noise=0.5).draw()
    middle = (PLAIN.outer + PLAIN.inner) / 2  # of 78 pixels of body
    place = PLAIN.x + middle * math.cos(0.7), PLAIN.y + middle * math.sin(0.7)
    cv2.circle(drawn, (round(place[0]), round(place[1])), reach, 20, -1, cv2.LINE_AA)
    assert len(find_rings(cv2.GaussianBlur(drawn, (0, 0), 1.0)).rings[0].gaps) == gaps


DIM = replace(PLAIN, light=0.52, light_from=0.4, ground=29.0, body=97.0, blur=2.2, noise=0.5)  # rim: 6 grey values


@pytest.mark.parametrize("angle", [0.4, 2.5])
def test_faint_light_on_one_side_moves_neither_centre_nor_radius(angle: float) -> None:
    for ring in (DIM, replace(DIM, gap=40.0, angle=angle)):
        measures = find_rings(ring.draw()).rings[0].measures()
        assert measures["centre_distance"] < 0.1
        assert measures["outer_diameter"] == pytest.approx(ring.truth["outer_diameter"], abs=0.2)
        assert measures["inner_diameter"] == pytest.approx(ring.truth["inner_diameter"], abs=0.2)
        assert measures["min_thickness"] == pytest.approx(ring.truth["min_thickness"], abs=0.3)


def test_an_arc_that_is_lost_between_dark_and_a_cut_is_found_again() -> None:
    _, what, ring = Lot((1024, 1224), seed=12).ring(99)
    assert what == "gap"
    found = find_rings(ring.draw()).rings[0]
    away = {name: abs(found.measures()[name] - ring.truth[name]) for name in WITHIN}
    assert {name: value for name, value in away.items() if value > WITHIN[name]} == {}
    assert found.outer.known > 0.95


def test_a_speck_beyond_a_fin_is_none_of_its_height() -> None:
    ring = replace(PLAIN, flash=5.0, fin=15.0, angle=0.0, noise=1.0)
    image = ring.draw()
    bare = find_rings(image).rings[0].measures()["flash"]
    x, y = round(ring.x + ring.outer + 16), round(ring.y)
    image[y - 1 : y + 2, x - 1 : x + 2] = 120
    assert find_rings(image).rings[0].measures()["flash"] == pytest.approx(bare, abs=0.3)


def test_where_it_is_thin_is_where_the_hole_moved_to() -> None:
    ring = find_rings(replace(PLAIN, shift=(0.0, 9.0)).draw()).rings[0]
    assert ring.thickness.thinnest_at == pytest.approx(90.0, abs=6.0)  # towards the bottom
    assert ring.thickness.thickest_at == pytest.approx(270.0, abs=6.0)


def test_a_slanted_cut_is_a_gap() -> None:
    drawn = PLAIN.draw()
    ends = [(round(255.3 + reach * math.cos(turn)), round(238.8 + reach * math.sin(turn)))
            for reach, turn in ((100, -0.75), (205, -0.55))]  # fmt: skip
    cv2.line(drawn, ends[0], ends[1], 20, 8)
    gaps = find_rings(drawn).rings[0].gaps
    assert len(gaps) == 1
    assert gaps[0].width == pytest.approx(8.0, abs=1.5)


def test_a_scratch_that_does_not_cut_through_is_no_gap() -> None:
    drawn = PLAIN.draw()
    cv2.line(drawn, (255 + 118, 239), (255 + 150, 239), 20, 6)
    assert find_rings(drawn).rings[0].gaps == ()


def test_a_dent_is_in_the_least_thickness_and_a_notch() -> None:
    drawn = PLAIN.draw()
    cv2.circle(drawn, (255 + 190 + 52, 239), 60, 20, -1, cv2.LINE_AA)  # bites 8 pixels into the outer outline
    ring = find_rings(drawn).rings[0]
    assert ring.thickness.smallest < ring.thickness.mean - 3
    assert ring.notch is not None
    assert ring.notch.height == pytest.approx(8.0, abs=1.5)
    assert 2 * ring.outer.radius == pytest.approx(2 * PLAIN.outer, abs=0.3)


@pytest.mark.parametrize(("depth", "reach"), [(6, 3), (9, 3), (14, 3), (10, 6), (14, 6)])
@pytest.mark.parametrize("brighter", [45, -45])
def test_specks_on_the_body_are_no_notches(depth: int, reach: int, brighter: int) -> None:
    drawn = PLAIN.draw().astype(np.float32)
    for angle, radius in ((0.6, PLAIN.outer - depth), (3.9, PLAIN.inner + depth)):
        disc = np.zeros(drawn.shape[:2], np.float32)
        place = (PLAIN.x + radius * math.cos(angle), PLAIN.y + radius * math.sin(angle))
        cv2.circle(disc, (round(place[0]), round(place[1])), reach, 1.0, -1, cv2.LINE_AA)
        drawn += brighter * cv2.GaussianBlur(disc, (0, 0), 1.0).reshape(disc.shape + (1,) * (drawn.ndim - 2))
    ring = find_rings(drawn.clip(0, 255).astype(np.uint8)).rings[0]
    plain = find_rings(PLAIN.draw()).rings[0]
    assert ring.notch is None
    assert ring.circularity == pytest.approx(plain.circularity, abs=2e-3)
    assert ring.thickness.smallest == pytest.approx(plain.thickness.smallest, abs=0.5)


def test_touching_rings_are_taken_apart_and_read_row_by_row() -> None:
    drawn = np.full((420, 620), 210, np.uint8)
    centres = [(150, 140), (150 + 2 * 95, 140), (150 + 95, 140 + round(95 * 3**0.5))]
    for centre in centres:
        cv2.circle(drawn, centre, 80, 40, 30, cv2.LINE_AA)  # radii 65 and 95: all three touch
    found = find_rings(cv2.GaussianBlur(drawn, (0, 0), 1.0))
    assert [(round(ring.outer.x), round(ring.outer.y)) for ring in found.rings] == centres
    for ring in found.rings:
        assert ring.measures()["outer_diameter"] == pytest.approx(190, abs=2.5)
        assert ring.measures()["inner_diameter"] == pytest.approx(130, abs=2.5)


def test_discs_lines_and_blank_images_are_no_rings() -> None:
    drawn = np.full((300, 400), 20, np.uint8)
    assert find_rings(drawn).rings == ()
    cv2.circle(drawn, (150, 150), 80, 180, -1)
    cv2.line(drawn, (300, 20), (300, 280), 180, 20)
    found = find_rings(drawn)
    assert (found.rings, found.strange) == ((), 2)


@pytest.mark.parametrize("kind", ["uint16", "rgb", "float32"])
def test_every_kind_of_image_gives_the_same(kind: str) -> None:
    drawn = PLAIN.draw()
    values: dict[str, Array] = {
        "uint16": drawn.astype(np.uint16) * 257,
        "rgb": np.repeat(drawn[..., None], 3, axis=2),
        "float32": drawn.astype(np.float32),
    }
    first, second = (find_rings(one).rings[0].measures() for one in (drawn, values[kind]))
    for name, value in first.items():
        assert second[name] == pytest.approx(value, rel=2e-3, abs=0.05), name


def test_a_ring_cut_by_the_border_is_not_whole() -> None:
    ring = find_rings(PLAIN.draw()[:, 110:]).rings[0]
    assert not ring.whole
    assert 2 * ring.outer.radius == pytest.approx(2 * PLAIN.outer, abs=0.5)


def test_what_the_image_does_not_show_is_no_gap() -> None:
    ring = find_rings(PLAIN.draw()[:, 255:]).rings[0]
    assert not ring.whole
    assert ring.gaps == ()
    cut = replace(PLAIN, gap=20.0, angle=0.3)
    assert find_rings(cut.draw()[:, 100:]).rings[0].measures()["gap"] == pytest.approx(20.0, abs=1.0)


def apart_and_all(paths: list[Path]) -> tuple[int, int]:
    """Count the rings of photographs that are found apart, and all that are labelled."""
    apart, labelled = 0, 0
    for path in paths:
        rings = find_rings(read_image(PHOTOS / "images" / f"{path.stem}.jpg")).rings
        for shape in json.loads(path.read_text())["shapes"]:
            points = np.asarray(shape["points"])
            x, y = points.mean(axis=0)
            reach = np.hypot(*(points - (x, y)).T).mean()
            labelled += 1
            apart += any(
                math.hypot(ring.outer.x - x, ring.outer.y - y) < 0.15 * reach
                and abs(ring.outer.radius / reach - 1) < 0.15
                for ring in rings
            )
    return apart, labelled


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs ../shared/data/oring/rings")
def test_touching_rings_on_photographs_are_apart() -> None:
    paths = [PHOTOS / "labels" / f"image_{number}.json" for number in (22, 24, 60)]
    apart, labelled = apart_and_all([path for path in paths if path.is_file()])
    assert apart == labelled > 0


@pytest.mark.slow
@pytest.mark.skipif(not PHOTOS.is_dir(), reason="needs ../shared/data/oring/rings")
def test_photographs_of_several_rings_show_them_apart() -> None:
    apart, labelled = apart_and_all(sorted((PHOTOS / "labels").glob("*.json")))
    assert labelled == 299
    assert apart >= 290


def test_source_measures_follow_its_formulas() -> None:
    drawn = replace(PLAIN, shift=(4.0, -3.0), flash=9.0).draw()
    found = source_measures(drawn, background=20)
    assert found is not None
    mask = ring_mask(drawn, 20)
    outer, inner = ring_contours(mask)
    assert outer is not None
    assert inner is not None
    (ox, oy), outer_radius = cv2.minEnclosingCircle(outer)
    (ix, iy), inner_radius = cv2.minEnclosingCircle(inner)
    apart = math.hypot(ox - ix, oy - iy)
    least, greatest = np.inf, 0.0
    for one, other in ((outer, inner), (inner, outer)):
        step = max(1, len(one) // 300)
        for index in range(0, len(one), step):
            point = tuple(map(float, one[index][0]))
            distance = abs(cv2.pointPolygonTest(other, point, True))
            least, greatest = min(least, distance), max(greatest, distance)
    expected = {
        "center_dist": apart,
        "thickness_range": greatest - least,
        "thickness_ratio": greatest / least,
        "eccentricity_pct": 100 * apart / ((outer_radius + inner_radius) / 2),
        "circularity_outer": 4 * math.pi * cv2.contourArea(outer) / cv2.arcLength(outer, True) ** 2,
        "outer_radius": outer_radius,
        "inner_radius": inner_radius,
        "ring_thickness": outer_radius - inner_radius,
        "mean_radius": (outer_radius + inner_radius) / 2,
        "min_thickness": least,
        "annular_area_k": np.count_nonzero(mask) / 1000,
    }
    assert set(expected) == set(LIMITED)
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, abs=1e-6), name
    assert contour_distances(outer, inner) == (least, greatest)
