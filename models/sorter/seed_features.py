"""The clustering notebook's own features of a tile: its layers 1, 2 and 3, by its arithmetic, on grey values 0 to 255.

They are kept for comparison (``mode=seed``) and as columns; what finds defects here is in ``measures``.

Letters: N tiles, S side of a tile in pixels.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

DARK, VERY_DARK = 80, 50  # grey values
STRIP = 5  # pixels along the border


def centre_features(level_NSS: Plane) -> dict[str, Floats]:
    """Layer 1: the middle half of a tile against its border."""
    side = level_NSS.shape[1]
    start, length = side // 4, side // 2
    middle = level_NSS[:, start : start + length, start : start + length].reshape(len(level_NSS), -1)
    border = np.ones((side, side), dtype=np.bool_)
    border[start : start + length, start : start + length] = False
    around_N = level_NSS[:, border].mean(axis=1)
    mean_N = middle.mean(axis=1)
    return {
        "centre_mean": mean_N,
        "centre_std": middle.std(axis=1),
        "centre_min": middle.min(axis=1),
        "centre_max": middle.max(axis=1),
        "border_mean": around_N,
        "centre_difference": mean_N - around_N,
    }


def darkness_features(level_NSS: Plane) -> dict[str, Floats]:
    """Layer 2: how dark a tile is, and the largest dark region by Otsu's threshold."""
    area_N = np.array([_dark_area(tile) for tile in np.clip(level_NSS, 0, 255).astype(np.uint8)])
    pixels = level_NSS.shape[1] * level_NSS.shape[2]
    return {
        "tile_mean": level_NSS.mean(axis=(1, 2)),
        "dark_share": (level_NSS < DARK).mean(axis=(1, 2)),
        "very_dark_share": (level_NSS < VERY_DARK).mean(axis=(1, 2)),
        "dark_area": area_N,
        "dark_area_share": area_N / pixels,
    }


def step_features(level_NSS: Plane) -> dict[str, Floats]:
    """Layer 3: jumps between rows and columns, between halves, and between border strips and the middle half."""
    side = level_NSS.shape[1]
    half, quarter = side // 2, side // 4
    row_N = np.abs(np.diff(level_NSS.mean(axis=2), axis=1)).max(axis=1)
    column_N = np.abs(np.diff(level_NSS.mean(axis=1), axis=1)).max(axis=1)
    down_N = np.abs(_mean(level_NSS[:, :half]) - _mean(level_NSS[:, half:]))
    across_N = np.abs(_mean(level_NSS[:, :, :half]) - _mean(level_NSS[:, :, half:]))
    middle_N = _mean(level_NSS[:, quarter : 3 * side // 4, quarter : 3 * side // 4])
    strips = (level_NSS[:, :STRIP], level_NSS[:, -STRIP:], level_NSS[:, :, :STRIP], level_NSS[:, :, -STRIP:])
    edge_N = np.max([np.abs(_mean(strip) - middle_N) for strip in strips], axis=0)
    jump_N, split_N = np.maximum(row_N, column_N), np.maximum(down_N, across_N)
    return {
        "row_jump": row_N,
        "column_jump": column_N,
        "max_jump": jump_N,
        "half_down": down_N,
        "half_across": across_N,
        "max_split": split_N,
        "edge_difference": edge_N,
        "level_edges": _strongest_line(level_NSS, right=0),
        "upright_edges": _strongest_line(level_NSS, right=1),
        "stitching_score": jump_N + split_N + edge_N,
    }


def _mean(part_NHW: Floats) -> Floats:
    return np.asarray(part_NHW.mean(axis=(1, 2)))


def _strongest_line(level_NSS: Plane, right: int) -> Floats:
    """Return the largest mean of Sobel's slope over a row of pixels (``right`` 0) or a column (1)."""
    tiles = np.clip(level_NSS, 0, 255).astype(np.uint8)
    slopes = (np.abs(cv2.Sobel(tile, cv2.CV_64F, right, 1 - right, ksize=3)) for tile in tiles)
    return np.array([float(slope.mean(axis=1 - right).max()) for slope in slopes])


def _dark_area(tile_SS: npt.NDArray[np.uint8]) -> float:
    _, dark = cv2.threshold(tile_SS, 0, 255, cv2.THRESH_BINARY_INV + cv2.THRESH_OTSU)
    contours, _ = cv2.findContours(dark, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    return max((float(cv2.contourArea(contour)) for contour in contours), default=0.0)
