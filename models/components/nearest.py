"""The nearest point of a bank, exactly, without a look at most of it: for a processor.

Features of patches spread along few directions. After a rotation to principal axes, keep the first few coordinates of
a point, and of all others only their length: by the triangle inequality, the distance between two points in short form
is never more than their distance. So the short form says which points may be nearest, and only those are compared in
full. Short points lie in cells, of which whole ones are passed over by the distance to their centre; questions are
asked in groups of neighbours, so that every step is one matrix product that stays in the processor's caches.

Plain search costs M D products for each question. A group costs its share of the cells in short form, and some percent
of the bank in full.

Letters: N questions, M points of the bank, D dimensions, S of the short form, C cells, G questions of a group, R rows
that are looked at.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import reduce
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from torch import Tensor

AXES = 24  # that the short form keeps: with fewer, more points remain; with more, each costs more
GROUP = 64  # questions: with fewer, products are small; with more, the group needs more of the bank
CELLS = 4  # times the square root of the bank's size: as many cells as there are
TURNS = 4  # of k-means; how good the cells are decides the time, and never the result
LEARNT_FROM = 20_000  # points at most, for the centres of the cells
MOST = 0.3  # share of the bank above which it is faster to compare with all of it, many questions at a time
ROUNDING = 4e-6  # of a squared distance, as a share of the squared norms that it is the difference of
FEW = 8  # points that are measured where rounding hides which is nearest
STRANGE = -1  # in place of a row: not found yet
NOTHING = -2  # in place of a row: nothing is as near as asked for
ROWS = 256  # of the bank that plain search compares at a time: bounds its memory, and keeps it in caches


class Nearest(NamedTuple):
    """What a search finds.

    Attributes:
        square_N: The squared distance of each question to the nearest point.
        index_N: That point.
    """

    square_N: Tensor
    index_N: Tensor


def search_plainly(asked_ND: Tensor, bank_MD: Tensor, square_M: Tensor) -> Tensor:
    """Return squared distances (N,) to the nearest point of a bank, by comparing all with all.

    The square of a difference is two squares less twice the product. A part of the bank at a time, small enough to stay
    in the processor's cache between the product and its minimum; which point it was is not asked here, since that takes
    longer than the product, in every runtime.
    """
    doubled_ND = -2 * asked_ND
    parts = zip(torch.split(square_M, ROWS), torch.split(bank_MD, ROWS), strict=True)
    nearest = [torch.addmm(square_R, doubled_ND, bank_RD.T).amin(dim=1) for square_R, bank_RD in parts]
    return (reduce(torch.minimum, nearest) + asked_ND.square().sum(dim=1)).clamp_min(0)


class Group(NamedTuple):
    """Questions that are asked at once.

    Attributes:
        asked_GD: The questions.
        row_GS: Their short form, ready to be multiplied.
        square_G: Their squared norms.
        nearest_GC: The least distance that a point of each cell may have.
        home_G: The cells that they lie in.
    """

    asked_GD: Tensor
    row_GS: Tensor
    square_G: Tensor
    nearest_GC: npt.NDArray[np.float32]
    home_G: npt.NDArray[np.int64]


class BankSearch:
    """Answers which point of a bank is nearest.

    Args:
        bank_MD: On the processor; float32. It is not copied, and must not be written to.
    """

    def __init__(self, bank_MD: Tensor) -> None:
        double_MD = bank_MD.double()
        self._centre_D = double_MD.mean(dim=0)
        centred_MD = double_MD - self._centre_D
        axes = min(AXES, bank_MD.shape[1])
        self._axis_DA = torch.linalg.eigh(centred_MD.T @ centred_MD).eigenvectors[:, -axes:].contiguous()
        short_MS, square_M = self._shorten(bank_MD)
        self._cell_CS, cell_M = _cells(short_MS, min(len(bank_MD), round(CELLS * len(bank_MD) ** 0.5)))
        self.bank_MD = bank_MD
        self._square_M = bank_MD.square().sum(dim=1)
        # From here on, "line" is a place in the order of the cells.
        self._order_M = cell_M.argsort(stable=True)
        self._cell_M = cell_M[self._order_M].numpy()
        short_MS = short_MS[self._order_M]
        self._line_MS = torch.cat([short_MS, square_M[self._order_M].unsqueeze(1)], dim=1)
        counts = torch.bincount(cell_M, minlength=len(self._cell_CS)).tolist()
        parts = zip(torch.split(short_MS, counts), self._cell_CS, strict=True)
        radius_C = torch.stack([(part_RS - cell_S).norm(dim=1).max() for part_RS, cell_S in parts])
        self._radius_C = radius_C * (1 + ROUNDING) + ROUNDING
        self._cell_square_C = self._cell_CS.square().sum(dim=1) * (1 - ROUNDING)

    def __call__(self, asked_ND: Tensor) -> Nearest:
        """Find the nearest point of every question; exact, as the differences themselves are taken in the end."""
        row_N = self._rows(asked_ND, lambda group: self._ask(group, self._ask_at_home(group)))
        return Nearest(self._measure(asked_ND, row_N), row_N)

    def within(self, asked_ND: Tensor, square: float) -> Tensor:
        """Tell which questions (N,) have a point of the bank within a squared distance of them.

        Most have one in the cell that they lie in, and need no search. Others are searched for no farther than asked.
        """
        order_N, groups = self._grouped(asked_ND)
        is_near_N = torch.empty(len(asked_ND), dtype=torch.bool)
        is_near_N[order_N] = torch.cat(_at_once(self._ask_at_home, groups)) <= square
        if len(far_F := (~is_near_N).nonzero().flatten()):
            far_FD = asked_ND[far_F]
            row_F = self._rows(far_FD, lambda group: self._ask(group, torch.full_like(group.square_G, square)))
            is_near_N[far_F] = (row_F != NOTHING) & (self._measure(far_FD, row_F.clamp_min(0)) <= square)
        return is_near_N

    def _rows(self, asked_ND: Tensor, ask: Callable[[Group], Tensor]) -> Tensor:
        """Answer every question with a row (N,): in groups, and those that are strange by comparing with all."""
        order_N, groups = self._grouped(asked_ND)
        row_N = torch.empty(len(asked_ND), dtype=torch.int64)
        row_N[order_N] = torch.cat(_at_once(ask, groups))
        if len(strange_n := (row_N == STRANGE).nonzero().flatten()):
            row_N[strange_n] = self._compare_with_all(asked_ND[strange_n])
        return row_N

    def _grouped(self, asked_ND: Tensor) -> tuple[Tensor, list[Group]]:
        """Order questions (N,) by the cells that they lie in, and part them into groups, in this order."""
        short_NS, square_N = self._shorten(asked_ND)
        apart_NC = torch.addmm(self._cell_square_C, short_NS, self._cell_CS.T, alpha=-2)
        apart_NC.add_(square_N.unsqueeze(1), alpha=1 - ROUNDING).clamp_min_(0).sqrt_()
        home_N = apart_NC.numpy().argmin(axis=1)  # NumPy finds places of minima several times faster than torch
        order_N = torch.from_numpy(home_N.argsort(kind="stable"))
        nearest_NC = apart_NC.sub_(self._radius_C)[order_N].numpy()
        row_NS = torch.cat([-2 * short_NS, torch.ones(len(asked_ND), 1)], dim=1)[order_N]
        parts = zip(
            torch.split(asked_ND[order_N], GROUP),
            torch.split(row_NS, GROUP),
            torch.split(square_N[order_N], GROUP),
            np.split(nearest_NC, range(GROUP, len(asked_ND), GROUP)),
            np.split(home_N[order_N.numpy()], range(GROUP, len(asked_ND), GROUP)),
            strict=True,
        )
        return order_N, [Group(*part) for part in parts]

    def _shorten(self, point_ND: Tensor) -> tuple[Tensor, Tensor]:
        """Bring points to their short form (N, S); return it with their squared norms.

        In double precision, for the rest is a difference.
        """
        centred_ND = point_ND.double() - self._centre_D
        along_NA = centred_ND @ self._axis_DA
        square_N = centred_ND.square().sum(dim=1)
        rest_N = (square_N - along_NA.square().sum(dim=1)).clamp_min(0).sqrt()
        return torch.cat([along_NA, rest_N.unsqueeze(1)], dim=1).float(), square_N.float()

    def _ask(self, group: Group, known_G: Tensor) -> Tensor:
        """Answer a group with rows: the nearest of all that may be as near as a squared distance (G,) that is known.

        Or find that nothing is, or that too much may be.
        """
        needed_GC = group.nearest_GC <= known_G.sqrt().mul(1 + ROUNDING).numpy()[:, None]
        line_R, short_GR = self._compare_short(group.row_GS, np.any(needed_GC, axis=0))
        most_G = known_G - group.square_G + ROUNDING * (group.square_G + known_G)
        line_R = line_R[torch.from_numpy(np.flatnonzero((short_GR <= most_G.numpy()[:, None]).any(axis=0)))]
        if len(line_R) > MOST * len(self._cell_M):
            return torch.full((len(known_G),), STRANGE)
        if not len(line_R):
            return torch.full((len(known_G),), NOTHING)
        return self._compare_whole(group.asked_GD, self._order_M[line_R])

    def _ask_at_home(self, group: Group) -> Tensor:
        """Answer a group with squared distances (G,) to the points in its own cells that are nearest in short form."""
        at_home = np.zeros(group.nearest_GC.shape[1], dtype=bool)
        at_home[group.home_G] = True
        line_R, short_GR = self._compare_short(group.row_GS, at_home)
        return self._measure(group.asked_GD, self._order_M[line_R[torch.from_numpy(short_GR.argmin(axis=1))]])

    def _compare_short(self, row_GS: Tensor, wanted_C: npt.NDArray[np.bool_]) -> tuple[Tensor, npt.NDArray[np.float32]]:
        """Return the lines (R,) of the wanted cells, and squared distances in short form (G, R) less those of G."""
        line_R = torch.from_numpy(np.flatnonzero(wanted_C[self._cell_M]))
        return line_R, (row_GS @ self._line_MS.index_select(0, line_R).T).numpy()

    def _compare_whole(self, asked_GD: Tensor, row_R: Tensor) -> Tensor:
        """Return the nearest of some rows (G,); where rounding hides which, the few that it may be are measured."""
        square_R = self._square_M[row_R]
        apart_GR = torch.addmm(square_R, asked_GD, self.bank_MD.index_select(0, row_R).T, alpha=-2)
        whole_GR = apart_GR.numpy()
        best_G = whole_GR.argmin(axis=1)
        near_G = whole_GR[np.arange(len(best_G)), best_G] + ROUNDING * float(square_R.max())
        if (whole_GR <= near_G[:, None]).sum() > len(best_G):
            index_GF = apart_GR.topk(min(FEW, len(row_R)), dim=1, largest=False).indices
            far_GF = torch.stack([self._measure(asked_GD, row_R[index_G]) for index_G in index_GF.T], dim=1)
            return row_R[index_GF.gather(1, far_GF.argmin(dim=1, keepdim=True)).squeeze(1)]
        return row_R[torch.from_numpy(best_G)]

    def _compare_with_all(self, asked_ND: Tensor) -> Tensor:
        """Answer questions that are near to nothing, with rows: so much may be nearest that a choice saves nothing."""
        lowest_N, row_N = torch.full((len(asked_ND),), torch.inf), torch.zeros(len(asked_ND), dtype=torch.int64)
        doubled_ND = -2 * asked_ND
        for first in range(0, len(self.bank_MD), ROWS):
            rows = slice(first, first + ROWS)
            apart_NR = torch.addmm(self._square_M[rows], doubled_ND, self.bank_MD[rows].T)
            best_N = torch.from_numpy(apart_NR.numpy().argmin(axis=1))
            found_N = apart_NR.gather(1, best_N.unsqueeze(1)).squeeze(1)
            row_N = torch.where(found_N < lowest_N, best_N + first, row_N)
            lowest_N = torch.minimum(lowest_N, found_N)
        return row_N

    def _measure(self, asked_GD: Tensor, row_G: Tensor) -> Tensor:
        return (asked_GD - self.bank_MD.index_select(0, row_G)).square().sum(dim=1)


def _at_once(ask: Callable[[Group], Tensor], groups: list[Group]) -> list[Tensor]:
    """Ask groups on as many threads as torch would use: its own share of them out far smaller pieces of the work."""
    threads = torch.get_num_threads()
    if threads == 1 or len(groups) < 2 * threads:
        return [ask(group) for group in groups]
    with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
        found = list(pool.map(ask, groups))
    torch.set_num_threads(threads)  # a thread that is started from now on has all of them again
    return found


def _cells(point_MS: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Part points into at most ``count`` cells by k-means; return centres (C, S), neighbours near, and each cell (M,).

    No cell is empty.
    """
    seen_LS = point_MS[:: max(1, len(point_MS) // LEARNT_FROM)]
    centre_CS = seen_LS[:: max(1, len(seen_LS) // count)][:count].clone()
    for _ in range(TURNS):
        cell_L = _nearest_centres(seen_LS, centre_CS)
        size_C = torch.bincount(cell_L, minlength=len(centre_CS))
        mean_CS = torch.zeros_like(centre_CS).index_add_(0, cell_L, seen_LS) / size_C.clamp_min(1).unsqueeze(1)
        centre_CS = torch.where(size_C.unsqueeze(1) > 0, mean_CS, centre_CS)
    centre_CS = centre_CS[_in_line(centre_CS, torch.arange(len(centre_CS)))]
    cell_M = _nearest_centres(point_MS, centre_CS)
    used_C = torch.bincount(cell_M, minlength=len(centre_CS)) > 0
    return centre_CS[used_C], (used_C.cumsum(0) - 1)[cell_M]


def _nearest_centres(point_MS: Tensor, centre_CS: Tensor) -> Tensor:
    square_C = centre_CS.square().sum(dim=1)
    parts = [torch.addmm(square_C, part_RS, centre_CS.T, alpha=-2).numpy() for part_RS in torch.split(point_MS, ROWS)]
    return torch.from_numpy(np.concatenate([part_RC.argmin(axis=1) for part_RC in parts]))


def _in_line(point_CS: Tensor, index_R: Tensor) -> Tensor:
    """Order points so that neighbours in the line are neighbours: halve them, again and again, where they spread."""
    if len(index_R) < 3:
        return index_R
    here_RS = point_CS[index_R]
    order_R = here_RS[:, here_RS.var(dim=0).argmax()].argsort()
    first_R, second_R = index_R[order_R].tensor_split(2)
    return torch.cat([_in_line(point_CS, first_R), _in_line(point_CS, second_R)])
