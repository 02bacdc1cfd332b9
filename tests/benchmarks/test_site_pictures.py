"""Every picture that the documentation shows has a script that draws it, and the drawn ones are drawn."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

pytest.importorskip("PIL")

from benchmarks.site_drawings import SHEETS, draw_sheets
from benchmarks.site_pictures import NAMES, RING

ROOT = Path(__file__).resolve().parents[2]


def shown() -> Iterator[str]:
    for page in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")]:
        yield from re.findall(r"\((?:docs/)?pictures/([\w.]+)\)", page.read_text(encoding="utf-8"))


def test_every_picture_that_is_shown_is_drawn_by_the_script_and_no_other_lies_there() -> None:
    names = set(shown())
    assert names == set(NAMES)
    assert {path.name for path in (ROOT / "docs" / "pictures").iterdir()} == names


def test_drawn_parts_are_drawn_twice_the_same(tmp_path: Path) -> None:
    wanted = {*SHEETS, RING}
    for turn in ("first", "second"):
        (tmp_path / turn).mkdir()
        assert {path.name for path in draw_sheets(tmp_path / turn, wanted)} == wanted
    for name in wanted:
        first, second = ((tmp_path / turn / name).read_bytes() for turn in ("first", "second"))
        assert first == second
        image = cv2.imread(str(tmp_path / "first" / name))
        assert image is not None
        assert image.std() > 10
