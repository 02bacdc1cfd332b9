"""Signals that end a command: 130 for SIGINT and 143 for SIGTERM, and a word about what is kept.

Libraries have ideas of their own about ``KeyboardInterrupt``: Lightning turns it into an exit with status 1. What is
raised here is none of theirs.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from .library_words import lost_loader

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

HEARD = (signal.SIGINT, signal.SIGTERM)
ECHO_S = 1.0  # within which a second signal is the same wish: "timeout" sends two, a terminal one to every process
AGAIN_S = 0.1  # after which a signal that struck where nothing can be raised is sent again


class Interrupted(BaseException):
    """A signal asks the command to end. ``except Exception`` does not hold it up.

    Attributes:
        status: The exit status that shells know the signal by.
    """

    def __init__(self, number: int) -> None:
        self.signal = signal.Signals(number)
        self.status = 128 + number
        super().__init__(f"ended by {self.signal.name}")


class _Ears:
    """Raises `Interrupted` in the main thread at the first signal; a later second one ends the process at once."""

    def __init__(self) -> None:
        self.process = os.getpid()
        self.at: float | None = None
        self.ended: Interrupted | None = None

    def hear(self, number: int, frame: FrameType | None) -> None:
        """Handle a signal."""
        del frame
        if os.getpid() != self.process:
            _end_child(number)
            return
        now = time.monotonic()
        if self.at is None:
            self.at = now
            self.ended = Interrupted(number)
            raise self.ended
        if now - self.at > ECHO_S:
            os._exit(128 + number)

    def hear_again(self, lost: sys.UnraisableHookArgs) -> bool:
        """Tell whether an exception that Python had to drop, as in ``__del__``, was ours; then raise it anew, soon."""
        if not isinstance(lost.exc_value, Interrupted):
            return False
        self.at = None
        main, number = threading.main_thread().ident, lost.exc_value.signal
        if main is not None:
            again = threading.Timer(AGAIN_S, signal.pthread_kill, (main, number))
            again.daemon = True
            again.start()
        return True


def _end_child(number: int) -> None:
    """End a forked process where it is asked to; Ctrl-C reaches all, and its parent will end it."""
    if number == signal.SIGTERM:
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


_listening: _Ears | None = None


@contextmanager
def heard() -> Iterator[None]:
    """Raise `Interrupted` for signals inside the block, unless a block around it does, or this is not the main thread.

    A signal that whoever started us chose to ignore stays ignored. Whatever is raised after a signal was heard is its
    consequence, as when a library tidies up what it had not begun: an inner block says so, too, since what stands
    between it and the outer one would take the consequence for an error.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
    elif _listening is not None:
        with _consequences(_listening):
            yield
    else:
        with _installed(_Ears()) as ears, _consequences(ears):
            yield


@contextmanager
def _installed(ears: _Ears) -> Iterator[_Ears]:
    """Handle signals inside the block; restore the former handlers after it."""
    global _listening  # noqa: PLW0603 - signal handlers belong to the process
    hook = sys.unraisablehook
    before: dict[int, Any] = {number: signal.getsignal(number) for number in HEARD}
    try:
        _listening = ears
        sys.unraisablehook = lambda lost: None if ears.hear_again(lost) else hook(lost)
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, ears.hear)
        yield ears
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        sys.unraisablehook = hook
        _listening = None


@contextmanager
def _consequences(ears: _Ears) -> Iterator[None]:
    """Raise the signal in place of an error that it caused."""
    try:
        yield
    except Exception as error:
        if ears.ended is None and lost_loader(error) is not None:
            time.sleep(AGAIN_S)  # a signal to all processes may have reached the loaders first
        if ears.ended is None:
            raise
        for note in getattr(error, "__notes__", ()):
            ears.ended.add_note(note)
        raise ears.ended from error


@contextmanager
def keeping_note(note: Callable[[], str]) -> Iterator[None]:
    """Let an end that nobody planned carry a word about what is kept and how to go on; the innermost word counts.

    Errors in what the user gave speak for themselves, unless a signal made them.
    """
    try:
        yield
    except BaseException as error:
        given = isinstance(error, ValueError) and (_listening is None or _listening.ended is None)
        if not given and not getattr(error, "__notes__", ()):
            error.add_note(note())
        raise


def sentence(error: BaseException) -> str:
    """Say what ended a command, with its notes."""
    return "; ".join([str(error), *getattr(error, "__notes__", ())])
