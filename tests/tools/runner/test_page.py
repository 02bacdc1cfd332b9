"""Predictions end in a page: every image with its verdict, near misses first, and a certificate to sign."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from callbacks.acceptance.judgement import Acceptance
from callbacks.defects.measured import DefectRules
from callbacks.report.lot_rows import lines_of, short_names
from callbacks.report.signing import with_certificate
from datamodules.files.fitting import without_marks
from datamodules.files.images import read_image
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.measuring import Measuring
from tools.runner.page_images import PageImages
from tools.runner.predicting import Options, predict
from tools.runner.result import Prediction

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from datamodules.files.fitting import Fit
    from datamodules.files.images import Array

SIDE = 32


def by_brightest(image_B3HW: Array) -> Prediction:
    """A detector of bright spots: scores are the mean of the brightest pixels, maps the brightness itself."""
    map_BHW = without_marks(image_B3HW).mean(axis=1)
    return Prediction(map_BHW.mean(axis=(1, 2)), map_BHW)


def make_judge(image: float = 0.4, pixel: float = 0.6, fit: Fit = "squash", *, rules: bool = False) -> Judge:
    thresholds = {
        "image": {"all": {"value": image, "promise": "It misses none."}},
        "pixel": {"all": {"value": pixel}},
        "regions": {"min_area": 0, "low": None, "erode": 0, "usual": 0.0},
        "probability": None,
        "map_range": [0.0, 1.0],
    }
    return Judge(
        by_brightest,
        Decision(thresholds),
        (SIDE, SIDE),
        None,
        {"bundle": "bright", "spec_sha256": "0123456789abcdef"},
        measuring=Measuring(DefectRules()),
        acceptance=Acceptance({"few": {"defects": {}, "at_most": 5}}) if rules else None,
        fit=fit,
    )


def write_images(folder: Path, count: int, size: tuple[int, int] = (60, 120)) -> Path:
    """Draw plates from dark to bright, each with a bright spot at the same place."""
    for index in range(count):
        values = np.full((*size, 3), 20 + 200 * index // max(count - 1, 1), np.uint8)
        values[10:20, 80:100] = 250
        folder.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / f"plate_{index:03}.png"), values)
    return folder


def rows_of(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "predictions.jsonl").read_text().splitlines()]


def test_the_page_shows_every_image_the_nearest_to_the_threshold_first(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 9)
    (source / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n nothing")
    options = Options(page=100, lot="A & B", part="7<8", errors="ok")
    summary = predict(make_judge(), [str(source)], tmp_path / "out", options)
    assert summary.page == tmp_path / "out" / "index.html"
    page = summary.page.read_text(encoding="utf-8")
    far = [float(value) for value in re.findall(r'data-far="([^"]+)"', page)]
    rows = [row for row in rows_of(tmp_path / "out") if "error" not in row]
    assert far == pytest.approx(sorted(abs(row["score"] - row["threshold"]) for row in rows))
    assert len(re.findall(r"<tr><td", page)) == 10
    assert page.index("broken.png") < page.index("plate_")
    assert "A &amp; B" in page
    assert "7&lt;8" in page
    assert "1 of 10 images could not be judged" in page
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]', page)  # nothing is fetched
    good = sum(row["verdict"] == "good" for row in rows)
    assert f"Yield {100 * good / 9:.1f} %" in page


def test_images_are_in_their_own_proportions_and_overlays_as_large_as_the_files(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 4)
    for fit in ("squash", "letterbox", "crop"):
        out = tmp_path / fit
        predict(make_judge(fit=fit), [str(source)], out, Options(page=9, overlays="all", masks="all"))
        for row in rows_of(out):
            assert (row["page"]["height"], row["page"]["width"]) == (60, 120)
        assert {read_image(path).shape for path in (out / "overlays").glob("*.jpg")} == {(60, 120, 3)}
        assert {read_image(path).shape for path in (out / "masks").glob("*.png")} == {(60, 120)}


def test_a_spot_is_found_where_it_lies_however_the_image_was_fitted(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 1)
    for fit in ("squash", "letterbox"):
        judge = make_judge(image=0.01, fit=fit)
        (result,) = judge.stream([str(source / "plate_000.png")])
        assert judge.measuring is not None
        (defect,) = judge.measuring(result)
        assert (defect.left, defect.top) == pytest.approx((80, 10), abs=4)
        assert (defect.box_width, defect.box_height) == pytest.approx((20, 10), abs=6)
        (region,) = result.row()["regions"]
        assert region["box"] == pytest.approx((80, 10, 100, 20), abs=4)
        assert result.mask is not None
        marked = np.argwhere(result.placed.mask_on_disk(result.mask))
        assert marked.min(axis=0) == pytest.approx((10, 80), abs=4)


def test_padding_is_never_flagged(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 1)
    judge = make_judge(image=0.01, pixel=0.01, fit="letterbox")  # everything in the image is above it
    (result,) = judge.stream([str(source / "plate_000.png")])
    assert result.mask is not None
    assert np.array_equal(result.mask, result.placed.inside())
    assert result.regions[0].area == 1.0
    assert result.regions[0].box == (0, 0, 120, 60)


def test_nothing_is_a_defect_on_an_image_called_good_unless_rules_judge_by_defects(tmp_path: Path) -> None:
    source = write_images(tmp_path / "in", 2)
    for rules, listed in ((False, [0, 1]), (True, [1, 1])):
        judge = make_judge(image=0.4, rules=rules)
        results = list(judge.stream([str(path) for path in sorted(source.glob("*.png"))]))
        assert [result.verdict for result in results] == ["good", "defective"]
        assert [result.mask is not None and bool(result.mask.any()) for result in results] == [True, True]
        assert judge.measuring is not None
        found = [len(judge.measuring(result)) for result in results]
        assert found == listed
        assert [len(result.row()["regions"]) for result in results] == listed


def test_a_page_keeps_no_more_images_than_it_may_and_goes_on(tmp_path: Path) -> None:
    source, out = write_images(tmp_path / "in", 12), tmp_path / "out"
    predict(make_judge(), [str(source)], out, Options(page=4, limit=5, batch_size=2))
    summary = predict(make_judge(), [str(source)], out, Options(page=4, batch_size=2))
    assert summary.earlier == 5
    assert len(list((out / "page").glob("*.jpg"))) == len(list((out / "page").glob("*.webp"))) == 4
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "4 of 12 images are shown" in page
    assert len(re.findall(r"<tr><td", page)) == 12
    called = [row["image_path"] for row in rows_of(out) if row["verdict"] == "defective"]
    kept = {path.name.removesuffix(".jpg") for path in (out / "page").glob("*.jpg")}
    assert kept <= {Path(str(path)).name for path in called}  # there are more than four: they go before good ones


def test_a_page_holds_images_up_to_a_bound_and_names_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tools.runner.page_images.EMBEDDED", 3000)
    source = write_images(tmp_path / "in", 6)
    predict(make_judge(), [str(source)], tmp_path / "out", Options(page=9))
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    linked = re.findall(r'src="(page/[^"]+)"', page)
    assert linked
    assert all((tmp_path / "out" / name).is_file() for name in linked)
    assert "keep both together" in page


def test_an_edited_record_removes_no_file_outside_of_the_page(tmp_path: Path) -> None:
    precious = tmp_path / "precious.jpg"
    precious.write_bytes(b"x")
    images = PageImages(tmp_path / "out", 1)
    for far, name in enumerate(("near.png", "../../precious")):
        images.note({"verdict": "good", "score": float(far), "threshold": 0.0, "page": {"name": name}})
    assert precious.is_file()


def test_names_are_short_and_tell_images_apart() -> None:
    assert short_names(["/a/b/c.png", "/a/d/c.png"]) == ["b/c.png", "d/c.png"]
    assert short_names(["/a/b/c.png"]) == ["c.png"]
    first, second = lines_of(
        [
            {"image_path": "x.png", "score": 1.0, "threshold": 5.0, "verdict": "good", "kind": ""},
            {"image_path": "y.png", "error": "is empty"},
        ]
    )
    assert (first.name, first.error, second.far) == ("y.png", "is empty", 4.0)


def test_any_page_of_the_house_takes_a_certificate() -> None:
    page = with_certificate("<main><p>x</main> of</p></main>\n<script></script>", 'L"1', "P<2")
    assert page.count('id="certificate"') == 1
    assert page.index('id="certificate"') > page.index("</p>")
    assert 'value="L&quot;1"' in page
    assert 'value="P&lt;2"' in page
    assert with_certificate("no page", "", "") == "no page"


@pytest.mark.parametrize("marks", [True, False])
def test_padding_is_marked_for_what_knows_of_it_alone(tmp_path: Path, marks: bool) -> None:
    source = write_images(tmp_path / "in", 1)
    judge, seen = make_judge(fit="letterbox"), []

    def by_lowest(image_B3HW: Array) -> Prediction:
        seen.append(float(image_B3HW.min()))
        return by_brightest(image_B3HW)

    judge.infer, judge.marks_padding = by_lowest, marks  # graphs of earlier bundles were told nothing
    list(judge.stream([str(source / "plate_000.png")]))
    assert (min(seen) < 0) == marks


def test_a_print_has_the_images_that_come_first_whether_or_not_anybody_scrolled(
    browser: Browser, tmp_path: Path
) -> None:
    source = write_images(tmp_path / "in", 24)
    summary = predict(make_judge(), [str(source)], tmp_path / "out", Options(page=100))
    assert summary.page is not None
    page = browser.new_page(viewport={"width": 800, "height": 200})
    page.goto(summary.page.as_uri())
    page.emulate_media(media="print")
    drawn = """[...document.querySelectorAll(".card")].filter((card) => getComputedStyle(card).display !== "none")
        .map((card) => [card.dataset.state, card.querySelector("img")])
        .map(([state, image]) => [state, image.complete ? image.naturalWidth : 0])"""
    found = page.evaluate(drawn)
    assert len(found) == 8
    assert all(width for _, width in found)
    page.emulate_media(media="screen")
    page.check('[name="show"][value="defective"]')
    page.emulate_media(media="print")
    page.wait_for_function(f"({drawn}).every(([, width]) => width)")
    assert [state for state, _ in page.evaluate(drawn)] == ["defective"] * 8
    page.close()
