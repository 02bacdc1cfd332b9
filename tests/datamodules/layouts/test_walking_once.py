"""A folder is read once, however many images, label files and layouts there are: listing 65,000 files takes seconds."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from datamodules.layouts.finding import find_images

if TYPE_CHECKING:
    from pathlib import Path


def write(root: Path, layout: str) -> None:
    for part in range(3):
        folder = root / ("good" if layout == "words" else "images") / f"part {part}"
        folder.mkdir(parents=True)
        for index in range(4):
            (folder / f"{index}.png").touch()
    (root / "annotations").mkdir()
    if layout == "coco":
        images = [{"id": 4 * p + i, "file_name": f"part {p}/{i}.png"} for p in range(3) for i in range(4)]
        (root / "annotations" / "a.json").write_text(json.dumps({"images": images, "annotations": []}))
    if layout == "labelme":
        (root / "labels" / "part 1").mkdir(parents=True)
        (root / "labels" / "part 1" / "2.json").write_text('{"shapes": []}')
    if layout == "table":
        (root / "labels.csv").write_text("image,label\n" + "".join(f"images/part 0/{i}.png,good\n" for i in range(4)))


@pytest.mark.parametrize("layout", ["words", "coco", "labelme", "table"])
def test_every_folder_is_listed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str) -> None:
    write(tmp_path, layout)
    listed: Counter[str] = Counter()
    scandir = os.scandir

    def counted(path: Any = ".") -> Any:
        listed[os.fspath(path)] += 1
        return scandir(path)

    folders = {str(path) for path in tmp_path.rglob("*") if path.is_dir()} | {str(tmp_path)}
    monkeypatch.setattr(os, "scandir", counted)
    found = find_images(tmp_path, "model2", [])
    assert len(found) == (4 if layout == "table" else 12)
    assert {path: listed[path] for path in folders} == dict.fromkeys(folders, 1)
