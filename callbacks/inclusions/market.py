"""Area anomaly by "market clustering": the most anomalous inclusions found areas, and buy those around them.

Each of the ten most anomalous is the core of an area and has a wallet, ``exp(sqrt(100 s))^2.8`` of its score s. In
rounds from the richest to the poorest, each area buys the inclusion that is cheapest for it, if it can: the price,
``exp(sqrt(gap))^1.7 (1 - 0.95 sqrt(s_i s_j))^1.6``, grows with the distance from the core and falls with both scores.
What a richer one holds is not for sale. An area that buys the core of another takes it over with its wallet. When the
poorest cannot buy, the market closes: going on until nobody can overshoots (two to three times as many inclusions as in
the published figure), and pricing from the cheapest of all members swallows the whole map.

Letters: N inclusions.

Source: MLography, area_anomaly.py.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from .gaps import Floats, gaps

MarketMode: TypeAlias = Literal["source", "serial"]

CORES = 10
DAMPED = 0.95  # of every score in a price
_NOTHING, _BOUGHT, _MERGED = range(3)


@dataclass(eq=False)
class Area:
    """An area that anomalous inclusions form.

    Attributes:
        cores: Index of the inclusion that founded it, and of those that founded the areas it took over.
        members: All in it, cores included, as they came; in ``source`` mode one may come twice.
        wallet: What it has left to spend.
    """

    cores: list[int]
    members: list[int]
    wallet: float
    price_N: Floats = field(repr=False)
    core_price_N: Floats = field(repr=False)
    outside_N: npt.NDArray[np.bool_] = field(repr=False)


def find_areas(box_N4: Floats, score_N: Floats, *, cores: int = CORES, mode: MarketMode = "serial") -> list[Area]:
    """Find the areas of a map, the richest first as the market closed.

    Args:
        box_N4: Boxes as ``gaps.boxes_of`` returns them.
        score_N: Combined anomaly of every inclusion; those of 0 and less take no part.
        cores: Areas to begin with; as many as there are inclusions above 0, where they are fewer.
        mode: ``serial``: what is bought moves from one area to the other. ``source``: it stays in the old one as well,
            as in MLography, whose parallel workers edit a copy; and an area may then be mistaken for its owner.
    """
    for_sale_N = score_N > 0
    ranked = np.flatnonzero(for_sale_N)[np.argsort(score_N[for_sale_N], kind="stable")]
    market = _Market(box_N4, score_N, for_sale_N, mode)
    for core in ranked[::-1][:cores].tolist():
        market.open_area(core)
    market.run()
    return market.areas


def wallet_of(score: float) -> float:
    """Return what an inclusion of a score in [0, 1] may spend."""
    return float(np.exp(np.sqrt(score * 1e2)) ** 2.8)


class _Market:
    """The areas while they buy, and what every inclusion last went for.

    Args:
        box_N4: Of the inclusions.
        score_N: Of the inclusions.
        for_sale_N: Those that take part.
        mode: See ``find_areas``.
    """

    def __init__(self, box_N4: Floats, score_N: Floats, for_sale_N: npt.NDArray[np.bool_], mode: MarketMode) -> None:
        self.box_N4 = box_N4
        self.score_N = score_N
        self.for_sale_N = for_sale_N
        self.mode = mode
        self.areas: list[Area] = []
        self.bid_N = np.full(len(score_N), -np.inf)  # the wallet of the last buyer
        self.core_N = np.zeros(len(score_N), np.bool_)

    def open_area(self, core: int) -> None:
        """Start an area at its core."""
        outside_N = self.for_sale_N.copy()
        outside_N[core] = False
        self.core_N[core] = True
        price_N, core_price_N = self._prices(core)
        self.areas.append(Area([core], [core], wallet_of(float(self.score_N[core])), price_N, core_price_N, outside_N))

    def _prices(self, core: int) -> tuple[Floats, Floats]:
        """Return what every inclusion costs an area with this core, and what it costs where it is a core itself."""
        gap_N = gaps(self.box_N4[[core]], self.box_N4)[0]
        score_N, own = np.where(self.for_sale_N, self.score_N, 0), float(self.score_N[core])
        with np.errstate(over="ignore"):
            alike_N = (score_N * DAMPED) ** 0.5 * (own * DAMPED) ** 0.5
            price_N = np.exp(np.sqrt(gap_N)) ** 1.7 * (1 - alike_N) ** 1.6
            discount_N = (1 - (score_N * DAMPED) ** 0.05 * (own * DAMPED) ** 0.05) ** 2.5
            return price_N, price_N * discount_N * (2 - np.abs(score_N - own)) ** 8

    def run(self) -> None:
        """Let areas buy, round by round, until the poorest cannot."""
        status = _BOUGHT if self.areas else _NOTHING
        while status != _NOTHING:
            status = _NOTHING
            self.areas.sort(key=lambda area: area.wallet, reverse=True)
            for area in list(self.areas):
                if status == _MERGED:
                    break
                status = self._buy(area)

    def _buy(self, area: Area) -> int:
        """Let an area buy what is cheapest for it, and say what became of that."""
        price_N = np.where(self.core_N, area.core_price_N, area.price_N)
        price_N = np.where(area.outside_N & (self.bid_N < area.wallet), price_N, np.inf)
        wanted = int(price_N.argmin())
        if not np.isfinite(price_N[wanted]):
            return _NOTHING
        owner = self._owner(wanted)
        if owner is not None and wanted in owner.cores:
            self.bid_N[wanted] = area.wallet
            self._take_over(area, owner)
            return _MERGED
        if area.wallet < price_N[wanted]:
            return _NOTHING
        self.bid_N[wanted] = area.wallet
        area.wallet -= float(price_N[wanted])
        area.members.append(wanted)
        area.outside_N[wanted] = False
        if owner is not None and self.mode == "serial":
            owner.members.remove(wanted)
            owner.outside_N[wanted] = True
        return _BOUGHT

    def _owner(self, wanted: int) -> Area | None:
        return next((area for area in self.areas if wanted in area.members), None)

    def _take_over(self, area: Area, other: Area) -> None:
        """Merge another area into one; that costs it nothing."""
        area.wallet += other.wallet
        area.cores += other.cores
        area.members += other.members
        area.outside_N &= other.outside_N
        self.areas.remove(other)
