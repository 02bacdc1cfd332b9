"""The nearest point of a bank, exactly, without a look at most of it: for a processor, with NumPy alone.

Features of patches spread along few directions. After a rotation to principal axes, keep the first few coordinates of
a point, and of all others only their length: by the triangle inequality, the distance between two points in short form
is never more than their distance. So the short form says which points may be nearest, and only those are compared in
full. Short points lie in cells, of which whole ones are passed over by the distance to their centre; questions are
asked in groups of neighbours, so that every step is one matrix product that stays in the processor's caches.

Plain search costs M D products for each question. A group costs its share of the cells in short form, and some percent
of the bank in full.

Letters: N questions, M points of the bank, D dimensions, S of the short form, C cells, G questions of a group, R rows
that are looked at, L points that cells are learnt from.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

Floats = npt.NDArray[np.float32]
Rows = npt.NDArray[np.int64]
Numbers = npt.NDArray[np.floating]

AXES = 2.2  # times the root of the dimensions stay in short form: with fewer, more points remain; more cost more each
GROUP = 64  # questions: with fewer, products are small; with more, the group needs more of the bank
MANY = 2048  # questions, from which twice as many are neighbours, and groups are twice as large
CELLS = 6  # times the square root of the bank's size: as many cells as there are
TURNS = 4  # of k-means; how good the cells are decides the time, and never the result
LEARNT_FROM = 20_000  # points at most, for the centres of the cells
MOST = 0.3  # share of the bank above which it is faster to compare with all of it, many questions at a time
ROUNDING = 4e-6  # of a squared distance, as a share of the squared norms that it is the difference of
MARGIN = np.float32(1 + 3 * ROUNDING)  # times squares that a bound is made of
FEW = 8  # points that are measured where rounding hides which is nearest
STRANGE = -1  # in place of a row: not found yet
NOTHING = -2  # in place of a row: nothing is as near as asked for
ROWS = 256  # that are compared at a time: bounds the memory, and keeps it in caches
DOUBLED = 16_384  # points that are brought to double precision at a time


class Nearest(NamedTuple):
    """What a search finds.

    Attributes:
        square_N: The squared distance of each question to the nearest point.
        index_N: That point.
    """

    square_N: Floats
    index_N: Rows


class Group(NamedTuple):
    """Questions that are asked at once.

    Attributes:
        asked_GD: The questions.
        centred_GD: Less the centre of the bank, times -2.
        row_GS: Their short form times -2, and three values more: see ``BankSearch``.
        square_G: Their squared norms, in short form.
        home_G: The cells that they lie in.
    """

    asked_GD: Floats
    centred_GD: Floats
    row_GS: Floats
    square_G: Floats
    home_G: Rows


class Space:
    """Memory that is written over again and again: to touch new pages costs as much as what is computed in them."""

    def __init__(self) -> None:
        self._held: dict[str, npt.NDArray[np.uint8]] = {}

    def of(self, name: str, rows: int, columns: int, dtype: type[np.generic] = np.float32) -> npt.NDArray[Any]:
        """Give an array (rows, columns) that holds anything; it is lost when the name is asked for again."""
        size = rows * columns * np.dtype(dtype).itemsize
        if name not in self._held or len(self._held[name]) < size:
            self._held[name] = np.empty(size + size // 2, np.uint8)
        return self._held[name][:size].view(dtype).reshape(rows, columns)


def product(left_GD: Numbers, right_RD: Numbers, out_GR: Numbers) -> None:
    """Multiply all with all, into an array."""
    np.matmul(left_GD, right_RD.T, out=out_GR)


def one_after_the_other(ask: Callable[[Group], Floats | Rows], groups: list[Group]) -> list[Floats | Rows]:
    """Ask groups on this thread."""
    return [ask(group) for group in groups]


class BankSearch:
    """Answers which point of a bank is nearest.

    Every test of a group against many points, or cells, is one product and its minima: short forms have three values
    more. A question's are 1 and what the test sets; a point's are its squared norm, 1 and 0, so that products are
    squared distances less a limit. A cell's are the squared norm of its centre less its radius squared, 1 and its
    radius: for ``apart - radius <= known`` says ``apart^2 - (known + radius)^2 <= 0``.

    Args:
        bank_MD: float32. It is not copied, and must not be written to.
        multiply: Multiplies all rows with all, (G, D) and (R, D), into (G, R), in single or double precision, where
            something is faster than NumPy, or has its threads in hand.
        at_once: Asks all groups, in their order, where several threads may.
    """

    def __init__(
        self,
        bank_MD: Floats,
        multiply: Callable[[Numbers, Numbers, Numbers], None] = product,
        at_once: Callable[[Callable[[Group], Floats | Rows], list[Group]], list[Floats | Rows]] = one_after_the_other,
    ) -> None:
        self._multiply, self._at_once = multiply, at_once
        self._spaces: list[Space] = []  # of threads that are not at work
        self.bank_MD = bank_MD
        self._centre_D = bank_MD.mean(axis=0, dtype=np.float64)
        axes = min(max(1, round(AXES * bank_MD.shape[1] ** 0.5)), bank_MD.shape[1])
        self._axis_AD = np.ascontiguousarray(np.linalg.eigh(self._spread())[1][:, -axes:].T)
        parts = range(0, len(bank_MD), DOUBLED)
        shortened = [self._shorten(bank_MD[first : first + DOUBLED] - self._centre_D) for first in parts]
        short_MS, square_M = (np.concatenate(part) for part in zip(*shortened, strict=True))
        self._cell_CS, cell_M = self._cells(short_MS, min(len(bank_MD), round(CELLS * len(bank_MD) ** 0.5)))
        self._square_M, self._norm = square_M, float(np.sqrt(squares(bank_MD).max()))
        # From here on, "line" is a place in the order of the cells.
        self._order_M = cell_M.argsort(kind="stable")
        self._size_C = np.bincount(cell_M)
        short_MS = short_MS[self._order_M]
        one_M, none_M = np.ones_like(square_M), np.zeros_like(square_M)
        self._line_MS = np.column_stack([short_MS, square_M[self._order_M], one_M, none_M])
        apart_M = np.sqrt(squares(short_MS - self._cell_CS.repeat(self._size_C, axis=0)))
        radius_C = np.maximum.reduceat(apart_M, self._size_C.cumsum() - self._size_C) * np.float32(
            1 + ROUNDING
        ) + np.float32(ROUNDING)
        square_C = squares(self._cell_CS) * np.float32(1 - ROUNDING) - MARGIN * radius_C**2
        self._cell_CT = np.column_stack([self._cell_CS, square_C, np.ones_like(square_C), radius_C])

    def __call__(self, asked_ND: Floats) -> Nearest:
        """Find the nearest point of every question; exact, as the differences themselves are taken in the end."""
        row_N = self._rows(asked_ND, lambda group: self._ask(group, self._ask_at_home(group)))
        return Nearest(self._measure(asked_ND, row_N), row_N)

    def within(self, asked_ND: Floats, square: float) -> npt.NDArray[np.bool_]:
        """Tell which questions (N,) have a point of the bank within a squared distance of them.

        Most have one in the cell that they lie in, and need no search. Others are searched for no farther than asked.
        """
        order_N, groups = self._grouped(asked_ND)
        square_N: Floats = np.concatenate(self._at_once(self._ask_at_home, groups), dtype=np.float32)
        is_near_N = np.empty(len(asked_ND), dtype=bool)
        is_near_N[order_N] = square_N <= square
        far_F = np.flatnonzero(~is_near_N)
        if len(far_F):
            far_FD = asked_ND[far_F]
            row_F = self._rows(far_FD, lambda group: self._ask(group, np.full_like(group.square_G, square)))
            is_near_N[far_F] = (row_F != NOTHING) & (self._measure(far_FD, row_F.clip(0)) <= square)
        return is_near_N

    def _spread(self) -> npt.NDArray[np.float64]:
        """Sum the products of all pairs of coordinates (D, D), about the centre."""
        sum_DD = np.zeros((self.bank_MD.shape[1],) * 2)
        for first in range(0, len(self.bank_MD), DOUBLED):
            centred_RD = self.bank_MD[first : first + DOUBLED] - self._centre_D
            part_DD = np.empty_like(sum_DD)
            self._multiply(centred_RD.T, centred_RD.T, part_DD)
            sum_DD += part_DD
        return sum_DD

    def _rows(self, asked_ND: Floats, ask: Callable[[Group], Rows]) -> Rows:
        """Answer every question with a row (N,): in groups, and those that are strange by comparing with all."""
        order_N, groups = self._grouped(asked_ND)
        row_N = np.empty(len(asked_ND), dtype=np.int64)
        row_N[order_N] = np.concatenate(self._at_once(ask, groups))
        strange_n = np.flatnonzero(row_N == STRANGE)
        if len(strange_n):
            row_N[strange_n] = self._compare_with_all(asked_ND[strange_n])
        return row_N

    def _grouped(self, asked_ND: Floats) -> tuple[Rows, list[Group]]:
        """Order questions (N,) by the cells that they lie in, and part them into groups, in this order."""
        centred_ND = asked_ND - self._centre_D
        short_NS, square_N = self._shorten(centred_ND)
        home_N = self._nearest_centres(short_NS, self._cell_CS)
        order_N = home_N.argsort(kind="stable")
        one_N, none_N = np.ones_like(square_N), np.zeros_like(square_N)
        row_NS = np.column_stack([-2 * short_NS, one_N, none_N, none_N])[order_N]
        group = GROUP if len(asked_ND) < MANY else 2 * GROUP
        cuts = range(group, len(asked_ND), group)
        whole = (asked_ND[order_N], doubled(centred_ND)[order_N], row_NS, square_N[order_N], home_N[order_N])
        return order_N, [Group(*part) for part in zip(*(np.split(values, cuts) for values in whole), strict=True)]

    def _may_be_near(self, group: Group, known_G: Floats, space: Space) -> npt.NDArray[np.bool_]:
        """Tell which cells (C,) may hold a point as near to one of a group as is known."""
        row_GS = group.row_GS.copy()
        row_GS[:, -2] = group.square_G * np.float32(1 - ROUNDING) - MARGIN * known_G
        row_GS[:, -1] = -2 * MARGIN * np.sqrt(known_G)
        over_GC = space.of("cells", len(known_G), len(self._cell_CT))
        self._multiply(row_GS, self._cell_CT, over_GC)
        near_C: npt.NDArray[np.bool_] = over_GC.min(axis=0) <= 0
        return near_C

    def _shorten(self, centred_RD: npt.NDArray[np.float64]) -> tuple[Floats, Floats]:
        """Bring points, less the centre, to their short form (R, S); return it with their squared norms.

        In double precision, for the rest is a difference.
        """
        along_RA = np.empty((len(centred_RD), len(self._axis_AD)))
        self._multiply(centred_RD, self._axis_AD, along_RA)
        square_R = squares(centred_RD)
        rest_R = np.sqrt((square_R - squares(along_RA)).clip(0))
        return np.column_stack([along_RA, rest_R]).astype(np.float32), square_R.astype(np.float32)

    def _ask(self, group: Group, known_G: Floats) -> Rows:
        """Answer a group with rows: the nearest of all that may be as near as a squared distance (G,) that is known.

        Or find that nothing is, or that too much may be.
        """
        with self._space() as space:
            near_C = self._may_be_near(group, known_G, space)
            row_GS = group.row_GS.copy()
            row_GS[:, -2] = group.square_G - known_G - np.float32(ROUNDING) * (group.square_G + known_G)
            line_R, over_GR = self._compare_short(row_GS, near_C, space)
            line_R = line_R[over_GR.min(axis=0, initial=np.inf) <= 0]
            if len(line_R) > MOST * len(self.bank_MD):
                return np.full(len(known_G), STRANGE)
            if not len(line_R):
                return np.full(len(known_G), NOTHING)
            return self._compare_whole(group, self._order_M[line_R], space)

    def _ask_at_home(self, group: Group) -> Floats:
        """Answer a group with squared distances (G,) to the points in its own cells that are nearest in short form."""
        at_home_C = np.zeros(len(self._cell_CS), dtype=bool)
        at_home_C[group.home_G] = True
        with self._space() as space:
            line_R, short_GR = self._compare_short(group.row_GS, at_home_C, space)
            best_G = short_GR.argmin(axis=1)
        return self._measure(group.asked_GD, self._order_M[line_R[best_G]])

    @contextmanager
    def _space(self) -> Iterator[Space]:
        """Give memory to work in, that no other thread works in meanwhile."""
        try:
            space = self._spaces.pop()
        except IndexError:
            space = Space()
        yield space
        self._spaces.append(space)

    def _compare_short(self, row_GS: Floats, wanted_C: npt.NDArray[np.bool_], space: Space) -> tuple[Rows, Floats]:
        """Return the lines (R,) of the wanted cells, and squared distances in short form (G, R) less what rows set."""
        line_R = np.flatnonzero(wanted_C.repeat(self._size_C))
        line_RS = space.of("lines", len(line_R), self._line_MS.shape[1])
        self._line_MS.take(line_R, axis=0, out=line_RS, mode="clip")  # unlike raise, it writes there at once
        short_GR = space.of("products", len(row_GS), len(line_R))
        self._multiply(row_GS, line_RS, short_GR)
        return line_R, short_GR

    def _compare_whole(self, group: Group, row_R: Rows, space: Space) -> Rows:
        """Return the nearest of some rows (G,); where rounding hides which, the few that it may be are measured."""
        asked_GD = group.asked_GD
        square_R = self._square_M[row_R]
        point_RD = space.of("points", len(row_R), self.bank_MD.shape[1])
        self.bank_MD.take(row_R, axis=0, out=point_RD, mode="clip")
        apart_GR = space.of("products", len(asked_GD), len(row_R))
        self._multiply(group.centred_GD, point_RD, apart_GR)
        apart_GR += square_R
        best_G = apart_GR.argmin(axis=1)
        rounding_G = np.float32(ROUNDING) * (square_R.max() + self._norm * np.sqrt(group.square_G))
        near_G = apart_GR[np.arange(len(best_G)), best_G] + rounding_G
        near_GR = space.of("near", len(asked_GD), len(row_R), np.bool_)
        np.less_equal(apart_GR, near_G[:, None], out=near_GR)
        if np.count_nonzero(near_GR) > len(best_G):
            few = min(FEW, len(row_R))
            index_GF = np.argpartition(apart_GR, few - 1, axis=1)[:, :few]
            far_GF = np.stack([self._measure(asked_GD, row_R[index_G]) for index_G in index_GF.T], axis=1)
            best_G = index_GF[np.arange(len(best_G)), far_GF.argmin(axis=1)]
        found: Rows = row_R[best_G]
        return found

    def _compare_with_all(self, asked_ND: Floats) -> Rows:
        """Answer questions that are near to nothing, with rows: so much may be nearest that a choice saves nothing."""
        lowest_N, row_N = np.full(len(asked_ND), np.inf, np.float32), np.zeros(len(asked_ND), np.int64)
        centred_ND, every_N = doubled(asked_ND - self._centre_D), np.arange(len(asked_ND))
        for first in range(0, len(self.bank_MD), ROWS):
            rows = slice(first, first + ROWS)
            apart_NR = self._products(centred_ND, self.bank_MD[rows])
            apart_NR += self._square_M[rows]
            best_N = apart_NR.argmin(axis=1)
            found_N = apart_NR[every_N, best_N]
            nearer_N = found_N < lowest_N
            row_N[nearer_N] = best_N[nearer_N] + first
            lowest_N[nearer_N] = found_N[nearer_N]
        return row_N

    def _measure(self, asked_GD: Floats, row_G: Rows) -> Floats:
        return squares(asked_GD - self.bank_MD.take(row_G, axis=0))

    def _cells(self, point_MS: Floats, count: int) -> tuple[Floats, Rows]:
        """Part points into at most ``count`` cells by k-means; return centres (C, S), and the cell of each point (M,).

        Centres that are neighbours stand near each other; no cell is empty.
        """
        seen_LS = point_MS[:: max(1, len(point_MS) // LEARNT_FROM)]
        centre_CS = seen_LS[:: max(1, len(seen_LS) // count)][:count].copy()
        for _ in range(TURNS):
            cell_L = self._nearest_centres(seen_LS, centre_CS)
            order_L = cell_L.argsort(kind="stable")
            used_c, firsts = np.unique(cell_L[order_L], return_index=True)
            size_c = np.diff(firsts, append=len(order_L)).astype(np.float32)
            centre_CS[used_c] = np.add.reduceat(seen_LS[order_L], firsts, axis=0) / size_c[:, None]
        centre_CS = centre_CS[in_line(centre_CS, np.arange(len(centre_CS)))]
        used_c, cell_M = np.unique(self._nearest_centres(point_MS, centre_CS), return_inverse=True)
        return centre_CS[used_c], cell_M

    def _nearest_centres(self, point_MS: Floats, centre_CS: Floats) -> Rows:
        point_MT = np.column_stack([point_MS, np.ones(len(point_MS), np.float32)])
        centre_CT = np.column_stack([-2 * centre_CS, squares(centre_CS)])
        cell_M = np.empty(len(point_MS), np.int64)
        with self._space() as space:
            for first in range(0, len(point_MS), ROWS):
                part_RT = point_MT[first : first + ROWS]
                apart_RC = space.of("cells", len(part_RT), len(centre_CS))
                self._multiply(part_RT, centre_CT, apart_RC)
                apart_RC.argmin(axis=1, out=cell_M[first : first + ROWS])
        return cell_M

    def _products(self, left_GD: Floats, right_RD: Floats) -> Floats:
        found_GR = np.empty((len(left_GD), len(right_RD)), np.float32)
        self._multiply(left_GD, right_RD, found_GR)
        return found_GR


def squares(point_ND: Numbers) -> Numbers:
    """Square norms (N,)."""
    found: Numbers = np.einsum("nd,nd->n", point_ND, point_ND)
    return found


def doubled(centred_ND: npt.NDArray[np.float64]) -> Floats:
    """Take points, less the centre of the bank, times -2.

    What their products with points of the bank leave out is the same for all, and far less is lost to rounding.
    """
    return np.multiply(centred_ND, -2, dtype=np.float32, casting="same_kind")


def in_line(point_CS: Floats, index_R: Rows) -> Rows:
    """Order points so that neighbours in the line are neighbours: halve them, again and again, where they spread."""
    if len(index_R) < 3:
        return index_R
    here_RS = point_CS[index_R]
    order_R = here_RS[:, here_RS.var(axis=0).argmax()].argsort()
    first_R, second_R = np.array_split(index_R[order_R], 2)
    return np.concatenate([in_line(point_CS, first_R), in_line(point_CS, second_R)])
