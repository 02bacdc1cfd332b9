"""How many images a labelled one stands for, by how it was picked.

What was labelled for being near the threshold stands for the images that are as near; what was picked at random
stands for all others as well. That is post-stratification with two strata: near, up to the farthest image that was
labelled for being near, and far.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .entries import NEAREST

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

    from .queue import Scored


def weights_of(
    images: Iterable[Scored], picked: Mapping[str, str], decided: Collection[str]
) -> tuple[dict[str, float], int]:
    """Weigh labelled images.

    Args:
        images: All images from which they were picked.
        picked: How each was picked.
        decided: Names of those that were called good or defective.

    Returns:
        The weight of each, at least 1, and how many images nothing that was labelled stands for.
    """
    away = {
        image.name: float("inf")
        if image.score is None or image.threshold is None
        else abs(image.score - image.threshold)
        for image in images
    }
    reach = max((away[name] for name in decided if picked[name] == NEAREST), default=-1.0)
    weights: dict[str, float] = {}
    missed = 0
    for stratum in ([name for name in away if away[name] <= reach], [name for name in away if away[name] > reach]):
        known = [name for name in stratum if name in decided]
        weights |= dict.fromkeys(known, len(stratum) / max(1, len(known)))
        missed += 0 if known else len(stratum)
    return weights, missed
