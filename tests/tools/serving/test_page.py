"""The page, driven in a browser as people drive it: nothing foreign is asked, nothing is said in the console."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from tests.browsing import opened

from .conftest import layer, png, serving
from .test_api import huge_png, predicted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, Locator, Page, Route

    from .conftest import Running

MEDIUM = {"width": 1280, "height": 1000}
NARROW = {"width": 390, "height": 844}


@contextmanager
def visiting(
    browser: Browser, server: Running, path: str = "/", size: dict[str, int] = MEDIUM, *, dark: bool = False
) -> Iterator[Page]:
    """Open a page as a person of their own; at the end, nothing foreign was asked and the console is empty."""
    with opened(browser, server.address, path, size, dark=dark) as page:
        yield page
        page.wait_for_load_state("networkidle")


def drop(page: Page, files: list[Path]) -> None:
    """Choose files, and wait until all are judged."""
    page.set_input_files("#files", files)
    page.wait_for_selector("#progress[hidden]", state="attached", timeout=120_000)
    page.wait_for_selector("#table tbody tr")


def open_row(page: Page, name: str) -> Locator:
    """Open an image, and wait until it is shown whole."""
    page.locator("#table tbody tr", has_text=name).click()
    page.locator("#shown h3", has_text=name).wait_for()
    page.wait_for_load_state("networkidle")
    return page.locator("#shown")


def until(page: Page, expression: str) -> None:
    """Wait until something holds in a page, whose policy forbids Playwright's own way to do that."""
    for _ in range(300):
        if page.evaluate(expression):
            return
        page.wait_for_timeout(100)
    raise AssertionError(expression)


def natural_widths(shown: Locator, selector: str) -> list[int]:
    found: list[int] = shown.locator(selector).evaluate_all("images => images.map(one => one.naturalWidth)")
    return found


def test_one_image_with_all_that_is_known_of_it(
    browser: Browser, server: Running, bundle: Path, layers: list[Path], tmp_path: Path
) -> None:
    path = layers[7]
    row = predicted(tmp_path / "told", f"bundle={bundle}", [path])[path.name]
    with visiting(browser, server) as page:
        drop(page, [path])
        assert page.inner_text("#counts") == "1 defective, 0 good"
        started = time.monotonic()
        shown = open_row(page, path.name)
        assert time.monotonic() - started < 20  # a second where nothing else runs: see the benchmark
        assert shown.locator(".big").inner_text() == "Defective"
        assert f"Score {row['score']:.5g}, threshold {row['threshold']:.5g}" in shown.inner_text()
        assert shown.locator(".defects tbody tr").count() == len(row["defects"]) > 0
        assert natural_widths(shown, ".filters img") == [16] * 16
        assert natural_widths(shown, ".views img") == [64] * 3
        assert natural_widths(shown, "#layers img")[0] == 70
        assert shown.locator("#map").evaluate("one => getComputedStyle(one).opacity") == "0.6"
        shown.locator("#opacity").fill("25")
        assert shown.locator("#map").evaluate("one => getComputedStyle(one).opacity") == "0.25"
        shown.locator("#outlines").uncheck()
        assert not shown.locator("#outline").is_visible()
        with page.expect_download() as download:
            page.click("#json")
        (saved,) = json.loads(Path(download.value.path()).read_text())
        assert (saved["image"], saved["score"], saved["threshold"]) == (path.name, row["score"], row["threshold"])
        assert "id" not in saved
        page.click("[data-close]")
        assert shown.inner_text() == ""


def test_two_hundred_images_and_what_cannot_be_judged(browser: Browser, server: Running, tmp_path: Path) -> None:
    folder = tmp_path / "lot"
    folder.mkdir()
    for seed in range(200):
        (folder / f"layer_{seed:03}.png").write_bytes(png(layer(seed)))
    (folder / "broken.png").write_bytes(png(layer(0))[:300])
    (folder / "notes.txt").write_text("no image")
    (folder / "bomb.png").write_bytes(huge_png(40_000, 25_000))
    (folder / "=cmd.png").write_bytes(png(layer(1)))
    with visiting(browser, server) as page:
        drop(page, sorted(folder.iterdir()))
        counts = re.fullmatch(r"(\d+) defective, (\d+) good, 3 not judged", page.inner_text("#counts"))
        assert counts is not None
        assert sum(map(int, counts.groups())) == 201
        rows = page.locator("#table tbody tr")
        assert rows.count() == 204
        scores = [float(text) for text in rows.locator("td:nth-child(4)").all_inner_texts() if text]
        assert scores == sorted(scores, reverse=True)
        page.select_option("#filter", "failed")
        rows.nth(2).wait_for()
        page.wait_for_timeout(100)
        assert rows.count() == 3
        assert "1000 megapixels, more than the 100 that are allowed" in page.inner_text("#table")
        shown = open_row(page, "notes.txt")
        assert "Not judged" in shown.inner_text()
        with page.expect_download() as download:
            page.click("#csv")
        table = list(csv.DictReader(io.StringIO(Path(download.value.path()).read_text())))
        assert table[0]["image_path"] == "'=cmd.png"
        assert len(table) == 204
        assert sum(row["verdict"] == "defective" for row in table) == int(counts[1])


