"""What there is to judge: every kind of source, in order, whatever is wrong with a part of it."""

from __future__ import annotations

import zipfile
from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError, UnreadableImageError
from tools.runner.sources import find_images


def picture(path: Path, value: int = 100) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(path), np.full((6, 8, 3), value, np.uint8))
    return path


def test_folders_are_walked_in_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.png", "a/c/1.PNG", "z.jpg"):
        picture(tmp_path / name)
    (tmp_path / "notes.txt").write_text("no picture")
    (tmp_path / "a" / "loop").symlink_to(tmp_path)
    found = list(find_images([str(tmp_path)]))
    assert [entry.place for entry in found] == [
        PurePosixPath(name) for name in ("a/c/1.PNG", "b/10.png", "b/2.png", "z.jpg")
    ]
    assert found[0].name == str(tmp_path / "a/c/1.PNG")
    assert found[0].read().shape == (6, 8, 3)


def test_files_and_globs_keep_apart_what_has_one_name(tmp_path: Path) -> None:
    one, two = picture(tmp_path / "a" / "x.png"), picture(tmp_path / "b" / "x.png")
    found = list(find_images([str(one), str(tmp_path / "b" / "*.png")]))
    assert [entry.name for entry in found] == [str(one), str(two)]
    assert len({entry.place for entry in found}) == 2


def test_names_that_are_done_are_left_out(tmp_path: Path) -> None:
    names = [str(picture(tmp_path / f"{index}.png")) for index in range(4)]
    assert [entry.name for entry in find_images([str(tmp_path)], done={names[0], names[2]})] == [names[1], names[3]]


def test_archives_are_read_without_unpacking(tmp_path: Path) -> None:
    path = tmp_path / "day.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(picture(tmp_path / "x.png", 7), "line/x.png")
        archive.write(tmp_path / "x.png", "../../escape.png")
        archive.writestr("readme.txt", "no picture")
        archive.writestr("broken.png", b"no picture")
    found = list(find_images([str(path)]))
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
    found = list(find_images([str(path)]))
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
    found = list(find_images([str(video)], every=4, done={f"{video}#4"}))
    assert [entry.name for entry in found] == [f"{video}#0", f"{video}#8"]
    red, _, blue = found[1].read().mean(axis=(0, 1))
    assert red == pytest.approx(160, abs=6)
    assert blue == pytest.approx(10, abs=6)
    assert found[1].place == PurePosixPath("line.avi/0000008")


def test_a_video_that_is_none_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "line.mp4"
    path.write_bytes(b"no video")
    (found,) = find_images([str(path)])
    with pytest.raises(UnreadableImageError, match="is not a video"):
        found.read()


def test_a_source_that_names_nothing_says_so(tmp_path: Path) -> None:
    for source in (str(tmp_path), str(tmp_path / "*.png"), str(tmp_path / "no.png")):
        with pytest.raises(DataError, match="found none at"):
            next(find_images([source]))


def test_what_may_be_an_image_but_is_not_read_is_an_error_of_its_own(tmp_path: Path) -> None:
    picture(tmp_path / "a.jpg").rename(tmp_path / "a.jfif")
    for name in ("b.heic", "c.gif", "d", "e.mp4", "f.png.tmp", "notes.txt", "Thumbs.db", ".hidden.png"):
        (tmp_path / name).write_bytes(b"whatever")
    picture(tmp_path / ".ipynb_checkpoints" / "x.png")
    picture(tmp_path / "__MACOSX" / "x.png")
    found = list(find_images([str(tmp_path)]))
    assert [Path(entry.name).name for entry in found] == ["a.jfif", "b.heic", "c.gif", "d", "e.mp4", "f.png.tmp"]
    assert found[0].read().shape == (6, 8, 3)
    for entry, said in zip(found[1:], (r"\.heic", r"\.gif", "no suffix", "video", r"\.tmp"), strict=True):
        with pytest.raises(UnreadableImageError, match=said):
            entry.read()


def test_globs_and_archives_name_them_too(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "day.zip", "w") as archive:
        archive.write(picture(tmp_path / "x.png"), "x.png")
        for name in ("x.heic", "__MACOSX/._x.png", "notes.txt", ".cache/x.png"):
            archive.writestr(name, b"whatever")
    (tmp_path / "y.heic").write_bytes(b"whatever")
    (tmp_path / "notes.txt").write_text("no image")
    members = list(find_images([str(tmp_path / "day.zip")]))
    assert [entry.place.name for entry in members] == ["x.heic", "x.png"]
    found = list(find_images([str(tmp_path / "[xyn]*")]))
    assert [entry.place.name for entry in found] == ["x.png", "y.heic"]
    for entry in (members[0], found[1]):
        with pytest.raises(UnreadableImageError, match=r"not read \(\.heic\)"):
            entry.read()


def test_a_file_that_is_named_by_itself_is_read_whatever_its_suffix(tmp_path: Path) -> None:
    path = picture(tmp_path / "x.png").rename(tmp_path / "x")
    (found,) = find_images([str(path)])
    assert found.read().shape == (6, 8, 3)


def test_a_video_that_ends_early_says_after_how_many_frames(video: Path) -> None:
    content = video.read_bytes()
    cut = video.with_name("cut.avi")
    cut.write_bytes(b"00dc".join(content.split(b"00dc")[:6]))  # five frames, but its header still says nine
    found = list(find_images([str(cut)]))
    frames = len(found) - 1
    assert 0 < frames < 9
    assert found[-1].name == str(cut)
    with pytest.raises(UnreadableImageError, match=rf"ends after {frames} of 9 frames"):
        found[-1].read()
    assert not list(find_images([str(cut)], done={entry.name for entry in found}))  # nothing is said twice
    assert len(list(find_images([str(video)]))) == 9


def test_a_stream_that_cannot_be_opened_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENCV_FFMPEG_CAPTURE_OPTIONS", "timeout;1000000")
    (found,) = find_images(["rtsp://127.0.0.1:9/line"])
    with pytest.raises(UnreadableImageError, match="stream that cannot be opened"):
        found.read()


SHARED = Path(__file__).resolve().parents[4] / "shared" / "cases" / "data"


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared cases")
def test_the_cases_of_files_that_are_not_judged() -> None:
    def readable(name: str) -> tuple[int, list[str]]:
        good, errors = 0, []
        for entry in find_images([str(SHARED / name)]):
            try:
                entry.read()
                good += 1
            except UnreadableImageError as error:
                errors.append(error.problem)
        return good, errors

    assert readable("16_video/cut.avi") == (17, ["ends after 17 of 40 frames"])
    assert readable("16_video/whole.mp4") == (40, [])
    assert readable("15_formats_unlisted") == (17, ["is in a format that is not read (.heic)"])
    assert readable("01_hidden_folders") == (12, [])
