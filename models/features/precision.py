"""Where the bits are needed: most of a network bears half precision, distances do not."""

from __future__ import annotations

from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from torch import Tensor


def full_precision(like: Tensor) -> AbstractContextManager[None]:
    """Switch autocast off for a ``with`` block, on the device of ``like``.

    A squared distance is a small difference of large products, of which bfloat16 leaves nothing. Where autocast is off
    already, this does nothing at all, so that exported graphs show no trace of it.
    """
    kind = like.device.type
    return torch.autocast(kind, enabled=False) if torch.is_autocast_enabled(kind) else nullcontext()
