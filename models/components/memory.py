"""Memory in words: ``4GiB``, and what a machine can spare."""

from __future__ import annotations

import os
import re
from pathlib import Path

UNITS = {"B": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}
SHARE = 0.5  # of what is free, that one training may take
_SIZE = re.compile(r"\s*([\d.]+)\s*([a-zA-Z]+)\s*")


def read_size(text: str, key: str) -> int:
    """Read an amount of memory, such as ``4GiB`` or ``500 MB``, in bytes.

    Raises:
        ValueError: It is none; names ``key``.
    """
    found = _SIZE.fullmatch(str(text))
    unit = UNITS.get(found[2].upper(), 0) if found else 0
    try:
        size = int(float(found[1]) * unit) if found else 0
    except ValueError:
        size = 0
    if size < 1:
        raise ValueError(f"Expected {key} to be an amount of memory such as 4GiB or 500MB, but found {text!r}.")
    return size


def spare() -> int:
    """Return how many bytes a training may take here: half of what is free, within the limit of a container."""
    return int(SHARE * min(_free(), _limit()))


def written_size(size: float) -> str:
    """Write a number of bytes with a unit that people read."""
    return f"{size / 2**30:.1f} GiB" if size >= 2**30 else f"{size / 2**20:.0f} MiB"


def _free() -> int:
    """Return the bytes available without swapping, as Linux estimates them; elsewhere half of all memory."""
    try:
        for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2
    except (AttributeError, ValueError):  # Windows
        return 4 * 2**30


def _limit() -> int:
    """Return the limit of the container, as Linux keeps it; none is as good as a very large one."""
    try:
        return int(Path("/sys/fs/cgroup/memory.max").read_text(encoding="ascii"))
    except (OSError, ValueError):
        return 2**62
