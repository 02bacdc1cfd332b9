"""The step from a ring's body to its ground, as all rays together show it: how soft, and how the body is shaded to it.

Letters: N rays; G places across an outline; K terms of a polynomial.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from .ellipse import Floats

ENOUGH = 9  # places, and rays at each
SOFT = 2.0  # pixels: where nothing is known
SOFTEST, SHARPEST = 4.0, 0.6  # standard deviations that a blur may have, in pixels
FAR = 1.0  # pixels from the edges at which the step may lie, at most
SLOPE = 6.0  # pixels to both sides in which a step falls
CORE = 0.15  # of its steepest fall: what is less says nothing of the softness
TRIMMED = 1.1  # what is left out thereby would add to the softness
BODY = 10.0  # pixels of body, from where blur ends, whose shading is followed to the edge
BLURRED = 2.5  # standard deviations of the blur to which a step reaches
STEPS = 6
CLOSE = 0.5  # pixels that one step may change softness or place
EVEN = 0.005  # variance of contrasts, relative to their square, below which light counts as even
FAINTEST, BRIGHTEST = 0.2, 1.4  # of the contrast further in that an edge may have


class Shading(NamedTuple):
    """How a body's contrast to its ground at an edge follows from that further in.

    A tube is darker towards its rim by a share of its own brightness, while the ground stays as it is: where light is
    faint, hardly any contrast is left at the edge.

    Attributes:
        share: Of the contrast further in.
        more: What is added to it everywhere, in units of brightness.
    """

    share: float
    more: float

    def at_edge(self, body_N: Floats, beside_N: Floats) -> Floats:
        """Return the brightness over the ground's, of which an edge shows half, plus the ground's."""
        contrast_N = body_N - beside_N
        size_N, sign_N = np.abs(contrast_N), np.sign(contrast_N)
        edge_N: Floats = np.clip((self.share * contrast_N + self.more) * sign_N, size_N * FAINTEST, size_N * BRIGHTEST)
        return beside_N + sign_N * edge_N


class Step(NamedTuple):
    """A step.

    Attributes:
        soft: Standard deviation of the blur, in pixels.
        shading: Of the body.
    """

    soft: float
    shading: Shading


NO_STEP = Step(SOFT, Shading(1.0, 0.0))


def measure_step(grid_G: Floats, part_NG: Floats, height_N: Floats, unit: float) -> Step:
    """Measure the step.

    Args:
        grid_G: Places in pixels from the rays' edges, towards the ground.
        part_NG: Brightness over the ground's, in units; NaN where unknown.
        height_N: That of each ray further in.
        unit: Brightness of a unit, signed.
    """
    many = np.isfinite(part_NG).sum(axis=0) > ENOUGH
    grid, (growing, constant) = grid_G[many], _by_height(height_N, part_NG[:, many])
    step = growing + constant / float(height_N.mean())
    if ((grid > -SLOPE) & (grid < SLOPE)).sum() < ENOUGH:
        return NO_STEP
    soft = _softness(grid, step)
    used = (grid >= -BLURRED * soft - BODY) & (grid <= BLURRED * soft)
    if (grid[used] <= -soft).sum() < ENOUGH:
        return Step(soft, NO_STEP.shading)
    soft, place = _fit(grid[used], step[used], soft)
    terms_GK, at_edge_K = _terms(grid[used] - place, soft), _terms(np.zeros(1), soft)[0]
    bell = np.exp(-0.5 * ((grid[used] - place) / soft) ** 2)  # edges of faint rays may lie elsewhere yet
    both = np.stack([growing[used], constant[used]], axis=1)
    solved = np.linalg.lstsq(np.column_stack([terms_GK, bell]), both, rcond=None)[0][:-1]
    share, more = (2 * float(value) for value in at_edge_K @ solved)
    return Step(soft, Shading(share, more * unit))


def _by_height(height_N: Floats, part_NG: Floats) -> tuple[Floats, Floats]:
    """Divide profiles into what grows with a ray's height, and what is the same on all rays.

    Where all heights are alike, the two cannot be told apart, and all of it grows.
    """
    known = np.isfinite(part_NG)
    value, height = np.where(known, part_NG, 0.0), np.where(known, height_N[:, None], 0.0)
    count = known.sum(axis=0) * (1.0 + EVEN)
    first, second = height.sum(axis=0), (height**2).sum(axis=0)
    both, alone = (height * value).sum(axis=0), value.sum(axis=0)
    over = second * count - first**2
    return (both * count - alone * first) / over, (alone * second - both * first) / over


def _softness(grid: Floats, step: Floats) -> float:
    """Return the standard deviation of a step's fall."""
    near = (grid > -SLOPE) & (grid < SLOPE)
    falling = -np.gradient(step[near], grid[near])
    weight = np.clip(falling, 0, None) * (falling > CORE * falling.max())
    middle = float((weight * grid[near]).sum() / weight.sum())
    soft = math.sqrt(float((weight * (grid[near] - middle) ** 2).sum() / weight.sum())) * TRIMMED
    return min(max(soft, SHARPEST), SOFTEST)


def _fit(grid: Floats, step: Floats, soft: float) -> tuple[float, float]:
    """Fit a blurred body that ends, by Gauss and Newton; return its blur and where it ends."""
    place, little = 0.0, 1e-3
    for _ in range(STEPS):
        terms = _terms(grid - place, soft)
        body = np.linalg.lstsq(terms, step, rcond=None)[0]
        moved = (_terms(grid - place - little, soft) - terms) @ body / little
        softer = (_terms(grid - place, soft + little) - terms) @ body / little
        change = np.linalg.lstsq(np.column_stack([terms, moved, softer]), step - terms @ body, rcond=None)[0]
        across, wider = np.clip(change[-2:], -CLOSE, CLOSE)
        place = min(max(place + float(across), -FAR), FAR)
        soft = min(max(soft + float(wider), SHARPEST), SOFTEST)
    return soft, place


def _terms(x_G: Floats, soft: float) -> Floats:
    """Return 1, x and x^2 of a body that ends at 0, blurred by a Gaussian, (G, K)."""
    inside = np.asarray([0.5 * math.erfc(place / (soft * math.sqrt(2))) for place in x_G])
    bell = soft * np.exp(-0.5 * (x_G / soft) ** 2) / math.sqrt(2 * math.pi)
    return np.stack([inside, x_G * inside - bell, (x_G**2 + soft**2) * inside - x_G * bell], axis=1)
