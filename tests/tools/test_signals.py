"""Signals: what they raise, what becomes of those that strike where nothing can be raised, and what is said."""

from __future__ import annotations

import os
import signal
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tools.command import NOT_BEGUN, run_verb
from tools.signals import Interrupted, heard, keeping_note, sentence

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

NUMBERS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def ignoring_nothing() -> Iterator[None]:
    """Hear SIGINT, which what runs in the background is told to ignore."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def strike(number: int) -> None:
    """Send this process a signal, and stay long enough for it to arrive."""
    os.kill(os.getpid(), number)
    time.sleep(0.5)


@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_ends_the_command_with_the_status_that_shells_know(
    number: signal.Signals, capsys: pytest.CaptureFixture[str]
) -> None:
    def run(overrides: Sequence[str], *, show: bool) -> None:
        del overrides, show
        with keeping_note(lambda: "outer"), keeping_note(lambda: "all of it is kept"):
            strike(number)

    before = [signal.getsignal(one) for one in NUMBERS]
    assert run_verb("train", [], run, "") == 128 + number
    shown = capsys.readouterr().err
    assert shown == f"loupe train: ended by {number.name}; all of it is kept\n"
    assert [signal.getsignal(one) for one in NUMBERS] == before


def test_what_catches_exceptions_does_not_catch_a_signal() -> None:
    def deaf() -> None:
        try:
            strike(signal.SIGTERM)
        except Exception:  # noqa: BLE001 - as libraries do
            pytest.fail("it was held up")

    with pytest.raises(Interrupted), heard():
        deaf()


def test_a_signal_that_strikes_where_nothing_can_be_raised_is_raised_soon_after() -> None:
    class Deaf:
        def __del__(self) -> None:
            strike(signal.SIGTERM)

    def forget() -> None:
        deaf = Deaf()
        del deaf
        for _ in range(100):
            time.sleep(0.05)

    with pytest.raises(Interrupted), heard():
        forget()


def untidy(error: Exception) -> None:
    """Hear a signal, and stumble while tidying up, as libraries do."""
    try:
        strike(signal.SIGTERM)
    finally:
        raise error


@pytest.mark.parametrize("error", [UnboundLocalError("cannot access local variable 'f'"), ValueError("closed file")])
def test_errors_that_a_signal_causes_in_a_library_are_not_taken_for_its_own(error: Exception) -> None:
    with pytest.raises(Interrupted, match="SIGTERM") as caught, heard(), keeping_note(lambda: "all is kept"):
        untidy(error)
    assert sentence(caught.value) == "ended by SIGTERM; all is kept"


@pytest.mark.parametrize("error", [UnboundLocalError("cannot access local variable 'f'"), ValueError("closed file")])
def test_nor_are_they_by_a_verb_within_the_command(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    def run(overrides: Sequence[str], *, show: bool) -> None:
        del overrides, show
        untidy(error)

    with heard():  # as the command does, which listens while a verb is loaded
        assert run_verb("train", [], run, "") == 143
    assert capsys.readouterr().err == f"loupe train: ended by SIGTERM; {NOT_BEGUN}\n"


def test_an_echo_of_a_signal_does_not_disturb_what_tidies_up() -> None:
    tidied = []

    def run() -> None:
        try:
            strike(signal.SIGINT)
        finally:
            strike(signal.SIGTERM)
            tidied.append(True)

    with pytest.raises(Interrupted, match="SIGINT"), heard():
        run()
    assert tidied


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 7), (signal.SIGTERM, -signal.SIGTERM)])
def test_forked_processes_leave_ctrl_c_to_their_parent_and_end_where_they_are_asked_to(
    number: signal.Signals, status: int
) -> None:
    with heard():
        child = os.fork()
        if not child:
            strike(number)
            os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == status


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with heard():
            strike(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_threads_may_run_verbs() -> None:
    seen = []

    def run() -> None:
        with heard():
            seen.append(True)

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen


def test_errors_in_what_was_given_speak_for_themselves() -> None:
    with pytest.raises(ValueError, match="wrong") as caught, keeping_note(lambda: "noise"):
        raise ValueError("wrong")
    assert sentence(caught.value) == "wrong"
