"""An output folder has one owner, and its rows are counted by name, whatever happens to the record."""

from __future__ import annotations

import csv
import json
import multiprocessing
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from tests.faults.endings import assert_refused
from tests.sources import ROOT
from tests.tools.bundles.test_predicting import make_judge
from tools.errors import ConfigError
from tools.runner.owning import Owner, is_still, new_folder
from tools.runner.predicting import Options, predict
from tools.runner.specification import BundleError
from tools.runs import ownership

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.endings import Loupe

COUNT = 20


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Twenty images of twenty brightnesses."""
    folder = tmp_path / "images"
    folder.mkdir()
    for index in range(COUNT):
        cv2.imwrite(str(folder / f"{index:03}.png"), 40 + np.arange(400, dtype=np.uint8).reshape(20, 20) % (index + 9))
    return folder


def names(out: Path) -> list[str]:
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        return [Path(row["image_path"]).name for row in csv.DictReader(stream)]


def _make(wanted: str, found: multiprocessing.Queue[str]) -> None:
    for _ in range(5):
        found.put(str(new_folder(Path(wanted))))


def test_folders_made_at_once_are_all_new(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    found: multiprocessing.Queue[str] = context.Queue()
    makers = [context.Process(target=_make, args=(str(tmp_path / "predictions"), found)) for _ in range(4)]
    for maker in makers:
        maker.start()
    made = [found.get(timeout=20) for _ in range(20)]
    for maker in makers:
        maker.join()
    assert len(set(made)) == 20
    assert {path.name for path in tmp_path.iterdir()} == {
        "predictions",
        *(f"predictions_{number}" for number in range(2, 21)),
    }


def test_the_second_writer_is_refused(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    owner = Owner(out)
    with pytest.raises(BundleError, match="another process writes to it"):
        predict(make_judge(), [str(source)], out)
    assert not (out / "predictions.csv").exists()
    owner.release()
    assert predict(make_judge(), [str(source)], out).images == COUNT
    assert not (out / ".lock").exists()


def test_a_killed_writer_owns_nothing(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    code = (
        "import os; from pathlib import Path; from tools.runner.owning import Owner; "
        f"owner = Owner(Path({str(out)!r})); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[2]
    assert subprocess.run([sys.executable, "-c", code], cwd=root, check=False).returncode == -9
    assert (out / ".lock").exists()
    assert predict(make_judge(), [str(source)], out).images == COUNT


def test_the_same_folder_three_times_counts_each_image_once(tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    for turn in range(3):
        summary = predict(make_judge(), [str(source)], out)
        assert (summary.images, summary.earlier) == (COUNT, COUNT if turn else 0)
        assert names(out) == [f"{index:03}.png" for index in range(COUNT)]


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


TAMPERING: dict[str, Callable[[Path], object]] = {
    "twice": lambda path: path.write_bytes(path.read_bytes() * 3),
    "crlf": lambda path: path.write_bytes(b"\r\n".join(_lines(path)) + b"\r\n"),
    "cr": lambda path: path.write_bytes(b"\r".join(_lines(path)) + b"\r"),
    "no end": lambda path: path.write_bytes(path.read_bytes().rstrip()),
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "cut at a byte": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "mark": lambda path: path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes()),
    "blank lines": lambda path: path.write_bytes(path.read_bytes().replace(b"\n", b"\n\n\r\n")),
    "noise": lambda path: path.write_bytes(b"\xff\x00\n" + path.read_bytes() + b"null\n[1]\n{}\n{\n"),
    "zeros": lambda path: path.write_bytes(path.read_bytes() + b"\0" * 5000),
    "no name": lambda path: path.write_bytes(b'{"score": 1}\n{"image_path": 3}\n' + path.read_bytes()),
    "deep": lambda path: path.write_bytes(b"[" * 100_000 + b"\n" + path.read_bytes()),
    "odd values": lambda path: path.write_bytes(
        b'{"image_path": "x", "regions": 3}\n{"image_path": "y", "verdict": "good", "defects": 7}\n' + path.read_bytes()
    ),
    "empty": lambda path: path.write_bytes(b""),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("tampering", TAMPERING)
def test_a_record_is_read_whatever_happened_to_it(tampering: str, tmp_path: Path, source: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    predict(make_judge(), [str(source)], whole)
    predict(make_judge(), [str(source)], out, Options(limit=11))
    TAMPERING[tampering](out / "predictions.jsonl")
    for _ in range(2):
        assert predict(make_judge(), [str(source)], out).images == COUNT
        assert sorted(names(out)) == sorted(names(whole))
        rows = [json.loads(line) for line in (out / "predictions.jsonl").read_text().splitlines()]
        assert len({row["image_path"] for row in rows}) == len(rows) == COUNT


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"a": NaN}', "\0"])
def test_a_broken_note_of_who_judged_is_refused(text: str, tmp_path: Path, source: Path) -> None:
    out = tmp_path / "out"
    predict(make_judge(), [str(source)], out)
    (out / "predictions.json").write_text(text)
    with pytest.raises(BundleError, match=r"predictions\.json"):
        predict(make_judge(), [str(source)], out)


def test_outputs_of_a_verb_have_one_owner(
    finished_run: Path, source: Path, tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    given = ["predict", f"run={finished_run}", f"source={source}", f"out={out}"]
    assert loupe(given)[0] == 0
    before = {path: path.read_bytes() for path in out.rglob("*") if path.is_file()}
    owner = Owner(out)
    for verb in (given, ["test", f"run={finished_run}", f"out={out}"]):
        assert_refused(loupe(verb), str(out))
    owner.release()
    assert {path: path.read_bytes() for path in out.rglob("*") if path.is_file()} == before


def test_nothing_is_left_of_a_call_that_never_began(
    finished_run: Path, tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    before = sorted(finished_run.rglob("*"))
    assert_refused(loupe(["predict", f"run={finished_run}", "source=nothing"]), "nothing")
    assert_refused(loupe(["predict", f"run={finished_run}", "source=.", "kind=nosuchkind"]))
    assert sorted(finished_run.rglob("*")) == before


def test_rows_are_json(tmp_path: Path, source: Path) -> None:
    predict(make_judge(), [str(source)], tmp_path / "out")

    def refuse(name: str) -> Any:
        raise AssertionError(name)

    for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)


def test_a_lock_whose_file_was_removed_meanwhile_is_taken_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between opening the file and locking it, its owner may remove it: then the lock is on no file of the folder."""
    first = is_still
    calls = []

    def removed_once(descriptor: int, path: Path) -> bool:
        calls.append(path)
        if len(calls) == 1:
            path.unlink()  # as the owner does that ends
        return first(descriptor, path)

    monkeypatch.setattr(ownership, "is_still", removed_once)
    with ownership.owned(tmp_path):
        assert len(calls) == 2
        with pytest.raises(ConfigError, match=f"process {os.getpid()} is at work on it"), ownership.owned(tmp_path):
            pytest.fail("two owners")
    assert not list(tmp_path.iterdir())


