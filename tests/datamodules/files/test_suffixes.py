"""What a name says: every file is an image, plainly none, or named with a remedy."""

from __future__ import annotations

from pathlib import PurePath

import pytest

from datamodules.files.suffixes import is_hidden, is_image, unread_file

READ = ["a.PNG", "größe µm.Png", "a.b.c.pNg", "x.jfif", "x.JPE", "x.jp2", "x.J2K", "x.dib", "x.pnm", "s x, y.tiff"]
PASSED_OVER = ["labels.csv", "notes.TXT", "a.json", "a.xml", "README", "readme.md", "Thumbs.db", "desktop.ini"]
HIDDEN = [".x.png", "._x.png", ".DS_Store", "__MACOSX", ".ipynb_checkpoints", "@eaDir"]
NAMED = [
    "x.heic",
    "x.gif",
    "x.TGA",
    "x.avif",
    "x.dng",
    "x.png~",
    "x.png.tmp",
    "x.npy",
    "x.pdf",
    "x.mp4",
    "x.zip",
    "png",
]


@pytest.mark.parametrize("name", READ)
def test_images_are_known_by_suffix(name: str) -> None:
    assert is_image(PurePath("folder", name))
    assert unread_file(PurePath("folder", name)) is None


@pytest.mark.parametrize("name", PASSED_OVER)
def test_what_is_plainly_no_image_is_passed_over(name: str) -> None:
    assert not is_image(PurePath(name))
    assert unread_file(PurePath(name)) is None


@pytest.mark.parametrize("name", HIDDEN)
def test_hidden_files_are_neither_read_nor_named(name: str) -> None:
    assert is_hidden(PurePath("a", name))
    assert not is_image(PurePath(name))
    assert unread_file(PurePath(name)) is None


def test_only_the_last_part_decides_what_is_hidden() -> None:
    assert is_image(PurePath("/home/x/.cache/data/a.png"))


@pytest.mark.parametrize("name", NAMED)
def test_all_others_are_named_with_a_remedy(name: str) -> None:
    assert not is_image(PurePath(name))
    said = unread_file(PurePath("folder", name))
    assert said is not None
    assert said.path.endswith(name)
    assert said.problem
    assert said.remedy
