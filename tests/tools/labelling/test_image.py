"""What the page does to the image: zoom and window, masks, a good image beside it, a phone's width."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import pytest

from tests.tools.labelling.driving import (
    NARROW,
    SHOWN,
    labelling,
    pixel,
    predictions,
    press,
    visiting,
)

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


pytest.importorskip("fastapi")


def test_zoom_place_and_window_stay_with_sixteen_bits_too(browser: Browser, tmp_path: Path) -> None:
    predictions(tmp_path / "set", 5, depth="uint16")
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        dark = pixel(page, 0.5, 0.8)[0]
        for _ in range(4):
            page.keyboard.press(".")
        page.wait_for_timeout(100)
        bright = pixel(page, 0.5, 0.8)[0]
        assert bright > dark + 20
        page.keyboard.press("+")
        page.mouse.move(400, 300)
        page.mouse.down()
        page.mouse.move(470, 350, steps=4)
        page.mouse.up()
        page.wait_for_timeout(100)
        page.get_by_text("5 to go of 5").wait_for()
        places = [(x / 7, y / 7) for x in range(1, 7) for y in range(1, 7)]
        kept = [pixel(page, *place) for place in places]
        first, _ = press(page, "g")
        page.wait_for_timeout(100)
        assert abs(pixel(page, 0.5, 0.8)[0] - bright) < 40  # another image, through the same window
        page.keyboard.press("z")
        page.wait_for_function(SHOWN, arg=first)
        page.get_by_text("5 to go of 5").wait_for()
        page.wait_for_timeout(100)
        assert [pixel(page, *place) for place in places] == kept
        page.keyboard.press("w")
        page.keyboard.press("0")
        page.wait_for_timeout(100)
        assert pixel(page, 0.5, 0.8)[0] == dark


def test_masks_by_brush_polygon_and_eraser(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 3, (600, 800))
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        page.keyboard.press("b")
        page.mouse.move(x - 60, y)
        page.mouse.down()
        page.mouse.move(x + 60, y, steps=6)
        page.mouse.up()
        page.keyboard.press("p")
        for dx, dy in ((-50, 100), (50, 100), (50, 160), (-50, 160)):
            page.mouse.click(x + dx, y + dy)
        page.keyboard.press("Enter")
        page.keyboard.press("e")
        page.mouse.move(x, y - 30)
        page.mouse.down()
        page.mouse.move(x, y + 30, steps=4)
        page.mouse.up()
        press(page, "d")
        label = server.journal().label(order[0])
        assert label is not None
        mask = cv2.imread(str(server.out / "drawn" / label.mark.mask), cv2.IMREAD_GRAYSCALE)
        assert mask is not None
        assert mask.shape == (600, 800)
        count, _, stats, _ = cv2.connectedComponentsWithStats(mask)
        assert count == 4  # two halves of a stroke, and a polygon
        scale = min(box["width"] / 800, box["height"] / 600)
        assert stats[1:, cv2.CC_STAT_AREA].max() == pytest.approx(100 * 60 / scale**2, rel=0.03)
        page.keyboard.press("z")
        page.wait_for_function(SHOWN, arg=order[0])
        assert server.journal().images() == []
        page.keyboard.press("y")
        page.locator("#said", has_text="defective, says Ada").wait_for()
        page.wait_for_timeout(300)
        assert pixel(page, 0.5, 0.5 + 130 / box["height"])[0] > pixel(page, 0.5, 0.5 + 130 / box["height"])[1] + 40
        press(page, "d")  # what is drawn stays with the image
        again = server.journal().label(order[0])
        assert again is not None
        assert again.mark.mask == label.mark.mask


def test_a_good_image_beside_it_and_in_its_place(browser: Browser, tmp_path: Path) -> None:
    predictions(tmp_path / "set", 6)
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        good, _ = press(page, "g")
        page.keyboard.press("c")
        page.get_by_text(f"good: {good}").first.wait_for()
        shown = str(page.get_attribute("#canvas", "data-image"))
        page.keyboard.down("f")
        page.wait_for_function("(text) => document.getElementById('caption').textContent === text", arg=f"good: {good}")
        page.keyboard.up("f")
        page.wait_for_function("(text) => document.getElementById('caption').textContent === text", arg=shown)
        page.keyboard.press("?")
        assert page.locator("#help").is_visible()
        assert page.locator("#help-keys tr").count() > 25
        page.keyboard.press("g")  # no verdict while keys are read
        page.keyboard.press("?")
        assert page.locator("#help").is_hidden()
        assert len(server.journal().images()) == 1


@pytest.mark.parametrize("dark", [False, True])
def test_the_page_fits_a_phone_and_fingers_move_the_image(browser: Browser, tmp_path: Path, dark: bool) -> None:
    predictions(tmp_path / "set", 3)
    with labelling(tmp_path / "set") as server, visiting(browser, server, NARROW, dark=dark) as page:
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]
        assert page.locator("button[data-key=g]").is_visible()
        height = page.locator("#canvas").evaluate("one => one.getBoundingClientRect().height")
        assert height > 250
