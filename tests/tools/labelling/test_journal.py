"""The journal loses nothing, keeps nothing twice, and undoes to any depth: held against a slow reading of its lines."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from datamodules.errors import DataError
from tools.labelling.entries import Mark, Seen
from tools.labelling.journal import JOURNAL, Journal, NothingToTurnError, read_journal

if TYPE_CHECKING:
    from pathlib import Path

GOOD, BAD = Mark("good"), Mark("defective", "pit")


def literal(path: Path) -> dict[tuple[str, str], str]:
    """Work out what everybody says of every image, the obvious way: by playing the lines on stacks."""
    done: dict[str, list[dict[str, object]]] = {}
    undone: dict[str, list[dict[str, object]]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        entry = json.loads(line)
        mine, theirs = done.setdefault(entry["by"], []), undone.setdefault(entry["by"], [])
        if entry["act"] == "mark":
            mine.append(entry)
            theirs.clear()
        elif entry["act"] == "undo":
            theirs.append(mine.pop())
        else:
            mine.append(theirs.pop())
    said: dict[tuple[str, str], str] = {}
    for by, entries in done.items():
        said |= {(by, str(one["image"])): str(one["to"]["verdict"]) for one in entries}  # type: ignore[index]  # of JSON
    return said


def test_any_run_of_verdicts_undos_and_redos_reads_back_as_it_was(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / JOURNAL
    journal = Journal(path)
    for step in range(400):
        by = str(rng.choice(["Ada", "Bo", "Cy"]))
        act = rng.choice(["mark", "mark", "undo", "redo"])
        try:
            if act == "mark":
                image = f"{rng.integers(8)}.png"
                journal.mark(str(step), by, image, Mark(str(rng.choice(["good", "defective", "unsure"]))), Seen())
            else:
                (journal.undo if act == "undo" else journal.redo)(str(step), by)
        except NothingToTurnError:
            continue
        if step % 50 == 0:
            journal.close()
            journal = Journal(path)
    expected = literal(path)
    for state in (journal.state, read_journal(path)):
        found = {(by, image): verdict for by in state.inspectors() for image, verdict in state.verdicts_of(by).items()}
        assert found == expected
    journal.close()


def test_undo_twenty_deep_restores_everything(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL)
    for number in range(10):
        journal.mark(f"a{number}", "Ada", f"{number}.png", BAD, Seen(score=1.5, threshold=1.0))
    before = {image: label.mark for image in journal.state.images() if (label := journal.state.label(image))}
    for number in range(20):
        journal.mark(f"b{number}", "Ada", f"{number % 10}.png", GOOD, Seen())
    for number in range(20):
        journal.undo(f"u{number}", "Ada")
    after = {image: label.mark for image in journal.state.images() if (label := journal.state.label(image))}
    assert after == before
    for number in range(20):
        journal.redo(f"r{number}", "Ada")
    assert set(journal.state.verdicts_of("Ada").values()) == {"good"}
    with pytest.raises(NothingToTurnError):
        journal.redo("more", "Ada")
    journal.close()


def test_a_line_says_who_when_from_what_to_what_and_what_was_seen(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL, now=lambda: "2026-01-02T03:04:05+00:00")
    journal.mark("1", "Ada", "a.png", GOOD, Seen("m 1", 1.25, 1.0, "random"))
    journal.mark("2", "Bo", "a.png", BAD, Seen("m 1", 1.25, 1.0, "random"))
    journal.close()
    first, second = map(json.loads, (tmp_path / JOURNAL).read_text(encoding="utf-8").splitlines())
    who = {"number": 1, "request": "1", "when": "2026-01-02T03:04:05+00:00", "by": "Ada", "act": "mark"}
    what = {"image": "a.png", "from": None, "to": {"verdict": "good"}}
    assert first == who | what | {"model": "m 1", "score": 1.25, "threshold": 1.0, "picked": "random", "blind": False}
    assert second["from"] == {"verdict": "good"}
    assert second["to"] == {"verdict": "defective", "type": "pit"}


def test_what_is_sent_twice_is_kept_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path / JOURNAL)
    first = journal.mark("same", "Ada", "a.png", GOOD, Seen())
    assert journal.mark("same", "Ada", "a.png", GOOD, Seen()) == first
    journal.undo("back", "Ada")
    journal.close()
    again = Journal(tmp_path / JOURNAL)
    assert again.mark("same", "Ada", "a.png", GOOD, Seen()) == first
    assert again.undo("back", "Ada").of == 1
    assert len(again.state.entries) == 2
    again.close()


@pytest.mark.parametrize("cut", [1, 2, 30, 150])
def test_a_torn_last_line_goes_and_all_others_stay(tmp_path: Path, cut: int) -> None:
    path = tmp_path / JOURNAL
    journal = Journal(path)
    for number in range(3):
        journal.mark(str(number), "Ada", f"{number}.png", GOOD, Seen())
    journal.close()
    path.write_bytes(path.read_bytes()[:-cut])
    assert read_journal(path).images() == ["0.png", "1.png"]
    journal = Journal(path)
    journal.mark("2", "Ada", "2.png", BAD, Seen())
    journal.close()
    assert read_journal(path).verdicts_of("Ada") == {"0.png": "good", "1.png": "good", "2.png": "defective"}


def test_a_line_that_somebody_edited_is_named(tmp_path: Path) -> None:
    path = tmp_path / JOURNAL
    journal = Journal(path)
    for number in range(3):
        journal.mark(str(number), "Ada", f"{number}.png", GOOD, Seen())
    journal.close()
    path.write_text(path.read_text(encoding="utf-8").replace('"number": 2', '"number": 7'), encoding="utf-8")
    with pytest.raises(DataError, match="up to line 3: expected entry 2, but found 7"):
        Journal(path)


WRITER = """
import sys
from pathlib import Path
from tools.labelling.entries import Mark, Seen
from tools.labelling.journal import Journal
journal = Journal(Path(sys.argv[1]))
number = len(journal.state.entries)
while True:
    journal.mark(f"r{number}", "Ada", f"{number}.png", Mark("good"), Seen())
    print(number, flush=True)
    number += 1
"""


def test_no_answered_verdict_is_lost_when_its_writer_is_killed(tmp_path: Path) -> None:
    path, answered = tmp_path / JOURNAL, -1
    for _ in range(3):
        process = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        for _ in range(30):
            answered = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        rest = process.stdout.read().split("\n")
        answered = max([answered, *(int(line) for line in rest[:-1])])  # the last may be cut short
        process.wait()
        kept = [json.loads(line)["number"] for line in path.read_text(encoding="utf-8").splitlines()]
        assert kept == list(range(1, len(kept) + 1))
        assert len(kept) > answered


def test_a_full_disk_keeps_nothing_by_halves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal(tmp_path / JOURNAL)
    journal.mark("1", "Ada", "a.png", GOOD, Seen())
    whole = (tmp_path / JOURNAL).read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(OSError, match="No space"):
            journal.mark("2", "Ada", "b.png", BAD, Seen())
    assert (tmp_path / JOURNAL).read_bytes() == whole
    assert journal.state.images() == ["a.png"]
    journal.mark("2", "Ada", "b.png", BAD, Seen())
    journal.close()
    assert read_journal(tmp_path / JOURNAL).images() == ["a.png", "b.png"]