def test_two_people_at_once_see_their_own(browser: Browser, server: Running, layers: list[Path]) -> None:
    with visiting(browser, server) as one, visiting(browser, server) as other:
        one.set_input_files("#files", layers[:20])
        other.set_input_files("#files", layers[20:])
        for page in (one, other):
            page.wait_for_selector("#progress[hidden]", state="attached", timeout=60_000)
        for page, mine in ((one, layers[:20]), (other, layers[20:])):
            names = page.locator("#table tbody tr td:nth-child(2)").all_inner_texts()
            assert sorted(name.split("\n")[0] for name in names) == [path.name for path in mine]
    assert server.get("/shown/AAAAAAAAAAAAAAAAAAAAAA").status == 404
    assert server.get("/shown/AAAAAAAAAAAAAAAAAAAAAA/image.webp").status == 404


def test_a_slow_connection_shows_how_far_it_is(browser: Browser, server: Running, layers: list[Path]) -> None:
    with visiting(browser, server) as page:
        session = page.context.new_cdp_session(page)
        slow = {"offline": False, "latency": 300, "downloadThroughput": 40_000, "uploadThroughput": 20_000}
        session.send("Network.enable")
        session.send("Network.emulateNetworkConditions", slow)
        page.set_input_files("#files", layers[:12])
        page.locator("#counts", has_text=re.compile(r"[1-9]\d* to go")).wait_for()
        page.wait_for_selector("#progress[hidden]", state="attached", timeout=60_000)
        assert "not judged" not in page.inner_text("#counts")


def test_a_server_that_goes_is_told(browser: Browser, bundle: Path, layers: list[Path], tmp_path: Path) -> None:
    with serving(tmp_path / "going", f"bundle={bundle}") as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.address)
        server.process.terminate()
        server.process.wait(30)
        page.set_input_files("#files", layers[:1])
        page.locator("#table", has_text="could not be sent: the server does not answer").wait_for()
        context.close()


def test_the_page_fits_a_phone(browser: Browser, server: Running, layers: list[Path]) -> None:
    for dark in (False, True):
        with visiting(browser, server, size=NARROW, dark=dark) as page:
            drop(page, layers[:4])
            open_row(page, layers[1].name)
            assert page.evaluate("document.documentElement.scrollWidth") == NARROW["width"]


def test_keys_go_from_image_to_image(browser: Browser, server: Running, layers: list[Path]) -> None:
    with visiting(browser, server) as page:
        drop(page, layers[:4])
        page.select_option("#order", "name")
        page.wait_for_timeout(100)
        page.locator("#table tbody tr").first.focus()
        page.keyboard.press("Enter")
        page.locator("#shown h3", has_text=layers[0].name).wait_for()
        page.keyboard.press("ArrowDown")
        page.locator("#shown h3", has_text=layers[1].name).wait_for()


def test_images_chosen_before_the_script_runs_are_judged(browser: Browser, server: Running, layers: list[Path]) -> None:
    page = browser.new_page()
    held: list[Route] = []
    page.route("**/static/serve.js", lambda route: held.append(route))  # noqa: PLW0108 - Playwright wants a function of Python
    page.goto(server.address, wait_until="commit")
    page.set_input_files("#files", layers[:1])
    while not held:
        page.wait_for_timeout(20)
    held[0].continue_()
    page.wait_for_selector("#table tbody tr")
    page.wait_for_selector("#progress[hidden]", state="attached")
    assert page.inner_text("#counts") == "0 defective, 1 good"
    page.close()


def test_a_token_lets_a_browser_in(browser: Browser, bundle: Path, layers: list[Path], tmp_path: Path) -> None:
    with serving(tmp_path / "guarded", f"bundle={bundle}", "token=open-sesame") as server:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.address)
        assert page.url.endswith("/login")
        page.fill("input[name=token]", "wrong-token")
        page.click("button")
        page.get_by_text("Expected the server's token").wait_for()  # a click does not wait for the page it leads to
        page.fill("input[name=token]", "open-sesame")
        page.click("button")
        drop(page, layers[:1])
        assert page.inner_text("#counts") == "0 defective, 1 good"
        (cookie,) = context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert "open-sesame" not in cookie["value"]
        context.close()


def test_a_watched_folder_shows_the_newest_verdict_large(
    browser: Browser, bundle: Path, layers: list[Path], tmp_path: Path
) -> None:
    watched = tmp_path / "watched"
    watched.mkdir()
    shutil.copy(layers[0], watched / "old.png")
    with (
        serving(tmp_path / "watching", f"bundle={bundle}", f"watch={watched}") as server,
        visiting(browser, server, "/watch") as page,
    ):
        assert page.inner_text("#word") == "Waiting for an image"
        shutil.copy(layers[7], watched / "pit.png")
        page.locator("#word", has_text="Defective").wait_for()
        assert page.get_attribute("#watch", "data-verdict") == "fail"
        assert float(page.locator("#word").evaluate("one => parseFloat(getComputedStyle(one).fontSize)")) > 100
        shutil.copy(layers[2], watched / "fine.png")
        page.locator("#word", has_text="Good").wait_for()
        assert "fine.png" in page.inner_text("#what")
        assert "pit.png: defective" in page.inner_text("#recent")
        assert "old.png" not in page.inner_text("#recent")
        (watched / "torn.png").write_bytes(b"nothing")
        page.locator("#word", has_text="Not judged").wait_for()
