"""What a server has done, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

import threading
import time
from bisect import bisect_left
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

BOUNDS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
Labels = tuple[tuple[str, str], ...]


class Counters:
    """Counts of requests and images, and how long requests took."""

    def __init__(self) -> None:
        self.started = time.time()
        self._lock = threading.Lock()
        self._requests: Counter[Labels] = Counter()
        self._images: Counter[Labels] = Counter()
        self._took = [0] * (len(BOUNDS_S) + 1)
        self._seconds = 0.0

    def request(self, path: str, status: int, seconds: float) -> None:
        """Count a request to one of the server's own paths."""
        with self._lock:
            self._requests[("path", path), ("status", str(status))] += 1
            self._took[bisect_left(BOUNDS_S, seconds)] += 1
            self._seconds += seconds

    def image(self, model: str, verdict: str) -> None:
        """Count an image; one without a verdict failed."""
        with self._lock:
            self._images[("model", model), ("verdict", verdict or "failed")] += 1

    def text(self, waiting: Mapping[str, int], batches: Mapping[str, int]) -> str:
        """Write all counters in Prometheus' text format."""
        with self._lock:
            lines = [
                *_lines("loupe_requests_total", "counter", "Requests, by path and status.", self._requests),
                *_lines("loupe_images_total", "counter", "Images, by model and verdict.", self._images),
                *self._histogram("loupe_request_seconds", "From the head of a request to the end of its answer."),
                *_lines("loupe_waiting_images", "gauge", "Images without a result yet.", _by_model(waiting)),
                *_lines("loupe_batches_total", "counter", "Batches that were judged.", _by_model(batches)),
                *_lines("process_start_time_seconds", "gauge", "Since 1970.", {(): self.started}),
                *_lines("process_resident_memory_bytes", "gauge", "Memory in use.", {(): resident_bytes()}),
            ]
        return "\n".join(lines) + "\n"

    def _histogram(self, name: str, text: str) -> list[str]:
        lines, total = [f"# HELP {name} {text}", f"# TYPE {name} histogram"], 0
        for bound, count in zip((*map(str, BOUNDS_S), "+Inf"), self._took, strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return [*lines, f"{name}_sum {self._seconds}", f"{name}_count {total}"]


def resident_bytes() -> float:
    """Return the memory that this process holds now; NaN where the system does not say."""
    try:
        text = Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    except OSError:
        return float("nan")
    found = [line.split()[1] for line in text.splitlines() if line.startswith("VmRSS:")]
    return 1024.0 * int(found[0]) if found else float("nan")


def _by_model(values: Mapping[str, int]) -> dict[Labels, float]:
    return {(("model", name),): float(value) for name, value in values.items()}


def _lines(name: str, sort: str, text: str, values: Mapping[Labels, float]) -> list[str]:
    lines = [f"# HELP {name} {text}", f"# TYPE {name} {sort}"]
    for labels, value in sorted(values.items()):
        written = ",".join(f'{key}="{_escaped(word)}"' for key, word in labels)
        lines.append(f"{name}{{{written}}} {value}" if written else f"{name} {value}")
    return lines


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
