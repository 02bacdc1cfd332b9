"""Fingers on the page: they move the image, draw, and take back what two of them began by mistake."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.tools.labelling.driving import OTHER, SHOWN, labelling, pixel, predictions, visiting

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from playwright.sync_api import Browser, Page

    from tests.tools.labelling.driving import Labelling

pytest.importorskip("fastapi")

PHONE = {"width": 412, "height": 915}
SIZE = (600, 800)
WIDTH = 48.0  # of a stroke as the brush is at first, in pixels of the screen
COUNT = """() => { window.clicked = [];
    addEventListener("click", ({ target }) => { if (target.closest("button")) window.clicked.push(1); }, true); }"""
Point = tuple[float, float]


class Fingers:
    """Fingers on a page, in pixels of the screen from the middle of the image."""

    def __init__(self, page: Page) -> None:
        page.get_by_text("4 to go of 4").wait_for()  # then nothing moves the image any more
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        self.page = page
        self.width, self.height = box["width"], box["height"]
        self.middle = box["x"] + self.width / 2, box["y"] + self.height / 2
        page.evaluate(COUNT)
        self.session = page.context.new_cdp_session(page)

    def touch(self, kind: str, points: Mapping[int, Point]) -> None:
        """Put fingers down, move them, or lift those that are named."""
        x, y = self.middle
        named = [{"x": x + dx, "y": y + dy, "id": number} for number, (dx, dy) in points.items()]
        self.session.send("Input.dispatchTouchEvent", {"type": f"touch{kind}", "touchPoints": named})

    def stroke(self, *points: Point) -> None:
        """Draw with one finger along points."""
        self.touch("Start", {0: points[0]})
        for (ax, ay), (bx, by) in itertools.pairwise(points):
            for step in np.linspace(0, 1, 6)[1:]:
                self.touch("Move", {0: (ax + step * (bx - ax), ay + step * (by - ay))})
        self.touch("End", {})

    def tap(self, key: str) -> None:
        """Tap a button, again where a busy machine took it for a long press."""
        for _ in range(10):
            self.page.locator(f"button[data-key='{key}']").tap()
            if self.page.evaluate("window.clicked.splice(0)"):
                return
        raise AssertionError(f"no tap on {key} was a click")

    def spread(self, factor: float) -> None:
        """Spread two fingers about the middle."""
        self.touch("Start", {0: (-40, 0)})
        self.touch("Start", {0: (-40, 0), 1: (40, 0)})
        for step in np.linspace(1, factor, 8)[1:]:
            self.touch("Move", {0: (-40 * step, 0), 1: (40 * step, 0)})
        self.touch("End", {0: (-40 * factor, 0)})

    def leave(self, factor: float) -> None:
        """Move the finger that is left of two, and lift it."""
        self.touch("Move", {1: (40 * factor, 25)})
        self.touch("Move", {1: (40 * factor, 50)})
        self.touch("End", {})

    @property
    def fit(self) -> float:
        """Pixels of the screen for each of the image, where all of it is shown."""
        return min(self.width / SIZE[1], self.height / SIZE[0])

    def place(self, point: Point, zoom: float = 1.0) -> tuple[float, float]:
        """Tell where a point lies in the image, which is shown about its middle."""
        return SIZE[1] / 2 + point[0] / self.fit / zoom, SIZE[0] / 2 + point[1] / self.fit / zoom


def line(points: Sequence[Point], width: float) -> npt.NDArray[np.bool_]:
    """Draw a line with round ends as geometry says: what lies no farther than half its width."""
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    marked = np.zeros(SIZE, np.bool_)
    for (ax, ay), (bx, by) in itertools.pairwise(points):
        dx, dy = bx - ax, by - ay
        along = np.clip(((x - ax) * dx + (y - ay) * dy) / (dx * dx + dy * dy), 0, 1)
        marked |= np.hypot(x - ax - along * dx, y - ay - along * dy) <= width / 2
    return marked


def mask_of(server: Labelling, image: str) -> npt.NDArray[np.bool_]:
    """Read the mask that was kept with a verdict."""
    label = server.journal().label(image)
    assert label is not None
    mask = cv2.imread(str(server.out / "drawn" / label.mark.mask), cv2.IMREAD_GRAYSCALE)
    assert mask is not None
    return np.asarray(mask > 127)


def assert_equal_but_for_edges(found: npt.NDArray[np.bool_], expected: npt.NDArray[np.bool_]) -> None:
    """Hold a mask to another one, but for pixels that the edge of the other one crosses."""
    sure = cv2.erode(expected.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    most = cv2.dilate(expected.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)
    assert sure.sum() > 0.5 * expected.sum()
    assert not (sure & ~found).any()
    assert not (found & ~most).any()


def test_fingers_zoom_move_and_label(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 4, SIZE)
    with labelling(tmp_path / "set") as server, visiting(browser, server, PHONE, touch=True) as page:
        fingers = Fingers(page)
        still = pixel(page, 0.5, 0.5)
        before = [pixel(page, x / 9, 0.5) for x in range(1, 9)]
        fingers.spread(3.0)
        fingers.leave(3.0)
        page.wait_for_timeout(100)
        assert [pixel(page, x / 9, 0.5) for x in range(1, 9)] != before
        assert pixel(page, 0.5, 0.02)[3] == 255  # the image is higher than its pane
        fingers.stroke((0, 0), (60, 0), (0, 0))  # there and back
        page.wait_for_timeout(100)
        assert pixel(page, 0.5, 0.02)[3] == 255
        fingers.tap("0")
        page.wait_for_timeout(100)
        assert [pixel(page, x / 9, 0.5) for x in range(1, 9)] == before
        assert pixel(page, 0.5, 0.5) == still
        fingers.tap("g")
        page.wait_for_function(SHOWN, arg=order[1])
        fingers.tap("z")
        page.wait_for_function(SHOWN, arg=order[0])
        fingers.tap("r")
        page.wait_for_function(SHOWN, arg=order[1])
        assert server.journal().verdicts_of("Ada") == {order[0]: "rework"}


def test_a_finger_draws_and_two_only_move_the_image(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 4, SIZE)
    with labelling(tmp_path / "set") as server, visiting(browser, server, PHONE, touch=True) as page:
        fingers = Fingers(page)
        fingers.tap("b")
        fingers.stroke((-80, -40), (80, -40))
        fingers.spread(2.0)
        fingers.leave(2.0)  # which draws nothing, and does not move the image either
        fingers.stroke((-60, 60), (60, 60))
        fingers.tap("e")
        fingers.stroke((0, 20), (0, 100))
        fingers.spread(0.5)
        fingers.leave(0.5)
        fingers.tap("d")
        page.wait_for_function(OTHER, arg=order[0])
        first, second, gone = (
            [fingers.place(point, zoom) for point in points]
            for zoom, points in ((1, [(-80, -40), (80, -40)]), (2, [(-60, 60), (60, 60)]), (2, [(0, 20), (0, 100)]))
        )
        wide, narrow = WIDTH / fingers.fit, WIDTH / 2 / fingers.fit
        expected = (line(first, wide) | line(second, narrow)) & ~line(gone, narrow)
        assert_equal_but_for_edges(mask_of(server, order[0]), expected)


def test_a_polygon_by_fingers_is_kept_though_nobody_closed_it(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 4, SIZE)
    with labelling(tmp_path / "set") as server, visiting(browser, server, PHONE, touch=True) as page:
        fingers = Fingers(page)
        fingers.tap("p")
        corners = [(-70.0, -50.0), (70.0, -50.0), (90.0, 40.0), (-30.0, 60.0)]
        for number, corner in enumerate(corners):
            fingers.stroke(corner, corner)
            if number == 1:
                fingers.spread(1.6)
                fingers.leave(1.6)
                fingers.tap("0")
        fingers.tap("d")
        page.wait_for_function(OTHER, arg=order[0])
        outline = np.array([fingers.place(corner) for corner in corners])
        drawn = np.zeros(SIZE, np.uint8)
        cv2.fillPoly(drawn, [np.rint(16 * (outline - 0.5)).astype(np.int32)], 1, shift=4)
        assert_equal_but_for_edges(mask_of(server, order[0]), drawn.astype(np.bool_))


def test_two_fingers_leave_the_mask_on_disk_alone(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 4, SIZE)
    with labelling(tmp_path / "set") as server, visiting(browser, server, PHONE, touch=True) as page:
        fingers = Fingers(page)
        fingers.tap("b")
        fingers.stroke((-50, 0), (50, 0))
        fingers.tap("d")
        page.wait_for_function(OTHER, arg=order[0])
        before = mask_of(server, order[0])
        fingers.tap("z")
        page.wait_for_function(SHOWN, arg=order[0])
        fingers.tap("y")
        page.locator("#said", has_text="defective, says Ada").wait_for()
        page.wait_for_timeout(300)
        fingers.spread(2.0)
        fingers.leave(2.0)
        fingers.tap("d")
        page.wait_for_function(OTHER, arg=order[0])
        np.testing.assert_array_equal(mask_of(server, order[0]), before)