KILLED = """
import os, signal, sys, time
from pathlib import Path
from tools.runs.ownership import owned
with owned(Path(sys.argv[1])):
    if os.fork() == 0:  # a loader, which holds what its training had opened
        time.sleep(float(sys.argv[2]))
        os._exit(0)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks there")
def test_loaders_that_a_killed_training_leaves_are_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def kill_with_a_loader(seconds: float) -> None:
        killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), str(seconds)], cwd=ROOT, check=False)
        assert killed.returncode == -signal.SIGKILL

    kill_with_a_loader(2.0)
    with (tmp_path / ".lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    with ownership.owned(tmp_path):
        pass
    monkeypatch.setattr(ownership, "LOADERS_S", 0.2)
    kill_with_a_loader(5.0)
    with pytest.raises(ConfigError, match="is at work on it"), ownership.owned(tmp_path):
        pytest.fail("two owners")


@pytest.mark.parametrize("verb", ["distill", "prepare", "line"])
def test_a_folder_that_somebody_writes_to_is_refused(
    verb: str, source: Path, tmp_path: Path, loupe: Loupe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    out = tmp_path / "out"
    out.mkdir()
    (tmp_path / "good").mkdir()
    (source / "000.png").rename(tmp_path / "good" / "000.png")
    given = {
        "distill": ["distill", "student=pdn_s", "teacher=loupe", "teacher.layers=[2,3]", "data=[]", "device=cpu"],
        "prepare": ["prepare", "fiber", f"source={source}"],
        "line": ["predict", "line=inclusion_maps", f"source={source}"],
    }[verb]
    owner = Owner(out)
    assert_refused(loupe([*given, f"out={out}"]), "another process writes to it")
    owner.release()
    assert not list(out.iterdir())
