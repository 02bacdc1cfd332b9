"""Figures of any measure: charts and images that the page knows nothing else about."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from callbacks.measures.figures import Chart, ImageFigure, Line
from callbacks.report.charts.line_chart import fitting_range, line_chart, names_of_lines
from callbacks.report.own_figures import own_charts, own_images
from callbacks.report.render import render_report

if TYPE_CHECKING:
    from tests.callbacks.report.conftest import Contents


def places(drawing: str) -> list[tuple[float, float]]:
    """Corners of all lines of a drawing, in pixels."""
    lines = re.findall(r'points="([^"]*)"', drawing)
    return [(float(x), float(y)) for line in lines for x, y in (corner.split(",") for corner in line.split())]


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("width", [340.0, 540.0])
def test_every_point_lies_inside_and_in_order(seed: int, width: float) -> None:
    rng = np.random.default_rng(seed)
    scale = 10.0 ** rng.integers(-4, 5)
    x = np.sort(rng.normal(0, scale, int(rng.integers(1, 90))))
    y = rng.normal(scale, scale, x.size)
    chart = Chart("Any", "x", "y", [Line("one", x.tolist(), y.tolist()), Line("same", [float(x[0])], [float(y[0])])])
    drawing = line_chart(chart, width)
    found = places(drawing)
    assert "nan" not in drawing
    assert len(found) == x.size + 1
    assert all(0 <= a <= width and 0 <= b <= min(width, 330) for a, b in found)
    drawn_x, drawn_y = np.array(found[:-1]).T
    assert (np.diff(drawn_x) >= 0).all()
    assert (np.argsort(-drawn_y, kind="stable") == np.argsort(y, kind="stable")).mean() > 0.8  # equal pixels may swap
    assert drawing.count("<circle") == (x.size if x.size <= 60 else 0) + 1


def test_shares_have_the_axis_from_0_to_1_and_all_else_its_own() -> None:
    assert fitting_range([0.2, 0.4]) == (0.0, 1.0)
    low, high = fitting_range([-3.0, 7.0])
    assert low < -3 < 7 < high


def test_lines_are_told_apart_and_guides_are_dashed() -> None:
    lines = [Line("a", [0], [0]), Line("guide", [0, 1], [0, 1], guide=True), Line("b", [0], [0]), Line("c", [0], [0])]
    kinds = [kind for _, kind in names_of_lines(Chart("t", "x", "y", lines))]
    assert kinds[1] == "chance"
    assert len({*kinds}) == 4


def test_the_page_shows_them_and_is_silent_without(contents: type[Contents]) -> None:
    usual = contents.build()
    chart = Chart("Reliability", "said", "came", [Line("found", [0, 1], [0, 1])], "Near the diagonal is good.")
    picture = ImageFigure("Where it looked", np.zeros((5, 8, 3), np.uint8))
    page = render_report(replace(usual, figures=[*usual.figures, chart, picture]))
    assert page.count("<h3>Reliability</h3>") == 1
    assert "Near the diagonal is good." in page
    assert 'width="8" height="5" alt="Where it looked"' in page
    assert 'id="more"' in page
    assert 'id="more"' not in render_report(usual)
    assert (own_charts(usual.figures), own_images(usual.figures)) == ([], [])


def test_tables_and_files_of_any_measure_are_shown_but_not_those_behind_figures(contents: type[Contents]) -> None:
    usual = contents.build()
    sizes = pd.DataFrame({"part": [f"p{index}" for index in range(45)], "width_um": np.arange(45) + 0.25})
    hidden = {"defects": sizes, "pixel_sweep": sizes}
    files = ("defects.json", "own/notes.txt")
    page = render_report(replace(usual, tables={**usual.tables, **hidden, "part_sizes": sizes}, files=files))
    assert page.count("<h3>Part sizes</h3>") == 1
    assert "5 more rows in part_sizes.csv." in page
    assert "p39" in page
    assert "p40" not in page
    assert "39.25" in page
    assert "notes.txt" in page
    assert "defects.json" not in page
