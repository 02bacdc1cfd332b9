from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from scipy.ndimage import gaussian_filter

from callbacks.measures.atlas import Atlas
from callbacks.measures.figures import Chart, Examples, ImageFigure, Line
from callbacks.report.charts.live import compact
from callbacks.report.records import flat
from callbacks.report.render import render_report
from callbacks.report.view import figure_of
from callbacks.statistics.threshold_table import precision_recall_f1

if TYPE_CHECKING:
    from tests.callbacks.report.conftest import Contents

VOID = {"meta", "link", "img", "br", "wbr", "input"}
SECTIONS = (
    "Figures",
    "Scores",
    "Thresholds",
    "What it decides",
    "Images to look at",
    "Reviewed",
    "What the threshold rests on",
    "Data and environment",
)


class Page(HTMLParser):
    """Reads a page strictly: every element closed in order, every id once."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        assert self.open == []
        ids = [attributes["id"] for _, attributes in self.elements if "id" in attributes]
        assert len(ids) == len(set(ids))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in {"style", "script"}:
            self.text += data


def test_a_page_is_well_formed_and_complete(contents: type[Contents]) -> None:
    page = Page(render_report(contents.build()))
    for words in (
        *SECTIONS,
        "screw, PatchCore",
        "2025-01-31 12:34",
        "The features are untrained.",
        "loupe train data=screw",
    ):
        assert words in page.text
    examples = figure_of(contents.build(), Examples)
    assert examples is not None
    shown = [attributes["alt"] for tag, attributes in page.elements if tag == "img"]
    assert len(shown) == len(set(shown))  # each image once
    assert {str(alt).partition(" of ")[2] for alt in shown} == {one.name for one in examples.members}
    assert "No ROC" not in page.text


def test_the_page_fetches_nothing_and_runs_no_script_but_its_own(contents: type[Contents]) -> None:
    html = render_report(contents.build())
    for tag, attributes in Page(html).elements:
        for name in ("src", "href", "srcset", "data", "action", "poster"):
            value = attributes.get(name)
            assert value is None or value.startswith(("data:", "#")), (tag, name, value)
    assert not re.search(r"url\(|@import|\bfetch\(|XMLHttpRequest", html)
    scripts = re.findall(r"<script>(.*?)</script>", html, flags=re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in html


HOSTILE = "</script><script>alert('x')</script> \"it's\" <img src=y onerror=alert(1)>, {{ 7 * 7 }} &amp;"


def test_hostile_names_stay_text(contents: type[Contents]) -> None:
    usual = contents.build()
    predictions = usual.predictions.copy()
    predictions.loc[predictions["kind"] == "M4", "kind"] = HOSTILE
    predictions.loc[predictions["defect"] == "dent", "defect"] = HOSTILE
    hostile = replace(
        usual,
        title=HOSTILE,
        predictions=predictions,
        calibration={
            "image": dict.fromkeys(("policy", "promise"), HOSTILE) | {"value": 3.0, "n_good": 1, "n_defective": 1}
        },
        counts=usual.counts.rename(index={"test": HOSTILE}, columns={"good": HOSTILE}),
        excluded=pd.DataFrame([[HOSTILE] * 3], columns=["path", "problem", "remedy"]),
        environment={"started": HOSTILE, "command": HOSTILE, HOSTILE: {HOSTILE: [HOSTILE]}},
        config=HOSTILE,
        warnings=(HOSTILE,),
        figures=[
            Examples((replace(contents.example("miss", HOSTILE, 1), kind=HOSTILE, defect=HOSTILE),)),
            Chart(HOSTILE, HOSTILE, HOSTILE, [Line(HOSTILE, [0, 1], [1, 0]), Line(HOSTILE, [0], [2])], HOSTILE),
            ImageFigure(HOSTILE, np.zeros((4, 4, 3), np.uint8), HOSTILE),
        ],
    )
    page, expected = Page(render_report(hostile)), Page(render_report(usual))
    tags = {tag for tag, _ in page.elements}
    assert tags <= {tag for tag, _ in expected.elements} | {"wbr", "figcaption"}
    assert [tag for tag, _ in page.elements].count("script") == 2
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)
    assert page.text.count(HOSTILE) >= 18
    assert {attributes.get("alt") for tag, attributes in page.elements if tag == "img"} >= {f"picture of {HOSTILE}"}


@pytest.mark.parametrize(
    ("good", "defective", "unknown"), [(5, 0, 0), (0, 5, 0), (1, 0, 0), (0, 1, 0), (1, 1, 0), (0, 0, 3), (0, 0, 0)]
)
def test_any_mixture_of_labels_makes_a_page(contents: type[Contents], good: int, defective: int, unknown: int) -> None:
    content = replace(contents.build(good, defective, unknown), figures=(), metrics={"test": {}, "baseline": {}})
    page = Page(render_report(content))
    for words in SECTIONS:
        assert words in page.text
    assert ("they need defective test pictures" in page.text) == (defective == 0)
    assert ("needs good test pictures." in page.text) == (good == 0 and defective > 0)
    assert ("without a label" in page.text) == (unknown > 0)
    assert "nan" not in page.text.lower().replace("finance", "")
    assert "None" not in page.text.replace("None.", "").replace("None:", "").replace("None kept", "")


def test_a_report_with_as_little_as_possible(contents: type[Contents]) -> None:
    usual = contents.build()
    nothing = pd.DataFrame({"score": [], "label_index": []})
    missing = {"value": None, "low": None, "high": None}
    bare = replace(
        usual,
        metrics={"test": {"image_auroc": missing, "image_f1": missing | {"value": float("nan")}}},
        calibration={"image": usual.calibration["image"], "pixel": None},
        calibration_scores=nothing,
        excluded=usual.excluded.head(0),
        environment={},
        config="",
        warnings=(),
        figures=[Examples((replace(contents.example("miss", "test/0001.png", 1), mask=None, predicted_mask=None),))],
    )
    page = Page(render_report(bare))
    assert "No pixel figures" in page.text
    assert "overlay of test/0001.png" in {attributes.get("alt") for tag, attributes in page.elements if tag == "img"}
    assert "Read this before" not in page.text
    assert "Resolved configuration" not in page.text


def test_an_empty_category_says_none(contents: type[Contents]) -> None:
    content = contents.build()
    names = content.predictions["label_index"].map({0: "good", 1: "defective"})
    separable = content.predictions.assign(score=content.predictions["label_index"] * 6.0, verdict=names)
    html = render_report(replace(content, predictions=separable, figures=()))
    by_category = dict(re.findall(r'<p class="none" id="open-(\w+)"><b>[\w ]+</b>: ([^<]*)</p>', html))
    assert by_category == {"miss": "none.", "false_alarm": "none."}
    assert "More examples" not in html


def test_long_lists_are_folded(contents: type[Contents]) -> None:
    rows = [[f"{index}.png", "is empty", "copy it again"] for index in range(40)]
    html = render_report(replace(contents.build(), excluded=pd.DataFrame(rows, columns=["path", "problem", "remedy"])))
    assert "<summary>40 files, and why</summary>" in html


def live(html: str) -> dict[str, Any]:
    found = re.search(r'<script type="application/json" id="live-data">(.*?)</script>', html)
    assert found is not None
    assert "Infinity" not in found[1]  # which JSON does not know
    data: dict[str, Any] = json.loads(found[1])
    return data


def test_the_script_counts_what_the_sweep_counts(contents: type[Contents]) -> None:
    content = contents.build(unknown=3)
    data = live(render_report(content))
    score, label = np.array(data["score"]), np.array(data["label"])
    for row in content.tables["sweep"].itertuples():
        called = score >= compact(float(row.threshold))  # type: ignore[arg-type]  # a float
        assert ((called & (label == 1)).sum(), (called & (label == 0)).sum()) == (row.tp, row.fp)
    whole, *kinds = data["scopes"]
    assert (whole["tp"] + whole["fn"], whole["fp"] + whole["tn"]) == (9, 22)
    assert [scope["kind"] for scope in kinds] == ["M4", "M6"]
    assert sum(scope["fp"] for scope in kinds) == whole["fp"]


@pytest.mark.parametrize("value", [2.4659237861633301, 0.1, 1e-30, -3.5, float(np.float32(0.1))])
def test_short_numbers_compare_as_long_ones(value: float) -> None:
    near = np.nextafter(np.float32(value), np.float32(9))
    assert compact(value) == pytest.approx(value)
    assert compact(float(np.float32(value))) < compact(float(near))


def test_thresholds_of_kinds_and_zones_are_told(contents: type[Contents]) -> None:
    content = contents.build()
    flat_scope = content.calibration["image"]
    scoped = {
        "image": {"all": flat_scope, "kind": {"M4": flat_scope | {"value": 3.25}, "M6": flat_scope}},
        "pixel": {"all": flat_scope, "zone": {"1": flat_scope | {"value": 1.5}}},
    }
    html = render_report(replace(content, calibration=scoped))
    page = Page(html)
    for words in ("Pictures of kind M4", "3.25", "Pixels of zone 1", "at the calibrated threshold of their kind"):
        assert words in page.text
    assert [scope["threshold"] for scope in live(html)["scopes"]] == [3.0, 3.25, 3.0]


def test_other_sections_become_tables(contents: type[Contents]) -> None:
    content = contents.build()
    more = {"zones": {"core": {"defective": 3, "recall": {"value": 0.5, "low": 0.1, "high": 0.9}}}, "empty": {}}
    page = Page(render_report(replace(content, metrics={**content.metrics, **more})))
    for words in ("More figures", "Zones", "core", "0.500 (0.100 to 0.900)"):
        assert words in page.text
    assert "Empty" not in page.text


def test_the_atlas_has_a_tile_and_a_place_for_every_picture(contents: type[Contents]) -> None:
    content = contents.with_atlas(contents.build(unknown=2))
    html = render_report(content)
    data = live(html)
    atlas = figure_of(content, Atlas)
    assert atlas is not None
    assert data["tiles"]["name"] == list(atlas.names)
    names = content.predictions.sort_values(["score", "name"])["name"].tolist()
    assert [names[row] for row in data["tiles"]["row"]] == list(atlas.names)
    assert [len(places) for places in data["places"]] == [33, 33]
    page = Page(html)
    assert sum("point" in (attributes.get("class") or "") for _, attributes in page.elements) == 2 * 33
    assert {attributes.get("id") for _, attributes in page.elements} >= {"sprite", "map-figures", "live"}


def test_the_same_content_gives_the_same_page(contents: type[Contents]) -> None:
    assert render_report(contents.build()) == render_report(contents.build())


def test_24_grainy_examples_and_many_pictures_stay_small(contents: type[Contents]) -> None:
    content = contents.build(good=20_000, defective=600)
    rng = np.random.default_rng(0)
    grain = rng.normal(128, 25, (512, 512, 1)).clip(0, 255).astype(np.uint8)
    grainy = replace(
        contents.example("hit", "grainy.png", 0, marked=False),
        image=np.repeat(grain, 3, axis=2),
        anomaly_map=gaussian_filter(rng.uniform(0, 6, (512, 512)), 2).astype(np.float32),
    )
    few = len(render_report(replace(content, figures=())))
    assert few < 900_000
    assert few + 24 * (len(render_report(replace(content, figures=[Examples((grainy,))]))) - few) < 8e6


def test_nested_values_become_rows() -> None:
    assert flat({"torch": {"cuda_version": None}, "layers": ["a", "b"]}) == [
        ("torch cuda version", "\N{EN DASH}"),
        ("layers", "a, b"),
    ]


def test_infinite_scores_do_not_break_a_page(contents: type[Contents]) -> None:
    content = contents.build()
    predictions = content.predictions.copy()
    predictions.loc[predictions.index[-1], "score"] = np.inf
    sweep = precision_recall_f1(predictions["score"], predictions["label_index"])
    html = render_report(replace(content, predictions=predictions, tables={"sweep": sweep}))
    assert max(live(html)["score"]) < np.inf
    Page(html)
