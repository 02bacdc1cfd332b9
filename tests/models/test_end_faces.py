"""DO2MR and LEI against slow, obvious re-implementations, and on drawn faces whose defects are known."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch
from scipy import ndimage

from callbacks.defects.half_depth import outlines
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.hard_fiber import draw_hard
from datamodules.synthetic.measured_faces import MeasuredFace, Scratch, Speck
from datamodules.zones.ellipse import Ellipse
from datamodules.zones.finding import find_zones
from models.do2mr import Do2mr
from models.do2mr_lei import Do2mrLei
from models.faces.axis import near_axis
from models.faces.marks import Filters, Limits, marked, responses
from models.faces.responses import line_kernel, line_strength, min_max_range
from models.faces.view import FaceView, noise_of, standardised, view_face, without_profile
from models.lei import Lei


@pytest.mark.parametrize("window", [3, 5, 9])
def test_the_range_is_that_of_sorted_windows(window: int) -> None:
    plane = np.random.default_rng(window).random((21, 25)).astype(np.float32)
    slow = ndimage.maximum_filter(plane, window, mode="nearest") - ndimage.minimum_filter(plane, window, mode="nearest")
    smooth = ndimage.uniform_filter(slow.astype(np.float64), 3, mode="mirror")
    np.testing.assert_allclose(min_max_range(plane, window), smooth, atol=1e-5)


@pytest.mark.parametrize("degrees", [0, 30, 45, 90, 150])
def test_a_line_kernel_sees_its_own_line_and_no_slope(degrees: float) -> None:
    kernel = line_kernel(15, 4.0, degrees).astype(np.float64)
    assert kernel.sum() == pytest.approx(0.0, abs=1e-6)
    half = kernel.shape[0] // 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(float)
    assert (kernel * (3 * x - 2 * y)).sum() == pytest.approx(0.0, abs=1e-4)
    angle = np.radians(degrees)
    line = np.clip(1.5 - np.abs(y * np.cos(angle) - x * np.sin(angle)), 0, 1)
    across = np.clip(1.5 - np.abs(x * np.cos(angle) + y * np.sin(angle)), 0, 1)
    assert (kernel * line).sum() > 4 * abs((kernel * across).sum())


def test_a_defect_on_the_axis_is_not_taken_for_what_is_usual_there() -> None:
    y, x = np.mgrid[:300, :300] + 0.5
    distance = np.hypot(x - 150, y - 150)
    grey = (100 - 40 * (distance < 6) + 20 * (distance / 100) ** 2).astype(np.float32)
    left = without_profile(grey, Ellipse(150, 150, 100.0), Ellipse(150, 150, 40.0))
    np.testing.assert_allclose(left[distance < 5], -40, atol=1.0)
    np.testing.assert_allclose(left[(distance > 8) & (distance < 140)], 0, atol=1.0)
    usual = near_axis(np.linspace(0, 1, 101), np.full(101, 20.0), distance / 100, grey, None)
    assert usual[0] == pytest.approx(100, abs=4)
    assert usual[60] == 20.0


@pytest.mark.parametrize("off", [0.0, 7.0])
@pytest.mark.parametrize("size", [10.0, 20.0, 30.0])
@pytest.mark.parametrize(("core", "depth"), [(210.0, -60.0), (210.0, 40.0), (90.0, -60.0), (90.0, 60.0)])
def test_discs_that_fill_whole_rings_of_a_core_are_outlined(core: float, depth: float, size: float, off: float) -> None:
    drawn = MeasuredFace(core_um=50.0, core=core, planted=(Speck(off, 0.0, size, depth),), size=(320, 320), seed=1)
    middle, um = 160.0, drawn.um_per_pixel[0]
    shapes = [Ellipse(middle, middle, diameter / 2 / um) for diameter in (125.0, 50.0)]
    face = view_face(drawn.draw().astype(np.float32), shapes[0], shapes[1], 0.05)
    found = outlines(face.flat_HW, marked(face, *responses(face, Filters()), Limits()), noise_of(face))
    true = np.pi * (size / 2 / um) ** 2
    assert max(patch.area for patch in found if np.sign(patch.depth) == np.sign(depth)) == pytest.approx(true, rel=0.1)


@pytest.mark.parametrize(
    ("core_um", "speck"),
    [(9.0, Speck(2.9, -3.8, 2.6, 50.0)), (50.0, Speck(8.7, 23.5, 6.0, -51.0)), (50.0, Speck(-24.9, 1.0, 4.0, 45.0))],
)
def test_a_speck_on_the_edge_of_a_lit_core_is_seen_and_the_edge_is_not(core_um: float, speck: Speck) -> None:
    for planted in ((), (speck,)):
        drawn = MeasuredFace(core_um=core_um, planted=planted, size=(320, 320), seed=4)
        middle, um = 160.0, drawn.um_per_pixel[0]
        shapes = [Ellipse(middle, middle, diameter / 2 / um) for diameter in (125.0, core_um)]
        face = view_face(drawn.draw().astype(np.float32), shapes[0], shapes[1], 0.05)
        seed = marked(face, *responses(face, Filters()), Limits())
        y, x = np.mgrid[:320, :320] + 0.5
        found = outlines(face.flat_HW, seed & (np.hypot(x - middle, y - middle) < 60 / um), 1.5, face.faintest_HW)
        assert len(found) == len(planted)
        for patch in found:
            px, py = patch.pixels()
            place = ((px.mean() - middle) * um, (py.mean() - middle) * um)
            np.testing.assert_allclose(place, (speck.x, speck.y), atol=1.0)


def found_on(drawn: MeasuredFace) -> list[tuple[float, float, float]]:
    """Return x and y from the axis and area of what is outlined near it, in um."""
    um, middle = drawn.um_per_pixel[0], drawn.size[0] / 2
    shapes = [Ellipse(middle, middle, diameter / 2 / um) for diameter in (125.0, drawn.core_um)]
    face = view_face(drawn.draw().astype(np.float32), shapes[0], shapes[1], 0.05)
    patches = outlines(face.flat_HW, marked(face, *responses(face, Filters()), Limits()), 1.5, face.faintest_HW)
    spots = [(*patch.pixels(), patch.area * um * um) for patch in patches]
    return [((x.mean() - middle) * um, (y.mean() - middle) * um, area) for x, y, area in spots]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    ("core", "off", "depth", "width"),
    [
        *((core, *line) for core in (92.0, 200.0) for line in ((0.1, -65.0, 2.5), (1.8, 50.0, 2.5), (-1.0, 60.0, 3.5))),
        (200.0, 0.5, -48.0, 5.0),  # beside one as wide across an unlit core, a speck of the core's edge may be left
    ],
)
def test_a_scratch_across_a_small_core_leaves_nothing_beside_it(
    core: float, off: float, depth: float, width: float, seed: int
) -> None:
    scratch = Scratch(0.0, off, 0.0, 90.0, width, depth)
    drawn = MeasuredFace(core_um=9.0, core=core, planted=(scratch,), size=(320, 320), seed=seed)
    (spot,) = found_on(drawn)
    assert spot[2] == pytest.approx(90.0 * width, rel=0.15)


@pytest.mark.parametrize(
    "speck",
    [
        *(Speck(1.0, 1.4, 9.5, 45.0), Speck(-1.9, 0.9, 8.7, 51.0), Speck(1.0, -0.8, 7.0, 60.0)),
        *(Speck(0.0, 0.0, size, depth) for size in (3.0, 4.9, 6.0) for depth in (-55.0, 55.0)),
    ],
)
def test_a_disc_that_is_not_as_large_as_the_light_of_a_small_core_is_seen(speck: Speck) -> None:
    lit = MeasuredFace(core_um=9.0, core=200.0, size=(320, 320), seed=2)
    assert not found_on(lit)
    found = found_on(replace(lit, planted=(speck,)))
    assert found
    assert all(np.hypot(x, y) < 9.0 for x, y, _ in found)


@pytest.mark.parametrize("core", [210.0, 90.0])
def test_a_lit_core_that_fades_towards_its_edge_shows_nothing(core: float) -> None:
    y, x = np.mgrid[:320, :320] + 0.5
    distance = np.hypot(x - 160, y - 160) / 139.0
    lit = core * (1 - 0.25 * (distance / 0.4) ** 2)
    grey = np.where(distance < 0.4, lit, np.where(distance < 1, 85.0, 165.0))
    noisy = cv2.GaussianBlur(grey, (0, 0), 1.1) + np.random.default_rng(3).normal(0, 1.5, grey.shape)
    face = view_face(noisy.astype(np.float32), Ellipse(160, 160, 139.0), Ellipse(160, 160, 55.6), 0.05)
    assert not (marked(face, *responses(face, Filters()), Limits()) & (distance < 0.9)).any()


@pytest.mark.parametrize("waist", [8.0, 10.0, 14.0])
@pytest.mark.parametrize("peak", [40.0, 120.0])
def test_the_gaussian_light_of_a_single_mode_shows_nothing(waist: float, peak: float) -> None:
    y, x = np.mgrid[:320, :320] + 0.5
    distance = np.hypot(x - 160, y - 160)
    grey = np.where(distance < 139, 85.0, 165.0) + peak * np.exp(-2 * (distance / waist) ** 2)
    noisy = cv2.GaussianBlur(grey, (0, 0), 1.1) + np.random.default_rng(3).normal(0, 1.5, grey.shape)
    face = view_face(noisy.astype(np.float32), Ellipse(160, 160, 139.0), Ellipse(160, 160, 10.0), 0.05)
    assert not (marked(face, *responses(face, Filters()), Limits()) & (distance < 125)).any()


@pytest.mark.parametrize("degrees", [10.0, 75.0, 130.0])
def test_scratches_of_any_direction_are_stronger_than_specks(degrees: float) -> None:
    y, x = np.mgrid[-60:61, -60:61].astype(float)
    angle = np.radians(degrees)
    scratch = -20.0 * (np.abs(y * np.cos(angle) - x * np.sin(angle)) < 1)
    speck = -20.0 * (np.hypot(x, y) < 1.5)
    strong, weak = (line_strength(plane.astype(np.float32), 21, 4.0, 12)[60, 60] for plane in (scratch, speck))
    assert strong > 3 * weak


def test_responses_are_standardised_zone_by_zone() -> None:
    rng = np.random.default_rng(0)
    zone = np.repeat(np.array([[1, 2, 3]], np.uint8), 90, axis=0).repeat(90, axis=1)
    response = np.abs(rng.normal(100, 5, zone.shape)).astype(np.float32) * zone
    judged = np.ones(zone.shape, bool)
    judged[:, 85:95] = False
    score = standardised(response, FaceView(response, zone, (~judged).astype(np.uint8), 50.0, np.zeros_like(response)))
    for number, near in ((1, False), (2, False), (3, False), (2, True)):
        inside = (zone == number) & (judged != near)
        middle = np.median(response[inside])
        spread = 1.4826 * np.median(np.abs(response[inside] - middle))
        np.testing.assert_allclose(score[inside], np.maximum((response[inside] - middle) / spread, 0), rtol=1e-4)


def test_taking_the_profile_away_silences_the_borders_of_zones() -> None:
    face = draw_hard("plain", Identity(0, "fiber", 4, 0), 320)
    grey = face.drawing.image.astype(np.float32)
    found = find_zones(face.drawing.image)
    seen = view_face(grey, found.cladding, found.core, 0.05)
    assert face.drawing.zones is not None
    assert (seen.zone_HW == face.drawing.zones).mean() > 0.99
    assert seen.radius == pytest.approx(face.cladding_radius, abs=0.6)
    border = ~seen.inner_HW
    assert 0.02 < border.mean() < 0.2
    assert min_max_range(seen.flat_HW, 9)[border].mean() < 0.3 * min_max_range(grey, 9)[border].mean()
    plain = view_face(grey, None, None, 0.05)
    assert (plain.zone_HW == 3).all()
    assert plain.inner_HW.all()
    np.testing.assert_array_equal(plain.flat_HW, grey)


def test_rings_about_the_axis_leave_nothing() -> None:
    face = draw_hard("plain", Identity(0, "fiber", 4, 0), 200)
    y, x = np.mgrid[:200, :200] + 0.5
    shape = Ellipse(face.cx, face.cy, face.cladding_radius)
    rings = (80 + 40 * np.sin(9 * shape.distance(x, y))).astype(np.float32)
    left = without_profile(rings, shape)
    assert np.quantile(np.abs(left), 0.98) < 3.0  # of 40; few rays reach the corners
    assert np.median(np.abs(left)) < 1.0


@pytest.mark.parametrize(("defect", "model"), [("scratch", Lei()), ("pit", Do2mr()), ("contamination", Do2mrLei())])
def test_drawn_defects_stand_out_from_their_own_faces(defect: str, model: Do2mr | Lei | Do2mrLei) -> None:
    model.eval()
    wins = 0
    for number in range(6):
        who = Identity(5, "fiber", 3 * number + 1, 0)
        marked, good = draw_hard("plain", who, 256, defect).drawing, draw_hard("plain", who, 256).drawing
        images = torch.from_numpy(np.stack([marked.image, good.image])).float().div(255)[:, None].expand(-1, 3, -1, -1)
        found = model.model(images)
        assert found.anomaly_map.shape == (2, 256, 256)
        wins += bool(found.pred_score[0] > found.pred_score[1])
    assert wins >= 5


@pytest.mark.parametrize("model", [Lei(), Do2mr(), Do2mrLei()])
def test_export_says_that_no_graph_finds_zones(model: Do2mr | Lei | Do2mrLei) -> None:
    assert "finds the zones of every image" in model.not_exportable


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"window": 0.0}, r"model\.window to be above 0"),
        ({"border": 0.6}, r"model\.border to be at least 0"),
        ({"scored": ()}, r"model\.scored to be a list of zones"),
        ({"scored": (4,)}, r"model\.scored to be a list of zones"),
        ({"cap": 0.0}, r"model\.cap to be above 0"),
        ({"floor": -1.0}, r"model\.floor to be 0 or more"),
        ({"inner": float("nan")}, r"model\.inner to be 0 or more"),
        ({"directions": 1}, r"model\.directions to be at least 2"),
        ({"scratches": float("nan")}, r"model\.scratches to be above 0"),
    ],
)
def test_values_that_mean_nothing_are_refused(values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Do2mrLei(**values)  # type: ignore[arg-type]  # on purpose
