"""Progress: silent for short work, plain lines in a log, a bar in a terminal."""

from __future__ import annotations

import io
import sys
import time

import pytest

from datamodules import progress
from datamodules.progress import track, working


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_everything_comes_through(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert list(track(iter(range(5)), "counting", total=5)) == [0, 1, 2, 3, 4]
        assert list(track([], "counting")) == []


def test_short_work_is_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        list(track(range(3), "counting"))
        with working("thinking"):
            pass
        assert stream.getvalue() == ""


def test_long_work_writes_plain_lines_to_a_log(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.0)
    list(track(range(3), "counting"))
    lines = stream.getvalue().splitlines()
    assert lines[0].startswith("counting: 1 of 3")
    assert len(lines) == 2
    assert "\r" not in stream.getvalue()


def test_long_work_shows_a_bar_in_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    stream = Terminal()
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "BAR_AFTER_S", 0.0)
    for _ in track(range(3), "counting"):
        time.sleep(0.15)
    assert "counting" in stream.getvalue()
    assert "\r" in stream.getvalue()


@pytest.mark.parametrize(("stream", "shown"), [(io.StringIO(), "thinking\n"), (Terminal(), "thinking ...\r\x1b[K")])
def test_work_that_cannot_be_counted_is_named(stream: io.StringIO, shown: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stderr", stream)
    monkeypatch.setattr(progress, "BAR_AFTER_S", 0.01)
    with working("thinking"):
        time.sleep(0.2)
    assert stream.getvalue() == shown


def test_errors_pass_through() -> None:
    with pytest.raises(RuntimeError), working("thinking"):
        raise RuntimeError
