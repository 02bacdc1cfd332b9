"""Files that are none, that cost too much, or that nobody can read: an error of their own, and the others go on."""

from __future__ import annotations

import csv
import os
import resource
import socket
import stat
import zipfile
from contextlib import chdir
from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.folder import FolderDataModule
from datamodules.layouts.label_table import read_labels
from datamodules.outlines.parsing import load_json
from tests.faults.endings import assert_refused
from tests.tools.bundles.test_predicting import make_judge, rows_of
from tools.runner.predicting import predict

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.endings import Loupe

MIB = 1 << 20


def make(kind: str, path: Path) -> Path:
    """Put something that is not a file where a file is looked for."""
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "terminal":
        path.symlink_to("/dev/null")
    elif kind == "socket":
        with chdir(path.parent), socket.socket(socket.AF_UNIX) as server:
            server.bind(path.name)
    elif kind == "loop":
        path.symlink_to(path)
    elif kind == "nowhere":
        path.symlink_to(path.with_name("nowhere"))
    elif kind == "secret" and os.geteuid() == 0:
        pytest.skip("root may read everything")
    else:
        path.touch(mode=0)
    return path


KINDS = ["pipe", "device", "terminal", "socket", "loop", "nowhere", "secret"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
def test_only_files_are_read(kind: str, suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnreadableImageError, match=r"cannot be opened|not a file"):
        read_image(make(kind, tmp_path / f"a{suffix}"))


@pytest.mark.parametrize("name", ["a.png", "a.mp4", "a.zip", "a.json"])
@pytest.mark.parametrize("chosen", [True, False])
def test_prediction_waits_for_no_pipe(name: str, chosen: bool, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "b.png"), np.arange(400, dtype=np.uint8).reshape(20, 20))
    make("pipe", folder / name)
    sources = [str(folder / name), str(folder / "b.png")] if chosen else [str(folder)]
    summary = predict(make_judge(), sources, tmp_path / "out")
    assert summary.images - summary.failed == 1
    if chosen:
        assert "not a file" in str(rows_of(tmp_path / "out")[0]["error"])


@pytest.mark.parametrize("kind", ["pipe", "device", "socket", "nowhere"])
def test_training_leaves_it_out(kind: str, picture_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(picture_folder)
    make(kind, picture_folder / "good" / "zz.png")
    datamodule = FolderDataModule(root=str(picture_folder))
    datamodule.setup()
    assert any("zz.png" in path for path in datamodule.excluded["path"]) or kind == "nowhere"
    assert not any("zz.png" in path for path in datamodule.samples["image_path"])


@pytest.mark.parametrize("name", ["labels.csv", "labels.json", "notes.txt", "classes.txt"])
def test_labels_that_are_pipes_do_not_hang(name: str, picture_folder: Path, loupe: Loupe) -> None:
    os.mkfifo(picture_folder / name)
    for data in ("folder", "fiber", "oring"):
        status, said = loupe(["doctor", f"data={data}", f"data.root={picture_folder}", f"out={picture_folder.parent}"])
        assert status in {0, 1, 2}
        assert "Traceback" not in said


def sparse(path: Path, size: int, head: bytes = b"") -> Path:
    """Make a file of any size that takes no room on the disk."""
    with path.open("wb") as file:
        file.write(head)
        file.truncate(size)
    return path


def bmp_head(width: int, height: int) -> bytes:
    size = 54 + 3 * width * height
    head = b"BM" + size.to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
    shape = width.to_bytes(4, "little") + height.to_bytes(4, "little")
    return head + shape + (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)


HEADS = {
    "nothing": b"",
    "png": b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x10\x08\2\0\0\0",
    "bmp": bmp_head(64, 64),
    "huge": bmp_head(25_000, 25_000),
    "tiff": b"II*\0\xf0\xff\xff\x6f",
    "jpeg": b"\xff\xd8\xff\xe0\0\x10JFIF",
}


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("mib", [90, 1900])
def test_a_large_file_costs_nothing(head: str, mib: int, tmp_path: Path) -> None:
    path = sparse(tmp_path / "a.png", mib * MIB, HEADS[head])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(UnreadableImageError):
        read_image(path)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


@pytest.mark.slow
@pytest.mark.parametrize("head", HEADS)
def test_a_large_member_costs_nothing(head: str, tmp_path: Path) -> None:
    path, block = tmp_path / "a.zip", bytes(MIB)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("a.png", "w") as member:
            member.write(HEADS[head])
            for _ in range(1900):
                member.write(block)
        good = cv2.imencode(".png", np.arange(400, dtype=np.uint8).reshape(20, 20))[1]
        archive.writestr("b.png", good.tobytes())
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    summary = predict(make_judge(), [str(path)], tmp_path / "out")
    assert (summary.images, summary.failed) == (2, 1)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 200 * 1024


def test_an_archive_stays_open_until_all_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(40):
            values = np.arange(400, dtype=np.uint8).reshape(20, 20) % (index + 9)
            archive.writestr(f"{index:02}.png", cv2.imencode(".png", values)[1].tobytes())
    summary = predict(make_judge(), [str(path)], tmp_path / "out")
    assert (summary.images, summary.failed) == (40, 0)


def test_large_labels_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UnreadableImageError, match="96 MiB"):
        load_json(sparse(tmp_path / "a.json", 96 * MIB, b'{"images": ['))
    with pytest.raises(DataError, match="96 MiB"):
        read_labels(sparse(tmp_path / "labels.csv", 96 * MIB, b"image,label\n"))


CELLS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "'=1", "''-x", "'quoted'", "-", "=", "'", "\uff1d1"]


@pytest.mark.parametrize("cell", CELLS)
def test_names_are_no_formulas(cell: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As ``test_csv_text`` tries cell by cell, here from a file's name to the table of a prediction."""
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.png").write_bytes(cv2.imencode(".png", np.arange(400, dtype=np.uint8).reshape(20, 20))[1].tobytes())
    monkeypatch.chdir(folder)
    judge, out = make_judge(), tmp_path / "out"
    from tools.runner.writing import Writer  # noqa: PLC0415 - the row as it is written

    with Writer(out, {}) as writer:
        result = next(judge.stream([folder / "a.png"]))
        writer.write(replace(result, name=cell + ".png", kind=cell))
    with (out / "predictions.csv").open(newline="", encoding="utf-8") as stream:
        row = next(csv.DictReader(stream))
    for value in (row["image_path"], row["kind"]):
        assert value[:1] not in set("=+-@\t\r\uff1d")
        assert cell.strip("'\t\r") in value
    assert float(row["score"]) > 0


def test_modes_of_outputs_are_plain(tmp_path: Path) -> None:
    """The lock leaves nothing that others could not read."""
    folder = tmp_path / "in"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), np.arange(400, dtype=np.uint8).reshape(20, 20))
    predict(make_judge(), [str(folder)], tmp_path / "out")
    for path in (tmp_path / "out").iterdir():
        assert not path.name.startswith(".")
        assert path.is_dir() or stat.S_ISREG(path.stat().st_mode)


@pytest.mark.parametrize("source", ["/dev/zero", "/dev/null", "/proc/self/mem"])
def test_odd_sources_end(source: str, finished_run: Path, loupe: Loupe, tmp_path: Path) -> None:
    assert_refused(loupe(["predict", f"run={finished_run}", f"source={source}", f"out={tmp_path / 'out'}"]))
