"""Which single numbers tell good from defective images, as a dot plot."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.report.wording import share
from datamodules.health.shortcuts import SEPARATES

from .svg import Axis, circle, diamond, figure, line, rectangle, text

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from datamodules.health.shortcuts import Shortcut

_ROW, _TOP, _BOTTOM, _LEFT = 26.0, 34.0, 44.0, 150.0


def shortcut_figure(shortcuts: Mapping[str, Sequence[Shortcut]], width: float) -> Markup:
    """Draw one row per number, from 0 (higher on good images) over 0.5 (says nothing) to 1 (higher on defective).

    Args:
        shortcuts: Set of images to its numbers, the most telling first; the first set is drawn as dots, the second as
            diamonds.
        width: Of the drawing, in pixels at full size.
    """
    measures = list(dict.fromkeys(one.measure for found in shortcuts.values() for one in found))
    height = _TOP + _ROW * len(measures) + _BOTTOM
    x = Axis(0, 1, _LEFT, width - 16)
    bottom = _TOP + _ROW * len(measures)
    bands = [
        rectangle(x(low), _TOP - 6, x(high) - x(low), bottom - _TOP + 6, "called")
        for low, high in ((0, 1 - SEPARATES), (SEPARATES, 1))
    ]
    wide = width > 400
    ticks = (0.0, 0.05, 0.5, 0.95, 1.0) if wide else (0.05, 0.5, 0.95)
    grid = [line(x(tick), _TOP - 6, x(tick), bottom, "grid") for tick in ticks]
    labels = [text(x(tick), bottom + 16, f"{tick:g}", "tick", "middle") for tick in ticks]
    ends = [
        text(x(0), _TOP - 14, "higher on good" if wide else "good", "label"),
        text(x(1), _TOP - 14, "higher on defective", "label", "end"),
        text(x(1), bottom + 34, "AUROC of one number alone; 0.5 says nothing", "label", "end"),
    ]
    rows = [
        text(_LEFT - 12, _TOP + _ROW * (row + 0.5) + 4, measure, "label", "end") for row, measure in enumerate(measures)
    ]
    rows += [line(x(0), _TOP + _ROW * (row + 0.5), x(1), _TOP + _ROW * (row + 0.5), "grid") for row in range(len(rows))]
    marks = [
        (circle if index == 0 else diamond)(
            x(one.auroc), _TOP + _ROW * (measures.index(one.measure) + 0.5), 5 if index == 0 else 6, _kind(one)
        )
        for index, found in enumerate(shortcuts.values())
        for one in found
    ]
    texts = [f"{one.measure} {share(one.auroc)} ({name})" for name, found in shortcuts.items() for one in found]
    return figure(
        width,
        height,
        "Single numbers and labels",
        ", ".join(texts) + ".",
        *bands,
        *grid,
        *rows,
        *marks,
        *labels,
        *ends,
    )


def _kind(one: Shortcut) -> str:
    return "separates" if one.separates else "leans" if one.leans else "harmless"
