"""A confusion matrix as an image, for logs that take nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from PIL import Image, ImageDraw, ImageFont

if TYPE_CHECKING:
    import numpy.typing as npt

    from callbacks.report.facts import Confusion

_CELL, _HEAD, _SIDE = 120, 56, 96  # pixels
_INK, _SOFT, _PAPER = (28, 33, 39), (87, 96, 106), (255, 255, 255)
_RIGHT, _WRONG = (11, 111, 179), (207, 82, 8)  # blue and vermilion, which all eyes tell apart


def confusion_image(counts: Confusion, title: str) -> npt.NDArray[np.uint8]:
    """Draw found and missed, false alarms and passes; the more images of a row in a cell, the fuller its colour.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    image = Image.new("RGB", (_SIDE + 2 * _CELL + 8, _HEAD + 2 * _CELL + 8), _PAPER)
    draw = ImageDraw.Draw(image)
    large, small = ImageFont.load_default(26), ImageFont.load_default(13)
    draw.text((8, 6), title, _INK, small)
    for column, name in enumerate(("called defective", "called good")):
        draw.text((_SIDE + column * _CELL + 6, 34), name, _SOFT, small)
    rows = (
        ("defective", counts.defective, ((counts.tp, "found", _RIGHT), (counts.fn, "missed", _WRONG))),
        ("good", counts.good, ((counts.fp, "false alarms", _WRONG), (counts.tn, "passed", _RIGHT))),
    )
    for row, (name, total, cells) in enumerate(rows):
        top = _HEAD + row * _CELL
        draw.text((8, top + _CELL // 2 - 8), f"{name}\n{total:,}", _SOFT, small)
        for column, (count, word, colour) in enumerate(cells):
            left = _SIDE + column * _CELL
            draw.rectangle((left, top, left + _CELL - 4, top + _CELL - 4), _tint(colour, count / total if total else 0))
            draw.text((left + 10, top + 28), f"{count:,}", _INK, large)
            draw.text((left + 10, top + 64), word, _INK, small)
    return np.asarray(image, dtype=np.uint8)


def _tint(colour: tuple[int, int, int], share: float) -> tuple[int, int, int]:
    """From nearly white to half the colour, which black letters stand out from."""
    strength = 0.06 + 0.44 * share
    red, green, blue = (round(paper + (tone - paper) * strength) for tone, paper in zip(colour, _PAPER, strict=True))
    return red, green, blue
