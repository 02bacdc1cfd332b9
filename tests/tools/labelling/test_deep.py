"""Images of 16 bits on the page: every value through the window that is asked for, and masks of their size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from datamodules.masks.matching import join_mask
from tests.tools.labelling.driving import labelling, predictions, press, visiting
from tools.labelling.items import Item
from tools.labelling.seeing import encoded, mask_on_disk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt
    from playwright.sync_api import Browser, Page

pytest.importorskip("fastapi")

SIZE = (60, 80)
EXTENT = """() => { const { width, height } = document.getElementById("canvas"); return [width, height]; }"""
READ = """(places) => { const canvas = document.getElementById("canvas"), { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    return places.map(([x, y]) => data[4 * (Math.floor(y) * width + Math.floor(x))]); }"""


def shown(page: Page) -> npt.NDArray[np.float64]:
    """Read the grey value at the middle of every pixel of the image, which is shown whole."""
    page.wait_for_timeout(150)  # it is drawn with the next frame
    width, height = page.evaluate(EXTENT)
    scale = min(width / SIZE[1], height / SIZE[0])
    assert scale > 3  # then nothing is smoothed
    y, x = np.mgrid[: SIZE[0], : SIZE[1]] + 0.5
    places = np.stack([width / 2 + (x - SIZE[1] / 2) * scale, height / 2 + (y - SIZE[0] / 2) * scale], axis=-1)
    return np.array(page.evaluate(READ, places.reshape(-1, 2).tolist()), np.float64).reshape(SIZE)


def through(values: npt.NDArray[Any], low: float, high: float) -> npt.NDArray[np.float64]:
    """Show values through a window, by its definition: black at ``low``, white at ``high``."""
    return np.asarray(np.clip(255 * (values.astype(np.float64) - low) / (high - low), 0, 255))


def test_every_value_of_sixteen_bits_is_seen_through_the_window(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 3, SIZE, depth="uint16")
    values = [cv2.imread(str(tmp_path / "set" / name), cv2.IMREAD_UNCHANGED) for name in order]
    assert values[0] is not None
    assert values[1] is not None
    assert len(np.unique(values[0])) > 256
    low, high = np.percentile(values[0], [0.1, 99.9])
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        page.get_by_text("3 to go of 3").wait_for()
        np.testing.assert_allclose(shown(page), through(values[0], low, high), atol=0.51)
        for key in ("'",) * 9 + (".",) * 7:  # steeper than eight bits could show
            page.keyboard.press(key)
        middle, half = (low + high) / 2 - 0.35 * (high - low), (high - low) / 2 / 1.2**9
        narrow = middle - half, middle + half
        found = shown(page)
        np.testing.assert_allclose(found, through(values[0], *narrow), atol=0.51)
        assert len(np.unique(found)) > 100
        press(page, "g")
        page.get_by_text("2 to go of 3").wait_for()
        np.testing.assert_allclose(shown(page), through(values[1], *narrow), atol=0.51)
        page.keyboard.press("w")
        np.testing.assert_allclose(shown(page), through(values[1], low, high), atol=0.51)


def test_a_mask_of_sixteen_bits_has_the_size_of_its_image(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 3, SIZE, depth="uint16")
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        page.get_by_text("3 to go of 3").wait_for()
        box = page.locator("#canvas").bounding_box()
        assert box is not None
        scale = min(box["width"] / SIZE[1], box["height"] / SIZE[0])
        left, top = box["x"] + (box["width"] - scale * SIZE[1]) / 2, box["y"] + (box["height"] - scale * SIZE[0]) / 2
        page.keyboard.press("p")
        for x, y in ((20, 10), (50, 10), (50, 40), (20, 40)):
            page.mouse.click(left + scale * x, top + scale * y)
        press(page, "d")  # nobody closed it
        label = server.journal().label(order[0])
        assert label is not None
        mask = cv2.imread(str(server.out / "drawn" / label.mark.mask), cv2.IMREAD_UNCHANGED)
        assert mask is not None
        expected = np.zeros(SIZE, np.bool_)
        expected[10:40, 20:50] = True
        wrong = (mask > 127) != expected
        assert mask.dtype == np.uint8
        assert not wrong[12:38, 22:48].any()  # a click is as exact as a pixel of the screen
        assert not (wrong & ~cv2.dilate(expected.astype(np.uint8), np.ones((3, 3), np.uint8)).astype(np.bool_)).any()


def test_both_bytes_of_every_value_are_sent() -> None:
    values = np.arange(65536, dtype=np.uint32).reshape(256, 256).astype(np.uint16)
    sent = encoded(values)
    halves = cv2.imdecode(np.frombuffer(sent.png, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert halves is not None
    np.testing.assert_array_equal(halves[:256].astype(np.uint16) * 256 + halves[256:], values)
    assert sent.deep
    assert (sent.low, sent.high) == pytest.approx((65.535, 65469.465))


def test_the_masks_of_an_image_in_several_files_are_united(tmp_path: Path) -> None:
    expected = np.zeros(SIZE, np.uint8)
    paths = [tmp_path / f"{number}.png" for number in range(2)]
    for number, path in enumerate(paths):
        part = np.zeros(SIZE, np.uint8)
        part[10 + 20 * number : 20 + 20 * number, 5:25] = 255
        expected |= part
        assert cv2.imwrite(str(path), part)
    data = mask_on_disk(Item("a.png", tmp_path / "a.png", mask=join_mask(paths)))
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_GRAYSCALE)
    assert found is not None
    np.testing.assert_array_equal(found, expected)
