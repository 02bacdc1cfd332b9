"""The learning curve: loss and objective by epoch, one above the other, with the epoch that was kept.

Letters: E epochs.
"""

from __future__ import annotations

from math import ceil, floor, log10
from typing import TYPE_CHECKING, NamedTuple

from .svg import (
    Axis,
    circle,
    decimals_of,
    figure,
    line,
    nice_step,
    nice_ticks,
    padded_range,
    polyline,
    text,
    tick_label,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from markupsafe import Markup

_LEFT, _RIGHT, _HEAD, _PANEL, _FOOT = 52, 14, 40, 120, 42
_DECADE = 20  # times as high as its lowest value, and a loss is drawn by its logarithm
_MINIMUM = 0.1  # height of the objective's axis: less is noise made large
_MOST_DOTS = 60

Curve = list[tuple[int, float]]
"""Values by epoch, ascending."""


class _Panel(NamedTuple):
    """A curve in its place: ``to`` turns a value into a pixel, ``ticks`` are pixels and words."""

    name: str
    kind: str
    curve: Curve
    to: Callable[[float], float]
    ticks: list[tuple[float, str]]
    top: float


def learning_figure(loss_E: Curve, objective_E: Curve, kept_epoch: int, objective: str, width: float) -> Markup:
    """Draw loss and objective over the epochs.

    Args:
        loss_E: May be empty.
        objective_E: May be empty, where nothing ranks epochs.
        kept_epoch: The epoch whose network is used.
        objective: Its name in words.
        width: Of the drawing, in pixels at full size.
    """
    drawn = [("training loss", "recall", loss_E)] * bool(loss_E) + [(objective, "f1", objective_E)] * bool(objective_E)
    panels = [_panel(*one, top=_HEAD + index * (_PANEL + _HEAD)) for index, one in enumerate(drawn)]
    first, last = _ends([curve for _, _, curve in drawn])
    x = Axis(first, last, _LEFT, width - _RIGHT)
    bottom = panels[-1].top + _PANEL
    body = [part for panel in panels for part in _draw(panel, x, kept_epoch)]
    rule = line(x(kept_epoch), _HEAD - 8, x(kept_epoch), bottom, "threshold")
    name = text(x(kept_epoch), _HEAD - 26, f"epoch {kept_epoch} kept", "strong", _anchor(x(kept_epoch), width))
    described = f"Epochs {first} to {last}; epoch {kept_epoch} was kept."
    return figure(width, bottom + _FOOT, "Learning curve", described, rule, *body, name, *_epochs(x, bottom, width))


def _ends(curves: Sequence[Curve]) -> tuple[int, int]:
    epochs = [epoch for curve in curves for epoch, _ in curve]
    return min(epochs), max(*epochs, min(epochs) + 1)


def _panel(name: str, kind: str, curve: Curve, *, top: float) -> _Panel:
    values = [value for _, value in curve]
    if kind == "recall" and min(values) > 0 and max(values) > _DECADE * min(values):
        return _logarithmic(name, kind, curve, top)
    low, high = padded_range(values)
    if kind != "recall":
        low, high = _shares(values)
    axis, step = Axis(low, high, top + _PANEL, top), nice_step(high - low, 4)
    ticks = [(axis(tick), tick_label(tick, step)) for tick in nice_ticks(low, high, 4)]
    return _Panel(name, kind, curve, axis, ticks, top)


def _logarithmic(name: str, kind: str, curve: Curve, top: float) -> _Panel:
    """Draw a loss that falls to a fraction of itself; the axis has powers of ten."""
    low, high = padded_range([log10(value) for _, value in curve])
    axis = Axis(low, high, top + _PANEL, top)
    powers = range(ceil(low), floor(high) + 1)
    every = max(1, ceil(len(powers) / 4))
    ticks = [(axis(power), f"{10.0**power:g}") for power in powers[::every]]
    return _Panel(f"{name}, logarithmic", kind, curve, lambda value: axis(log10(value)), ticks, top)


def _shares(values: Sequence[float]) -> tuple[float, float]:
    """Return ends of an axis for values in [0, 1] that is not so short that noise fills it."""
    low, high = padded_range(values, 0.08)
    short = max(0.0, _MINIMUM - (high - low)) / 2
    low, high = low - short, high + short
    return max(0.0, min(low, 1 - _MINIMUM)), min(1.0, max(high, _MINIMUM))


def _draw(panel: _Panel, x: Axis, kept_epoch: int) -> list[Markup]:
    grid = [line(x.start, y, x.end, y, "grid") for y, _ in panel.ticks]
    words = [text(x.start - 7, y + 4, label, "tick", "end") for y, label in panel.ticks]
    corners = [(x(epoch), panel.to(value)) for epoch, value in panel.curve]
    shown = corners if len(corners) <= _MOST_DOTS else []
    small = [circle(a, b, 2, f"small {panel.kind}") for a, b in shown]
    dots = [circle(x(epoch), panel.to(value), 4.5, "dot") for epoch, value in panel.curve if epoch == kept_epoch]
    name = text(0, panel.top - 10, panel.name, "label on")
    return [*grid, *words, name, polyline(corners, f"curve {panel.kind}"), *small, *dots]


def _epochs(x: Axis, bottom: float, width: float) -> list[Markup]:
    """Draw the axis of epochs, which are whole."""
    count = 10 if width > 600 else 5
    step = max(1.0, nice_step(x.high - x.low, count))
    ticks = [tick for tick in nice_ticks(x.low, x.high, count) if decimals_of(step) == 0 and tick == round(tick)]
    marks = [line(x(tick), bottom, x(tick), bottom + 4, "axis") for tick in ticks]
    names = [text(x(tick), bottom + 18, f"{tick:.0f}", "tick", "middle") for tick in ticks]
    title = text(x.end, bottom + 36, "epoch", "label", "end")
    return [line(x.start, bottom, x.end, bottom, "axis"), *marks, *names, title]


def _anchor(x: float, width: float) -> str:
    """Keep the kept epoch's name inside the drawing."""
    return "start" if x < 80 else "end" if x > width - 80 else "middle"
