"""The light of a single mode core: a Gaussian beam has no edge, so that no circle is the end of it.

Its intensity falls as exp(-2 (t / waist)^2) with the distance t from its axis (Saleh and Teich, Fundamentals of
Photonics, chapter 3). A disc over the axis, which ends within a few pixels, is far from that.

Letters: T distances from the axis.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    Floats: TypeAlias = npt.NDArray[np.floating]

REACH = 3.0  # radii of the core, within which its light is fitted
WAISTS = np.linspace(0.5, 2.2, 69)  # radii of the core
FAINTEST = 15.0  # grey levels above the cladding, on the axis: fainter light hides nothing that counts
UNLIKE = 0.006  # of its height: the root mean square error that it fits with (drawn beams: 0.003; even discs: 0.03)
NOISE = 0.3  # grey levels of that error that are noise


class Profile(Protocol):
    """What is usual at a distance from the axis."""

    @property
    def tolerance(self) -> float:
        """Grey levels that the median of a ring may differ by."""

    def __call__(self, at_T: Floats) -> npt.NDArray[np.float64]:
        """Return the brightness at distances in radii of the cladding."""


class Light(NamedTuple):
    """A Gaussian beam on what surrounds it.

    Attributes:
        ground: The cladding.
        height: Grey levels above it, on the axis.
        waist: Distance at which exp(-2) of that is left, in radii of the cladding.
    """

    ground: Profile
    height: float
    waist: float

    @property
    def tolerance(self) -> float:
        """Grey levels that the median of a ring may differ by."""
        return self.ground.tolerance

    def __call__(self, at_T: Floats) -> npt.NDArray[np.float64]:
        """Return the brightness at distances in radii of the cladding."""
        return np.asarray(self.ground(at_T) + self.height * _beam(at_T, self.waist), dtype=np.float64)


def fit_light(at_T: Floats, usual_T: Floats, core: float, ground: Profile) -> Light | None:
    """Fit a Gaussian beam to the medians of rings; None: they are none.

    Args:
        at_T: Distances from the axis, in radii of the cladding.
        usual_T: Medians there.
        core: The core's radius in that of the cladding.
        ground: What the cladding is like.
    """
    near_T = at_T <= REACH * core
    at_T, above_T = at_T[near_T], usual_T[near_T] - ground(at_T[near_T])
    if not len(at_T):
        return None
    tried = [_height(at_T, above_T, core * waist) for waist in WAISTS]
    error, height, waist = min(tried)
    return Light(ground, height, waist) if height >= FAINTEST and error <= max(UNLIKE * height, NOISE) else None


def _height(at_T: Floats, above_T: Floats, waist: float) -> tuple[float, float, float]:
    """Return the error of a beam of some waist, its best height, and the waist; rings count by their lengths."""
    beam_T = _beam(at_T, waist)
    height = float((at_T * beam_T * above_T).sum() / max((at_T * beam_T**2).sum(), 1e-12))
    error = float(np.sqrt((at_T * (above_T - height * beam_T) ** 2).sum() / max(at_T.sum(), 1e-12)))
    return error, height, waist


def _beam(at_T: Floats, waist: float) -> Floats:
    return np.asarray(np.exp(-2 * (at_T / waist) ** 2))
