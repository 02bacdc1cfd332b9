"""What any measure found that has no place of its own on the page: charts of lines, images, tables and files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callbacks.measures.figures import Chart, ImageFigure

from .charts.line_chart import line_chart, names_of_lines
from .overlays import data_uri
from .page import WIDTHS, drawn
from .sections import own_files, own_tables, sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from callbacks.measures.figures import Figure

    from .view import ReportView

_EDGE = 480  # longest edge of an image on the page, in pixels


@dataclass(frozen=True)
class DrawnChart:
    """A chart, in each of the widths that the page may need; ``names`` are those of its lines, with their classes."""

    title: str
    caption: str
    names: list[tuple[str, str]]
    drawings: list[tuple[str, Markup]]


@dataclass(frozen=True)
class ShownImage:
    """An image: its address and its size in pixels."""

    title: str
    caption: str
    source: str
    height: int
    width: int


def own_of(view: ReportView) -> dict[str, Any]:
    """Gather what the page has no place for: tables, charts, images and files of any measure."""
    content = view.content
    return {
        "sections": [*sections(content.metrics), *own_tables(content.tables)],
        "files": own_files(content.files),
        "own_charts": own_charts(content.figures),
        "own_pictures": own_images(content.figures),
    }


def own_charts(figures: Sequence[Figure]) -> list[DrawnChart]:
    """Draw every chart, in their order."""
    return [_draw(one) for one in figures if isinstance(one, Chart)]


def own_images(figures: Sequence[Figure]) -> list[ShownImage]:
    """Show every image, in their order."""
    return [
        ShownImage(one.title, one.caption, data_uri(one.image_HW3, _EDGE), *one.image_HW3.shape[:2])
        for one in figures
        if isinstance(one, ImageFigure)
    ]


def _draw(chart: Chart) -> DrawnChart:
    return DrawnChart(
        chart.title, chart.caption, names_of_lines(chart), drawn(WIDTHS, lambda width: line_chart(chart, width))
    )
