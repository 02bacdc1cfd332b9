"""Fragments of scratches joined: pieces that lie on one line, end to end, are one scratch."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from .region_shape import RegionShape

if TYPE_CHECKING:
    from collections.abc import Sequence

SLENDER = 3.0  # length over width from which a piece has a direction
CRUMB = 1.8  # the same of what the border of a zone cuts off a scratch: a piece beside one that is slender
ALIGNED = 12.0  # degrees between two pieces of one line
ASIDE = 1.5  # widths by which the end of a piece may miss the line of the other
GAP = 0.6  # of the longer piece's length, between their ends, at most ...
FARTHEST = 15.0  # ... and units


class _Piece(NamedTuple):
    """A slender piece: its ends, direction, and width."""

    end_22: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    along_2: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    length: float
    width: float
    slender: float


def join_fragments(shapes: Sequence[RegionShape]) -> list[RegionShape]:
    """Join the fragments of scratches; all else stays, in order."""
    pieces = [_piece(shape) for shape in shapes]
    pairs = [
        (i, j)
        for i, one in enumerate(pieces)
        for j, other in enumerate(pieces[:i])
        if one is not None and other is not None and max(one.slender, other.slender) >= SLENDER and _are_one(one, other)
    ]
    label_N = list(range(len(shapes)))
    for i, j in pairs:
        joined = {label_N[i], label_N[j]}
        label_N = [min(joined) if label in joined else label for label in label_N]
    groups: dict[int, list[RegionShape]] = {}
    for label, shape in zip(label_N, shapes, strict=True):
        groups.setdefault(label, []).append(shape)
    return [_joined(group) for group in groups.values()]


def _joined(group: list[RegionShape]) -> RegionShape:
    if len(group) == 1:
        return group[0]
    patches = tuple(patch for shape in group for patch in shape.patches)
    return RegionShape(patches, group[0].plane_HW, group[0].scale)


def _piece(shape: RegionShape) -> _Piece | None:
    extent = shape.extent
    if shape.slenderness < CRUMB:
        return None
    x_S, y_S = shape.axis.x_S * shape.scale.x, shape.axis.y_S * shape.scale.y
    if len(x_S) < 2:
        return None
    end_22 = np.array([[x_S[0], y_S[0]], [x_S[-1], y_S[-1]]])
    along = end_22[1] - end_22[0]
    return _Piece(end_22, along / max(float(np.hypot(*along)), 1e-9), extent.length, extent.width, shape.slenderness)


def _are_one(one: _Piece, other: _Piece) -> bool:
    """Tell whether two pieces lie on one line, end to end."""
    gaps = np.hypot(*(one.end_22[:, None] - other.end_22[None]).transpose(2, 0, 1))
    i, j = divmod(int(np.argmin(gaps)), 2)
    gap = float(gaps[i, j])
    longer = max(one.length, other.length)
    if gap > min(GAP * longer, FARTHEST):
        return False
    min_cosine = np.cos(np.radians(ALIGNED))
    if abs(float(one.along_2 @ other.along_2)) < min_cosine:
        return False
    far = other.end_22[1 - j] - one.end_22[1 - i]
    aside = (
        max(abs(_across(one, end)) for end in other.end_22)
        if one.length >= other.length
        else max(abs(_across(other, end)) for end in one.end_22)
    )
    straight = abs(float(far @ one.along_2)) / max(float(np.hypot(*far)), 1e-9) >= min_cosine
    beyond = float(np.hypot(*far)) >= 0.9 * (one.length + other.length)  # side by side is not end to end
    return straight and beyond and aside <= ASIDE * max(one.width, other.width) + 0.1 * gap + 0.05 * longer


def _across(piece: _Piece, end_2: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> float:
    x, y = end_2 - piece.end_22[0]
    return float(x * piece.along_2[1] - y * piece.along_2[0])
