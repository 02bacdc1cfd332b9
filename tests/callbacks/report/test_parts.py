"""Parts of the page: sheets of tiles, tables of any section, maps, the rug, and figures of defects."""

from __future__ import annotations

import base64
from io import BytesIO
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from callbacks.report.charts.defect_figures import (
    free_place,
    heat_map_image,
    size_bins,
    size_recall_figure,
    size_ticks,
)
from callbacks.report.charts.live import rug
from callbacks.report.charts.scatter import HEIGHT, LEVELS, WIDTH, fitted, score_levels
from callbacks.report.charts.sprite import sprite
from callbacks.report.sections import cell, sections

if TYPE_CHECKING:
    from tests.callbacks.report.conftest import Contents


def opened(source: str) -> np.ndarray:
    content = base64.b64decode(source.split(",", 1)[1])
    return np.asarray(Image.open(BytesIO(content)).convert("RGB"))


def test_every_tile_lies_where_the_script_cuts_it() -> None:
    tiles = np.stack([np.full((20, 30, 3), 10 * n, np.uint8) for n in range(23)])
    sheet = sprite(tiles)
    picture = opened(sheet.source)
    for number in range(23):
        top, left = number // sheet.columns * sheet.height, number % sheet.columns * sheet.width
        tile = picture[top : top + sheet.height, left : left + sheet.width].astype(float)
        assert abs(np.median(tile) - 10 * number) < 8


def test_a_sheet_is_as_sharp_as_its_bytes_allow() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (40, 96, 96, 3), dtype=np.uint8)
    roomy, tight = sprite(noise), sprite(noise, most_bytes=60_000)
    assert roomy.height == 96
    assert tight.height < 96
    assert len(tight.source) < 60_000 * 4 / 3 + 100


def test_sections_of_every_shape_become_tables() -> None:
    estimate = {"value": 0.5, "low": 0.25, "high": 0.75}
    metrics: dict[str, Any] = {
        "test": {"image_auroc": estimate},
        "objects": {
            "overlap": 0.1,
            "recall": estimate,
            "by_size": [{"side": "8 to 16", "defects": 3, "recall": estimate}, {"side": "16 to 32", "defects": 1200}],
            "false_per_picture": estimate | {"objects": 12},
            "by_type": [],
        },
        "zones": {"core": {"recall": estimate}, "cladding": {"defects": 4}},
        "nothing": None,
    }
    tables = {one.title: one for one in sections(metrics)}
    assert list(tables) == ["Objects", "Objects: by size", "Zones"]
    assert tables["Objects"].rows[1] == ("recall", "0.500 (0.250 to 0.750)")
    assert tables["Objects"].rows[2] == ("false per picture", "0.500 (0.250 to 0.750), objects 12")
    assert tables["Objects: by size"].columns == ("side", "defects", "recall")
    assert tables["Objects: by size"].rows[1] == ("16 to 32", "1,200", "\N{EN DASH}")
    assert tables["Zones"].rows[1] == ("cladding", "\N{EN DASH}", "4")


def test_a_long_table_says_where_its_rest_is() -> None:
    (table,) = sections({"kinds": [{"name": str(n)} for n in range(50)]})
    assert len(table.rows) == 40
    assert table.note == "10 more rows in metrics.json."


@pytest.mark.parametrize(
    ("value", "written"),
    [(3, "3"), (0.25, "0.250"), (True, "yes"), (None, "\N{EN DASH}"), (float("nan"), "\N{EN DASH}"), ("F1", "F1"),
     (12345, "12,345"), (3.14159, "3.142"), (-2.5, "\N{MINUS SIGN}2.500"), (123.456, "123.5")],
)  # fmt: skip
def test_cells(value: object, written: str) -> None:
    assert cell(value) == written


def test_levels_hold_as_many_pictures_each_and_equal_scores_share_one() -> None:
    level = score_levels(np.random.default_rng(0).permutation(800).astype(float))
    assert np.bincount(level.astype(int)).tolist() == [100] * LEVELS
    assert len(set(score_levels(np.array([1.0, 2.0, 2.0, 2.0, 9.0]))[1:4])) == 1


def test_places_fit_their_drawing_in_one_scale() -> None:
    place = np.array([[0.0, 0.0], [10.0, 0.0], [10.0, 1.0]])
    x, y = fitted(place).T
    assert x.min() >= 0
    assert x.max() <= WIDTH
    assert 0 <= y.min() <= y.max() <= HEIGHT
    assert (x[1] - x[0]) / (y[1] - y[2]) == pytest.approx(10)


def test_a_rug_has_a_line_for_each_picture_or_bars(contents: type[Contents]) -> None:
    content = contents.build(good=30, defective=7)
    assert rug(content.predictions, (-2.0, 8.0)).count('class="score"') == 37
    many = rug(contents.build(good=5000, defective=7).predictions, (-2.0, 8.0))
    assert many.count('class="score"') == 7
    assert 10 < many.count('class="bar"') < 110


def test_sizes_are_cut_into_parts_of_like_number_that_add_up() -> None:
    rng = np.random.default_rng(0)
    side = np.exp(rng.uniform(0, 4, 100))
    found = rng.uniform(size=100) < 0.6
    bins = size_bins(side, found)
    assert len(bins) == 6
    assert sum(one.total for one in bins) == 100
    assert sum(one.found for one in bins) == found.sum()
    assert all(a.high < b.low for a, b in pairwise(bins))
    assert max(one.total for one in bins) - min(one.total for one in bins) <= 1


@pytest.mark.parametrize("side", [[4.0], [4.0] * 30, [1.0, 1000.0], list(range(1, 40))])
def test_any_sizes_can_be_drawn(side: list[float]) -> None:
    marked = pd.DataFrame({"side": side, "found": [index % 2 == 0 for index in range(len(side))]})
    drawing = size_recall_figure(marked, 0.95, 540.0)
    assert "nan" not in drawing
    assert drawing.count('class="score"') == len(side)
    assert all(min(side) <= tick <= max(side) for tick in size_ticks(min(side), max(side)))


def test_the_heat_map_is_brightest_where_most_was_found() -> None:
    heat = np.zeros((40, 50), dtype=np.int64)
    heat[5:15, 20:30] = 3
    found = heat_map_image(heat)
    assert found is not None
    assert found.most == 3
    picture = opened(found.source).astype(int).sum(axis=2)
    assert picture[10, 25] > 400 > picture[35, 5]
    assert heat_map_image(np.zeros((4, 4), dtype=np.int64)) is None


def test_labels_make_way_for_each_other() -> None:
    taken: list[tuple[float, float]] = []
    for index in range(6):
        taken.append(free_place(100.0 + 15 * index, 80.0 + index % 2, taken))
    apart = [(abs(a[0] - b[0]), abs(a[1] - b[1])) for i, a in enumerate(taken) for b in taken[:i]]
    assert all(dx >= 56 or dy >= 13 for dx, dy in apart)
    assert taken[0] == (100.0, 80.0)
