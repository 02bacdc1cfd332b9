"""Running one task, whatever happens in it; the same in this process, in a worker, and on a cluster."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import time
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast

from tools.library_words import is_out_of_memory

from .failures import add_to_log, cause_of
from .task import Judge, Outcome, PrunedTrialError, Task, TrialModule

if TYPE_CHECKING:
    from collections.abc import Iterator

_STANDARD = (1, 2)  # descriptors of standard output and standard error


def perform(task: Task, judge: Judge | None) -> Outcome:
    """Run a task; never raise but for an interrupt.

    Args:
        task: The trial.
        judge: Is told every intermediate objective and says whether to end; None: nothing is pruned.
    """
    started = time.perf_counter()
    values: list[tuple[int, float]] = []

    def report(step: int, value: float) -> None:
        values.append((step, value))
        if judge is not None and judge(task.id, step, value):
            raise PrunedTrialError

    try:
        with logged(task.log):
            module = cast("TrialModule", importlib.import_module(task.trial))
            result = module.run_trial(task, report)
    except PrunedTrialError:
        return Outcome(task.id, "pruned", {"objective": values[-1][1]}, values, time.perf_counter() - started)
    except Exception as error:  # noqa: BLE001 - a trial may fail in any way, and the sweep goes on
        seconds = time.perf_counter() - started
        state: Literal["memory", "failed"] = "memory" if is_out_of_memory(error) else "failed"
        trace = traceback.format_exc()
        if task.log:
            add_to_log(task.log, trace)
        return Outcome(task.id, state, {}, values, seconds, trace, cause_of(error))
    return Outcome(task.id, "complete", result, values, time.perf_counter() - started)


@contextlib.contextmanager
def logged(log: str) -> Iterator[None]:
    """Send all that is printed, by whatever library, to a file.

    It is the descriptors that are changed: libraries keep the streams that they found when they were imported.
    """
    if not log:
        yield
        return
    Path(log).parent.mkdir(parents=True, exist_ok=True)
    _flush()
    before = [os.dup(descriptor) for descriptor in _STANDARD]
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    try:
        for descriptor in _STANDARD:
            os.dup2(file, descriptor)
        yield
    finally:
        _flush()
        for descriptor, saved in zip(_STANDARD, before, strict=True):
            os.dup2(saved, descriptor)
            os.close(saved)
        os.close(file)


def _flush() -> None:
    sys.stdout.flush()
    sys.stderr.flush()
