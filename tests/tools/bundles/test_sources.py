"""What there is to judge: every kind of source, in order, whatever is wrong with a part of it."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError, UnreadableImageError
from tools.bundles.runner.sources import find_pictures


def picture(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((6, 8, 3), value, np.uint8))
    return path


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "a/c/1.PNG", "z.jpg"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = list(find_pictures([str(tmp_path)]))
    assert [entry.place for entry in found] == [
        PurePosixPath(name) for name in ("a/c/1.PNG", "b/10.png", "b/2.png", "z.jpg")
    ]
    assert found[0].name == str(tmp_path / "a/c/1.PNG")
    assert found[0].read().shape == (6, 8, 3)


def test_files_and_globs_keep_apart_what_has_one_name(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "a" / "x.png"), picture(tmp_path / "b" / "x.png")
    found = list(find_pictures([str(one), str(tmp_path / "b" / "*.png")]))
    assert [entry.name for entry in found] == [str(one), str(two)]
    assert len({entry.place for entry in found}) == 2


def test_names_that_are_done_are_left_out(tmp_path: Path) -> None:
    names = [str(picture(tmp_path / f"{index}.png")) for index in range(4)]
    assert [entry.name for entry in find_pictures([str(tmp_path)], done={names[0], names[2]})] == [names[1], names[3]]


def test_archives_are_read_without_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(picture(tmp_path / "x.png", 7), "line/x.png")
        archive.write(tmp_path / "x.png", "../../escape.png")
        archive.writestr("readme.txt", "no picture")
        archive.writestr("broken.png", b"no picture")
    found = list(find_pictures([str(path)]))
    assert [entry.name.removeprefix(f"{path}/") for entry in found] == ["../../escape.png", "broken.png", "line/x.png"]
    assert found[0].place == PurePosixPath("day.zip/escape.png")
    assert found[2].read()[0, 0, 0] == 7
    with pytest.raises(UnreadableImageError, match=r"broken\.png"):
        found[1].read()


def test_a_damaged_member_is_an_error_of_its_own(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(picture(tmp_path / "x.png"), "a.png")
        archive.write(tmp_path / "x.png", "b.png")
    content = path.read_bytes()
    path.write_bytes(content.replace(b"IDAT", b"IDAX", 1))  # the first member: its CRC fails
    found = list(find_pictures([str(path)]))
    with pytest.raises(UnreadableImageError, match="cannot be unpacked"):
        found[0].read()
    assert found[1].read().shape == (6, 8, 3)


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "line.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48))
    if not writer.isOpened():
        pytest.skip("this OpenCV writes no MJPG videos")
    for index in range(9):
        writer.write(np.full((48, 64, 3), (10, 60, 20 * index), np.uint8))  # blue, green, red
    writer.release()
    return path


def test_videos_give_frames_in_rgb(video: Path) -> None:
    found = list(find_pictures([str(video)], every=4, done={f"{video}#4"}))
    assert [entry.name for entry in found] == [f"{video}#0", f"{video}#8"]
    red, _, blue = found[1].read().mean(axis=(0, 1))
    assert red == pytest.approx(160, abs=6)
    assert blue == pytest.approx(10, abs=6)
    assert found[1].place == PurePosixPath("line.avi/0000008")


def test_a_video_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "line.mp4"
    path.write_bytes(b"no video")
    (found,) = find_pictures([str(path)])
    with pytest.raises(UnreadableImageError, match="is no video"):
        found.read()


def test_a_source_that_names_nothing_says_so(tmp_path: Path) -> None:
    for source in (str(tmp_path), str(tmp_path / "*.png"), str(tmp_path / "no.png")):
        with pytest.raises(DataError, match="found none at"):
            next(find_pictures([source]))
