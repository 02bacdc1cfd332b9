"""What libraries say in words alone: the one place where their sentences are searched, and why each one has to be.

torch raises a plain ``RuntimeError`` without any field where memory of the CPU or the shared memory of the processes
that load images runs out, and where such a process dies; its writers drop the number of the system's error and keep
its text. What has a type or a number is asked for that first. ``tests/tools/test_library_words.py`` makes torch itself
say what can be provoked, so that an upgrade that words it anew is noticed.

torch is not imported here: a sweep's own process does without it.
"""

from __future__ import annotations

import errno
import re
import sys
from typing import NamedTuple

_OUT_OF_MEMORY = ("out of memory", "can't allocate memory", "not enough memory")  # by device
_LOST_LOADER = re.compile(r"DataLoader worker \(pid(?:\(s\))? ([\d, ]+)\) ([^.]*)")
_SHARED_MEMORY = (
    "unable to write to file </torch_",
    "unable to open shared memory object",
    "unable to mmap",
    "out of shared memory",
)
_NO_SPACE = "No space left on device"
_OUR_ERROR_IN_LOADER = re.compile(r"^Caught .*\n(?:\w+\.)*errors\.\w+Error: (.*)\s*\Z", re.DOTALL)  # its last line


class LostLoader(NamedTuple):
    """A process that loaded images, and died.

    Attributes:
        processes: Their numbers, as words.
        how: Whatever is known of it.
        shared_memory: Whether it ran out of the memory that it shares with its parent.
    """

    processes: str
    how: str
    shared_memory: bool


def is_out_of_memory(error: BaseException) -> bool:
    """Tell whether memory ran out, of the machine or of an accelerator."""
    torch = sys.modules.get("torch")
    if isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(words in str(error).lower() for words in _OUT_OF_MEMORY)


def lost_loader(error: BaseException) -> LostLoader | None:
    """Say which process that loads images is gone, if an error tells of one."""
    if not isinstance(error, RuntimeError):
        return None
    text = str(error)
    shared = any(words in text for words in _SHARED_MEMORY)
    if found := _LOST_LOADER.search(text):
        return LostLoader(found[1], " ".join(found[2].split()), shared or "Bus error" in found[2])
    return LostLoader("one of them", "", shared_memory=True) if shared else None


def system_error(error: BaseException) -> OSError | None:
    """Give the system's error that one of a library's is, or tells of without its number."""
    if isinstance(error, OSError) and error.errno is not None:
        return error
    return OSError(errno.ENOSPC, _NO_SPACE) if _NO_SPACE in str(error) else None


def sentence_of_loader(error: BaseException) -> str | None:
    """Give the words of an error of ours that was raised in a process that loads images.

    torch raises it anew in the main process without its fields, its words at the end of a traceback, and of another
    type where a message alone does not make it.
    """
    found = _OUR_ERROR_IN_LOADER.search(str(error))
    return None if found is None else found[1].strip()
