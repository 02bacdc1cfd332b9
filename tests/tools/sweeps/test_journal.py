"""The journal: what was noted survives a kill at any byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.errors import ConfigError
from tools.sweeps.journal import JOURNAL, Journal, Trial, last_plan, read_records, read_trials, seal, unseal

if TYPE_CHECKING:
    from pathlib import Path


def trial(index: int, **changes: object) -> Trial:
    about: dict[str, object] = {"id": f"{index:012x}", "state": "complete", "setting": {"seed": str(index)}}
    about |= {"data": "d", "result": {"objective": index / 7}, "values": [(0, 0.1), (1, index / 7)], "seconds": 0.5}
    return Trial(**(about | changes))  # type: ignore[arg-type]


def test_what_is_noted_is_read_again(tmp_path: Path) -> None:
    odd = trial(3, state="failed", error='Zeile 1\nZeile 2 mit \N{SNOWMAN} und ","crc":', result={})
    with Journal(tmp_path) as journal:
        journal.note_plan(["seed=1,2", "data.root=/a b/\N{SNOWMAN}"], "0.1")
        journal.note_start("x", {"seed": "1"})
        for one in (trial(1), trial(2), odd):
            journal.note_end(one)
        assert journal.trials == read_trials(tmp_path)
    assert read_trials(tmp_path) == {one.id: one for one in (trial(1), trial(2), odd)}
    assert last_plan(tmp_path) == ["seed=1,2", "data.root=/a b/\N{SNOWMAN}"]


def test_a_kill_at_any_byte_loses_at_most_the_line_that_was_being_written(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for index in range(3):
            journal.note_end(trial(index))
    whole = (tmp_path / JOURNAL).read_bytes()
    ends = [index + 1 for index, byte in enumerate(whole) if byte == ord("\n")]
    for cut in range(len(whole)):
        folder = tmp_path / str(cut)
        folder.mkdir()
        (folder / JOURNAL).write_bytes(whole[:cut])
        # A line whose very last byte, the line feed, is missing is whole all the same.
        expected = sum(end - 1 <= cut for end in ends)
        assert len(read_trials(folder)) == expected, cut
        if cut % 7 == 0:
            with Journal(folder) as journal:
                journal.note_end(trial(9))
            assert set(read_trials(folder)) == {trial(index).id for index in (*range(expected), 9)}, cut


@pytest.mark.parametrize("position", range(0, 200, 11))
def test_a_changed_byte_is_noticed(position: int) -> None:
    line = bytearray(
        seal({"event": "end", "id": "a" * 12, "setting": {"model.coreset_ratio": "0.1"}, "n": list(range(40))})
    )
    assert unseal(bytes(line)) is not None
    line[position] ^= 1
    assert unseal(bytes(line)) is None


def test_of_several_ends_the_last_counts(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.note_end(trial(1, state="failed", result={}))
        journal.note_end(trial(2))
        journal.note_end(trial(1))
    assert list(read_trials(tmp_path).values()) == [trial(1), trial(2)]


def test_keys_that_a_longer_command_adds_are_noted_once(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.note_end(trial(1))
        for _ in range(3):
            journal.note_setting(trial(1).id, {"seed": "1", "model": "patchcore"})
    assert read_trials(tmp_path)[trial(1).id].setting == {"seed": "1", "model": "patchcore"}
    assert len(read_records(tmp_path)) == 2


def test_there_is_one_writer(tmp_path: Path) -> None:
    with Journal(tmp_path), pytest.raises(ConfigError, match="another loupe sweep is at work"):
        Journal(tmp_path)
    with Journal(tmp_path):
        pass  # it is free again


def test_a_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    assert read_trials(tmp_path) == {}
    with pytest.raises(ConfigError, match="Expected the folder of a sweep"):
        last_plan(tmp_path)
