"""What a test cost: time by stage, and memory at its peak, for environment.json.

Stages are ``loading``, ``model`` (the model alone), ``embedding`` and ``counting``: what measures took, see
``ContextMeasure.stage``.
"""

from __future__ import annotations

from .measure import ContextMeasure, Section
from .stopwatch import peak_memory


class Timing(ContextMeasure):
    """Reads the stopwatch of the test."""

    def result(self) -> Section:
        """Return milliseconds per image by stage, and peak memory in MiB."""
        tested = self.tested
        seconds_of = {name: seconds / len(tested.predictions) for name, seconds in tested.watch.seconds.items()}
        milliseconds = {name: round(1000 * seconds, 2) for name, seconds in seconds_of.items()}
        return Section(
            environment={
                "milliseconds_per_picture": milliseconds["model"],
                "milliseconds_by_stage": milliseconds,
                "peak_memory_mib": peak_memory(tested.device),
            }
        )
