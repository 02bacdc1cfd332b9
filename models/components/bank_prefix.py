"""What smaller banks would have said: the beginning of a greedy bank is the bank that a smaller size would have given.

Greedy selection picks the farthest point again and again, so a bank holds all smaller ones, one inside the other. The
fewer patches a bank has, the farther every patch of an image is from its nearest one: distances to a small bank bound
those to a larger one. So only the patches that are farthest from the smallest bank have to be compared with the next,
and most of the work is a search of the smallest.

Letters: P patches of an image, D features, M patches in the bank, Q patches that are compared, S sizes of banks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import torch

from .nearest import search_plainly

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

HALVINGS = 5  # of the bank: the smallest has a thirty-second of its patches
FEWEST = 64  # patches that a bank has to have to be worth asking
TRIED = 64  # patches that are compared with the next bank at first; then twice as many, and so on


class Worst(NamedTuple):
    """The patch of an image that is farthest from a bank.

    Attributes:
        distance: To its nearest patch of the bank.
        patch: Its place among the patches of the image.
    """

    distance: float
    patch: int


def halved(size: int) -> list[int]:
    """List the sizes of banks, ascending: that of the bank, its half, and so on, rounded up."""
    sizes = {-(-size // 2**times) for times in range(HALVINGS + 1)}
    return sorted(one for one in sizes if one >= min(FEWEST, size))


def worst_by_size(
    patch_PD: Tensor, bank_MD: Tensor, square_M: Tensor, sizes: Sequence[int], count: int = 1
) -> list[list[Worst]]:
    """Find the worst patches of an image by each of the banks that a bank begins with.

    Args:
        patch_PD: Of the image, at least one.
        bank_MD: In the order in which greedy selection picked it.
        square_M: Squared norms of the bank.
        sizes: Of banks, ascending, at most M.
        count: Of patches that are asked for; all, where there are fewer.

    Returns:
        What comparing all with all finds for each, up to rounding, the worst first.
    """
    smallest, count = sizes[0], min(count, len(patch_PD))
    bound_P = search_plainly(patch_PD, bank_MD[:smallest], square_M[:smallest])
    found = [_farthest(bound_P, count)]
    for size in sizes[1:]:
        tried, rows = max(TRIED, count), slice(smallest, size)
        unknown_P, known_P = bound_P.clone(), torch.full_like(bound_P, -torch.inf)
        while float(known_P.topk(count).values[-1]) < float(unknown_P.max()):
            index_Q = unknown_P.topk(min(tried, len(unknown_P))).indices
            nearer_Q = search_plainly(patch_PD[index_Q], bank_MD[rows], square_M[rows])
            bound_P[index_Q] = torch.minimum(bound_P[index_Q], nearer_Q)
            unknown_P[index_Q] = -torch.inf
            known_P[index_Q] = bound_P[index_Q]
            tried *= 2
        found.append(_farthest(known_P, count))
    return found


def crowding(worst_D: Tensor, bank_MD: Tensor, square_M: Tensor, neighbors: int) -> float:
    """Weigh the distance of the worst patch by the neighbourhood of its match, as PatchCore's equation 7 does.

    Args:
        worst_D: The patch.
        bank_MD: The bank, at least one patch.
        square_M: Squared norms of the bank.
        neighbors: Of the match, itself the first; 1 weighs nothing.
    """
    if neighbors == 1:
        return 1.0
    match_D = bank_MD[torch.addmv(square_M, bank_MD, worst_D, alpha=-2).argmin()]
    apart_M = torch.addmv(square_M, bank_MD, match_D, alpha=-2)
    index_K = apart_M.topk(min(neighbors, len(bank_MD)), largest=False).indices
    return 1.0 - float((worst_D - bank_MD[index_K]).norm(dim=1).softmax(dim=0)[0])


def _farthest(square_P: Tensor, count: int) -> list[Worst]:
    places = [int(square_P.argmax())] if count == 1 else square_P.topk(count).indices.tolist()
    return [Worst(float(square_P[place].sqrt()), place) for place in places]
