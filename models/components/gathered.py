"""Points that come in parts, in one piece of memory from the first on: never twice, not even when all are there.

Letters: N points, D dimensions, R rows of a part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    from torch import Tensor

MORE = 1.5  # times as many points find room, where more come than were expected


class GatheredPoints:
    """Room for points (N, D), float32, of which the system gives the pages as they are written to.

    Args:
        dimensions: Of each point.
        expected: Points that will come; where more do, all are copied to a larger room.
    """

    def __init__(self, dimensions: int, expected: int) -> None:
        self._room_ND = torch.empty(max(1, expected), dimensions)
        self._length = 0

    def __len__(self) -> int:
        """Count the points."""
        return self._length

    @property
    def room(self) -> int:
        """Points that find room as it is."""
        return len(self._room_ND)

    def append(self, point_RD: Tensor) -> None:
        """Add points, from any device."""
        length = self._length + len(point_RD)
        if length > len(self._room_ND):
            larger_ND = torch.empty(max(length, int(MORE * len(self._room_ND))), self._room_ND.shape[1])
            larger_ND[: self._length] = self._room_ND[: self._length]
            self._room_ND = larger_ND
        self._room_ND[self._length : length] = point_RD
        self._length = length

    def points(self) -> Tensor:
        """Return all points (N, D), in place: not a copy."""
        return self._room_ND[: self._length]
