"""What a new user reads first where data are not what the command expects: words that lead somewhere."""

from __future__ import annotations

import json
import zipfile
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError, UnreadableImageError
from datamodules.fiber import FiberDataModule
from datamodules.files.images import read_image
from datamodules.folder import FolderDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule

if TYPE_CHECKING:
    from pathlib import Path


def draw(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng([*path.name.encode()]).integers(60, 180, (64, 64)).astype(np.uint8)
    assert cv2.imwrite(str(path), values)


def coco(root: Path, places: dict[str, list[str]]) -> None:
    for place, names in places.items():
        images = [{"id": index, "file_name": name, "width": 64, "height": 64} for index, name in enumerate(names)]
        mark = {"id": 1, "image_id": 0, "category_id": 1, "bbox": [20, 20, 16, 12], "area": 192, "iscrowd": 0}
        mark["segmentation"] = [[20, 20, 36, 20, 36, 32, 20, 32]]
        content = {"images": images, "annotations": [mark], "categories": [{"id": 1, "name": "pit"}]}
        (root / place).parent.mkdir(parents=True, exist_ok=True)
        (root / place).write_text(json.dumps(content), encoding="utf-8")


def test_outlines_under_data_folder_lead_to_the_data_that_reads_them(tmp_path: Path) -> None:
    names = [f"{index:03}.png" for index in range(8)]
    for name in names:
        draw(tmp_path / "images" / name)
    coco(tmp_path, {"result.json": names})
    with pytest.raises(
        DataError, match=r"images/ \(8 images\), which may be either.* found result\.json, .*data=oring"
    ):
        FolderDataModule(root=str(tmp_path)).sample_table()
    assert OringDataModule(root=str(tmp_path)).sample_table()[0]["label_index"].sum() == 1


def test_a_folder_that_holds_a_video_or_an_archive_alone_says_so(tmp_path: Path) -> None:
    (tmp_path / "line.avi").write_bytes(b"RIFF")
    with pytest.raises(DataError, match=r"found none; for example: .*line\.avi: is a video among images"):
        FolderDataModule(root=str(tmp_path)).sample_table()
    (tmp_path / "line.avi").unlink()
    with zipfile.ZipFile(tmp_path / "lot7.zip", "w") as archive:
        archive.writestr("good/000.png", b"")
    with pytest.raises(DataError, match=r"lot7\.zip: is an archive among images; unpack it"):
        FolderDataModule(root=str(tmp_path)).sample_table()


def test_label_files_of_one_name_are_told_apart_by_their_folders(tmp_path: Path) -> None:
    for split in ("train", "valid"):
        names = [f"{split}{index}.png" for index in range(4)]
        for name in names:
            draw(tmp_path / split / name)
        coco(tmp_path, {f"{split}/_annotations.coco.json": names})
    data = OringDataModule(root=str(tmp_path))
    data.setup()
    assert "(train/_annotations.coco.json, valid/_annotations.coco.json)" in data.described()[1]


def test_one_image_is_one_image(tmp_path: Path) -> None:
    draw(tmp_path / "good" / "000.png")
    data = FolderDataModule(root=str(tmp_path))
    data.setup()
    assert data.described() == [f"Found 1 image in {tmp_path}: 1 good."]


def test_copies_with_two_labels_are_said_first(tmp_path: Path) -> None:
    for index in range(8):
        draw(tmp_path / ("good" if index < 6 else "pit") / f"{index:03}.png")
    (tmp_path / "pit" / "copy.png").write_bytes((tmp_path / "good" / "003.png").read_bytes())
    data = FolderDataModule(root=str(tmp_path))
    data.setup()
    (said,) = data.notes()
    assert said.startswith("1 image is called both good and defective, byte for byte the same (good/003.png and pit/co")
    (tmp_path / "pit" / "copy.png").unlink()
    alone = FolderDataModule(root=str(tmp_path))
    alone.setup()
    assert alone.notes() == []


def test_verdicts_of_folders_are_named_where_masks_alone_are_read(tmp_path: Path) -> None:
    for index in range(8):
        draw(tmp_path / ("good" if index < 6 else "pit") / f"{index:03}.png")
    data = MetallographyDataModule(root=str(tmp_path))
    data.sample_table()
    (said,) = data.remarks
    assert said.startswith("Folders such as good/ may say what images show, which data=metallography does not read")
    assert said.endswith("all are unknown; use data=folder, or write masks/.")


def test_names_of_a_table_that_are_not_there_say_what_to_write(tmp_path: Path) -> None:
    for index in range(4):
        draw(tmp_path / f"{index:03}.png")
    lines = "\n".join(f"{index:03}{'.png' * (index > 0)},good" for index in range(4))
    (tmp_path / "labels.csv").write_text(f"image,label\n{lines}", encoding="utf-8")
    rows, problems = FiberDataModule(root=str(tmp_path)).sample_table()
    assert len(rows) == 3
    assert problems[0].problem == "is named in line 2 of labels.csv, but is not there"
    assert problems[0].remedy == "write the name as on disk, with its suffix"


def test_a_category_of_two_names_is_refused(tmp_path: Path) -> None:
    names = [f"{index:03}.png" for index in range(8)]
    for name in names:
        draw(tmp_path / "images" / name)
    coco(tmp_path, {"result.json": names})
    content = json.loads((tmp_path / "result.json").read_text())
    content["categories"].append({"id": "1", "name": "background"})
    (tmp_path / "result.json").write_text(json.dumps(content))
    with pytest.raises(DataError, match="calls category 1 both 'pit' and 'background'; export it again"):
        OringDataModule(root=str(tmp_path)).sample_table()


@pytest.mark.parametrize("suffix", ["png", "webp"])
def test_pictures_that_move_are_refused_as_pages_are(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(np.random.default_rng(index).integers(0, 255, (32, 32), np.uint8)) for index in range(3)]
    frames[0].convert("RGB").save(tmp_path / f"a.{suffix}", save_all=True, append_images=frames[1:], duration=100)
    with pytest.raises(UnreadableImageError, match="holds 3 pages; save one picture per file"):
        read_image(tmp_path / f"a.{suffix}")
    frames[0].save(tmp_path / f"b.{suffix}", lossless=True)
    assert read_image(tmp_path / f"b.{suffix}").shape[:2] == (32, 32)


def test_an_empty_root_is_not_the_folder_where_one_stands() -> None:
    with pytest.raises(DataError, match=r"but found nothing; data\.root=\. is this one"):
        FolderDataModule(root="").sample_table()
