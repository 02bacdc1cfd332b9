"""The page, driven by keyboard as an inspector drives it, over servers that really run, and are really killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.conftest import draw_plate
from tests.tools.labelling.driving import (
    MAPS,
    OTHER,
    REDDER,
    SHOWN,
    Labelling,
    labelling,
    predictions,
    press,
    started,
    visiting,
)
from tools.cli import main
from tools.labelling.journal import JOURNAL

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser


pytest.importorskip("fastapi")


def test_a_key_is_a_verdict_and_the_nearest_image_is_next(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 12)
    with labelling(tmp_path / "set", "types=[scratch,pit]") as server, visiting(browser, server) as page:
        assert [press(page, key)[0] for key in ("g", "d", "2", "r", "u")] == order[:5]
        state = server.journal()
        said = [(label.mark.verdict, label.mark.type) for name in order[:5] if (label := state.label(name))]
        assert said == [("good", ""), ("defective", ""), ("defective", "pit"), ("rework", ""), ("unsure", "")]
        page.get_by_text("7 to go of 12, 1 good, 2 defective, 1 rework, 1 unsure").wait_for()
        page.fill("#type", "chip")
        page.press("#type", "Enter")
        page.wait_for_function(SHOWN, arg=order[6])
        assert page.locator("#types button").all_inner_texts() == ["scratch 1", "pit 2", "chip 3"]
        page.locator("button[data-key=g]").click()  # as a finger does
        page.wait_for_function(SHOWN, arg=order[7])
    table = list(csv.DictReader((tmp_path / "set" / "labels" / "labels.csv").open(encoding="utf-8")))
    assert sorted(row["label"] for row in table) == ["defective"] * 3 + ["good"] * 2 + ["rework", "unknown"]


def test_undo_and_redo_go_to_their_images_twenty_deep(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 24)
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        for key in "gd" * 10:
            press(page, key)
        before = {name: str(label) for name in order if (label := server.journal().label(name))}
        for name in reversed(order[:20]):
            page.keyboard.press("Control+z")
            page.wait_for_function(SHOWN, arg=name)
        assert server.journal().images() == []
        for name in order[:20]:
            page.keyboard.press("y")
            page.wait_for_function(SHOWN, arg=name)
            page.locator("#said", has_text="says Ada").wait_for()
        page.get_by_text("4 to go of 24, 10 good, 10 defective").wait_for()
        state = server.journal()
        verdicts = [str(label.mark.verdict) for name in order[:20] if (label := state.label(name))]
        assert verdicts == ["good", "defective"] * 10
        assert set(before) == set(state.images())


def kill_and_start_again(server: Labelling, source: Path) -> Labelling:
    """Take the server away as a power failure does, and start it at the same address."""
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    return started(source, server.port, "random=0")


def inspect(browser: Browser, source: Path, count: int, kills: set[int]) -> None:
    """Give so many verdicts by keyboard, with the server killed before some: none is lost, none is there twice."""
    order = predictions(source, count + 3)
    server = started(source, 0, "random=0")
    try:
        context = browser.new_context()
        page = context.new_page()
        page.goto(server.address)
        page.wait_for_selector("canvas[data-image]")
        keys = [str(key) for key in np.random.default_rng(1).choice(list("gdru"), count)]
        for number, key in enumerate(keys):
            if number in kills:
                server = kill_and_start_again(server, source)
            assert press(page, key)[0] == order[number]
        context.close()
        lines = [json.loads(line) for line in (source / "labels" / JOURNAL).read_text(encoding="utf-8").splitlines()]
        words = {"g": "good", "d": "defective", "r": "rework", "u": "unsure"}
        assert [(line["image"], line["to"]["verdict"]) for line in lines] == [
            (name, words[key]) for name, key in zip(order, keys, strict=False)
        ]
    finally:
        server.process.kill()
        server.process.wait()


def test_nothing_is_lost_or_there_twice_when_the_server_is_killed(browser: Browser, tmp_path: Path) -> None:
    inspect(browser, tmp_path / "set", 12, {3, 4, 9})


@pytest.mark.slow
def test_a_hundred_verdicts_with_a_kill_between_any_two(browser: Browser, tmp_path: Path) -> None:
    inspect(browser, tmp_path / "set", 100, set(range(1, 100)))


ASK = """() => {
  const place = performance.getEntriesByType("resource").find(({ name }) => name.includes("sending")).name;
  return import(place).then(({ ask }) => { ask("/nothing", {}); return true; });
}"""


def test_a_verdict_is_said_to_a_server_that_is_away_and_kept_when_it_is_back(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 5)
    server = started(tmp_path / "set", 0, "random=0")
    page = browser.new_page()
    page.goto(server.address)
    page.wait_for_selector("canvas[data-image]")
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    page.keyboard.press("d")
    assert page.evaluate(ASK)
    page.get_by_text("What you said is kept here").wait_for()
    for _ in range(12):  # questions that nobody answers either do not talk it down
        assert "What you said is kept here" in str(page.text_content("#lost"))
        page.wait_for_timeout(100)
    page.keyboard.press("g")  # nothing: the image before the inspector has its verdict
    assert page.get_attribute("#canvas", "data-image") == order[0]
    server = started(tmp_path / "set", server.port, "random=0")
    page.wait_for_function(SHOWN, arg=order[1])
    assert page.locator("#lost").is_hidden()
    assert server.journal().verdicts_of("Ada") == {order[0]: "defective"}
    page.close()
    server.process.kill()
    server.process.wait()


def test_two_inspectors_at_once_get_different_images(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 30)
    with (
        labelling(tmp_path / "set") as server,
        visiting(browser, server) as one,
        visiting(browser, server) as two,
    ):
        two.fill("#by", "Bo")
        two.press("#by", "Enter")
        two.wait_for_function(OTHER, arg=order[0])
        seen = {"Ada": [press(one, "g")[0]], "Bo": []}
        for _ in range(8):
            seen["Bo"].append(press(two, "d")[0])
            seen["Ada"].append(press(one, "g")[0])
        assert not set(seen["Ada"]) & set(seen["Bo"])
        state = server.journal()
        for by, verdict in (("Ada", "good"), ("Bo", "defective")):
            assert state.verdicts_of(by) == dict.fromkeys(seen[by], verdict)
        two.keyboard.press("z")
        two.wait_for_function(SHOWN, arg=seen["Bo"][-1])
        assert len(server.journal().verdicts_of("Ada")) == 9


def test_a_blind_second_pass_and_its_disagreements(browser: Browser, tmp_path: Path) -> None:
    order = predictions(tmp_path / "set", 6)
    with labelling(tmp_path / "set") as server, visiting(browser, server) as page:
        for key in "ggdgu":
            press(page, key)
        page.keyboard.press("g")
        page.get_by_text("Every image is labelled").wait_for()
        page.fill("#by", "Bo")
        page.press("#by", "Enter")
        page.select_option("#which", "second")
        page.wait_for_selector("canvas[data-image]")
        for _ in range(6):
            assert "good" not in page.inner_text("#said").replace("called good", "")
            name = str(page.get_attribute("#canvas", "data-image"))
            page.keyboard.press("d" if name == order[0] else "g")
            page.wait_for_function(OTHER, arg=name)
        page.get_by_text("nothing more to look at a second time").wait_for()
        page.select_option("#which", "settle")
        page.wait_for_selector("canvas[data-image]")
        assert "Ada: good; Bo: defective" in page.inner_text("#said") or "Ada: defective; Bo: good" in page.inner_text(
            "#said"
        )
        press(page, "g")
        page.keyboard.press("g")
        page.get_by_text("Nobody disagrees on anything").wait_for()
        page.click("#more")
        page.get_by_text("Ada and Bo both decided 5 images and agree on 60 %").wait_for()


def test_a_second_server_of_one_set_is_refused(tmp_path: Path) -> None:
    predictions(tmp_path / "set", 3)
    with labelling(tmp_path / "set"):
        command = [sys.executable, "-m", "loupe", "label", f"source={tmp_path / 'set'}", "port=0"]
        second = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert second.returncode == 2
    assert "several people use one page: open it, and type your name there" in second.stderr


def test_one_key_lets_the_model_learn_a_false_alarm_and_its_like_is_accepted(browser: Browser, tmp_path: Path) -> None:
    root, other = tmp_path / "plates", tmp_path / "other"
    for index in range(26):
        kind = "pit" if index >= 20 else "good"
        (root / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(root / kind / f"{index:03}.png"), draw_plate(index, pit=index >= 20)[0])
    words = [f"data.root={root}", "data.image_size=[64,64]", "model=patchcore", "trainer=cpu", "data.num_workers=0"]
    assert main(["train", *words, "report=false", f"out={tmp_path}", "name=runs", "id=one"]) == 0
    run = tmp_path / "runs" / "one"
    other.mkdir()
    for index in range(4):
        values = draw_plate(900 + index, pit=False)[0].astype(np.float64)
        striped = values + 90 * (np.arange(values.shape[1]) // 4 % 2).reshape(1, -1, *[1] * (values.ndim - 2))
        assert cv2.imwrite(str(other / f"s{index}.png"), striped.clip(0, 255).astype(np.uint8))
    judge = ["predict", f"run={run}", f"source={other}", "overlay=none", "mask=none", "page=0"]
    assert main([*judge, f"out={other / 'predictions'}"]) == 0
    was = pd.read_csv(other / "predictions" / "predictions.csv")
    assert set(was["verdict"]) == {"defective"}
    with labelling(other / "predictions", f"run={run}") as server, visiting(browser, server) as page:
        page.wait_for_function(MAPS, arg=3, timeout=60000)  # of this image, and of the next two
        page.keyboard.press("m")
        page.keyboard.press("a")
        page.wait_for_function(REDDER, timeout=60000)
        page.keyboard.press("x")
        shown, _ = press(page, "l")
        page.wait_for_function(
            "() => document.getElementById('learnt').textContent.includes('1 added')", timeout=120000
        )
        label = server.journal().label(shown)
        assert label is not None
        assert label.mark.verdict == "good"
    assert main([*judge, f"out={other / 'again'}"]) == 0
    now = pd.read_csv(other / "again" / "predictions.csv")
    assert (now["score"] < 0.7 * was["score"]).all()
    noted = [json.loads(line) for line in (run / "learnt.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(one["verb"], one["by"], len(one["images"])) for one in noted] == [("extend", "Ada", 1)]
