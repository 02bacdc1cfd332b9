"""Output that nobody takes any more: ``loupe runs | head`` ends quietly, and a full disk in a sentence."""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress

UNREAD = 128 + signal.SIGPIPE
"""The exit status that shells know such a command by."""


def is_unread() -> bool:
    """Tell whether the reader of standard output has gone."""
    try:
        descriptor = sys.stdout.fileno()
    except (AttributeError, OSError, ValueError):  # no stream of the system's
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def let_go() -> None:
    """Let go what cannot be written, so that Python does not try once more at its end, and complain."""
    try:
        sys.stdout.flush()
    except OSError:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
