"""Patches that are in no bank since an image that was added has nearly the same: without it, they would be.

A bank is extended by the patches that lie farthest from all it holds, until none is farther than some radius. So where
an added image is left out, patches of the other added ones that then lie beyond that radius come back.

Letters: N patches, D features of a patch, M patches in the bank.
"""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from torch import Tensor

ROWS = 2048  # of one product with the bank: bounds its memory


def displaced(
    bank_MD: Tensor, image_M: Tensor, places: Mapping[str, Sequence[int]], seen: Iterable[tuple[str, Tensor]]
) -> dict[str, Tensor]:
    """Find which patches would come back without each of several images that were added to a bank.

    Args:
        bank_MD: All that it holds.
        image_M: By a number, the image that each patch came from.
        places: The numbers of each added image, several where it was learnt in tiles.
        seen: All patches (N, D) of each of them, once.

    Returns:
        Patches (N, D) of the others, by the image that keeps them out; none for one that keeps none out.
    """
    names = list(places)
    owner_I = image_M.new_full((int(image_M.max()) + 2,), -1)  # the last: of nobody knows whom
    for number, name in enumerate(names):
        owner_I[torch.as_tensor(places[name], device=owner_I.device)] = number
    owner_M, square = owner_I[image_M], 0.0
    found: dict[int, list[Tensor]] = defaultdict(list)
    for name, patch_ND in seen:
        square_N, index_N = nearest(patch_ND, bank_MD)
        square = max(square, float(square_N.max()))  # of the radius: what is within it is in no bank for good
        owner_N = owner_M[index_N]
        for number in set(owner_N.tolist()) - {-1, names.index(name)}:
            near_ND = patch_ND[owner_N == number]
            found[number].append(near_ND[nearest(near_ND, bank_MD[owner_M != number])[0] > square])
    back = {number: spread(torch.cat(parts), bank_MD[owner_M != number], square) for number, parts in found.items()}
    return {names[number]: patch_ND for number, patch_ND in back.items() if len(patch_ND)}


def spread(patch_ND: Tensor, bank_MD: Tensor, square: float) -> Tensor:
    """Choose patches, the farthest from the bank and from those chosen first, until none is beyond a squared radius."""
    square_N, picks = nearest(patch_ND, bank_MD)[0], []
    while len(square_N) and float(square_N.max()) > square:
        picks.append(int(square_N.argmax()))
        square_N = torch.minimum(square_N, (patch_ND - patch_ND[picks[-1]]).square().sum(dim=1))
    return patch_ND[picks]


def nearest(patch_ND: Tensor, bank_MD: Tensor) -> tuple[Tensor, Tensor]:
    """Find the squared distance of every patch to the nearest one of the bank, and that one: (N,), (N,)."""
    if not len(patch_ND):
        return patch_ND.new_zeros(0), patch_ND.new_zeros(0, dtype=torch.int64)
    square_M, squares, indices = bank_MD.square().sum(dim=1), [], []
    for part_ND in torch.split(patch_ND, ROWS):
        nearest_N, index_N = torch.addmm(square_M, part_ND, bank_MD.T, alpha=-2).min(dim=1)
        squares.append((nearest_N + part_ND.square().sum(dim=1)).clamp_min(0))
        indices.append(index_N)
    return torch.cat(squares), torch.cat(indices)
