from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.walking import walk_images
from datamodules.folder import FolderDataModule
from datamodules.masks.reading import read_mask
from tests.conftest import draw_plate, write

if TYPE_CHECKING:
    import pandas as pd


def table(root: Path, **options: Any) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
    rows, problems = FolderDataModule(root=str(root), **options).sample_table()
    return rows.set_index("name"), problems


def as_mvtec(flat: Path) -> Path:
    """Sort the flat folder of the fixture as MVTec AD does."""
    root = flat.parent / "mvtec"
    for index, path in enumerate(sorted((flat / "good").iterdir())):
        target = root / ("train" if index < 14 else "test") / "good" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    shutil.copytree(flat / "pit", root / "test" / "pit")
    shutil.copytree(flat / "masks" / "pit", root / "ground_truth" / "pit")
    return root


def test_one_folder_per_class(picture_folder: Path) -> None:
    rows, problems = table(picture_folder)
    assert problems == []
    assert rows["label_index"].value_counts().to_dict() == {0: 20, 1: 4, -1: 2}
    assert (rows["split"] == "").all()
    for name, row in rows.iterrows():
        assert row["image_path"] == str(picture_folder / str(name))
        assert bool(row["mask_path"]) == (row["label_index"] == 1)
    assert rows.loc["pit/020.png", "mask_path"] == str(picture_folder / "masks" / "pit" / "020_mask.png")
    assert rows.loc["pit/020.png", "defect"] == "pit"
    assert rows.loc["good/000.png", "defect"] == ""


def test_the_layout_of_mvtec_brings_its_splits(picture_folder: Path) -> None:
    rows, problems = table(as_mvtec(picture_folder))
    assert problems == []
    counts = rows.groupby(["split", "label_index"]).size()
    assert {key: int(count) for key, count in counts.items()} == {("train", 0): 14, ("test", 0): 6, ("test", 1): 4}
    assert str(rows.loc["test/pit/020.png", "mask_path"]).endswith("ground_truth/pit/020_mask.png")


def test_splits_of_the_data_are_kept_and_calibration_is_carved_from_train(picture_folder: Path) -> None:
    data = FolderDataModule(root=str(as_mvtec(picture_folder)))
    data.setup()
    test = data.samples[data.samples["split"] == "test"]
    assert len(test) == 10
    assert test["name"].str.startswith("test/").all()
    assert 1 <= (data.samples["split"] == "calibration").sum() <= 6  # a fifth of 14, by their hashes


@pytest.mark.parametrize("folder", ["val", "validation", "Calibration"])
def test_a_calibration_folder_may_stand_beside(picture_folder: Path, folder: str) -> None:
    root = as_mvtec(picture_folder)
    shutil.copytree(root / "train", root / folder)
    rows, _ = table(root)
    assert (rows["split"] == "calibration").sum() == 14


@pytest.mark.parametrize("name", ["{}_mask.png", "{}.png", "{}.BMP", "{}_mask.tif"])
@pytest.mark.parametrize("folder", ["masks", "mask", "ground_truth", "Masks", "Ground_Truth"])
def test_masks_bear_the_name_of_their_picture(picture_folder: Path, folder: str, name: str) -> None:
    masks = picture_folder / folder / "pit"
    (picture_folder / "masks").rename(picture_folder / folder)
    for path in list(masks.iterdir()):
        path.rename(masks / name.format(path.stem.removesuffix("_mask")))
    rows, _ = table(picture_folder)
    marked = rows[rows["mask_path"] != ""]
    assert {Path(path).name for path in marked["mask_path"]} == {path.name for path in masks.iterdir()}
    assert list(marked.index) == [f"pit/{stem}.png" for stem in ("020", "021", "022", "023")]
    assert set(rows["defect"]) == {"", "pit"}  # the masks are not classes


def test_masks_are_optional_one_by_one(picture_folder: Path) -> None:
    (picture_folder / "masks" / "pit" / "021_mask.png").unlink()
    rows, _ = table(picture_folder)
    assert rows.loc["pit/021.png", "mask_path"] == ""
    assert (rows["mask_path"] != "").sum() == 3


