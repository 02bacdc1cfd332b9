"""What stands in for points that come in a stream, in bounded memory: a sample of all, and what it may lack.

The sample is drawn evenly (Vitter 1985, algorithm R), and is large beside the coreset that is chosen in the end. What
is rare may be missing in it. So beside it stands a coreset of all points, by merge and reduce (Har-Peled and Mazumdar
2004), with greedy k-center as the reduction: what was thinned to K points leaves a radius within which each point seen
has one of them. A new point within that radius of one that is held is passed over; all others are held, until there
are too many, and all are thinned to K once more, which leaves a larger radius. So the number of points that are held
is bounded, and each point is compared with those of the coreset once.

Each thinning may add its radius to the distance between a point and the nearest that stands in for it: ``bound`` is
the sum, for what it promises; in practice radii grow, and the last ones count.

Letters: N points of a part, D dimensions, K of the coreset, R of the sample.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch

from .nearest import TensorSearch, search_plainly

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

SAMPLED = 64  # times as many as are wanted are in the sample, and gathered before the first thinning
FEWEST_SAMPLED = 8  # where memory is short
SPARE = 1  # times as many as are wanted are in the coreset
LARGE = 4096  # points, from which it is worth arranging them for a search


class Part(NamedTuple):
    """Points (N, D), and whose each is (N,)."""

    point_ND: Tensor
    owner_N: Tensor


class Thinning:
    """Holds what stands in for all points that it was given.

    Args:
        wanted: Points that will be chosen in the end.
        choose: Picks so many points that lie far apart, the first at random: ``choose(points, count)``.
        sampled: Points in the sample; None: as many as ``SAMPLED`` says.

    Attributes:
        seen: Points that were given.
        bound: No point that was given is farther than this from one that is held.
    """

    def __init__(self, wanted: int, choose: Callable[[Tensor, int], list[int]], sampled: int | None = None) -> None:
        self._capacity = max(2, SPARE * wanted)  # one alone has no radius
        self._sampled = SAMPLED * wanted if sampled is None else sampled
        self._choose = choose
        self._parts: list[Part] = []  # the coreset, and what came since; at first all points, which become the sample
        self._held = 0
        self._sample: Part | None = None
        self._radius = 0.0
        self._thinned = 0  # of the last thinning, in front of all that is held
        self._passes: Callable[[Tensor], Tensor] | None = None
        self._chance = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        self.seen = 0
        self.bound = 0.0

    def add(self, point_ND: Tensor, owner_N: Tensor) -> None:
        """Take points, and whose they are."""
        self._draw(point_ND, owner_N)
        self.seen += len(point_ND)
        if self._passes is not None:
            far_N = ~self._passes(point_ND)
            point_ND, owner_N = point_ND[far_N], owner_N[far_N]
        if len(point_ND):
            self._parts.append(Part(point_ND, owner_N))
            self._held += len(point_ND)
        if self._held > (self._sampled if self._sample is None else 2 * self._capacity):
            self._thin()

    def take(self) -> tuple[Tensor, Tensor]:
        """Give what is held, and whose it is, and forget it; a point may be there twice."""
        whole = _joined(self._parts if self._sample is None else [*self._parts, self._sample])
        self._parts, self._held, self._sample = [], 0, None
        return whole

    def state(self) -> dict[str, Any]:
        """Return all that is held, in tensors and plain values."""
        held = _joined(self._parts) if self._parts else None
        return {
            "point": None if held is None else held.point_ND,
            "owner": None if held is None else held.owner_N,
            "sample": None if self._sample is None else self._sample.point_ND,
            "sample_owner": None if self._sample is None else self._sample.owner_N,
            "chance": self._chance.get_state(),
            "kept": self._thinned,
            "radius": self._radius,
            "bound": self.bound,
            "seen": self.seen,
        }

    def load_state(self, state: dict[str, Any], device: torch.device | str) -> None:
        """Go on from what ``state`` returned, also that of an earlier version, which drew no sample."""
        self._radius, self.bound, self.seen = state["radius"], state["bound"], state["seen"]
        if state["point"] is not None:
            self._parts = [Part(state["point"].to(device), state["owner"].to(device))]
            self._held = len(state["point"])
        if state.get("sample") is not None:
            self._sample = Part(state["sample"].to(device), state["sample_owner"].to(device))
        if "chance" in state:
            self._chance.set_state(state["chance"].cpu())
        if state["kept"]:
            self._let_pass(self._parts[0].point_ND[: state["kept"]])

    def _draw(self, point_ND: Tensor, owner_N: Tensor) -> None:
        """Let points take the places of others in the sample: of the n-th point, with the chance of R in n."""
        if self._sample is None:
            return
        before_N = self.seen + torch.arange(1, len(point_ND) + 1, dtype=torch.float64)
        chance_N = torch.rand(len(point_ND), dtype=torch.float64, generator=self._chance)
        place_N = (chance_N * before_N).long()
        drawn_n = (place_N < len(self._sample.owner_N)).nonzero().flatten().flip(0)
        place_n, first_n = np.unique(place_N[drawn_n].numpy(), return_index=True)  # of several, the one that came last
        taken_n = drawn_n[torch.from_numpy(first_n)].to(point_ND.device)
        where_n = torch.from_numpy(place_n).to(point_ND.device)
        self._sample.point_ND[where_n] = point_ND[taken_n]
        self._sample.owner_N[where_n] = owner_N[taken_n]

    def _thin(self) -> None:
        whole = _joined(self._parts)
        if self._sample is None:
            self._sample = whole if len(self._parts) > 1 else Part(*(values.clone() for values in whole))
        picks = self._choose(whole.point_ND, self._capacity)
        chosen_KD = whole.point_ND[picks]
        square_K = chosen_KD.square().sum(dim=1)
        # The last one picked was the farthest of all from those before it.
        radius = float(search_plainly(chosen_KD[-1:], chosen_KD[:-1], square_K[:-1]).sqrt())
        self.bound = max(self.bound, self._radius) + radius
        self._radius = max(self._radius, radius)
        self._parts, self._held = [Part(chosen_KD, whole.owner_N[picks])], len(picks)
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


def _joined(parts: list[Part]) -> Part:
    """Lay parts one behind the other; a single one stays where it is."""
    if len(parts) == 1:
        return parts[0]
    points, owners = zip(*parts, strict=True)
    return Part(torch.cat(points), torch.cat(owners))
