"""Instances drawn over their image at its full size: outline, box, and a few words beside each; ships with bundles."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.samples.detections import Instance

Drawn: TypeAlias = npt.NDArray[np.uint8]
DEFECT = (204, 121, 167)  # RGB, Okabe and Ito


def draw_instances(drawn: Drawn, instances: Sequence[tuple[str, Instance]]) -> None:
    """Draw defects over an image, in place: outline, box, and what is written beside it."""
    size = max(min(drawn.shape[:2]) / 1100, 0.45)
    thick = max(round(1.5 * size), 1)
    for words, one in instances:
        top, left, bottom, right = one.region
        padded = np.pad(one.mask.astype(np.uint8), 1)
        contours, _ = cv2.findContours(padded, cv2.RETR_LIST, cv2.CHAIN_APPROX_NONE, offset=(left - 1, top - 1))
        cv2.drawContours(drawn, contours, -1, DEFECT, thick, cv2.LINE_AA)
        away = 2 * thick
        cv2.rectangle(drawn, (left - away, top - away), (right - 1 + away, bottom - 1 + away), DEFECT, thick)
        below = top < 40 * size
        place = (left, round(bottom + 30 * size) if below else round(top - 8 * size))
        write(drawn, words, place, 0.75 * size, DEFECT)


def write(drawn: Drawn, words: str, place: tuple[int, int], size: float, colour: tuple[int, int, int]) -> None:
    """Write words with a dark rim, so that they are read on any ground."""
    font, thick = cv2.FONT_HERSHEY_SIMPLEX, max(round(2 * size), 1)
    cv2.putText(drawn, words, place, font, size, (0, 0, 0), thick + 2, cv2.LINE_AA)
    cv2.putText(drawn, words, place, font, size, colour, thick, cv2.LINE_AA)
