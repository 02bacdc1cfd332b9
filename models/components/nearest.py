"""The nearest point of a bank, with tensors: by comparing all with all, or by a search that looks at little of it.

Letters: N questions, M points of the bank, D dimensions, R rows that are compared at a time.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial, reduce
from typing import TYPE_CHECKING, NamedTuple

import torch

from models.features.in_parts import few_at_a_time

from .bank_search import ROWS, BankSearch
from .fused_nearest import is_fused, nearest_squares

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from .bank_search import Floats, Group, Numbers, Rows

QUESTIONS = 4096  # that are compared with all at a time on a processor: their products are memory that is used again


class Found(NamedTuple):
    """What a search finds.

    Attributes:
        square_N: The squared distance of each question to the nearest point.
        index_N: That point.
    """

    square_N: Tensor
    index_N: Tensor


def search_plainly(asked_ND: Tensor, bank_MD: Tensor, square_M: Tensor) -> Tensor:
    """Return squared distances (N,) to the nearest point of a bank, by comparing all with all, on a GPU in a kernel."""
    if is_fused(asked_ND, bank_MD):
        return nearest_squares(asked_ND, bank_MD, square_M)
    return few_at_a_time(partial(compare_all, bank_MD=bank_MD, square_M=square_M), asked_ND, QUESTIONS)


def compare_all(asked_ND: Tensor, bank_MD: Tensor, square_M: Tensor) -> Tensor:
    """Return what ``search_plainly`` does, by products of matrices; graphs hold this.

    The square of a difference is two squares less twice the product. A part of the bank at a time, small enough to stay
    in the processor's cache between the product and its minimum; which point it was is not asked here, since that takes
    longer than the product, in every runtime.
    """
    doubled_ND = -2 * asked_ND
    parts = zip(torch.split(square_M, ROWS), torch.split(bank_MD, ROWS), strict=True)
    nearest = [torch.addmm(square_R, doubled_ND, bank_RD.T).amin(dim=1) for square_R, bank_RD in parts]
    return (reduce(torch.minimum, nearest) + asked_ND.square().sum(dim=1)).clamp_min(0)


class TensorSearch:
    """Answers which point of a bank is nearest, as ``BankSearch`` does, by torch's products, on torch's threads.

    Args:
        bank_MD: On the processor; float32. It is not copied, and must not be written to.
    """

    def __init__(self, bank_MD: Tensor) -> None:
        self.bank_MD = bank_MD
        self._search = BankSearch(bank_MD.numpy(), _product, _at_once)

    def __call__(self, asked_ND: Tensor) -> Found:
        """Find the nearest point of every question; exact."""
        square_N, index_N = self._search(asked_ND.numpy())
        return Found(torch.from_numpy(square_N), torch.from_numpy(index_N))

    def within(self, asked_ND: Tensor, square: float) -> Tensor:
        """Tell which questions (N,) have a point of the bank within a squared distance of them."""
        return torch.from_numpy(self._search.within(asked_ND.numpy(), square))


def _product(left_GD: Numbers, right_RD: Numbers, out_GR: Numbers) -> None:
    torch.mm(torch.from_numpy(left_GD), torch.from_numpy(right_RD).T, out=torch.from_numpy(out_GR))


def _at_once(ask: Callable[[Group], Floats | Rows], groups: list[Group]) -> list[Floats | Rows]:
    """Ask groups on as many threads as torch would use: its own share of them out far smaller pieces of the work."""
    threads = torch.get_num_threads()
    if threads == 1 or len(groups) < 2 * threads:
        return [ask(group) for group in groups]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = list(pool.map(ask, groups))
    torch.set_num_threads(threads)  # a thread that is started from now on has all of them again
    return found
