"""What a fit has collected so far, in a file beside the run: one that is ended goes on there.

A file is written once in a while, and no more often than it takes little of the time; a short fit never writes one.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import torch

from datamodules.progress import tell

if TYPE_CHECKING:
    from pathlib import Path

EVERY = 60.0  # seconds
SHARE = 0.05  # of the time, that writing may take


class Unfinished:
    """A file with tensors and plain values, which is whole or not there.

    Args:
        path: Of the file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._written = time.perf_counter()
        self._pause = EVERY

    def load(self) -> dict[str, Any]:
        """Read what was kept; empty where nothing was, or nothing that can be read."""
        try:
            state: dict[str, Any] = torch.load(self.path, "cpu", weights_only=True)
        except (FileNotFoundError, NotADirectoryError):
            return {}
        except Exception as error:  # noqa: BLE001 - whatever is wrong with it, the fit can begin anew
            tell(f"{self.path} cannot be read ({error}); all images are collected anew.")
            return {}
        return state

    def is_due(self) -> bool:
        """Tell whether enough work would be lost to be worth saving now."""
        return time.perf_counter() - self._written > self._pause

    def save(self, state: dict[str, Any]) -> None:
        """Write the file; on a full disk, say so, and do without."""
        started = time.perf_counter()
        draft = self.path.with_suffix(".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            torch.save(state, draft)
            draft.replace(self.path)
        except (OSError, RuntimeError) as error:  # torch's writer raises the latter where the disk is full
            with suppress(OSError):
                draft.unlink(missing_ok=True)
            tell(f"What was collected could not be kept in {self.path} ({error}); if ended, the fit begins anew.")
            self._pause = float("inf")
            return
        self._written = time.perf_counter()
        self._pause = max(EVERY, (self._written - started) / SHARE)

    def remove(self) -> None:
        """Delete the file, once the fit is over."""
        self.path.unlink(missing_ok=True)