def test_names_of_folders_can_be_chosen(picture_folder: Path) -> None:
    (picture_folder / "good").rename(picture_folder / "Series A, passed")
    (picture_folder / "unknown").rename(picture_folder / "Later")
    rows, _ = table(picture_folder, good=("series a, PASSED",), unknown=("later",))
    assert rows["label_index"].value_counts().to_dict() == {0: 20, 1: 4, -1: 2}
    with pytest.raises(
        DataError, match=r"but found Series A, passed/ \(20 images\), which may be either; name each in data\.good, "
    ):
        table(picture_folder)


def test_folders_below_a_class_are_groups(picture_folder: Path) -> None:
    for index, path in enumerate(sorted((picture_folder / "good").iterdir())):
        (picture_folder / "good" / f"part {index // 5}").mkdir(exist_ok=True)
        path.rename(path.parent / f"part {index // 5}" / path.name)
    for folder in (picture_folder / "pit", picture_folder / "masks" / "pit"):
        (folder / "part 3").mkdir()
        for path in list(folder.glob("02[01]*")):
            path.rename(folder / "part 3" / path.name)
    rows, _ = table(picture_folder)
    assert rows["group"]["good/part 0/000.png"] == rows["group"]["good/part 0/004.png"] == "part 0"
    assert rows["group"].nunique() == 5  # four parts, and no group
    assert rows["group"]["pit/part 3/020.png"] == "part 3"  # a part is one part, whatever its images show
    assert str(rows.loc["pit/part 3/020.png", "mask_path"]).endswith("masks/pit/part 3/020_mask.png")
    data = FolderDataModule(root=str(picture_folder))
    data.setup()
    assert len(data.samples[["group", "split"]].drop_duplicates()) == data.samples["group"].nunique()


def test_files_that_are_no_pictures_are_passed_over(picture_folder: Path) -> None:
    (picture_folder / "good" / "Thumbs.db").touch()
    (picture_folder / "readme.txt").touch()
    (picture_folder / "good" / "UPPER, comma.PNG").write_bytes((picture_folder / "good" / "000.png").read_bytes())
    rows, problems = table(picture_folder)
    assert problems == []
    assert "good/UPPER, comma.PNG" in rows.index
    assert len(rows) == 27


def test_a_folder_without_good_ones_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"folders of images, such as good/ .* but found none at .*/nowhere"):
        table(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"images in folders such as good/ .* but found none; set data\.root=PATH"):
        table(tmp_path)


