"""Streams of images to files: every row whole, none lost, none twice, in memory that does not grow."""

from __future__ import annotations

import csv
import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.predicting import Options, predict, require_all
from tools.runner.result import Prediction
from tools.runner.specification import BundleError
from tools.runner.stream import in_batches, read_ahead

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datamodules.files.images import Array

ROOT = Path(__file__).resolve().parents[3]
PLAIN = {"min_area": 0, "low": None, "erode": 0, "usual": 0.0}


def thresholds(image: float = 0.5, pixel: float = 0.5) -> dict[str, object]:
    return {
        "image": {"all": {"value": image}},
        "pixel": {"all": {"value": pixel}},
        "regions": PLAIN,
        "probability": None,
        "map_range": [0.0, 1.0],
    }


def by_brightness(image_B3HW: Array) -> Prediction:
    """A detector of bright images: a judge needs no network."""
    return Prediction(image_B3HW.mean(axis=(1, 2, 3)), image_B3HW.mean(axis=1))


def make_judge(**changes: float) -> Judge:
    return Judge(by_brightness, Decision(thresholds(**changes)), (16, 16), None, {"judge": "brightness"})


def grey(height: int, width: int, value: int) -> Array:
    """One grey, but for a pixel: an image of one colour throughout is refused."""
    values = np.full((height, width), value, np.uint8)
    values[0, 0] += 1
    return values


def write_pictures(root: Path, count: int, broken_every: int = 0) -> Path:
    root.mkdir(parents=True)
    for index in range(count):
        path = root / f"{index:05}.png"
        if broken_every and index % broken_every == broken_every - 1:
            path.write_bytes(b"\x89PNG\r\n\x1a\n no picture")
        else:
            cv2.imwrite(str(path), grey(20, 24, 40 + 20 * (index % 10)))
    return root


