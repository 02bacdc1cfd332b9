"""Keep what was freed, for the next batch: on a processor, to ask the system for it again takes up to 40 % of the time.

The C library of Linux gives large blocks back as soon as they are freed. A network that needs its maps for every batch
then touches new pages each time, and the kernel clears them: 1,800 for an image of LoupeNet.
"""

from __future__ import annotations

import ctypes
import os
from typing import NamedTuple


class Setting(NamedTuple):
    """One of malloc's.

    Attributes:
        number: By which ``mallopt`` knows it (malloc.h).
        variable: By which a process that begins knows it (mallopt(3)).
        size: Bytes.
    """

    number: int
    variable: str
    size: int


SETTINGS = (
    Setting(-3, "MALLOC_MMAP_THRESHOLD_", 32 * 2**20),  # the most that glibc takes: larger blocks go back at once
    Setting(-1, "MALLOC_TRIM_THRESHOLD_", 512 * 2**20),  # that a process keeps at most, of what it has freed
)


def keep_freed_memory() -> bool:
    """Let this process and those that it starts keep freed memory; tell whether this one does.

    Where a person has set any of malloc's variables, or the C library is another, nothing is changed.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):  # macOS has none, Windows no such library
        return False
    done = all(mallopt(setting.number, setting.size) for setting in SETTINGS)
    os.environ.update({setting.variable: str(setting.size) for setting in SETTINGS})
    return done
