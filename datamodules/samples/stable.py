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

FLOOR = 1 / 3
"""Part of the groups it asks for that a split gets at least, as far as there are enough."""
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
    choice_G: npt.NDArray[np.intp], places_GK: npt.NDArray[np.float64], share_K: npt.NDArray[np.float64]
) -> list[int]:
    """Fill up, in place, every split that got less than a third of the groups it asks for, and not even one of them.

    A third, rounded down, and at least one, as long as there are enough. It borrows those that stand foremost in its
    line, of splits that can spare them; so two sets that differ by a few groups borrow nearly the same.

    Args:
        choice_G: Split of every group.
        places_GK: As ``places`` gives them.
        share_K: Shares.

    Returns:
        Those that it borrowed, which go back when others come: no rule holds both a floor and every group.
    """
    borrowed: list[int] = []
    floor_K = np.where(share_K > 0, np.maximum(1, np.floor(FLOOR * share_K * len(choice_G))), 0)
    line_GK = _in_line(places_GK, share_K)
    for split in np.argsort(-share_K, kind="stable"):
        while np.count_nonzero(choice_G == split) < floor_K[split]:
            held_K = np.bincount(choice_G, minlength=len(share_K))
            spared = np.flatnonzero((held_K > floor_K)[choice_G] & (choice_G != split))
            if not len(spared):
                break
            foremost = int(spared[line_GK[spared, split].argmin()])
            choice_G[foremost] = split
            borrowed.append(foremost)
    return borrowed


def _in_line(places_GK: npt.NDArray[np.float64], share_K: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    line_GK: npt.NDArray[np.float64] = np.divide(
        places_GK, share_K, out=np.full(places_GK.shape, np.inf), where=share_K > 0
    )
    return line_GK


def _uniform(text: str) -> float:
    """Return a number above 0 and below 1 that only the text decides."""
    drawn = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) >> (64 - BITS)
    return (drawn + 0.5) / 2.0**BITS
