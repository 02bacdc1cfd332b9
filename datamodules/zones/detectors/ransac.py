"""Random sampling: two edges that point to one centre make a circle; the one with most of the turn behind it wins.

After Fischler and Bolles, "Random sample consensus", CACM 24(6), 1981, with directed edges.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from datamodules.zones.detectors import Circle
from datamodules.zones.ellipse import Ellipse, Floats, fit_ellipse

if TYPE_CHECKING:
    from datamodules.zones.edges import Edges
    from datamodules.zones.view import View

SAMPLES = 6000
TRIED = 250
SAME = 0.12  # of the radius: circles that differ by less are about the same edges
NEAR = 0.035  # of the radius
ALIGNED = 0.92  # cosine between an edge's direction and the radius
BINS = 48
RADII = (0.04, 0.62)  # of the shorter side


def detect(view: View) -> Circle | None:
    """Find the outermost circle that nearly as much of the turn supports as any."""
    edges, height, width = view.edges, *view.small_hw.shape
    if len(edges.x_E) < 12:
        return None
    circle_T3 = _hypotheses(edges, min(height, width))
    if not len(circle_T3):
        return None
    arc_T = np.array([_arc(edges, circle, (height, width)) for circle in circle_T3])
    good = arc_T >= max(0.85 * float(arc_T.max()), 0.3)
    if not good.any():
        return None
    largest = circle_T3[np.argmax(np.where(good, circle_T3[:, 2], 0.0))]
    # A circle a little too large still touches most edges: of those like it, the one that most edges lie on is right.
    like = good & (np.abs(circle_T3 - largest) < SAME * largest[2]).all(axis=1)
    member_T = [_members(edges, circle)[0].sum() if same else 0 for circle, same in zip(circle_T3, like, strict=True)]
    chosen = int(np.argmax(member_T))
    shape = _refined(edges, circle_T3[chosen])
    inner = (arc_T >= 0.6 * float(arc_T.max())) & (circle_T3[:, 2] < 0.85 * shape.radius)
    near = np.hypot(circle_T3[:, 0] - shape.cx, circle_T3[:, 1] - shape.cy) < 0.1 * shape.radius
    core = float(circle_T3[np.argmax(np.where(inner & near, arc_T, 0.0)), 2]) if (inner & near).any() else None
    return Circle(shape, core, float(arc_T[chosen]))


def _hypotheses(edges: Edges, side: int) -> Floats:
    """Return circles (T, 3) as x, y, radius, from pairs of edges whose normals meet as far from one as the other."""
    rng = np.random.default_rng(0)  # the same image gives the same zones
    first, second = rng.integers(0, len(edges.x_E), (2, SAMPLES))
    p, q = (np.stack([edges.x_E[k], edges.y_E[k]], axis=1) for k in (first, second))
    u, v = edges.toward_E2[first], edges.toward_E2[second]
    cross = u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
    usable = np.abs(cross) > 0.2
    p, q, u, v, cross = p[usable], q[usable], u[usable], v[usable], cross[usable]
    gap = q - p
    reach_p = (gap[:, 0] * v[:, 1] - gap[:, 1] * v[:, 0]) / cross
    reach_q = (gap[:, 0] * u[:, 1] - gap[:, 1] * u[:, 0]) / cross
    radius = (np.abs(reach_p) + np.abs(reach_q)) / 2
    low, high = (share * side for share in RADII)
    agree = (reach_p * reach_q > 0) & (np.abs(reach_p - reach_q) < 0.1 * radius) & (low < radius) & (radius < high)
    circles: Floats = np.concatenate([p + u * reach_p[:, None], radius[:, None]], axis=1)[agree]
    if not len(circles):
        return circles
    # Circles that others come near to are tried first.
    cell = np.rint(circles / np.array([0.03 * side, 0.03 * side, 0.03 * side])).astype(np.int64)
    _, inverse, count = np.unique(cell, axis=0, return_inverse=True, return_counts=True)
    order = np.argsort(-count[inverse.ravel()], kind="stable")[:TRIED]
    return np.asarray(circles[order], dtype=np.float64)


def _members(edges: Edges, circle: Floats) -> tuple[np.ndarray[tuple[int], np.dtype[np.bool_]], Floats]:
    """Return which edges lie on a circle and point along its radius, and their angles."""
    dx, dy = edges.x_E - circle[0], edges.y_E - circle[1]
    away = np.hypot(dx, dy)
    aligned = np.abs(dx * edges.toward_E2[:, 0] + dy * edges.toward_E2[:, 1]) > ALIGNED * away
    return (np.abs(away - circle[2]) < max(NEAR * circle[2], 1.5)) & aligned, np.arctan2(dy, dx)


def _arc(edges: Edges, circle: Floats, shape: tuple[int, int]) -> float:
    """Return how much of the visible turn has edges."""
    member, angle = _members(edges, circle)
    turn = (np.arange(BINS) + 0.5) * (2 * np.pi / BINS) - np.pi
    x, y = circle[0] + circle[2] * np.cos(turn), circle[1] + circle[2] * np.sin(turn)
    visible = (x > 0) & (y > 0) & (x < shape[1] - 1) & (y < shape[0] - 1)
    if visible.mean() < 0.2:
        return 0.0
    hit = np.bincount(((angle[member] + np.pi) / (2 * np.pi) * BINS).astype(np.intp) % BINS, minlength=BINS) > 0
    return float((hit & visible).sum() / visible.sum() * visible.mean() ** 0.3)


def _refined(edges: Edges, circle: Floats) -> Ellipse:
    member, angle = _members(edges, circle)
    start = Ellipse(float(circle[0]), float(circle[1]), float(circle[2]))
    whole = len(np.unique((angle[member] * 6 / np.pi).astype(int))) >= 9
    return fit_ellipse(edges.x_E[member], edges.y_E[member], start, stretched=whole)[0]
