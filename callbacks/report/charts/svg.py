"""The few pieces that figures are drawn from: elements, axes and ticks, without a plotting library.

Figures are SVG inside the page, so that they scale, print sharply and follow the page's colours. Colours and fonts are
set by classes in ``page.css``.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING

from markupsafe import Markup, escape

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


def element(name: str, attributes: Mapping[str, str | float] | None = None, *children: str) -> Markup:
    """Return an element of the page; values and text are escaped, children that are ``Markup`` already are not."""
    written = "".join(f' {key}="{_value(value)}"' for key, value in (attributes or {}).items())
    inside = "".join(escape(child) for child in children)
    return Markup(f"<{name}{written}>{inside}</{name}>")  # noqa: S704 - name and keys are literals, the rest is escaped


def figure(width: float, height: float, title: str, description: str, *children: str) -> Markup:
    """Draw an SVG figure that scales with its column and says in words what it shows."""
    label = f"{title}. {description}"  # not a title element, which would pop up under the pointer
    return element(
        "svg", {"viewBox": f"0 0 {pixels(width)} {pixels(height)}", "role": "img", "aria-label": label}, *children
    )


def text(x: float, y: float, words: str, kind: str = "label", anchor: str = "start") -> Markup:
    """Draw a line of text; ``anchor`` says whether it starts, has its middle or ends at x."""
    return element("text", {"x": x, "y": y, "class": kind, "text-anchor": anchor}, words)


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> Markup:
    """Draw a straight line."""
    return element("line", {"x1": x1, "y1": y1, "x2": x2, "y2": y2, "class": kind})


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> Markup:
    """Draw a rectangle; a negative size is drawn as none."""
    size = {"width": max(width, 0.0), "height": max(height, 0.0)}
    return element("rect", {"x": x, "y": y, **size, "class": kind})


def circle(x: float, y: float, radius: float, kind: str) -> Markup:
    """Draw a circle."""
    return element("circle", {"cx": x, "cy": y, "r": radius, "class": kind})


def diamond(x: float, y: float, radius: float, kind: str) -> Markup:
    """Draw a square on its tip, told from a circle without any colour."""
    corners = [(x, y - radius), (x + radius, y), (x, y + radius), (x - radius, y)]
    return element("polygon", {"points": points(corners), "class": kind})


def polyline(corners: Iterable[tuple[float, float]], kind: str) -> Markup:
    """Straight lines through points in pixels."""
    return element("polyline", {"points": points(corners), "class": kind})


def points(corners: Iterable[tuple[float, float]]) -> str:
    """Return corners as SVG writes them: ``x,y x,y``."""
    return " ".join(f"{pixels(x)},{pixels(y)}" for x, y in corners)


def pixels(value: float) -> str:
    """Return a length with two decimals at most, which is finer than any screen."""
    return f"{round(value, 2) + 0.0:.2f}".rstrip("0").rstrip(".")  # adding 0.0 turns -0.0 into 0.0


def _value(value: str | float) -> str:
    return str(escape(value)) if isinstance(value, str) else pixels(value)


@dataclass(frozen=True)
class Axis:
    """A straight scale from data to pixels.

    Attributes:
        low: Data value at ``start``.
        high: Data value at ``end``; above ``low``.
        start: Pixel.
        end: Pixel; below ``start`` on an axis that points up.
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return the pixel of a value; values outside land on the nearer end."""
        position = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.start + position * (self.end - self.start)


def padded_range(values: Sequence[float], share: float = 0.04) -> tuple[float, float]:
    """Return a range with some air around the finite ones of the values; 0 to 1 where there are none."""
    finite = [value for value in values if isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    air = (high - low) * share or abs(high) * 0.1 or 1.0
    return low - air, high + air


def nice_step(span: float, count: int) -> float:
    """Return the smallest of 1, 2 and 5 times a power of ten that cuts a positive span into at most ``count`` parts."""
    rough = span / count
    power = 10.0 ** floor(log10(rough))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * (1 - 1e-9))


def nice_ticks(low: float, high: float, count: int = 6) -> list[float]:
    """Round numbers from low to high, at most ``count`` plus one of them, evenly spaced."""
    step = nice_step(high - low, count)
    decimals = decimals_of(step)
    first, last = ceil(low / step - 1e-9), floor(high / step + 1e-9)
    return [round(number * step, decimals) + 0.0 for number in range(first, last + 1)]


def decimals_of(step: float) -> int:
    """Tell how many decimals tell multiples of a positive step apart."""
    return max(0, -floor(log10(step) + 1e-9))


def tick_label(value: float, step: float) -> str:
    """Return a tick's number, with the decimals that its step needs and a real minus sign."""
    if abs(value) >= 1e6 or 0 < step < 1e-5:
        return f"{value:.3g}".replace("-", "\N{MINUS SIGN}")
    return f"{value:.{decimals_of(step)}f}".replace("-", "\N{MINUS SIGN}")
