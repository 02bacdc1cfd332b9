"""A trial that trains nothing: it notes that it ran, waits, fails or reports as its config asks, and is done.

Keys of its own, added by ``+tiny.KEY=VALUE``: ``sleep`` (seconds), ``act`` (crash, memory, kill), ``epochs``.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tools.sweeps.task import Report, Task

STARTS = "starts.txt"


def data_identity(config: dict[str, Any]) -> str:
    return str(config["data"]["domain"])


def run_trial(task: Task, report: Report) -> dict[str, Any]:
    config = task.config
    options = config.get("tiny", {})
    began = time.time()
    with (Path(config["out"]) / STARTS).open("a", encoding="utf-8") as stream:
        stream.write(f"{task.id}\n")  # one short write: lines of several processes do not mix
    act = options.get("act")
    if act == "crash":
        raise ZeroDivisionError("on purpose")
    if act == "memory" and config["data"]["batch_size"] > 8:
        raise MemoryError("on purpose")
    if act == "kill" and config["data"]["batch_size"] > 8:
        os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does when memory runs out
    for epoch in range(options.get("epochs", 0)):
        report(epoch, quality(config) * (epoch + 1) / options["epochs"])
    time.sleep(options.get("sleep", 0))
    return {
        "objective": quality(config),
        "metrics": {},
        "process": os.getpid(),
        "began": began,
        "ended": time.time(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
    }


def quality(config: dict[str, Any]) -> float:
    """Best where the bank keeps a tenth, and a little worse for every further seed."""
    ratio = config["model"].get("coreset_ratio", 0.5)
    return float(1 - abs(ratio - 0.1) - config["seed"] / 1000)


def write_page(task: Task) -> None:
    raise AssertionError(f"{task.id} has no metrics, and so no page")
