"""A ring's two outlines, ray by ray and to a fraction of a pixel: where its brightness is halfway to the ground's.

Letters: N rays, evenly turned; M samples along each; H and W pixels of the image.
"""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING, Literal, NamedTuple

import cv2
import numpy as np

from .ring_step import NO_STEP, measure_step

if TYPE_CHECKING:
    import numpy.typing as npt

    from .ellipse import Floats, Plane
    from .ring_ground import Ground, Mask
    from .ring_pieces import Piece
    from .ring_step import Step

RAYS = 1440
STEP = 0.5  # pixels between samples
REACH = 18.0  # pixels sampled on both sides of where an outline roughly is, at most
PLATEAU = 4.0  # pixels over which the brightness beside an outline is averaged
SMOOTH = 0.7  # pixels along the rays: tames the camera's noise, and moves no edge
STRETCH, STRETCH_STEP = 12, 4  # blocks of so many rays on both sides: 12 degrees each, wider than any speck
SPECK = 1.25  # times as bright, or as dark, beside the ground as the stretch around it: a speck
AROUND = 25  # rays over which the brightness beside an outline is averaged
WIDTHS = 2.5  # standard deviations of the blur from an edge at which it has no share in the brightness any more
ENOUGH = 18  # rays that tell of the step
FLAT = 1e-3  # of white: no step at all
BACK = 10  # samples after which a ray that comes back meets something else
DISTINCT = 0.35  # of the ring's contrast: what lies outside a ray's edge must be nearer to the ground than this

Side = Literal["outer", "inner"]


class Edges(NamedTuple):
    """An outline, ray by ray.

    Attributes:
        radius_N: Distance from the ring's rough centre in pixels; NaN where no edge shows.
        at_N: Angles of the rays in radians.
        x: The rough centre; whole numbers at pixel centres.
        y: The same.
    """

    radius_N: Floats
    at_N: Floats
    x: float
    y: float

    def points(self) -> tuple[Floats, Floats]:
        """Return x and y of the edge of every ray; NaN where there is none."""
        return self.x + self.radius_N * np.cos(self.at_N), self.y + self.radius_N * np.sin(self.at_N)


class Rough(NamedTuple):
    """A ring as the small copy shows it, in pixels of the image.

    Attributes:
        x: Centre; whole numbers at pixel centres.
        y: The same.
        outer_N: Radius ray by ray; NaN where there is no ring.
        inner_N: The same.
    """

    x: float
    y: float
    outer_N: Floats
    inner_N: Floats


def rough_outlines(piece: Piece, shrink: float) -> Rough:
    """Read the outlines of a piece off its mask: first and last pixel that each ray from its centre meets."""
    mask_hw = piece.mask_hw
    rows, columns = np.flatnonzero(mask_hw.any(axis=1)), np.flatnonzero(mask_hw.any(axis=0))
    far = math.hypot(
        max(piece.x - columns[0], columns[-1] - piece.x) + 2, max(piece.y - rows[0], rows[-1] - piece.y) + 2
    )
    samples = max(int(far * 2), 4)
    polar = cv2.warpPolar(
        mask_hw.astype(np.uint8),
        (samples, RAYS),
        (piece.x, piece.y),
        far,
        cv2.WARP_POLAR_LINEAR | cv2.INTER_NEAREST | cv2.WARP_FILL_OUTLIERS,
    ).astype(bool)
    step = far / samples
    any_N = polar.any(axis=1)
    last = samples - np.argmax(polar[:, ::-1], axis=1)
    first = np.argmax(polar, axis=1)
    outer = np.where(any_N, last * step, np.nan) / shrink
    inner = np.where(any_N, first * step, np.nan) / shrink
    shift = 0.5 / shrink - 0.5
    return Rough(piece.x / shrink + shift, piece.y / shrink + shift, outer, inner)