def rows_of(folder: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_every_picture_has_one_row_in_order(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "in", 30, broken_every=10)
    summary = predict(
        make_judge(), [str(source)], tmp_path / "out", Options(batch_size=7, overlays="all", masks="defective")
    )
    assert (summary.images, summary.failed) == (30, 3)
    rows = rows_of(tmp_path / "out")
    assert [row["image_path"] for row in rows] == [str(path) for path in sorted(source.iterdir())]
    with (tmp_path / "out" / "predictions.csv").open(newline="") as stream:
        table = list(csv.DictReader(stream))
    assert [row["image_path"] for row in table] == [row["image_path"] for row in rows]
    for row in table:
        assert (row["verdict"] == "") == (row["error"] != "")
        assert row["error"] or (float(row["score"]) >= float(row["threshold"])) == (row["verdict"] == "defective")
    defective = [row for row in rows if row.get("verdict") == "defective"]
    assert summary.defective == len(defective) > 0
    assert len(list((tmp_path / "out" / "overlays").glob("*.png.jpg"))) == 27
    masks = sorted((tmp_path / "out" / "masks").glob("*.png.png"))
    assert len(masks) == len(defective)
    mask = cv2.imread(str(masks[0]), cv2.IMREAD_UNCHANGED)
    assert mask is not None
    assert mask.shape == (20, 24)  # as large as the image


def test_regions_are_in_pixels_of_the_picture() -> None:
    values = np.zeros((32, 64), np.uint8)
    values[8:16, 40:48] = 255
    result = make_judge()(values)
    assert len(result.regions) == 1
    region = result.regions[0]
    assert tuple(region.box) == pytest.approx((40, 8, 48, 16))
    assert region.area == pytest.approx(64 / 2048)
    assert region.peak == 1


def test_the_same_call_goes_on_where_one_stopped(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "in", 25, broken_every=10)
    first = predict(make_judge(), [str(source)], tmp_path / "out", Options(limit=11))
    assert first.images == 11
    with (tmp_path / "out" / "predictions.jsonl").open("a") as stream:
        stream.write('{"image_path": "half a li')  # as a kill leaves it
    second = predict(make_judge(), [str(source)], tmp_path / "out")
    assert (second.images, second.earlier) == (25, 11)
    assert second.failed == 2
    predict(make_judge(), [str(source)], tmp_path / "whole")
    for name in ("predictions.jsonl", "predictions.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_results_of_another_line_are_not_mixed(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "in", 3)
    predict(make_judge(), [str(source)], tmp_path / "out")
    with pytest.raises(BundleError, match="differ in image_threshold; choose another folder"):
        predict(make_judge(image=0.6), [str(source)], tmp_path / "out")


KILLED = """
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell in the background has it ignored
sys.path[:0] = [{root!r}, {tests!r}]
import test_predicting as t
batches = 0
def struck_down(images):
    global batches
    batches += 1
    if batches == 12:
        os.kill(os.getpid(), {how})
    return t.by_brightness(images)
judge = t.Judge(struck_down, t.Decision(t.thresholds()), (16, 16), None, {{"judge": "brightness"}})
t.predict(judge, [{source!r}], {out!r}, t.Options(batch_size=4))
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_nothing_is_lost_by_a_kill(tmp_path: Path, how: signal.Signals) -> None:
    source, out = write_pictures(tmp_path / "in", 120, broken_every=10), tmp_path / "out"
    tests = str(Path(__file__).parent)
    code = KILLED.format(root=str(ROOT), tests=tests, source=str(source), out=str(out), how=int(how))
    done = subprocess.run([sys.executable, "-c", code], stderr=subprocess.DEVNULL, check=False)
    assert done.returncode != 0
    before = (out / "predictions.jsonl").read_bytes()
    summary = predict(make_judge(), [str(source)], out)
    assert summary.earlier == 44  # eleven batches
    assert (summary.images, summary.failed) == (120, 12)
    assert (out / "predictions.jsonl").read_bytes().startswith(before)
    assert len({str(row["image_path"]) for row in rows_of(out)}) == len(rows_of(out)) == 120


def test_reading_ahead_is_bounded_and_in_order() -> None:
    started: list[int] = []
    lock = threading.Lock()

    def numbers() -> Iterator[int]:
        for value in range(1000):
            with lock:
                started.append(value)
            yield value

    results = read_ahead(numbers(), lambda value: value * 2, readers=3, ahead=5)
    assert [next(results) for _ in range(10)] == list(range(0, 20, 2))
    assert len(started) <= 10 + 5 + 1
    results.close()  # type: ignore[attr-defined]  # a generator


def test_a_live_camera_is_asked_for_one_frame_at_a_time() -> None:
    asked = 0

    def frames() -> Iterator[Array]:
        nonlocal asked
        while True:
            asked += 1
            yield grey(8, 8, 200)

    results = make_judge().stream(frames())
    for expected in (1, 2, 3):
        assert next(results).defective
        assert asked == expected


def test_batches_are_whole() -> None:
    assert list(in_batches(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]


def test_a_bad_frame_is_a_result_that_says_why(tmp_path: Path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"")
    good = grey(8, 8, 10)
    results = list(make_judge().stream([good, bad, good], batch_size=2))
    assert [result.verdict for result in results] == ["good", "", "good"]
    assert "is empty" in results[1].error
    assert json.dumps(results[1].row())


@pytest.mark.parametrize("size", [(9, 9), (9, 9, 3), (1, 1), (1, 1, 3)])
@pytest.mark.parametrize("value", [0, 100, 255])
def test_an_image_of_one_colour_is_an_error_and_never_good(size: tuple[int, ...], value: int) -> None:
    (result,) = make_judge().stream([np.full(size, value, np.uint8)])
    assert result.verdict == ""
    assert "shows nothing" in result.error


def test_a_call_that_could_not_judge_everything_ends_with_an_error_unless_told(tmp_path: Path) -> None:
    source = write_pictures(tmp_path / "in", 12, broken_every=4)
    options = Options()
    summary = predict(make_judge(), [str(source)], tmp_path / "out", options)
    with pytest.raises(DataError, match=r"3 of 12 have none: .*00003\.png.*; and others\. .* errors=ok"):
        require_all(summary, options, "Set errors=ok.")
    require_all(summary, Options(errors="ok"), "")
    whole = predict(make_judge(), [str(write_pictures(tmp_path / "whole", 3))], tmp_path / "out2", options)
    require_all(whole, options, "")
