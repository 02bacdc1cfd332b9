"""Points that lie on the disk, in rows: added to at the end, read a part at a time.

Letters: N points, D dimensions, R rows of a part, d dimensions after a projection.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from datamodules.errors import DataError

from .memory import written_size

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

BYTES = 4  # of a float32


class SpilledPoints:
    """A file of points (N, D), float32, in the folder for temporary files (TMPDIR); it goes with this object.

    It is read and not mapped, so that its pages do not count as memory of this process.

    Args:
        dimensions: Of each point.
        expected: Points that will come; the disk must have room for them.

    Raises:
        DataError: It has not.
    """

    def __init__(self, dimensions: int, expected: int) -> None:
        folder, needed = Path(tempfile.gettempdir()), BYTES * dimensions * expected
        free = shutil.disk_usage(folder).free
        if needed > free:
            raise DataError(
                f"Expected room for {written_size(needed)} of patches in {folder}, but found {written_size(free)}; set "
                "TMPDIR to a folder on a larger disk, or model.exact=false."
            )
        self.dimensions = dimensions
        self._length = 0
        self._file = tempfile.TemporaryFile(dir=folder, prefix="loupe-patches-")  # noqa: SIM115 - as long as this object
        self._close = weakref.finalize(self, self._file.close)
        self._matrix_Dd: Tensor | None = None
        self._device: torch.device | str = "cpu"

    def __len__(self) -> int:
        """Count the points."""
        return self._length

    def append(self, point_RD: Tensor) -> None:
        """Add points."""
        self._file.seek(0, 2)
        self._file.write(np.ascontiguousarray(point_RD.cpu().float().numpy()).data)
        self._length += len(point_RD)

    def shown_by(self, matrix_Dd: Tensor | None, device: torch.device | str) -> None:
        """Give points through a projection, on a device, from now on; None: as they are."""
        self._matrix_Dd, self._device = matrix_Dd, device

    def __getitem__(self, rows: slice | Sequence[int] | Tensor) -> Tensor:
        """Read points: a slice without a step, or some in any order, (R, D) or (R, d)."""
        if isinstance(rows, slice):
            first, last, _ = rows.indices(self._length)
            point_RD = self._read(first, max(0, last - first))
        else:
            wanted = rows.tolist() if isinstance(rows, torch.Tensor) else list(rows)
            parts = {row: self._read(row, 1) for row in sorted(set(wanted))}  # in the order of the disk
            point_RD = torch.cat([parts[row] for row in wanted])
        return (point_RD if self._matrix_Dd is None else point_RD @ self._matrix_Dd).to(self._device)

    def _read(self, first: int, count: int) -> Tensor:
        self._file.seek(BYTES * self.dimensions * first)
        read = np.frombuffer(self._file.read(BYTES * self.dimensions * count), dtype=np.float32)
        return torch.from_numpy(read.reshape(count, self.dimensions).copy())  # torch writes to what it is given
