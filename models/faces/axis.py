"""What is usual near the axis of an end face, where a single defect may fill whole rings.

Core and cladding are each of a brightness that changes smoothly with the distance from the axis, and nothing but
their edges is a step. So a curve through all pixels of each says what a ring's median may be, and a step within the
core is the edge of something that lies over the axis.

Letters: T distances from the axis, P pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from .light import fit_light

if TYPE_CHECKING:
    from .light import Profile

    Plane: TypeAlias = npt.NDArray[np.float32]

Floats: TypeAlias = npt.NDArray[np.floating]

FLOOR = 0.5  # grey levels: rounding to 8 bits leaves no noise below
SHORT = 0.2  # radii of the cladding: a ring within is so short that its median means little
BLEND = 0.05  # radii over which what is fitted near the axis gives way to medians
LARGEST = 0.4  # radii of the cladding: the largest thing over the axis that a ring's median is kept from following ...
GROUND = 0.6  # ... by what the cladding is as far out as this
EDGE = 0.15  # of the core's radius on either side of its edge, where a fit would smear it
RIM = 0.77  # of the core's radius: from here to its edge it is asked what the core is like without what covers the axis
MIN_CONTRAST = 6.0  # grey levels that medians may differ from a fit in any case: rings of a glass fiber are fainter
STEP = 15.0  # grey levels, or ...
NOISES = 6.0  # ... standard deviations, within so many pixels ...
WITHIN = 2  # ... on either side: an edge of something; light itself changes more slowly ...
SLOPES = 4.0  # ... so that an edge is at least as many times as steep as the core is elsewhere
AGREE = 3.0  # standard deviations of the rim within which a pixel of the core lies on a curve
SMALL_CORE = 0.2  # radii of the cladding, up to which a core is that of a single mode: a scratch may cover half of it
BESIDE = 1.6  # radii of the core, up to which is looked for what lies across it: ...
MIN_ACROSS = 0.08  # ... at least this share of what is beside it
CLEAR = 0.15  # of a small core's rim that is its own at least
FADING = 0.25  # of its brightness in the middle, that an even light loses to its rim at most
UNFIT = 8.0  # grey levels between a ring's median and the light that is fitted to all of them, at most
UNEVEN = 0.25  # of a small core's pixels that are unlike their rings: something lies across it
FEWEST = 20  # pixels to fit to
MOST = 20_000  # pixels that a fit looks at; of more, every n-th


class Curve(NamedTuple):
    """Brightness at a distance: a + b t^2, and how far pixels and rings may be from it.

    Attributes:
        constant: Grey level on the axis.
        bend: Its change over a cladding's radius.
        scatter: Robust standard deviation of pixels about it.
    """

    constant: float
    bend: float
    scatter: float

    def __call__(self, at_T: Floats) -> npt.NDArray[np.float64]:
        """Return the brightness at distances in radii of the cladding."""
        return np.asarray(self.constant + self.bend * at_T**2, dtype=np.float64)

    @property
    def tolerance(self) -> float:
        """Grey levels that the median of a ring may differ by."""
        return max(2.0 * self.scatter, MIN_CONTRAST)


def near_axis(at_T: Floats, usual_T: Floats, distance_HW: Floats, grey_HW: Plane, core: float | None) -> Floats:
    """Return what is usual at every distance, mended near the axis.

    Args:
        at_T: Distances from the axis, in radii of the cladding, evenly spaced by a pixel.
        usual_T: Medians of the rings there.
        distance_HW: Of every pixel.
        grey_HW: The image.
        core: The core's radius in that of the cladding; None: none is to be seen.
    """
    near = distance_HW <= GROUND
    distance_P, grey_P = _thinned(distance_HW[near], grey_HW[near])
    first = 0.0 if core is None else core * (1 + EDGE)
    found_T = np.array(usual_T, dtype=np.float64)
    ground = _fit(distance_P, grey_P, first, max(GROUND, 1.5 * first))
    if ground is not None:
        _mend(found_T, at_T, ground, (first, LARGEST))
    beam = fit_light(at_T, usual_T, core, ground) if core is not None and ground and core <= SMALL_CORE else None
    if beam is not None:
        found_T = np.array(usual_T, dtype=np.float64)
        _mend(found_T, at_T, beam, (0.0, LARGEST))
    elif core is not None:
        inner = _core_curve(at_T, usual_T, distance_P, grey_P, core, ground)
        if inner is not None:
            _mend(found_T, at_T, inner, (0.0, core * (1 - EDGE)))
    return found_T


def _thinned(distance_P: Floats, grey_P: Floats) -> tuple[Floats, Floats]:
    every = max(len(grey_P) // MOST, 1)
    return distance_P[::every], grey_P[::every]


def _mend(found_T: Floats, at_T: Floats, curve: Profile, piece: tuple[float, float]) -> None:
    """Keep medians within a curve's tolerance, and replace those of short rings by the curve."""
    inside_T = (at_T >= piece[0]) & (at_T <= piece[1])
    expected_T = curve(at_T[inside_T])
    held_T = np.clip(found_T[inside_T], expected_T - curve.tolerance, expected_T + curve.tolerance)
    share_T = np.clip((SHORT - at_T[inside_T]) / BLEND, 0.0, 1.0)
    found_T[inside_T] = held_T + share_T * (expected_T - held_T)


