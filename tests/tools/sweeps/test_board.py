"""The table in a terminal, as a terminal shows it: read back through one."""

from __future__ import annotations

import io
import re

import pytest

from tools.sweeps.board import Board, duration
from tools.sweeps.journal import Trial

WIDTH = 60


class Terminal(io.StringIO):
    """A stream that says it is a terminal, and knows the two things that a board asks of one."""

    def isatty(self) -> bool:
        return True

    def screen(self) -> list[str]:
        """What a reader sees in the end: a move up goes up, a clearing clears what is below."""
        lines: list[str] = []
        for part in re.split(r"(\033\[\d+A\033\[J)", self.getvalue()):
            if found := re.match(r"\033\[(\d+)A", part):
                del lines[len(lines) - int(found[1]) :]
            else:
                lines += part.splitlines()
        return lines


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("COLUMNS", str(WIDTH))
    monkeypatch.setenv("LINES", "8")
    return Terminal()


def ended(name: str, objective: float, state: str = "complete") -> Trial:
    return Trial(name, state, {"seed": "1"}, result={"objective": objective}, seconds=12.3)  # type: ignore[arg-type]  # a literal


def test_the_table_shows_what_runs_and_leaves_what_ended(terminal: Terminal) -> None:
    board = Board(4, ["seed"], terminal)
    for name in ("a", "b"):
        board.started(name, {"seed": "1"})
    board.ended(ended("a", 0.75))
    *done, running, summary = terminal.screen()
    assert done == ["           trial         objective             time  setting", done[1]]
    assert done[1].split() == ["1/4", "a", "0.7500", "12", "s", "seed=1"]
    assert running.split()[:2] == ["running", "b"]
    assert re.fullmatch(r"1 of 4 done, best 0.7500 \(a\)(, about .* left)?", summary)
    board.ended(ended("b", 0.5, "pruned"))
    board.end()
    assert [line.split()[:4] for line in terminal.screen()[1:]] == [
        ["1/4", "a", "0.7500", "12"],
        ["2/4", "b", "pruned", "0.5000"],
    ]


def test_more_trials_than_lines_leave_the_rest_in_place(terminal: Terminal) -> None:
    board = Board(None, ["seed"], terminal)
    for index in range(50):
        board.started(f"{index:012x}", {"seed": "1" * 100})
    board.ended(ended(f"{0:012x}", 0.9))
    shown = terminal.screen()
    assert len(shown) == 8  # the head, what ended, and no more than fits beneath
    assert shown[-2].split() == ["45", "more"]
    assert max(map(len, shown[2:])) < WIDTH  # what ended is written whole, once
    board.end()
    assert len(terminal.screen()) == 2


def test_a_log_has_a_line_per_trial_and_nothing_else() -> None:
    stream = io.StringIO()
    board = Board(2, ["seed"], stream)
    board.started("a", {"seed": "1"})
    board.refresh()
    board.ended(ended("a", 0.75, "failed"))
    board.end()
    assert [line.split()[:3] for line in stream.getvalue().splitlines()[1:]] == [["1/2", "a", "FAILED"]]


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.44, "0.4 s"), (12.4, "12 s"), (200, "3 min 20 s"), (9.97, "10 s"), (59.7, "1 min 00 s"), (7500, "2 h 05 min")],
)
def test_times_are_written_as_people_say_them(seconds: float, said: str) -> None:
    assert duration(seconds) == said
