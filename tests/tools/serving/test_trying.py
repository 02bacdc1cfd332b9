"""What the page adds to verdicts: rules with other limits, the nearest good image, drift, models by name, a camera."""

from __future__ import annotations

import http.server
import re
import shutil
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import cv2
import pytest

from callbacks.acceptance.facts import DefectFacts, Facts
from callbacks.acceptance.judgement import Acceptance
from tools.runner.result import Result
from tools.serving.trying import SEPARATOR, changed, dials_of, tried

from .conftest import layer, serving
from .test_page import NARROW, drop, natural_widths, open_row, until, visiting

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from .conftest import Running

RULES: dict[str, dict[str, Any]] = {
    "model": {"verdict": "good"},
    "large": {"defects": {"area": {"min": 100.0}, "types": ["pit"]}, "at_most": 2, "otherwise": "rework"},
    "width": {"measure": "outer", "min": 5, "max": 9.5},
}


def test_every_limit_of_rules_has_a_dial() -> None:
    dials = dials_of(Acceptance(RULES))
    assert [(dial.path.split(SEPARATOR), dial.value) for dial in dials] == [
        (["large", "defects", "area", "min"], 100.0),
        (["large", "at_most"], 2),
        (["width", "min"], 5),
        (["width", "max"], 9.5),
    ]
    assert all(dial.most > dial.value for dial in dials)
    assert dials_of(None) == []


def test_other_limits_leave_the_rules_as_they_are() -> None:
    rules = Acceptance(RULES)
    other = changed(rules, {SEPARATOR.join(["large", "at_most"]): 4.0, SEPARATOR.join(["width", "max"]): 8.25})
    assert (other.rules["large"]["at_most"], other.rules["width"]["max"]) == (4, 8.25)
    assert (rules.rules["large"]["at_most"], rules.rules["width"]["max"]) == (2, 9.5)
    for wrong, message in (
        ({"nothing": 1.0}, "limit of the rules"),
        ({SEPARATOR.join(["width", "max"]): 1.0}, "leave"),
    ):
        with pytest.raises(ValueError, match=message):
            changed(rules, wrong)


class _Rules:
    acceptance = Acceptance({"model": {"verdict": "good"}, "large": {"defects": {"area": {"min": 50}}, "at_most": 0}})


def test_trying_limits_is_what_judging_with_them_would_say() -> None:
    def judged(area: float, score: float) -> Result:
        known = Facts(verdict="good", defects=(DefectFacts(1, {"area": area}),))
        return Result("a", score=score, threshold=2.0, known=known, acceptance=_Rules.acceptance(known))

    results = [
        judged(10, 1.0),
        judged(60, 1.5),
        Result("b", error="is torn", acceptance=_Rules.acceptance.unjudged("x")),
    ]
    judge: Any = _Rules
    path = SEPARATOR.join(["large", "defects", "area", "min"])
    states = [
        [one["accepted"] for one in tried(results, judge, limits, at)]
        for limits, at in (({}, None), ({path: 5.0}, None), ({path: 90.0}, None), ({path: 90.0}, 1.2))
    ]
    assert states == [
        ["accepted", "rejected", "unknown"],
        ["rejected", "rejected", "unknown"],
        ["accepted", "accepted", "unknown"],
        ["accepted", "rejected", "unknown"],
    ]


@pytest.fixture(scope="module")
def ruled(printed: Path) -> Iterator[Running]:
    """A server of a run with rules, and of the same one under another name."""
    run = printed / "runs/print/one"
    with serving(printed / "ruled", f"run={{strict: {run}, other: {printed / 'runs/ae/one'}}}") as running:
        yield running


def lot(printed: Path) -> list[Path]:
    return sorted((printed / "new").rglob("*.png"))


def test_sliders_try_other_limits_on_the_lot(browser: Browser, ruled: Running, printed: Path) -> None:
    with visiting(browser, ruled) as page:
        drop(page, lot(printed))
        before = page.locator("#table .mark.rejected").count()
        assert before > 0
        assert not page.locator("th.tried").is_visible()
        page.click("#try summary")
        area = page.locator("#dials label", has_text="large defect, area: at least").locator("input")
        area.evaluate("one => { one.value = one.max; one.dispatchEvent(new Event('input', { bubbles: true })) }")
        number = page.locator("#dials label", has_text="large defect: at most").locator("input")
        number.evaluate("one => { one.value = one.max; one.dispatchEvent(new Event('input', { bubbles: true })) }")
        page.locator("#tried", has_text=f"{before} differ").wait_for()
        assert page.inner_text("#tried") == f"12 accepted; {before} {'differs' if before == 1 else 'differ'}"
        assert page.locator("#table tbody td:last-child .mark.accepted").count() == 12
        page.click("#reset")
        page.locator("th.tried").wait_for(state="hidden")
        score = page.locator("#dials label", has_text="Score from which").locator("input")
        score.evaluate("one => { one.value = one.min; one.dispatchEvent(new Event('input', { bubbles: true })) }")
        page.locator("#tried", has_text=re.compile("accepted|rejected")).wait_for()


