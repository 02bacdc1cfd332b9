"""Shares that stay: what a group draws depends on itself and the seed, so that new groups move none of the old ones.

Weighted rendezvous hashing (Thaler and Ravishankar 1998; the weights as in Schindler and Jaeger 2005): every group
stands in one line per split, at a place that its key and the seed give it, and joins the split where it is foremost.
A larger share shortens all places in its line by one factor, so that it only ever gains groups.

No rule that depends on more than a group itself leaves old groups alone, whatever comes; so the sizes of splits scatter
as those of lots do: with shares p, and groups of n_g images, by a standard deviation of sqrt(p (1 - p) sum n_g^2).
``keep_floors`` mends what is too small for that.

Shape letters: G groups, K splits.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

BITS = 53  # of the hash: what a float holds exactly


def places(keys: Sequence[str], splits: Sequence[str], seed: int) -> npt.NDArray[np.float64]:
    """Draw the places (G, K), above 0, of every group in the lines of all splits: unit exponentials, by SHA-256."""
    drawn = [[_uniform(f"{seed}\n{split}\n{key}") for split in splits] for key in keys]
    places_GK: npt.NDArray[np.float64] = -np.log(np.array(drawn, dtype=np.float64).reshape(len(keys), len(splits)))
    return places_GK


def draw(places_GK: npt.NDArray[np.float64], share_K: npt.NDArray[np.float64]) -> npt.NDArray[np.intp]:
    """Return the split (G,) of every group: each with its share for probability, independently of all other groups.

    Args:
        places_GK: As ``places`` gives them.
        share_K: Shares, at least one of them above 0.
    """
    choice_G: npt.NDArray[np.intp] = _in_line(places_GK, share_K).argmin(axis=1)
    return choice_G


def keep_floors(
    choice_G: npt.NDArray[np.intp],
    places_GK: npt.NDArray[np.float64],
    share_K: npt.NDArray[np.float64],
    stay_G: npt.NDArray[np.bool_] | None = None,
) -> None:
    """Give every split that asks for groups and got none a group, in place, as long as there are enough.

    It borrows the one that stands foremost in its line, of a split that can spare it. No more than one: a floor that
    grew with the set would borrow old groups as new ones come. What is borrowed would go back when others come, since
    no rule holds both a floor and every group; so ``split_table`` names it, and takes the names again.

    Args:
        choice_G: Split of every group.
        places_GK: As ``places`` gives them.
        share_K: Shares.
        stay_G: Groups that are not lent; None: all may be.
    """
    floor_K = np.where(share_K > 0, 1, 0)
    line_GK = _in_line(places_GK, share_K)
    free_G = np.ones(len(choice_G), dtype=np.bool_) if stay_G is None else ~stay_G
    for split in np.argsort(-share_K, kind="stable"):
        held_K = np.bincount(choice_G, minlength=len(share_K))
        spared = np.flatnonzero((held_K > floor_K)[choice_G] & free_G)
        if held_K[split] < floor_K[split] and len(spared):
            choice_G[spared[line_GK[spared, split].argmin()]] = split


def _in_line(places_GK: npt.NDArray[np.float64], share_K: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    line_GK: npt.NDArray[np.float64] = np.divide(
        places_GK, share_K, out=np.full(places_GK.shape, np.inf), where=share_K > 0
    )
    return line_GK


def _uniform(text: str) -> float:
    """Return a number above 0 and below 1 that only the text decides."""
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - BITS)
    return (drawn + 0.5) / 2.0**BITS
