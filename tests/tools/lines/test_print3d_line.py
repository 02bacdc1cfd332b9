"""``loupe predict line=print3d``: layers judged by a run or its bundle, and a page for each job."""

from __future__ import annotations

import csv
import re
import shutil
from typing import TYPE_CHECKING

import pytest

from tests.tools.serving.conftest import PITS, TRAIN, draw_job, layer, png
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on layers of four jobs; beside it, two jobs that nobody has judged in ``new``."""
    root = tmp_path_factory.mktemp("line")
    for number in range(48):
        defect = number % 8 == 7
        folder = root / "prints" / ("defective" if defect else "good") / "machine_1" / f"job_{number % 4}"
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"layer_{number:03}.png").write_bytes(png(layer(2 * number + defect)))
    draw_job(root / "new" / "machine_2" / "job_9")
    draw_job(root / "new" / "machine_3" / "job_10")
    (root / "new" / "machine_3" / "job_10" / "layer_005.png").unlink()
    keys = ["model=conv_ae_small", "model.widths=[16,16]", "trainer.max_epochs=2", f"data.root={root / 'prints'}"]
    words = [word for word in TRAIN if word != "data=folder"]
    assert main(["train", "data=print3d", *words, *keys, f"out={root / 'runs'}", "name=print", "id=one"]) == 0
    return root / "runs" / "print" / "one"


def judge(run: Path, out: Path, *keys: str) -> int:
    source = run.parents[2] / "new"
    return main(["predict", "line=print3d", f"run={run}", f"source={source}", f"out={out}", "layers=24", *keys])


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_jobs_have_their_layers_in_order(run: Path, tmp_path: Path) -> None:
    assert judge(run, tmp_path / "out", "layer_um=50") == 0
    first, second = rows_of(tmp_path / "out" / "jobs.csv")
    assert (first["machine"], first["job"], first["layers"], first["newest"]) == ("machine_2", "job_9", "12", "12")
    assert (second["job"], second["layers"], second["missing"]) == ("job_10", "11", "1")
    flagged = [row for row in rows_of(tmp_path / "out" / "predictions.csv") if row["verdict"] == "defective"]
    assert sum(row["job"] == "job_9" for row in flagged) == int(first["potential_defects"])
    page = (tmp_path / "out" / "jobs" / "machine_2_job_9.html").read_text()
    assert set(map(int, re.findall(r"<h3>Layer (\d+), ", page))) == {
        int(row["layer"]) for row in flagged if row["job"] == "job_9"
    }
    assert "Layer 12 of 24 (50 %), 12 layers judged" in page
    listed = [int(text) for text in re.findall(r'<tr><td class="n">(?:<a[^>]*>)?(\d+)', page)]
    assert listed == list(range(1, 13))


def test_its_pages_ask_nobody_and_fit_a_phone(browser: Browser, run: Path, tmp_path: Path) -> None:
    assert judge(run, tmp_path / "out") == 0
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto((tmp_path / "out" / "index.html").as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    page.click("text=job_9")
    page.locator("h1", has_text="job_9").wait_for()
    suspects = page.locator(".trio").count()
    assert suspects >= len(PITS) // 2
    page.locator(".trio").last.scroll_into_view_if_needed()
    page.wait_for_function("[...document.querySelectorAll('.trio img')].some(one => one.naturalWidth > 0)")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert [url for url in asked if not url.startswith(("file:", "data:"))] == []
    assert said == []
    context.close()


def test_an_interrupted_call_goes_on_and_a_bundle_says_the_same(run: Path, tmp_path: Path) -> None:
    assert judge(run, tmp_path / "out") == 0
    record = (tmp_path / "out" / "predictions.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "out" / "predictions.jsonl").write_text("".join(record[:5]) + record[5][:20])
    shutil.rmtree(tmp_path / "out" / "jobs")
    assert judge(run, tmp_path / "out") == 0
    assert len(rows_of(tmp_path / "out" / "predictions.csv")) == 23
    assert (tmp_path / "out" / "jobs" / "machine_3_job_10.html").is_file()
    assert main(["export", f"run={run}", f"out={tmp_path / 'bundle'}", "pictures=4", "samples=1"]) == 0
    keys = [f"bundle={tmp_path / 'bundle'}", f"source={run.parents[2] / 'new'}", f"out={tmp_path / 'again'}"]
    assert main(["predict", "line=print3d", *keys, "layers=24"]) == 0
    assert rows_of(tmp_path / "again" / "jobs.csv") == rows_of(tmp_path / "out" / "jobs.csv")


def test_mistakes_are_told(run: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["predict", "line=print3d", f"source={run.parents[2] / 'new'}", f"out={tmp_path / 'a'}"]) != 0
    assert "Expected run= or bundle=, one of both" in capfd.readouterr().err
    assert judge(run, tmp_path / "b", "layer_um=0") != 0
    assert "Expected layer_um to be above 0" in capfd.readouterr().err
