"""The kernel of ``fused_nearest``, in Triton; imported by it alone, and only where Triton is installed.

A program compares BLOCK_N questions with its share of the bank, BLOCK_M points at a time, in steps of BLOCK_D
dimensions. Products stay in registers, and of them only the smallest distance of each question does. Rows beyond the
end are read as the last one, which changes no minimum. Rows may be more than 2^31 numbers apart in all.

Letters: N questions, M points of the bank, D dimensions.
"""

# ruff: noqa: ANN001, PLR0917 - Triton knows the types of pointers, and a launch passes all of them in order

from __future__ import annotations

import triton
import triton.language as tl


# Counts differ from call to call: were they part of what is compiled, 1 and multiples of 16 would compile anew.
@triton.jit(do_not_specialize=["count_N", "count_M", "tiles"])  # type: ignore[untyped-decorator]  # Triton has no types
def nearest_kernel(  # type: ignore[no-untyped-def]  # pointers and blocks have types of Triton's own
    nearest_N,
    asked_ND,
    square_N,
    bank_MD,
    square_M,
    share,
    count_N,
    count_M,
    count_D,
    asked_stride,
    bank_stride,
    tiles,
    BLOCK_N: tl.constexpr,
    BLOCK_M: tl.constexpr,
    BLOCK_D: tl.constexpr,
    PRECISION: tl.constexpr,
) -> None:
    """Lower ``nearest_N`` to the squared distance of each question to the nearest of ``tiles`` tiles of the bank."""
    row_N = tl.program_id(0).to(tl.int64) * BLOCK_N + tl.arange(0, BLOCK_N)
    asked_N = asked_ND + tl.minimum(row_N, count_N - 1)[:, None] * asked_stride
    step_D = tl.arange(0, BLOCK_D)
    best_N = tl.full([BLOCK_N], float("inf"), tl.float32)
    first = tl.program_id(1) * tiles
    for tile in range(first, tl.minimum(first + tiles, tl.cdiv(count_M, BLOCK_M))):
        row_M = tl.minimum(tile * BLOCK_M + tl.arange(0, BLOCK_M), count_M - 1).to(tl.int64)
        point_M = bank_MD + row_M[None, :] * bank_stride
        product_NM = tl.zeros([BLOCK_N, BLOCK_M], tl.float32)
        for start in range(0, count_D, BLOCK_D):
            inside_D = start + step_D < count_D
            left_ND = tl.load(asked_N + (start + step_D)[None, :], mask=inside_D[None, :], other=0.0)
            right_DM = tl.load(point_M + (start + step_D)[:, None], mask=inside_D[:, None], other=0.0)
            product_NM = tl.dot(left_ND, right_DM, product_NM, input_precision=PRECISION)
        distance_NM = tl.load(square_M + row_M)[None, :] - 2.0 * product_NM
        best_N = tl.minimum(best_N, tl.min(distance_NM, axis=1))
    own_N = tl.load(square_N + tl.minimum(row_N, count_N - 1))
    distance_N = best_N + own_N
    distance_N = tl.where(distance_N < share * own_N, 0.0, distance_N)
    tl.atomic_min(nearest_N + row_N, distance_N, mask=row_N < count_N, sem="relaxed")
