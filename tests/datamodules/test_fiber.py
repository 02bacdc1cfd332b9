from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.errors import DataError
from datamodules.fiber import FiberDataModule
from datamodules.layouts.label_table import read_labels

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def fibers(tmp_path: Path) -> Path:
    """Twelve connectors, two shots each, of two core sizes; one connector defective, with masks."""
    root = tmp_path / "fibers"
    lines = ["image,label"]
    for index in range(24):
        folder = "core_50um" if index % 2 else "core_91um"
        name = f"{folder}/197001010{index:02}000-J{index // 2:03}.png"
        save(root / name, 40 + index)
        lines.append(f"{name},{'defective' if index // 2 == 3 else 'good'}")
        if index // 2 == 3:
            save(root / "masks" / name, 255)
        if index < 4:
            save(root / "zones" / name, 2)
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    return root


def save(path: Path, value: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), np.full((12, 16), value, dtype=np.uint8))


def relabel(root: Path, old: str, new: str) -> None:
    text = (root / "labels.csv").read_text()
    assert old in text
    (root / "labels.csv").write_text(text.replace(old, new))


def table(root: Path) -> pd.DataFrame:
    rows, problems = FiberDataModule(root=str(root)).sample_table()
    assert problems == []
    return rows.set_index("name")


def test_labels_name_the_pictures(fibers: Path) -> None:
    rows = table(fibers)
    assert rows["label_index"].value_counts().to_dict() == {0: 22, 1: 2}
    assert rows.loc["core_50um/19700101001000-J000.png"].to_dict() == {
        "image_path": str(fibers / "core_50um/19700101001000-J000.png"),
        "label_index": 0,
        "split": "",
        "mask_path": "",
        "zones_path": str(fibers / "zones/core_50um/19700101001000-J000.png"),
        "kind": "core_50um",
        "group": "J000",
        "defect": "",
        "um_per_pixel": None,
    }
    defective = rows[rows["label_index"] == 1]
    assert defective["mask_path"].tolist() == [str(fibers / "masks" / name) for name in defective.index]


def test_shots_of_one_connector_stay_together(fibers: Path) -> None:
    for seed in range(5):
        data = FiberDataModule(root=str(fibers), seed=seed)
        data.setup()
        assert data.samples["group"].nunique() == 12
        assert len(data.samples[["group", "split"]].drop_duplicates()) == 12


def test_columns_of_the_table_go_before_what_names_suggest(fibers: Path) -> None:
    (fibers / "labels.csv").write_text(
        "image , label,split,kind,group,defect\n"
        "core_50um/19700101001000-J000.png, Good ,train,single,lot 1,\n"
        "core_91um/19700101000000-J000.png,DEFECTIVE,test,multi,lot 2,chip\n"
        "core_91um/19700101002000-J001.png,,test,,,\n"
    )
    rows, problems = FiberDataModule(root=str(fibers)).sample_table()
    unlisted = [problem for problem in problems if problem.problem == "is not named in labels.csv"]
    assert len(unlisted) == 21
    assert {problem.problem for problem in problems} - {"is not named in labels.csv"} == {
        "are zones that belong to no image",
        "is a mask that belongs to no image",
    }
    rows = rows.set_index("name")
    assert rows["label_index"].tolist() == [0, 1, -1]
    assert rows["split"].tolist() == ["train", "test", "test"]
    assert rows["kind"].tolist() == ["single", "multi", "core_91um"]
    assert rows["group"].tolist() == ["lot 1", "lot 2", "J001"]
    assert rows["defect"].tolist() == ["", "chip", ""]


def test_what_a_spreadsheet_adds_does_no_harm(fibers: Path) -> None:
    text = (fibers / "labels.csv").read_text()
    wanted = table(fibers)
    for written in ("\ufeff" + text, text.replace("\n", "\r\n"), text.replace("\n", ",\n"), text.replace("\n", ",,\n")):
        (fibers / "labels.csv").write_text(written, encoding="utf-8", newline="")
        pd.testing.assert_frame_equal(table(fibers), wanted)
    save(fibers / "core_50um" / "x.png", 100)
    (fibers / "labels.csv").write_text(text + "core_50um/x.png\n")  # no comma, no label
    assert table(fibers).loc["core_50um/x.png", "label_index"] == -1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "could not read it"),
        ("picture,label\na.png,good\n", "to have a column image, but found picture, label"),
        ("image\na.png\n", "to have a column label, but found image; name it in the first line"),
        ("image,label\na.png,good\na.png,defective\n", r"every image once, but found a\.png twice"),
        ("image,label\na.png,ambiguous\n", "found none with a usable label"),
        ('image,label\n"a.png,good\n', "could not read it"),
        ("image,label\na.png,good\nb.png,good,x,y\n", "could not read it"),
    ],
)
def test_a_table_that_is_none_is_refused(fibers: Path, text: str, message: str) -> None:
    (fibers / "labels.csv").write_text(text)
    with pytest.raises(DataError, match=message):
        FiberDataModule(root=str(fibers)).sample_table()


def test_a_folder_of_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"found none at .*and no images either; .* or use data=folder"):
        FiberDataModule(root=str(tmp_path)).sample_table()