def find_edges(
    grey_HW: Plane, ground: Ground, rough: Rough, side: Side, *, along: float = 0.0, rounds: int = 1
) -> Edges:
    """Find an outline of a ring in the image itself.

    Args:
        grey_HW: The image.
        ground: Of its small copy.
        rough: Where the outlines are, within some pixels.
        side: Which one.
        along: Pixels over which brightness is averaged along the outline, as a standard deviation: noise would make
            edges seem to lie further in. 0 where ``rough`` jumps from ray to ray.
        rounds: How often the levels of both sides are taken again, from better edges.
    """
    at_N = np.arange(RAYS) * (2 * math.pi / RAYS)
    start_N = rough.outer_N if side == "outer" else rough.inner_N
    thick = float(np.nanmedian(rough.outer_N - rough.inner_N))
    inward = max(min(REACH, 0.5 * thick), 1.5)
    outward = REACH if side == "outer" else min(REACH, max(0.8 * float(np.nanmedian(rough.inner_N)), 2.0))
    towards = 1.0 if side == "outer" else -1.0  # from the body to the ground
    offset_M = np.arange(-inward, outward + STEP / 2, STEP)
    filled_N = _filled(start_N)
    value_NM = _sampled(grey_HW, rough, at_N, filled_N[:, None] + towards * offset_M)
    level_N = _ground_at(ground, rough, at_N, filled_N)
    if along:
        value_NM = _averaged(value_NM, along * RAYS / (2 * math.pi * float(np.mean(filled_N))))
    radius_N = filled_N + towards * _crossing(value_NM, offset_M, level_N, inward, rounds)
    radius_N[~np.isfinite(start_N)] = np.nan
    return Edges(radius_N, at_N, rough.x, rough.y)


def _filled(radius_N: Floats) -> Floats:
    """Go on over rays without a ring as their neighbours do."""
    known = np.isfinite(radius_N)
    if known.all():
        return radius_N.copy()
    index = np.arange(len(radius_N))
    filled: Floats = np.interp(index, index[known], radius_N[known], period=len(radius_N))
    return filled


