"""The report in a real browser: it follows the slider, fits a desk and a phone, asks for nothing, and prints."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, Any

import pytest

from callbacks.measures.figures import Examples
from callbacks.report.facts import confusion
from callbacks.report.render import render_report
from callbacks.report.wording import DASH
from tests.callbacks.report.conftest import THRESHOLD, Contents

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from callbacks.measures.examples import Category
    from callbacks.report.content import ReportContent

WIDTHS = (1280, 390)
PATIENCE_MS = 180_000  # a first page on a busy machine
BOXES = """(selector) => [...document.querySelectorAll(selector)].map((element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const box = range.getBoundingClientRect();
  const { left, right, top, bottom } = box;
  return { text: element.textContent.trim().slice(0, 60), left, right, top, bottom };
}).filter((box) => box.text && box.right > box.left && box.bottom > box.top)"""
PARTS = """() => Object.fromEntries(["tp", "fp", "tn", "fn", "precision", "recall-share", "f1", "fpr-share"]
  .map((name) => [name, document.querySelector(`[data-part="${name}"]`).textContent]))"""


@dataclass
class Opened:
    """A page, and what the browser had to say about it."""

    page: Page
    messages: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)


@pytest.fixture(scope="module")
def content() -> ReportContent:
    """A report with everything on it."""
    usual = Contents.with_atlas(Contents.build(good=40, defective=18, unknown=2))
    kinds: tuple[Category, ...] = ("miss", "false_alarm", "hit", "pass", "highest", "nearest", "lowest")
    examples = tuple(Contents.example(kind, f"test/{number:04}.png", number) for number, kind in enumerate(kinds))
    zones = {"core": {"defects": 3, "recall": {"value": 0.5, "low": 0.1, "high": 0.9}}}
    costs = {"milliseconds_by_stage": {"loading": 3.0, "model": 50.0}, "peak_memory_mib": {"process": 900}}
    full = Contents.with_defects(usual)
    return replace(
        full,
        figures=[Examples(examples), *(one for one in full.figures if not isinstance(one, Examples))],
        metrics={**usual.metrics, "zones": zones},
        environment={**usual.environment, **costs},
    )


@pytest.fixture(scope="module")
def file(content: ReportContent, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("report") / "index.html"
    path.write_text(render_report(content), encoding="utf-8")
    assert path.stat().st_size < 10_000_000
    return path


@pytest.fixture(scope="module", params=WIDTHS)
def opened(request: pytest.FixtureRequest, browser: Browser, file: Path) -> Iterator[Opened]:
    """The report at one width, as it was loaded."""
    page = browser.new_page(viewport={"width": request.param, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    one = Opened(page)
    page.on("console", lambda message: one.messages.append(message.text))
    page.on("pageerror", lambda error: one.messages.append(str(error)))
    page.on("request", lambda sent: one.requests.append(sent.url))
    page.goto(file.as_uri())
    page.evaluate("for (const folded of document.querySelectorAll('details')) folded.open = true")
    page.wait_for_selector("#strip-near canvas")
    yield one
    page.close()


def parts(page: Page) -> dict[str, str]:
    """The matrix and the rates, as they stand on the page."""
    found: dict[str, str] = page.evaluate(PARTS)
    return found


def expected(content: ReportContent, threshold: float, kind: str = "") -> dict[str, str]:
    """The same, computed in Python."""
    rows = content.predictions if not kind else content.predictions[content.predictions["kind"] == kind]
    called = ["defective" if score >= threshold else "good" for score in rows["score"]]
    counts = confusion(rows.assign(verdict=called))
    return {
        **{name: str(getattr(counts, name)) for name in ("tp", "fp", "tn", "fn")},
        "precision": DASH if counts.precision is None else f"{counts.precision:.3f}",
        "recall-share": f"{counts.recall:.3f}",
        "f1": f"{counts.f1:.3f}",
        "fpr-share": f"{counts.fpr:.3f}",
    }


def test_it_loads_without_a_complaint_or_a_request(opened: Opened, file: Path) -> None:
    assert opened.messages == []
    assert [url for url in opened.requests if not url.startswith("data:")] == [file.as_uri()]


def test_nothing_is_wider_than_the_window(opened: Opened) -> None:
    width = opened.page.evaluate("document.documentElement.clientWidth")
    assert opened.page.evaluate("document.documentElement.scrollWidth") <= width


def test_no_table_hides_columns(opened: Opened) -> None:
    """Those that are wider than the screen stand as lists, with the head of its column before every value."""
    hidden = "[...document.querySelectorAll('.scroll')].filter((one) => one.scrollWidth > one.clientWidth + 1).length"
    assert opened.page.evaluate(hidden) == 0
    narrow = opened.page.evaluate("document.documentElement.clientWidth") < 600
    heads = "[...document.querySelectorAll('#errors .stacked td')].map((cell) => cell.dataset.head)"
    assert ("false alarms" in opened.page.evaluate(heads)) == narrow


@pytest.mark.parametrize(
    "selector",
    [
        "header p, header h1, header li",
        "#figures .card h4, #figures .card p",
        "table th, table td",
        ".live h3, .live p, .live h4",
        ".rates-list dt, .rates-list dd",
        "figure svg text",
        ".example h4, .example p",
        "#maps figcaption, #maps h3",
    ],
)
def test_no_text_covers_another(opened: Opened, selector: str) -> None:
    boxes: list[dict[str, Any]] = opened.page.evaluate(BOXES, selector)
    assert boxes or selector.startswith("figure")
    for one, other in combinations(boxes, 2):
        if one["text"] in other["text"] or other["text"] in one["text"]:
            continue  # one inside the other
        wide = min(one["right"], other["right"]) - max(one["left"], other["left"])
        high = min(one["bottom"], other["bottom"]) - max(one["top"], other["top"])
        assert wide <= 1 or high <= 4, (one, other)  # glyphs are lower than their lines


@pytest.mark.parametrize("threshold", [1.5, 2.75, 3.3, 6.0])
def test_the_matrix_follows_an_exact_threshold(opened: Opened, content: ReportContent, threshold: float) -> None:
    page = opened.page
    page.fill("#exact", str(threshold))
    page.press("#exact", "Enter")
    assert parts(page) == expected(content, threshold)
    assert "Hindsight" in page.inner_text("#state")
    page.click("#rest")
    assert parts(page) == expected(content, THRESHOLD)


def test_the_slider_moves_by_the_keyboard_and_says_that_it_is_hindsight(opened: Opened, content: ReportContent) -> None:
    page = opened.page
    page.focus("#threshold")
    for _ in range(3):
        page.keyboard.press("PageUp")
    said = page.get_attribute("#threshold", "aria-valuetext") or ""
    assert said.endswith(", hindsight")
    assert parts(page) == expected(content, page.evaluate("state.threshold"))
    assert page.evaluate("state.threshold") > THRESHOLD
    page.click("#rest")
    assert page.get_attribute("#threshold", "aria-valuetext") == "3.000, calibrated"
    assert "At the calibrated threshold" in page.inner_text("#state")


def test_the_gallery_follows(opened: Opened, content: ReportContent) -> None:
    page = opened.page
    page.fill("#exact", "2.0")
    page.press("#exact", "Enter")
    rows = content.predictions
    missed = rows[(rows["label_index"] == 1) & (rows["score"] < 2.0)].sort_values("score")
    alarms = rows[(rows["label_index"] == 0) & (rows["score"] >= 2.0)].sort_values("score", ascending=False)
    for strip, expected_rows in (("#strip-miss", missed), ("#strip-alarm", alarms)):
        shown = page.eval_on_selector_all(f"{strip} figure", "tiles => tiles.map((tile) => tile.title.split(':')[0])")
        assert shown == expected_rows["name"].tolist()[:10]
    page.click("#rest")


def test_a_kind_can_be_looked_at_alone(opened: Opened, content: ReportContent) -> None:
    page = opened.page
    page.select_option("#scope", "1")
    assert parts(page) == expected(content, THRESHOLD, "M4")
    page.select_option("#scope", "0")
    assert parts(page) == expected(content, THRESHOLD)


def test_a_mark_of_the_map_shows_its_picture(opened: Opened, content: ReportContent) -> None:
    page = opened.page
    page.focus(".map svg")
    page.keyboard.press("ArrowRight")
    lowest = content.predictions.sort_values(["score", "name"])["name"].iloc[0]
    assert page.inner_text("#peek p").startswith(lowest)
    page.evaluate("document.activeElement.blur()")
    assert page.is_hidden("#peek")


def test_it_prints_the_calibrated_decision_on_few_pages(browser: Browser, file: Path, content: ReportContent) -> None:
    page = browser.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.goto(file.as_uri())
    page.click("#try > summary")
    page.wait_for_selector("#strip-near canvas")
    page.fill("#exact", "1.0")
    page.press("#exact", "Enter")
    printed = page.pdf(prefer_css_page_size=True)
    assert printed.startswith(b"%PDF")
    assert 2 <= printed.count(b"/Type /Page\n") + printed.count(b"/Type /Page ") <= 5
    assert len(printed) < 10_000_000
    assert parts(page) == expected(content, THRESHOLD)
    page.close()


def test_a_small_report_is_short_until_it_is_unfolded_and_a_link_unfolds(browser: Browser, file: Path) -> None:
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(file.as_uri())
    assert page.evaluate("document.documentElement.scrollHeight") <= 5 * 900
    assert page.is_hidden("#data table")
    page.click('nav a[href="#data"]')
    page.wait_for_selector("#data table", state="visible")  # the script unfolds it after the click
    page.close()
