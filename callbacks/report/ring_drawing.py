"""Rings drawn over their image at its full size: outlines, box, number, where they are thin, and what stands out."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.images import scale, to_rgb

from .instance_drawing import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.files.images import Array
    from datamodules.zones.ring import Ring

Drawn: TypeAlias = npt.NDArray[np.uint8]
COLOURS = {  # RGB, Okabe and Ito
    "accepted": (0, 158, 115),
    "rework": (230, 159, 0),
    "rejected": (213, 94, 0),
    "unknown": (160, 160, 160),
    "": (86, 180, 233),
}
ENDS = (255, 255, 255)
TURNS = 721


def draw_rings(values: Array, rings: Sequence[tuple[int, Ring, str, str]]) -> Drawn:
    """Draw rings over an image (H, W) or (H, W, 3): (H, W, 3) RGB uint8.

    Args:
        values: As stored.
        rings: Number, ring, state (or empty), and a few words to be read beside it.
    """
    scaled = scale(values)
    whole = scaled if scaled.dtype == np.uint8 else np.rint(scaled * 255).astype(np.uint8)
    drawn = np.ascontiguousarray(to_rgb(whole)).copy()
    size = max(min(drawn.shape[:2]) / 1100, 0.45)
    for number, ring, state, words in rings:
        _draw(drawn, ring, COLOURS.get(state, COLOURS[""]), f"{number}{f' {state}' if state else ''}", words, size)
    return drawn


def _draw(drawn: Drawn, ring: Ring, colour: tuple[int, int, int], name: str, words: str, size: float) -> None:
    thick = max(round(1.5 * size), 1)
    angle = np.linspace(0, 2 * math.pi, TURNS)
    for outline in (ring.outer, ring.inner):
        reach = outline.at(angle)
        points = np.stack([outline.x + reach * np.cos(angle), outline.y + reach * np.sin(angle)], axis=1)
        cv2.polylines(drawn, [np.rint(points * 16).astype(np.int32)], True, colour, thick, cv2.LINE_AA, 4)
    box = ring.box
    cv2.rectangle(drawn, (box.left, box.top), (box.right - 1, box.bottom - 1), colour, thick)
    for at, mark in ((ring.thickness.thinnest_at, "thin"), (ring.thickness.thickest_at, "thick")):
        _spoke(drawn, ring, math.radians(at), mark, size)
    if ring.fin is not None:
        outline = ring.outer if ring.fin.side == "outer" else ring.inner
        turn = math.radians(ring.fin.at)
        place = _point(outline.x, outline.y, float(outline.at(np.asarray([turn]))[0]), turn)
        cv2.circle(drawn, place, round(22 * size), COLOURS["rework"], thick + 1, cv2.LINE_AA)
    for gap in ring.gaps:
        middle = (ring.outer.radius + ring.inner.radius) / 2
        place = _point(ring.outer.x, ring.outer.y, middle, math.radians(gap.at))
        cv2.circle(drawn, place, round(max(gap.width, 40) * 0.7), COLOURS["rejected"], thick + 1, cv2.LINE_AA)
    write(drawn, name, (box.left + 6, max(box.top - round(10 * size), round(30 * size))), size, colour)
    if words:
        write(drawn, words, (box.left + 6, min(box.bottom + round(30 * size), drawn.shape[0] - 8)), 0.75 * size, colour)


def _point(x: float, y: float, reach: float, turn: float) -> tuple[int, int]:
    return round(x + reach * math.cos(turn)), round(y + reach * math.sin(turn))


def _spoke(drawn: Drawn, ring: Ring, turn: float, mark: str, size: float) -> None:
    """Draw a line across the body, with a word inside the hole."""
    at = np.asarray([turn])
    inner, outer = float(ring.inner.at(at)[0]), float(ring.outer.at(at)[0])
    start, end = _point(ring.inner.x, ring.inner.y, inner, turn), _point(ring.outer.x, ring.outer.y, outer, turn)
    cv2.line(drawn, start, end, ENDS, max(round(1.5 * size), 1), cv2.LINE_AA)
    if inner > 60 * size:
        x, y = _point(ring.inner.x, ring.inner.y, inner - 45 * size, turn)
        write(drawn, mark, (x - round(22 * size), y + round(8 * size)), 0.6 * size, ENDS)