def _sampled(grey_HW: Plane, rough: Rough, at_N: Floats, reach_NM: Floats) -> Floats:
    """Sample the image along rays, bilinearly; beyond its border, NaN."""
    x = (rough.x + reach_NM * np.cos(at_N)[:, None]).astype(np.float32)
    y = (rough.y + reach_NM * np.sin(at_N)[:, None]).astype(np.float32)
    value_NM = cv2.remap(grey_HW, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    height, width = grey_HW.shape
    beyond = (x < 0) | (y < 0) | (x > width - 1) | (y > height - 1) | (reach_NM < 0)
    value_NM = cv2.GaussianBlur(value_NM, (7, 1), SMOOTH / STEP)
    return np.where(beyond, np.nan, value_NM).astype(np.float64)


def _averaged(value_NM: Floats, rays: float) -> Floats:
    """Average over neighbouring rays, past samples beyond the image's border."""
    half = max(math.ceil(3 * rays), 1)
    turned = np.concatenate([value_NM[-half:], value_NM, value_NM[:half]])
    known = np.isfinite(turned)
    size = (1, 2 * half + 1)
    total = cv2.GaussianBlur(np.where(known, turned, 0.0), size, 1.0, sigmaY=rays)
    if known.all():
        return np.asarray(total[half:-half], dtype=np.float64)
    weight = cv2.GaussianBlur(known.astype(np.float64), size, 1.0, sigmaY=rays)
    averaged: Floats = np.where(weight > 0.5, total / np.maximum(weight, 1e-9), np.nan)[half:-half]
    return averaged


def _ground_at(ground: Ground, rough: Rough, at_N: Floats, reach_N: Floats) -> Floats:
    """Return the ground's brightness at each ray's edge."""
    height, width = ground.level_hw.shape
    column = np.clip((rough.x + reach_N * np.cos(at_N) + 0.5) * ground.shrink - 0.5, 0, width - 1).astype(np.intp)
    row = np.clip((rough.y + reach_N * np.sin(at_N) + 0.5) * ground.shrink - 0.5, 0, height - 1).astype(np.intp)
    level_N: Floats = ground.level_hw[row, column].astype(np.float64)
    return level_N


def _crossing(value_NM: Floats, offset_M: Floats, ground_N: Floats, inward: float, rounds: int) -> Floats:
    """Return, for each ray, where it first falls below half of the step from body to ground; NaN where it does not.

    The levels of both sides are those next to the edge, averaged over neighbouring rays, so that light from one side
    and a ground that is not even move nothing; the body's is corrected for its shading, as a tube is darker at its rim.
    """
    near_NM = np.broadcast_to(offset_M < -inward + max(PLATEAU, 0.3 * inward), value_NM.shape)
    found_N = _first_below(value_NM, offset_M, ground_N, _without_specks(_mean(value_NM, near_NM), ground_N), ground_N)
    edge_N, step = found_N, NO_STEP
    for left in range(rounds, 0, -1):
        soft = step.soft
        away = min(WIDTHS * soft, 0.6 * inward)
        body_N = _without_specks(_smoothed(_window(value_NM, offset_M, edge_N, -away - PLATEAU, -away)), ground_N)
        beside_N = _smoothed(_window(value_NM, offset_M, edge_N, WIDTHS * soft, WIDTHS * soft + PLATEAU))
        beside_N = np.where(np.isfinite(beside_N), beside_N, ground_N)
        found_N = _first_below(value_NM, offset_M, ground_N, step.shading.at_edge(body_N, beside_N), beside_N)
        edge_N = np.where(np.isfinite(found_N), found_N, edge_N)
        if left > 1:
            step = _step(value_NM, offset_M, edge_N, (body_N, beside_N), away)
    return found_N


def _step(value_NM: Floats, offset_M: Floats, edge_N: Floats, levels: tuple[Floats, Floats], away: float) -> Step:
    """Measure the step from body to ground over all rays, from levels ``away`` from their edges and beside them."""
    known = np.flatnonzero(np.isfinite(edge_N) & np.isfinite(levels[0]) & np.isfinite(levels[1]))[::4]
    if len(known) < ENOUGH:
        return NO_STEP
    body_N, beside_N = (level[known] for level in levels)
    usual = float(np.median(body_N - beside_N))
    if abs(usual) < FLAT:
        return NO_STEP
    grid = np.arange(-away - 3 * PLATEAU, 3 * WIDTHS, STEP)
    height_N = (body_N - beside_N) / usual
    part_NG = (_along(value_NM, offset_M, edge_N, known, grid) - beside_N[:, None]) / usual
    part_NG[np.abs(part_NG) >= 2 * np.maximum(height_N, 1.0)[:, None]] = np.nan  # a fin's ray is not a step
    return measure_step(grid, part_NG, height_N, usual)


def _along(value_NM: Floats, offset_M: Floats, edge_N: Floats, known: npt.NDArray[np.intp], grid: Floats) -> Floats:
    """Interpolate some rays at distances from their edges; NaN beyond what was sampled."""
    first, share = np.divmod((edge_N[known][:, None] + grid - offset_M[0]) / STEP, 1.0)
    index = first.astype(np.intp)
    within = (index >= 0) & (index < len(offset_M) - 1)
    index = np.clip(index, 0, len(offset_M) - 2)
    value = value_NM[known[:, None], index] * (1 - share) + value_NM[known[:, None], index + 1] * share
    return np.where(within, value, np.nan)


def _window(value_NM: Floats, offset_M: Floats, edge_N: Floats, low: float, high: float) -> Floats:
    """Average each ray between two distances from its edge."""
    usual = float(np.nanmedian(edge_N)) if np.isfinite(edge_N).any() else 0.0
    at_N = np.where(np.isfinite(edge_N), edge_N, usual)[:, None]
    return _mean(value_NM, (offset_M > at_N + low) & (offset_M < at_N + high))


def _mean(value_NM: Floats, chosen_NM: Mask) -> Floats:
    chosen = chosen_NM & np.isfinite(value_NM)
    count = chosen.sum(axis=1)
    total = np.where(chosen, value_NM, 0.0).sum(axis=1)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def _smoothed(value_N: Floats) -> Floats:
    """Average over neighbouring rays by their median, past those that are unknown."""
    half = AROUND // 2
    turned = np.concatenate([value_N[-half:], value_N, value_N[:half]])
    windows = np.lib.stride_tricks.sliding_window_view(turned, AROUND)
    with np.errstate(all="ignore"):
        sorted_N = np.sort(windows, axis=1)  # NaN last
        known = np.isfinite(windows).sum(axis=1)
        middle = np.maximum((known - 1) // 2, 0)
        return np.where(known > 0, sorted_N[np.arange(len(value_N)), middle], np.nan)


def _without_specks(body_N: Floats, ground_N: Floats) -> Floats:
    """Keep the body's brightness near that of a wide stretch: a speck on the body must not move its edge."""
    height_N = body_N - ground_N
    coarse = np.full(-(-len(height_N) // STRETCH_STEP) * STRETCH_STEP, np.nan)
    coarse[: len(height_N)] = height_N
    with warnings.catch_warnings(action="ignore", category=RuntimeWarning):  # of stretches that nothing is known of
        block_B = np.nanmedian(coarse.reshape(-1, STRETCH_STEP), axis=1)
        around = np.concatenate([block_B[-STRETCH:], block_B, block_B[:STRETCH]])
        usual_B = np.nanmedian(np.lib.stride_tricks.sliding_window_view(around, 2 * STRETCH + 1), axis=1)
    usual_N = np.repeat(usual_B, STRETCH_STEP)[: len(height_N)]
    low, high = np.sort(np.stack([usual_N / SPECK, usual_N * SPECK]), axis=0)
    clipped: Floats = np.clip(height_N, low, high)
    return ground_N + np.where(np.isfinite(usual_N), clipped, height_N)


def _first_below(value_NM: Floats, offset_M: Floats, ground_N: Floats, body_N: Floats, beside_N: Floats) -> Floats:
    """Return where each ray, coming from the body, first falls below the middle of the two levels."""
    body = np.where(np.isfinite(body_N), body_N - ground_N, 0.0)
    sign = np.sign(body)
    usual = np.nanmedian(np.abs(body)) if len(body) else 0.0
    part_NM = (value_NM - ground_N[:, None]) * sign[:, None]
    beside = (beside_N - ground_N) * sign
    middle_N = (np.abs(body) + beside) / 2
    below_NM = part_NM < middle_N[:, None]
    below_NM[:, 0] = False
    after = np.argmax(below_NM, axis=1)
    edge_N, high = _between(part_NM, offset_M, middle_N, after)
    # Noise lets a ray fall below too early; where it comes back soon, the edge is in the middle.
    place = np.arange(value_NM.shape[1])[None]
    back_NM = ~below_NM & np.isfinite(part_NM) & (place > after[:, None]) & (place <= after[:, None] + BACK)
    last = value_NM.shape[1] - 1 - np.argmax(back_NM[:, ::-1], axis=1)
    again_N, _ = _between(part_NM, offset_M, middle_N, np.minimum(last + 1, value_NM.shape[1] - 1))
    edge_N = np.where(back_NM.any(axis=1), (edge_N + again_N) / 2, edge_N)
    good = below_NM.any(axis=1) & (np.abs(body) > 0.1 * usual) & (beside < DISTINCT * np.abs(body)) & np.isfinite(high)
    return np.where(good, edge_N, np.nan)


def _between(
    part_NM: Floats, offset_M: Floats, middle_N: Floats, after_N: npt.NDArray[np.intp]
) -> tuple[Floats, Floats]:
    """Return where each ray crosses its middle between a sample and the one before it, and the latter's value."""
    ray_N = np.arange(len(part_NM))
    before_N = np.maximum(after_N - 1, 0)
    high, low = part_NM[ray_N, before_N], part_NM[ray_N, after_N]
    with np.errstate(all="ignore"):
        share = np.clip((high - middle_N) / (high - low), 0.0, 1.0)
    return offset_M[before_N] + share * STEP, high