def test_a_table_in_another_encoding_is_refused(fibers: Path) -> None:
    (fibers / "labels.csv").write_bytes("image,label\ngröße.png,good\n".encode("utf-16"))
    with pytest.raises(DataError, match="could not read it"):
        read_labels(fibers / "labels.csv")


def test_a_missing_root_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a folder with labels\.csv and the images it names, but found none at"):
        FiberDataModule(root=str(tmp_path / "none")).sample_table()


def left_out(root: Path, **options: Any) -> dict[str, str]:
    data = FiberDataModule(root=str(root), **options)
    data.setup()
    texts = data.excluded["problem"] + "; " + data.excluded["remedy"]
    return dict(zip(data.excluded["path"], texts, strict=True))


def test_what_cannot_be_used_is_left_out_and_named(fibers: Path) -> None:
    relabel(fibers, "1019000-J009.png,good", "1019000-J009.png,godo")
    relabel(fibers, "1018000-J009.png,good", "1018000-J009.png,ambiguous")
    (fibers / "core_91um/19700101014000-J007.png").unlink()
    (fibers / "core_91um/19700101012000-J006.png").write_bytes(b"")
    found = left_out(fibers)
    assert len(found) == 4
    assert (
        "has label 'godo' in line 21 of labels.csv; use good"
        in found[str(fibers / "core_50um/19700101019000-J009.png")]
    )
    assert "is labelled ambiguous" in found[str(fibers / "core_91um/19700101018000-J009.png")]
    assert "in line 16 of labels.csv, but is not there" in found[str(fibers / "core_91um/19700101014000-J007.png")]
    assert "is empty" in found[str(fibers / "core_91um/19700101012000-J006.png")]


@pytest.mark.parametrize("name", ["", "../outside.png", "/etc/outside.png", "a/../../b.png"])
def test_names_that_lead_out_of_the_folder_are_left_out(fibers: Path, name: str) -> None:
    with (fibers / "labels.csv").open("a") as stream:
        stream.write(f"{name},defective\n")
    assert left_out(fibers) == {
        str(fibers / "labels.csv"): f"is named in line 26 of labels.csv as {name!r}; name a file below data.root"
    }


def test_an_unknown_split_is_refused(fibers: Path) -> None:
    (fibers / "labels.csv").write_text("image,label,split\ncore_50um/19700101001000-J000.png,good,validation\n")
    with pytest.raises(DataError, match=r"split to be one of .*'test', 'train', but found 'validation' for core_50um"):
        FiberDataModule(root=str(fibers)).setup()


def test_real_fibers(shared_data: Path) -> None:
    data = FiberDataModule(root=str(shared_data / "fiber"))
    rows, problems = data.sample_table()
    assert len(rows) == 83
    assert rows["label_index"].value_counts().to_dict() == {0: 75, 1: 8}
    assert [problem.problem for problem in problems] == ["is labelled ambiguous"] * 6
    assert set(rows["kind"]) == {"core_50um", "core_91um"}
    assert not rows["group"].str.match(r"\d{8}").any()
    data.setup()
    assert len(data.samples) == 83
    assert len(data.excluded) == 6
    assert len(data.samples[["group", "split"]].drop_duplicates()) == data.samples["group"].nunique()
    defective = data.samples[data.samples["label_index"] == 1]
    assert set(defective["split"]) == {"calibration", "test"}
    data.check_training()


def test_without_labels_every_picture_is_unknown(picture_folder: Path) -> None:
    data = FiberDataModule(root=str(picture_folder), um_per_pixel=0.5)
    rows, problems = data.sample_table()
    assert {problem.problem for problem in problems} == {
        f"is called unknown, but its mask {stem}_mask.png marks 49 pixels" for stem in ("020", "021", "022", "023")
    }
    assert set(rows["label_index"]) == {-1}
    assert not rows["name"].str.startswith("masks/").any()
    assert set(rows["um_per_pixel"]) == {0.5}
    data.setup()
    with pytest.raises(DataError, match="Expected good pictures in the calibration split"):
        data.check_training()


def test_micrometres_per_pixel_are_kept(picture_folder: Path) -> None:
    names = sorted(path.name for path in (picture_folder / "good").iterdir())[:3]
    lines = [
        "image,label,um_per_pixel",
        f"good/{names[0]},good,0.25",
        f"good/{names[1]},good,",
        f"good/{names[2]},good, 0.5 ",
    ]
    (picture_folder / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    rows, _ = FiberDataModule(root=str(picture_folder), um_per_pixel=0.5).sample_table()
    assert rows["um_per_pixel"].tolist() == [0.25, 0.5, 0.5]
    with pytest.raises(DataError, match=r"data\.um_per_pixel to be above 0"):
        FiberDataModule(root=str(picture_folder), um_per_pixel=0.0)
    (picture_folder / "labels.csv").write_text(f"{lines[0]}\ngood/{names[0]},good,x", encoding="utf-8")
    with pytest.raises(
        DataError, match=r"um_per_pixel in labels\.csv to be above 0 and finite, .* found 'x' for good/"
    ):
        FiberDataModule(root=str(picture_folder), um_per_pixel=0.5).sample_table()