def _core_curve(
    at_T: Floats, usual_T: Floats, distance_P: Floats, grey_P: Floats, core: float, ground: Curve | None
) -> Curve | None:
    """Say what the core is like without what may lie over the axis.

    That is the cladding where the core's rim is as bright as it: the core is not lit. It is the core's rim where the
    core has a step within, or is darker than its cladding.
    """
    end = core * (1 - EDGE)
    rim = _fit(distance_P, grey_P, core * RIM, end, flat=True)
    whole = _fit(distance_P, grey_P, 0.0, end)
    if rim is None or whole is None:
        return whole
    whole = _agreeing(whole, _fit(distance_P, grey_P, 0.0, end, first=rim), rim, distance_P, grey_P, end)
    if ground is not None and core <= SMALL_CORE and _is_crossed(at_T, usual_T, distance_P, grey_P, end, ground):
        whole = rim = _own_level(distance_P, grey_P, core, ground)
    if ground is not None and rim.constant < float(ground(np.array([core]))[0]) + ground.tolerance:
        return ground
    seen_T = _unsmeared(at_T, usual_T, core, end, ground)
    if ground is not None and core <= SMALL_CORE and not _is_light(whole, seen_T, at_T[at_T <= end], ground):
        return rim
    return rim if _has_step(seen_T, rim) else whole


def _agreeing(
    whole: Curve, from_rim: Curve | None, rim: Curve, distance_P: Floats, grey_P: Floats, end: float
) -> Curve:
    """Return the curve that more of a core's pixels lie on: a scratch across a small core may hold its median."""
    if from_rim is None:
        return whole
    inside_P = distance_P <= end
    at_P, grey_P = distance_P[inside_P], grey_P[inside_P]
    near = AGREE * rim.scatter
    on_whole, on_rim = (int((np.abs(grey_P - curve(at_P)) <= near).sum()) for curve in (whole, from_rim))
    return from_rim if on_rim > on_whole else whole


def _is_crossed(at_T: Floats, usual_T: Floats, distance_P: Floats, grey_P: Floats, end: float, ground: Curve) -> bool:
    """Tell whether a core's rings are uneven: light is alike all round, what lies across a core is not."""
    inside_P = distance_P <= end
    off_P = np.abs(grey_P[inside_P] - np.interp(distance_P[inside_P], at_T, usual_T))
    return bool((off_P > max(AGREE * ground.scatter, MIN_CONTRAST)).mean() > UNEVEN)


