"""A coreset of points that come in a stream, in bounded memory: keep, pass over what is near, and thin again.

Merge and reduce (Har-Peled and Mazumdar 2004), with greedy k-center as the reduction. What was thinned to K points
leaves a radius within which each point seen has one of them. A new point within that radius of one that is kept is
passed over; all others are kept, until there are too many, and all are thinned to K once more, which leaves a larger
radius. So no more than a few times K points are ever held, and each point is compared with what is kept once.

Each thinning may add its radius to the distance between a point and the nearest that stands in for it: ``bound`` is
the sum, for what it promises; in practice radii grow, and the last ones count.

Letters: N points of a part, D dimensions, K kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from .nearest import TensorSearch, search_plainly

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SPARE = 4  # times as many points are kept as are wanted in the end: thinning twice then loses little
FIRST = 4  # times as many as are kept are gathered before the first thinning, whose radius decides what passes
LARGE = 4096  # points, from which it is worth arranging them for a search


class Thinning:
    """Holds a coreset of all points that it was given.

    Args:
        wanted: Points that will be chosen in the end.
        choose: Picks so many points that lie far apart, the first at random: ``choose(points, count)``.

    Attributes:
        seen: Points that were given.
        bound: No point that was given is farther than this from one that is held.
    """

    def __init__(self, wanted: int, choose: Callable[[Tensor, int], list[int]]) -> None:
        self._capacity = SPARE * wanted
        self._choose = choose
        self._point: list[Tensor] = []
        self._owner: list[Tensor] = []
        self._held = 0
        self._radius = 0.0
        self._thinned = 0  # of the last thinning, in front of all that is held
        self._passes: Callable[[Tensor], Tensor] | None = None
        self.seen = 0
        self.bound = 0.0

    def add(self, point_ND: Tensor, owner_N: Tensor) -> None:
        """Take points, and whose they are."""
        self.seen += len(point_ND)
        if self._passes is not None:
            far_N = ~self._passes(point_ND)
            point_ND, owner_N = point_ND[far_N], owner_N[far_N]
        if len(point_ND):
            self._point.append(point_ND)
            self._owner.append(owner_N)
            self._held += len(point_ND)
        if self._held > (FIRST if self._passes is None else 2) * self._capacity:
            self._thin()

    def take(self) -> tuple[Tensor, Tensor]:
        """Give what is held, and whose it is, and forget it."""
        point_ND, owner_N = torch.cat(self._point), torch.cat(self._owner)
        self._point, self._owner, self._held = [], [], 0
        return point_ND, owner_N

    def state(self) -> dict[str, Any]:
        """Return all that is held, in tensors and plain values."""
        return {
            "point": torch.cat(self._point) if self._point else None,
            "owner": torch.cat(self._owner) if self._owner else None,
            "kept": self._thinned,
            "radius": self._radius,
            "bound": self.bound,
            "seen": self.seen,
        }

    def load_state(self, state: dict[str, Any], device: torch.device | str) -> None:
        """Go on from what ``state`` returned."""
        self._radius, self.bound, self.seen = state["radius"], state["bound"], state["seen"]
        if state["point"] is not None:
            self._point, self._owner = [state["point"].to(device)], [state["owner"].to(device)]
            self._held = len(state["point"])
        if state["kept"]:
            self._let_pass(self._point[0][: state["kept"]])

    def _thin(self) -> None:
        point_ND, owner_N = self.take()
        picks = self._choose(point_ND, self._capacity)
        chosen_KD = point_ND[picks]
        square_K = chosen_KD.square().sum(dim=1)
        # The last one picked was the farthest of all from those before it.
        radius = float(search_plainly(chosen_KD[-1:], chosen_KD[:-1], square_K[:-1]).sqrt())
        self.bound = max(self.bound, self._radius) + radius
        self._radius = max(self._radius, radius)
        self._point, self._owner, self._held = [chosen_KD], [owner_N[picks]], len(picks)
        self._let_pass(chosen_KD)

    def _let_pass(self, chosen_KD: Tensor) -> None:
        """From now on, pass over what lies within the radius of one of these."""
        square_K, square_radius = chosen_KD.square().sum(dim=1), self._radius**2
        arranged = TensorSearch(chosen_KD) if len(chosen_KD) >= LARGE and chosen_KD.device.type == "cpu" else None
        self._thinned = len(chosen_KD)
        self._passes = (
            (lambda asked: search_plainly(asked, chosen_KD, square_K) <= square_radius)
            if arranged is None
            else (lambda asked: arranged.within(asked, square_radius))
        )
