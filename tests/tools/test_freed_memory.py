"""What a network needs for every batch is asked of the system once."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.freed_memory import SETTINGS

CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
FAULTS = """
import resource
from tools.freed_memory import keep_freed_memory
done = keep_freed_memory() if {wanted} else None
import numpy as np
def use():
    for _ in range(10):
        [np.ones(2**20) for _ in range(12)]  # 8 MiB each
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
use()
print(done, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(*, wanted: bool, environment: dict[str, str] | None = None) -> tuple[str, int]:
    """Count the pages that arrays touch anew in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", FAULTS.format(wanted=wanted)],
        env={**CLEAN, **(environment or {})},
        check=True,
        capture_output=True,
        text=True,
    )
    answer, count = done.stdout.split()
    return answer, int(count)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another C library")
def test_freed_arrays_are_used_again() -> None:
    answer, again = faults(wanted=True)
    if answer == "False":
        pytest.skip("this C library has no mallopt")
    assert again < faults(wanted=False)[1] / 10
    assert faults(wanted=True, environment={"MALLOC_ARENA_MAX": "2"})[0] == "False", "what a person set stays"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another C library")
def test_processes_that_are_started_know_it_too() -> None:
    script = "from tools.freed_memory import keep_freed_memory as k; import os; print(k(), dict(os.environ))"
    done = subprocess.run([sys.executable, "-c", script], env=CLEAN, check=True, capture_output=True, text=True)
    if done.stdout.startswith("False"):
        pytest.skip("this C library has no mallopt")
    assert all(f"'{setting.variable}': '{setting.size}'" in done.stdout for setting in SETTINGS)
