"""One page from the content of a report: everything inside it, nothing fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .cards import cards_of
from .drawings import figures_of
from .gallery import galleries_of
from .own_figures import own_of
from .page import render_page
from .records import records_of
from .summary import summary_of
from .view import ReportView

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .content import ReportContent

PARTS: tuple[Callable[[ReportView], Mapping[str, Any]], ...] = (
    summary_of,
    cards_of,
    figures_of,
    own_of,
    galleries_of,
    records_of,
)
"""What fills the page: each part turns the view into values of the template, and knows nothing of the others."""


def render_report(content: ReportContent) -> str:
    """Render the report as one HTML page that needs no server and no network.

    The same content gives the same page, byte for byte.

    Args:
        content: What to show. ``started`` (ISO 8601), ``command``, ``weights``, ``milliseconds_by_stage`` and
            ``peak_memory_mib`` of its ``environment`` have places of their own on the page; the rest of it is listed.

    Returns:
        HTML with its styles, script, figures and images inside.
    """
    return render_view(ReportView.of(content))


def render_view(view: ReportView) -> str:
    """Render a report whose shared parts are computed already, as ``render_report`` does."""
    return render_page("page.html.j2", {name: value for part in PARTS for name, value in part(view).items()})
