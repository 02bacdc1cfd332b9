"""Images of one category on one sheet, each with its name and score: what TensorBoard shows under one tag.

Letters: H and W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from callbacks.report.overlays import enlarged, panels_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt

    from callbacks.measures.examples import Example
    from callbacks.report.overlays import RgbImage

PANEL = 128  # pixels of the longest edge of an image on a sheet
GAP = 6
CAPTION = 19  # height of a line of text
HEADS = ("image", "anomaly map", "marked", "map over image")
_INK, _SOFT, _PAPER = (28, 33, 39), (87, 96, 106), (255, 255, 255)


def by_category(examples: Iterable[Example]) -> dict[str, list[Example]]:
    """Group examples by category, in their order."""
    grouped: dict[str, list[Example]] = {}
    for example in examples:
        grouped.setdefault(example.category, []).append(example)
    return grouped


def example_sheet(examples: Sequence[Example], low: float, high: float) -> RgbImage:
    """Lay examples below each other: image, map, marked defect and overlay, under a line with name and score.

    Args:
        examples: At least one.
        low: Raw map value of the darkest colour.
        high: Of the brightest.

    Returns:
        (H, W, 3) uint8, RGB.
    """
    rows = [panels_of(_sized(example), low, high) for example in examples]
    widths = [max(row[column].shape[1] for row in rows) for column in range(len(HEADS))]
    heights = [row[0].shape[0] for row in rows]
    sheet = Image.new("RGB", (sum(widths) + GAP * (len(widths) + 1), CAPTION + sum(heights) + _room(rows)), _PAPER)
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(13)
    lefts = [GAP + sum(widths[:column]) + GAP * column for column in range(len(widths))]
    for left, head in zip(lefts, HEADS, strict=True):
        draw.text((left, 3), head, _SOFT, font)
    top = CAPTION
    for example, row, height in zip(examples, rows, heights, strict=True):
        draw.text((GAP, top + 3), f"{example.name}   score {example.score:.4g}", _INK, font)
        for left, panel in zip(lefts, row, strict=True):
            sheet.paste(Image.fromarray(panel), (left, top + CAPTION))
        top += CAPTION + height + GAP
    return np.asarray(sheet, dtype=np.uint8)


def _room(rows: Sequence[object]) -> int:
    """Height of what stands between the images."""
    return len(rows) * (CAPTION + GAP)


def _sized(example: Example) -> Example:
    """Bring an example to the size of a panel before anything is drawn; a mark of one pixel stays visible."""
    height, width = example.image.shape[:2]
    factor = PANEL // max(height, width)
    if factor > 1:
        return enlarged(example, factor)
    if (scale := PANEL / max(height, width)) >= 1:
        return example
    size = max(1, round(width * scale)), max(1, round(height * scale))

    def shrunk(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA))

    def marked(mask: npt.NDArray[np.bool_] | None) -> npt.NDArray[np.bool_] | None:
        return None if mask is None else shrunk(mask.astype(np.float32)) > 0

    return replace(
        example,
        image=shrunk(example.image),
        anomaly_map=shrunk(example.anomaly_map),
        mask=marked(example.mask),
        predicted_mask=marked(example.predicted_mask),
    )
