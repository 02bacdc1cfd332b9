"""What all pages share: templates, one script that the browser may run and no other, nothing fetched."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from .assets import FOLDER, read_script, read_style
from .breaking import breakable
from .wording import DASH, percent, plural, share, span

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

WIDTHS = {"narrow": 340.0, "middle": 540.0}
HERO_WIDTHS = {"narrow": 340.0, "middle": 680.0, "wide": 1080.0}


@cache
def _templates() -> Environment:
    """Open the folder of templates, once in a process: each is compiled when it is first asked for."""
    templates = Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,  # names of files, kinds and configs come from outside
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    templates.filters |= {
        "share": share,
        "percent": percent,
        "plural": plural,
        "span": span,
        "breakable": breakable,
        "brief": brief,
    }
    return templates


def render_page(
    template: str, values: Mapping[str, Any], styles: Sequence[str] = ("page.css",), script: str = "page.js"
) -> str:
    """Render a template of this folder with its styles and its script inside.

    Args:
        template: File name.
        values: What the template asks for; a missing one is an error.
        styles: Files of CSS, in order.
        script: File of JavaScript.
    """
    code, own = read_script(script)
    return (
        _templates()
        .get_template(template)
        .render(
            style=Markup(read_style(*styles)),  # noqa: S704 - own files
            script=Markup(code),  # noqa: S704 - the package's own file
            script_hash=own,  # lets the browser run this script and no other
            dash=DASH,
            **values,
        )
    )


def brief(value: float | None) -> str:
    """Write a number in five digits; nothing where there is none."""
    return "" if value is None else f"{value:.5g}"


def drawn(widths: Mapping[str, float], draw: Callable[[float], Markup]) -> list[tuple[str, Markup]]:
    """Draw a figure in each of the widths that a page may need."""
    return [(name, draw(width)) for name, width in widths.items()]