def refuse(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let one folder refuse to be listed, as the permissions of another user would (root may read everything)."""
    scandir = os.scandir

    def guarded(path: str) -> Any:
        if Path(path) == folder:
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", guarded)


def test_an_unreadable_folder_is_named_and_the_rest_goes_on(
    picture_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, picture_folder / "pit")
    data = FolderDataModule(root=str(picture_folder))
    data.setup()
    assert "is a folder that cannot be read (Permission denied)" in data.excluded["problem"][0]
    assert data.excluded["path"][0] == str(picture_folder / "pit")
    assert set(data.excluded["problem"][1:]) == {"is a mask that belongs to no image"}
    assert len(data.samples) == 22


def test_an_unreadable_folder_of_masks_is_named(picture_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse(monkeypatch, picture_folder / "masks" / "pit")
    rows, problems = table(picture_folder)
    assert [problem.path for problem in problems] == [str(picture_folder / "masks" / "pit")]
    assert (rows["mask_path"] == "").all()


def test_links_that_lead_back_are_not_followed(picture_folder: Path) -> None:
    (picture_folder / "good" / "again").symlink_to(picture_folder)
    (picture_folder / "good" / "self").symlink_to(picture_folder / "good" / "self")
    rows, problems = table(picture_folder)
    assert len(rows) == 26
    assert [Path(problem.path).name for problem in problems] == ["again", "self"]
    assert "a folder that it lies in" in problems[0].problem


def test_links_to_other_folders_are_followed(picture_folder: Path, tmp_path: Path) -> None:
    (picture_folder / "good").rename(tmp_path / "elsewhere")
    (picture_folder / "good").symlink_to(tmp_path / "elsewhere")
    assert len(table(picture_folder)[0]) == 26


def test_the_order_is_that_of_names(picture_folder: Path) -> None:
    found = walk_images(picture_folder / "good", [])
    assert found == sorted(found)
    assert len(found) == 20


def test_screws(shared_data: Path) -> None:
    """MVTec AD: 320 to train on, 41 good and 119 defective ones to test with, each of these with its mask."""
    rows, problems = table(shared_data / "benchmark" / "screw")
    assert problems == []
    counts = rows.groupby(["split", "label_index"]).size()
    assert {key: int(count) for key, count in counts.items()} == {("train", 0): 320, ("test", 0): 41, ("test", 1): 119}
    defective = rows[rows["label_index"] == 1]
    assert (defective["mask_path"] != "").all()
    assert defective["mask_path"].nunique() == 119
    assert (rows["mask_path"][rows["label_index"] == 0] == "").all()
    assert defective["defect"].nunique() == 5
    data = FolderDataModule(root=str(shared_data / "benchmark" / "screw"))
    data.setup()
    assert data.excluded.empty
    counts_by_split = data.samples["split"].value_counts().to_dict()
    assert counts_by_split["test"] == 160
    assert counts_by_split["train"] + counts_by_split["calibration"] == 320
    assert counts_by_split["calibration"] == pytest.approx(64, abs=16)  # a fifth, by hashes
    assert all(read_mask(path).any() for path in defective["mask_path"][:5])


def test_powder_beds(shared_data: Path) -> None:
    """Folders with spaces, good ones in No_Defect."""
    rows, problems = table(shared_data / "print3d")
    assert problems == []
    assert rows["label_index"].value_counts().to_dict() == {1: 119, 0: 16}
    assert "Powder Uneven_With_Scratch" in set(rows["defect"])
    assert np.unique(rows["split"]).tolist() == [""]


def test_labels_csv_goes_before_folders_and_speaks_for_images_in_none(tmp_path: Path) -> None:
    for index, place in enumerate(["good/a.png", "good/b.png", "pit/c.png", "d.png", "e.png"]):
        write(tmp_path / place, draw_plate(index)[0])
    lines = ["good/b.png,ambiguous,", "PIT/c.png,ok,", "d.png,ng,scratch", "f.png,good,", "good/a.png,odd,"]
    (tmp_path / "labels.csv").write_text("\n".join(["image,label,defect", *lines]), encoding="utf-8")
    table, problems = FolderDataModule(root=str(tmp_path)).listing()
    found = table.set_index("name")
    assert found["label_index"].to_dict() == {"d.png": 1, "good/a.png": 0, "pit/c.png": 0}
    assert found["defect"].to_dict() == {"d.png": "scratch", "good/a.png": "", "pit/c.png": ""}
    said = " ".join(f"{Path(problem.path).name} {problem.problem};" for problem in problems)
    assert "b.png is labelled ambiguous" in said
    assert "labels.csv names f.png in line 5" in said
    assert "a.png has label 'odd' in line 6" in said
    assert "e.png is an image in no class folder" in said


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"image,label\nelse.png,good\n", "names else.png in line 2 of labels.csv; mend it, or move it out"),
        (b"image,label\ngood/a.png,maybe\n", "has label 'maybe' in line 2 of labels.csv; mend it"),
        (b"image,label\ngood/a.png,good\ngood/a.png,defective\n", "found good/a.png twice"),
        ("image,label\ngood/a.png,defective\n".encode("utf-16"), "save it as CSV in UTF-8"),
    ],
)
def test_a_table_of_labels_of_which_none_can_be_used_stops_everything(
    tmp_path: Path, content: bytes, expected: str
) -> None:
    for index, place in enumerate(["good/a.png", "pit/c.png"]):
        write(tmp_path / place, draw_plate(index)[0])
    (tmp_path / "labels.csv").write_bytes(content)
    with pytest.raises(DataError, match=expected):
        FolderDataModule(root=str(tmp_path)).listing()
    (tmp_path / "labels.csv").rename(tmp_path.parent / f"{tmp_path.name}.csv")  # as the message says
    assert FolderDataModule(root=str(tmp_path)).listing()[1] == []


def test_a_table_of_something_else_is_named(tmp_path: Path) -> None:
    for index, place in enumerate(["good/a.png", "pit/c.png"]):
        write(tmp_path / place, draw_plate(index)[0])
    (tmp_path / "labels.csv").write_text("file,class\ngood/a.png,defective\n", encoding="utf-8")
    _, problems = FolderDataModule(root=str(tmp_path)).listing()
    assert [problem.problem for problem in problems] == ["is a table of labels that is not read"]


def test_labels_that_go_before_folders_are_said(tmp_path: Path) -> None:
    for index, place in enumerate(["good/a.png", "good/b.png", "pit/c.png"]):
        write(tmp_path / place, draw_plate(index)[0])
    lines = "image,label\ngood/a.png,defective\ngood/b.png,good\n"
    (tmp_path / "labels.csv").write_text(lines, encoding="utf-8")
    data = FolderDataModule(root=str(tmp_path))
    assert list(data.sample_table()[0]["label_index"]) == [1, 0, 1]
    assert data.remarks == [
        "1 image (good/a.png) is labelled in labels.csv otherwise than by its folder: the table counts."
    ]


@pytest.mark.parametrize(
    ("inner", "name"), [("augmented/good", "augmented"), ("lot3/ok", "lot3"), ("test/pit/normal", "pit")]
)
def test_good_images_below_a_type_of_defect_are_asked_about_and_the_advice_works(
    tmp_path: Path, inner: str, name: str
) -> None:
    split = "train/" if inner.startswith("test") else ""
    for index, place in enumerate([f"{split}good/a.png", f"{split}good/b.png", f"{inner}/c.png"]):
        write(tmp_path / place, draw_plate(index)[0])
    outer = inner.rpartition("/")[0]
    with pytest.raises(DataError, match=f"found {inner}/, though {outer}/ stands for a type of defect; move"):
        FolderDataModule(root=str(tmp_path)).listing()
    rows, _ = FolderDataModule(root=str(tmp_path), defective=(name,)).listing()
    assert sorted(rows["label_index"]) == [0, 0, 1]


def test_defects_below_good_images_are_asked_about_and_the_advice_works(tmp_path: Path) -> None:
    for index, place in enumerate(["good/a.png", "good/lot7/b.png", "good/bad/c.png"]):
        write(tmp_path / place, draw_plate(index)[0])
    with pytest.raises(DataError, match=r"found good/bad/, though good/ stands for good images; move good/bad/ beside"):
        FolderDataModule(root=str(tmp_path)).listing()
    (tmp_path / "good" / "bad").rename(tmp_path / "bad")
    rows, _ = FolderDataModule(root=str(tmp_path)).listing()
    assert sorted(rows["label_index"]) == [0, 0, 1]


@pytest.mark.parametrize(("good", "unknown", "defective"), [("ok", "", "OK"), ("a", "A", "pit"), ("a", "b", "B")])
def test_a_folder_that_two_keys_name_is_asked_about(tmp_path: Path, good: str, unknown: str, defective: str) -> None:
    write(tmp_path / "good" / "a.png", draw_plate(0)[0])
    keys = (("good", good), (unknown,), (defective,))
    with pytest.raises(DataError, match=r"data\.unknown and data\.defective, but found .* without it"):
        FolderDataModule(root=str(tmp_path), good=keys[0], unknown=keys[1], defective=keys[2]).sample_table()
    FolderDataModule(root=str(tmp_path), good=("good",), unknown=(), defective=keys[2]).sample_table()  # as advised


def test_the_home_of_nobody_is_no_folder() -> None:
    with pytest.raises(DataError, match="found none at ~no-such-user"):
        FolderDataModule(root="~no-such-user/parts").sample_table()