def test_reasons_drift_and_the_nearest_good_image_are_shown(browser: Browser, ruled: Running, printed: Path) -> None:
    with visiting(browser, ruled, size=NARROW, dark=True) as page:
        drop(page, lot(printed))
        page.locator("#drift", has_text="training").wait_for()
        shown = open_row(page, "layer_007.png")
        assert "Rejected by the rules “no large defect”" in shown.inner_text()
        assert "large_defect: found" in shown.locator(".reasons").inner_text()
        until(page, "document.querySelector('#nearest img').naturalWidth > 0")
        shown.locator("#show-nearest").uncheck()
        assert not shown.locator("#nearest").is_visible()
        assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_a_bundle_carries_good_images(browser: Browser, server: Running, bundle: Path, layers: list[Path]) -> None:
    assert 0 < len(list((bundle / "good").iterdir())) <= 24
    with visiting(browser, server) as page:
        drop(page, layers[7:8])
        shown = open_row(page, layers[7].name)
        until(page, "document.querySelector('#nearest img').naturalWidth > 0")
        assert natural_widths(shown, "#nearest img")[0] > 50


def test_models_are_switched_by_name_and_the_lot_is_judged_anew(
    browser: Browser, ruled: Running, printed: Path
) -> None:
    with visiting(browser, ruled) as page:
        drop(page, lot(printed)[:4])
        thresholds = page.locator("#table tbody td:nth-child(5)").all_inner_texts()
        page.select_option("#model", "other")
        page.wait_for_selector("#progress[hidden]", state="attached")
        changed_all = (
            "[...document.querySelectorAll('#table tbody td:nth-child(5)')].every(one => one.textContent > '')"
        )
        until(page, changed_all)
        assert page.locator("#table tbody td:nth-child(5)").all_inner_texts() != thresholds
        shown = open_row(page, lot(printed)[0].name)
        assert "other." in shown.inner_text()
        assert not page.locator("th.rules").is_visible()


@contextmanager
def camera() -> Iterator[tuple[str, threading.Event]]:
    """A camera that streams motion JPEG: good layers, and ones with a pit once the event is set."""
    pit, ended = threading.Event(), threading.Event()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
            self.end_headers()
            while not ended.is_set():
                values = layer(0)[:60, :70].copy()
                if pit.is_set():
                    cv2.circle(values, (30, 25), 9, 255, -1)
                data = cv2.imencode(".jpg", values)[1].tobytes()
                head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
                try:
                    self.wfile.write(head.encode() + data + b"\r\n")
                except OSError:
                    return
                time.sleep(0.05)

        def log_message(self, *args: object) -> None:
            """Say nothing."""

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://someone:secret@127.0.0.1:{server.server_address[1]}/stream.mjpg", pit
    finally:
        ended.set()
        server.shutdown()


def test_a_stream_shows_its_newest_verdict_large(browser: Browser, bundle: Path, tmp_path: Path) -> None:
    with (
        camera() as (address, pit),
        serving(tmp_path, f"bundle={bundle}", f"watch='{address}'", "watch_every=0.2") as server,
        visiting(browser, server, "/watch") as page,
    ):
        page.locator("#word", has_text="Good").wait_for(timeout=60_000)
        pit.set()
        page.locator("#word", has_text="Defective").wait_for(timeout=60_000)
        assert "secret" not in page.inner_text("main")
        assert "/stream.mjpg" in page.inner_text("#what")


def test_a_stream_that_is_away_is_told(browser: Browser, bundle: Path, tmp_path: Path) -> None:
    with (
        serving(tmp_path, f"bundle={bundle}", "watch='http://127.0.0.1:9/stream'") as server,
        visiting(browser, server, "/watch") as page,
    ):
        page.locator("#lost", has_text="http://127.0.0.1/stream gives no frames").wait_for(timeout=60_000)


def test_a_folder_that_goes_away_is_told(browser: Browser, bundle: Path, tmp_path: Path) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    with (
        serving(tmp_path, f"bundle={bundle}", f"watch={watched}") as server,
        visiting(browser, server, "/watch") as page,
    ):
        shutil.rmtree(watched)
        page.locator("#lost", has_text="The watched folder is away").wait_for()
