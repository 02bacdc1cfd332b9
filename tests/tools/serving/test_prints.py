"""Print jobs in a browser: layers in order from a table of verdicts, what people say of them, and what came of it."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tools.cli import main

from .conftest import serving
from .test_page import MEDIUM, NARROW, until, visiting

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from .conftest import Running


@pytest.fixture(scope="module")
def table(printed: Path) -> str:
    """The address of a table with the verdicts of the third job."""
    url = f"sqlite:///{printed / 'results.db'}"
    keys = [f"run={printed / 'runs/print/one'}", f"source={printed / 'new'}", f"out={printed / 'judged'}"]
    assert main(["predict", *keys, f"table={url}"]) == 0
    return url


def verdicts_in(printed: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(printed / "results.db")) as database:
        return list(database.execute("SELECT layer, verdict FROM verdicts ORDER BY layer"))


def test_predictions_say_machine_job_build_and_layer(printed: Path, table: str) -> None:
    del table
    rows = list(csv.DictReader((printed / "judged" / "predictions.csv").open()))
    assert [int(row["layer"]) for row in rows] == list(range(1, 13))
    assert {(row["machine"], row["job"], row["build"]) for row in rows} == {("machine_2", "job_9", "machine_2/job_9")}
    line = json.loads((printed / "judged" / "predictions.jsonl").read_text().splitlines()[0])
    assert (line["machine"], line["job"], line["layer"]) == ("machine_2", "job_9", 1)


def test_a_bundle_says_where_layers_belong_as_its_run_does(printed: Path, bundled: Path) -> None:
    keys = [f"bundle={bundled}", f"source={printed / 'new/machine_2/job_9'}", f"out={printed / 'by_bundle'}"]
    assert main(["predict", *keys]) == 0
    rows = list(csv.DictReader((printed / "by_bundle" / "predictions.csv").open()))
    assert {(row["machine"], row["job"]) for row in rows} == {("machine_2", "job_9")}
    assert [int(row["layer"]) for row in rows] == list(range(1, 13))


@pytest.mark.parametrize(("size", "dark"), [(MEDIUM, False), (NARROW, True)])
def test_a_job_shows_layers_in_order_and_suspects_between_their_neighbours(
    browser: Browser, printed: Path, bundled: Path, table: str, tmp_path: Path, size: dict[str, int], dark: bool
) -> None:
    flagged = [number for number, verdict in verdicts_in(printed) if verdict == "defective"]
    assert set(flagged) >= {7, 8}
    model = f"bundle={bundled}" if dark else f"run={printed / 'runs/print/one'}"
    keys = (model, f"table={table}", "layers={job_9: 24}", "layer_um=50")
    with serving(tmp_path, *keys) as server, visiting(browser, server, "/jobs", size, dark=dark) as page:
        assert "Layer 12 of 24 (50 %)" in page.inner_text("main")
        page.click("a.job")
        page.locator("h1", has_text="job_9").wait_for()
        numbers = page.locator(".layer-list tbody td:first-child").all_inner_texts()
        assert [int(text) for text in numbers] == list(range(1, 13))
        assert page.locator(".trio").count() == len(flagged)
        trio = page.locator(".trio").nth(flagged.index(8))
        captions = trio.locator("figcaption").all_inner_texts()
        assert [caption.split(":")[0].split(" ")[-1] for caption in captions[1:2]] == ["8"]
        assert "layer 7:" in captions[0]
        assert "layer 9:" in captions[2]
        trio.scroll_into_view_if_needed()
        until(page, "[...document.querySelectorAll('.trio img')].some(one => one.naturalWidth > 0)")
        assert page.locator(".over-height svg").count() == 2
        assert "height in mm" in page.locator(".over-height").inner_text()
        assert page.evaluate("document.documentElement.scrollWidth") == size["width"]


def test_what_people_say_is_kept_and_counted_by_day(
    browser: Browser, printed: Path, bundled: Path, table: str, tmp_path: Path
) -> None:
    flagged = [number for number, verdict in verdicts_in(printed) if verdict == "defective"]
    today = datetime.now(UTC).date()
    with (
        serving(tmp_path, f"bundle={bundled}", f"table={table}") as server,
        visiting(browser, server, "/job?machine=machine_2&job=job_9") as page,
    ):
        page.fill("#by", "Ada")
        page.locator(".trio").nth(0).locator("[data-say=defective]").click()
        page.locator(".trio .say", has_text="Ada says: defective").wait_for()
        page.locator(".trio").nth(1).locator("[data-say=good]").click()
        page.locator(".trio .say", has_text="Ada says: good").wait_for()
        page.reload()
        assert page.locator(".trio .say", has_text="Ada says: defective").count() == 1
        page.goto(f"{server.address}/history")
        page.fill("input[name=from]", str(today - timedelta(days=1)))
        page.click("button")
        page.wait_for_url("**/history?from=*")
        said = page.inner_text("main")
        assert (
            f"12 images, {len(flagged)} flagged: 1 confirmed, 1 false alarms, {len(flagged) - 2} not looked at" in said
        )
        counted = list(csv.DictReader(io.StringIO(server.get("/history.csv").body.decode())))
        assert [row["confirmed"] for row in counted] == ["1"]
        past = f"/history.csv?from={today - timedelta(days=9)}&to={today - timedelta(days=5)}"
        assert len(server.get(past).body.decode().splitlines()) == 1
        for wrong in ("from=tomorrow", f"from={today}&to={today - timedelta(days=1)}"):
            answer = server.get(f"/history?{wrong}")
            assert (answer.status, answer.json["error"][:8]) == (422, "Expected")
        assert server.ask("POST", "/confirm/99999", b"label=good", FORM).status == 404
        assert server.ask("POST", "/confirm/1", b"label=perhaps", FORM).status == 422


FORM = {"Content-Type": "application/x-www-form-urlencoded"}


def test_layers_that_are_printed_while_it_runs_join_their_job(printed: Path, bundled: Path, tmp_path: Path) -> None:
    watched, url = tmp_path / "watched", f"sqlite:///{tmp_path / 'live.db'}"
    (watched / "machine_5" / "job_77").mkdir(parents=True)
    keys = (f"bundle={bundled}", f"watch={watched}", f"table={url}")
    with serving(tmp_path, *keys) as server:
        for number in (1, 2, 3):
            shutil.copy(
                printed / f"new/machine_2/job_9/layer_{number:03}.png", watched / f"machine_5/job_77/layer_{number}.png"
            )
        ends = time.monotonic() + 60
        while "3 layers judged" not in (text := server.get("/job?machine=machine_5&job=job_77").body.decode()):
            assert time.monotonic() < ends, text
            time.sleep(0.2)


def test_without_a_table_pages_say_how_to_get_one(server: Running) -> None:
    answer = server.get("/jobs")
    assert (answer.status, "table=sqlite" in answer.json["error"]) == (404, True)
    assert b"/jobs" not in server.get("/").body


def test_layers_of_no_image_say_so(printed: Path, bundled: Path, table: str, tmp_path: Path) -> None:
    with serving(tmp_path, f"bundle={bundled}", f"table={table}") as server:
        assert server.get("/layer/1.webp").headers["content-type"] == "image/webp"
        assert server.get("/layer/99999.webp").status == 404
        assert server.get("/job?job=nobody").status == 404
        with closing(sqlite3.connect(printed / "results.db")) as database:
            database.execute(
                "INSERT INTO verdicts (time, model, model_sha256, folder, image_path, layer, verdict) "
                "VALUES ('2026-01-01 00:00:00', 'm', '', '', '/etc/passwd', 1, 'good')"
            )
            database.commit()
            ((number,),) = database.execute("SELECT max(id) FROM verdicts")
        assert server.get(f"/layer/{number}.webp").status == 404
        with closing(sqlite3.connect(printed / "results.db")) as database:
            database.execute("DELETE FROM verdicts WHERE id = ?", (number,))
            database.commit()