def _own_level(distance_P: Floats, grey_P: Floats, core: float, ground: Curve) -> Curve:
    """Return the level of a core's rim where nothing lies across it.

    What is dark beside the core darkens it, too: its own level is the brighter one, and the other way round.
    """
    rim_P = grey_P[(distance_P >= core * RIM) & (distance_P <= core * (1 - EDGE))]
    beside_P = (distance_P >= core * (1 + EDGE)) & (distance_P <= core * BESIDE)
    off_P = grey_P[beside_P] - ground(distance_P[beside_P])
    across_P = off_P[np.abs(off_P) > max(AGREE * ground.scatter, MIN_CONTRAST)]
    near_PP = np.abs(rim_P[:, None] - rim_P[None]) <= AGREE * ground.scatter
    own = int(near_PP.sum(axis=1).argmax())
    if len(across_P) >= MIN_ACROSS * len(off_P):
        share = CLEAR if np.median(across_P) > 0 else 1 - CLEAR
        own = int(np.abs(rim_P - np.quantile(rim_P, share)).argmin())
    return Curve(float(np.median(rim_P[near_PP[own]])), 0.0, ground.scatter)


def _unsmeared(at_T: Floats, usual_T: Floats, core: float, end: float, ground: Curve | None) -> Floats:
    """Return the medians within a core as they are without its edge: what blur takes inside, it gives outside."""
    inside_T = usual_T[at_T <= end]
    if ground is None:
        return inside_T
    mirrored_T = 2 * core - at_T[at_T <= end]
    return np.asarray(inside_T + np.interp(mirrored_T, at_T, usual_T) - ground(mirrored_T))


def _is_light(curve: Curve, seen_T: Floats, at_T: Floats, ground: Curve) -> bool:
    """Tell whether a curve is what lights a small core: its medians lie on it, and it fades outwards, but not by much.

    Light that fades by more has the profile of a beam, see ``light.fit_light``.
    """
    if not len(at_T):
        return True
    middle, end = curve(at_T[[0, -1]]) - ground(at_T[[0, -1]])
    fades = -MIN_CONTRAST <= middle - end <= max(FADING * middle, MIN_CONTRAST)
    return bool(fades and np.abs(seen_T - curve(at_T)).max() <= UNFIT)


def _has_step(usual_T: Floats, rim: Curve) -> bool:
    """Tell whether something ends within a core: its medians change by much within a few pixels."""
    if len(usual_T) <= 2 * WITHIN + 2:
        return False
    change_T = usual_T[2 * WITHIN :] - usual_T[: -2 * WITHIN]
    steepest = float(np.abs(change_T[1:]).max())
    return steepest >= max(STEP, NOISES * rim.scatter, SLOPES * float(np.median(np.abs(change_T))))


def _fit(
    distance_P: Floats, grey_P: Floats, low: float, high: float, flat: bool = False, first: Curve | None = None
) -> Curve | None:
    """Fit a curve to the pixels between two distances, strays left out (Tukey's weights); None: there are too few.

    It begins at the pixels' median, or at the curve ``first`` and what is near that.
    """
    inside_P = (distance_P >= low) & (distance_P <= high)
    if inside_P.sum() < FEWEST:
        return None
    away_P, grey_P = distance_P[inside_P].astype(np.float64), grey_P[inside_P].astype(np.float64)
    base_P2 = np.stack([np.ones_like(away_P), away_P**2 * (not flat)], axis=1)
    start = (float(np.median(grey_P)), 0.0) if first is None else (first.constant, first.bend)
    fit_2, scatter = np.array(start), FLOOR
    for _ in range(6):
        off_P = grey_P - base_P2 @ fit_2
        scatter = max(1.4826 * float(np.median(np.abs(off_P))), FLOOR) if first is None else first.scatter
        weight_P = np.clip(1.0 - (off_P / (4.685 * scatter)) ** 2, 0.0, 1.0) ** 2
        weighted = base_P2 * weight_P[:, None]
        fit_2 = np.linalg.solve(weighted.T @ base_P2 + 1e-9 * np.eye(2), weighted.T @ grey_P)
    return Curve(float(fit_2[0]), float(fit_2[1]), scatter)
