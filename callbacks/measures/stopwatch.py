"""What a test costs: time by stage, and memory at its peak."""

from __future__ import annotations

import sys
import time
from collections import defaultdict

import torch

KIBIBYTE, MEBIBYTE = 1024, 1024 * 1024


class Stopwatch:
    """Adds up the seconds of each stage. The device must have finished what it was asked before a stage ends."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)
        self._mark = time.perf_counter()

    def lap(self, stage: str) -> None:
        """Book the time since the last lap."""
        now = time.perf_counter()
        self.seconds[stage] += now - self._mark
        self._mark = now


def peak_memory(device: torch.device) -> dict[str, int]:
    """Highest memory in use so far, in MiB: ``process`` where the system tells, ``gpu`` (tensors) on a CUDA device."""
    peak: dict[str, int] = {}
    if sys.platform != "win32":
        import resource  # noqa: PLC0415 - not on Windows

        unit = 1 if sys.platform == "darwin" else KIBIBYTE  # bytes there, KiB on Linux
        peak["process"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MEBIBYTE)
    if device.type == "cuda":
        peak["gpu"] = round(torch.cuda.max_memory_allocated(device) / MEBIBYTE)
    return peak
