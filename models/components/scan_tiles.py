"""Scans of any size at their own scale: whole up to some size, beyond it by tiles that overlap, averaged where they do.

The line, the model and its bundles all judge by this; it needs no torch.

Letters: B scans, H and W their height and width in pixels, K tiles, h and w sides of what a network is given.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from .tile_axes import lay, overlap, reflected, summed

if TYPE_CHECKING:
    from collections.abc import Callable

Images: TypeAlias = npt.NDArray[Any]
Maps: TypeAlias = npt.NDArray[np.float32]

STRIDE = 32  # pixels; networks halve sides up to five times, and graphs for scans of any size need whole halves
WHOLE = 8  # tiles; a scan no larger is judged whole, which saves the overlap: a quarter of the time at 1330 x 900


@dataclass(frozen=True)
class ScanTiles:
    """How scans are cut, judged and put together.

    Args:
        size: Side of the tiles, before it is brought to a multiple of what the network asks for.
        overlap: Share of a side that neighbours share at least, in [0, 0.5]; a quarter of it, at the rim, is not used.
        multiple: Both sides of what the network is given are multiples of this.
        batch: Tiles that are judged at a time: it bounds the memory.
    """

    size: int = 512
    overlap: float = 0.125
    multiple: int = 1
    batch: int = 2

    @property
    def side(self) -> int:
        """Side of the tiles that the network is given."""
        return max(1, self.size // self.multiple) * self.multiple

    def given(self, height: int, width: int) -> tuple[int, int]:
        """Return the sides of what the network is given of scans of a size: whole ones, or tiles."""
        if height * width > WHOLE * self.size**2:
            return self.side, self.side
        return -(-height // self.multiple) * self.multiple, -(-width // self.multiple) * self.multiple

    def judge(self, image_BCHW: Images, network: Callable[[Images], Maps]) -> Maps:
        """Return the raw maps of scans, (B, H, W).

        Only the tiles at hand are copied, so that memory beside the result does not grow with the scan. What is judged
        whole is reflected at its right and its bottom, up to the sides that the network asks for.

        Args:
            image_BCHW: Of one size, in whatever type ``network`` takes.
            network: From parts (K, C, h, w) to raw maps (K, h, w).
        """
        count, _, height, width = image_BCHW.shape
        map_BHW = np.zeros((count, height, width), np.float32)
        if height * width > WHOLE * self.size**2:
            for image_CHW, map_HW in zip(image_BCHW, map_BHW, strict=True):
                self._judge_tiles(image_CHW, network, map_HW)
            return map_BHW
        sides = self.given(height, width)
        rows, columns = reflected(0, sides[0], height), reflected(0, sides[1], width)
        at_once = max(1, self.batch * self.size**2 // (height * width))
        for first in range(0, count, at_once):
            some = slice(first, first + at_once)
            part_Kchw = np.ascontiguousarray(image_BCHW[some][:, :, rows[:, None], columns])
            map_BHW[some] = network(part_Kchw)[:, :height, :width]
        return map_BHW

    def _judge_tiles(self, image_CHW: Images, network: Callable[[Images], Maps], map_HW: Maps) -> None:
        """Judge a scan tile by tile, into ``map_HW``, which is 0 everywhere."""
        height, width = map_HW.shape
        rim = int(self.overlap * self.side) // 4
        rows, columns = (lay(length, self.side, self.overlap, rim) for length in (height, width))
        for top in rows.starts:
            row_S = reflected(top, self.side, height)
            for first in range(0, len(columns.starts), self.batch):
                lefts = columns.starts[first : first + self.batch]
                tiles = [image_CHW[:, row_S[:, None], reflected(left, self.side, width)] for left in lefts]
                for left, found_SS in zip(lefts, network(np.stack(tiles)), strict=True):
                    inside, within = overlap((top, left), self.side, (height, width))
                    weight_SS = rows.weight_S[within[0], None] * columns.weight_S[within[1]]
                    map_HW[inside] += weight_SS * found_SS[within]
        map_HW /= summed(rows, height)[:, None]
        map_HW /= summed(columns, width)
