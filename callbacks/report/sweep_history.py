"""The history of a sweep: the objective of every trial in the order in which they ended, and the best so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .charts.svg import Axis, circle, figure, line, nice_step, nice_ticks, polyline, text, tick_label
from .wording import plural, share

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

_HEIGHT, _LEFT, _TOP, _FOOT = 240.0, 44.0, 24.0, 46.0
_MOST_NUMBERS = 8  # along the axis of trials


class Step(NamedTuple):
    """A trial: how it ended, and its objective; None where it has none."""

    state: str
    value: float | None


def history_figure(steps: Sequence[Step], width: float) -> Markup:
    """Objective over trials: full dots are complete, rings were pruned, strokes at the foot have no objective.

    Args:
        steps: In the order in which they ended; two or more with an objective.
        width: Of the drawing, in pixels at full size.
    """
    known = [step.value for step in steps if step.value is not None]
    air = (max(known) - min(known)) * 0.06 or 0.01
    x = Axis(1, max(2, len(steps)), _LEFT + 8, width - 14)
    y = Axis(min(known) - air, max(known) + air, _HEIGHT - _FOOT, _TOP)
    unit = nice_step(y.high - y.low, 5)
    parts = [text(0, 12, "AUROC on calibration pictures", "label")]
    for tick in nice_ticks(y.low, y.high, 5):
        parts += [line(_LEFT, y(tick), x.end, y(tick), "grid")]
        parts += [text(_LEFT - 7, y(tick) + 4, tick_label(tick, unit), "tick", "end")]
    every = -(-len(steps) // _MOST_NUMBERS)
    for number in range(1, len(steps) + 1, every):
        parts.append(text(x(number), y.start + 18, str(number), "tick", "middle"))
    parts.append(text(x.end, y.start + 38, "trial, in the order in which they ended", "label", "end"))
    if len(corners := _best_so_far(steps, x, y)) > 1:
        parts.append(polyline(corners, "curve front"))
    for number, step in enumerate(steps, start=1):
        if step.value is None:
            parts.append(line(x(number), y.start - 8, x(number), y.start, "lost"))
        else:
            parts.append(circle(x(number), y(step.value), 3.5, "beaten" if step.state == "complete" else "ring"))
    best = max((step.value for step in steps if step.value is not None and step.state == "complete"), default=None)
    described = f"{plural(len(steps), 'trial')}; the best reached {share(best)}."
    return figure(width, _HEIGHT, "Objective by trial", described, *parts)


def _best_so_far(steps: Sequence[Step], x: Axis, y: Axis) -> list[tuple[float, float]]:
    """Trace the best complete objective as a staircase, from the first there is to the last trial."""
    best: float | None = None
    corners: list[tuple[float, float]] = []
    for number, step in enumerate(steps, start=1):
        if step.state == "complete" and step.value is not None and (best is None or step.value > best):
            if best is not None:
                corners.append((x(number), y(best)))
            best = step.value
            corners.append((x(number), y(best)))
    if best is not None:
        corners.append((x(len(steps)), y(best)))
    return corners
