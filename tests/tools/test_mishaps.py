"""Mishaps: found however deep libraries wrap them, and said in one sentence."""

from __future__ import annotations

import errno
import pickle
import threading
from typing import TYPE_CHECKING

import pytest
import torch
from torch.utils.data import DataLoader

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.whole_files import write_whole
from datamodules.samples.sized import SizedDataset
from tools.command import run_verb
from tools.mishaps import explain, quiet_threads

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


class Failing(SizedDataset[torch.Tensor]):
    """Fails in a worker in the way it is told."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def __len__(self) -> int:
        return 1

    def __getitem__(self, index: int) -> torch.Tensor:
        raise self.error


def raised(error: Exception) -> BaseException:
    loaded = iter(DataLoader(Failing(error), num_workers=1))
    with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever torch makes of it
        next(loaded)
    assert list(loaded) == []  # ends its process; the collector of garbage would wait five seconds for it
    return caught.value


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a.png"), "the disk is full"),
        (OSError(errno.EDQUOT, "Disk quota exceeded"), "the disk is full"),
        (OSError(errno.EROFS, "Read-only file system", "a.png"), "for a.png, but the disk is read-only"),
        (OSError(errno.EMFILE, "Too many open files"), "ulimit"),
        (RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"), "data.batch_size lower"),
        (MemoryError(), "data.batch_size lower"),
        (
            RuntimeError(
                "DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that dataloader's workers "
                "are out of shared memory. Please try to raise your shared memory limit."
            ),
            "shared memory",
        ),
        (RuntimeError("unable to write to file </torch_12_3_4>: No space left on device (28)"), "shared memory"),
        (RuntimeError("DataLoader worker (pid(s) 12, 13) exited unexpectedly"), "12, 13"),
        (RuntimeError("DataLoader worker (pid 9) is killed by signal: Killed. "), "9 is killed by signal: Killed"),
        (RuntimeError("PytorchStreamWriter failed: [Errno 28] No space left on device"), "the disk is full"),
    ],
)
def test_a_mishap_is_said_in_one_sentence(error: Exception, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    def run(overrides: Sequence[str], *, show: bool) -> None:
        del overrides, show
        try:
            raise error
        except Exception as inner:
            raise RuntimeError("wrapped") from inner

    assert run_verb("train", [], run, "") == 1
    shown = capsys.readouterr().err
    assert shown.startswith("loupe train: Expected")
    assert words in shown
    assert shown.count("\n") == 1


def test_what_is_wrong_with_an_image_in_a_worker_is_said_as_it_is_in_the_main_process() -> None:
    error = UnreadableImageError("images/a.png", "has vanished", "restore it")
    assert explain(raised(error)) == str(error)


def test_errors_in_data_are_said_without_the_traceback_of_a_worker(capsys: pytest.CaptureFixture[str]) -> None:
    def run(overrides: Sequence[str], *, show: bool) -> None:
        del overrides, show
        raise raised(DataError("Expected masks, but found none."))

    assert run_verb("train", [], run, "") == 1
    assert capsys.readouterr().err == "loupe train: Expected masks, but found none.\n"


def test_a_full_disk_is_known_from_within_a_worker() -> None:
    said = explain(raised(OSError(errno.ENOSPC, "No space left on device", "kept.pt")))
    assert said is not None
    assert "the disk is full" in said
    assert "Traceback" not in said


def test_threads_of_libraries_do_not_complain_of_mishaps(capsys: pytest.CaptureFixture[str]) -> None:
    def fail(error: Exception) -> None:
        raise error

    def run_both() -> None:
        for error in (OSError(errno.ENOSPC, "No space left on device"), TypeError("a mistake")):
            thread = threading.Thread(target=fail, args=[error])
            thread.start()
            thread.join()

    before, threading.excepthook = threading.excepthook, threading.__excepthook__
    try:
        with quiet_threads():
            run_both()
        assert threading.excepthook is threading.__excepthook__
    finally:
        threading.excepthook = before
    shown = capsys.readouterr().err
    assert "a mistake" in shown
    assert "No space" not in shown


def test_programming_errors_are_not_explained_away() -> None:
    assert explain(TypeError("unsupported operand")) is None
    assert explain(raised(TypeError("unsupported operand"))) is None


def test_a_file_is_whole_or_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "sub" / "a.bin"
    write_whole(path, b"old", durable=True)
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_whole(path, b"new and longer", durable=True)
    assert path.read_bytes() == b"old"
    assert [one.name for one in path.parent.iterdir()] == ["a.bin"]


def test_errors_with_a_remedy_survive_pickling() -> None:
    error = UnreadableImageError("a.png", "is empty", "delete it")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)  # noqa: S301 - our own bytes
