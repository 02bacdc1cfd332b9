"""Labels and masks go into each layout so that its datamodule reads them the next time, and nothing else changes."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.errors import DataError
from datamodules.fiber import FiberDataModule
from datamodules.files.boxes import cut, parse_box
from datamodules.folder import FolderDataModule
from datamodules.masks.reading import read_mask
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule
from datamodules.outlines.annotations import read_annotation
from datamodules.outlines.polygons import fill
from datamodules.print3d import Print3dDataModule
from tools.labelling.foreign import write_coco, write_labelme
from tools.labelling.images_file import labels_of_journal, write_images
from tools.labelling.journal import JOURNAL
from tools.labelling.labels_file import write_labels
from tools.labelling.masks import MASKS, Masks
from tools.labelling.returning import REPLACED, return_labels
from tools.runs.calibrating import read_wanted

from .conftest import images, open_desk
from .marking import SIZE, desk_of, draw, listed, png, say, spot

if TYPE_CHECKING:
    import numpy.typing as npt

    from tools.labelling.desk import Desk


def test_folders_and_a_table_that_goes_before_them(tmp_path: Path) -> None:
    root, out = tmp_path / "plates", tmp_path / "out"
    for number in range(6):
        draw(root / ("pit" if number > 3 else "good") / f"{number}.png", number)
    (root / "masks" / "pit").mkdir(parents=True)
    assert cv2.imwrite(str(root / "masks" / "pit" / "5.png"), spot())
    desk, masks = desk_of(FolderDataModule(root=str(root)), out), Masks(out / MASKS)
    say(desk, masks, "good/0.png", "defective", "scratch", spot(30, 20))
    say(desk, masks, "good/1.png", "unsure")
    say(desk, masks, "pit/5.png", "good")
    before = listed(FolderDataModule(root=str(root)))
    assert return_labels(desk, masks, "folder", root, out).labels == 3
    after = listed(FolderDataModule(root=str(root)))
    assert after.pop("good/0.png")[:2] == (1, "scratch")
    assert "good/1.png" not in after
    assert after.pop("pit/5.png") == (0, "", "")
    assert after.items() <= before.items()
    assert (read_mask(root / "masks" / "good" / "0.png") == (spot(30, 20) > 127)).all()
    assert (out / REPLACED / "masks" / "pit" / "5.png").is_file()


def test_fiber_keeps_its_own_columns(tmp_path: Path) -> None:
    root, out = tmp_path / "faces", tmp_path / "out"
    for number in range(5):
        draw(root / "core" / f"{number}.png", number)
    lines = [f"core/{number}.png,{'good' if number else ''},0.{number + 1}" for number in range(5)]
    (root / "labels.csv").write_text("\n".join(["image,label,um_per_pixel", *lines, ""]), encoding="utf-8")
    desk, masks = desk_of(FiberDataModule(root=str(root)), out), Masks(out / MASKS)
    say(desk, masks, "core/0.png", "defective", "chip", spot())
    say(desk, masks, "core/4.png", "rework")
    return_labels(desk, masks, "fiber", root, out)
    after = listed(FiberDataModule(root=str(root)))
    assert after["core/0.png"][:2] == (1, "chip")
    assert (read_mask(after["core/0.png"][2]) == (spot() > 127)).all()
    assert set(after) == {f"core/{number}.png" for number in range(4)}
    table = pd.read_csv(root / "labels.csv")
    assert list(table["um_per_pixel"]) == [0.1, 0.2, 0.3, 0.4, 0.5]
    assert (out / REPLACED / "labels.csv").read_text(encoding="utf-8").startswith("image,label,um_per_pixel")


def test_fiber_without_a_table_gets_one_that_names_all(tmp_path: Path) -> None:
    root, out = tmp_path / "faces", tmp_path / "out"
    for number in range(4):
        draw(root / f"{number}.png", number)
    desk, masks = desk_of(FiberDataModule(root=str(root)), out), Masks(out / MASKS)
    say(desk, masks, "0.png", "good")
    return_labels(desk, masks, "fiber", root, out)
    assert {name: label for name, (label, *_) in listed(FiberDataModule(root=str(root))).items()} == {
        "0.png": 0,
        "1.png": -1,
        "2.png": -1,
        "3.png": -1,
    }


def test_layers_get_labels_and_masks(tmp_path: Path) -> None:
    root, out = tmp_path / "layers", tmp_path / "out"
    for number in range(4):
        draw(root / "build_1" / f"{number}.png", number)
    desk, masks = desk_of(Print3dDataModule(root=str(root)), out), Masks(out / MASKS)
    say(desk, masks, "build_1/0.png", "good")
    say(desk, masks, "build_1/1.png", "defective", "streak", spot())
    assert return_labels(desk, masks, "print3d", root, out).masks == 1
    after = listed(Print3dDataModule(root=str(root)))
    assert [label for label, *_ in after.values()] == [0, 1, -1, -1]
    assert (read_mask(after["build_1/1.png"][2]) == (spot() > 127)).all()
    assert [mask for name, (_, _, mask) in after.items() if name != "build_1/1.png"] == ["", "", ""]


def test_rings_get_outlines_and_keep_their_kinds(tmp_path: Path) -> None:
    root, out = tmp_path / "rings", tmp_path / "out"
    for number in range(4):
        draw(root / "model1good" / f"{number}.png", number)
    draw(root / "model1rework" / "5.png", 5)
    desk, masks = desk_of(OringDataModule(root=str(root)), out), Masks(out / MASKS)
    marks = np.maximum(spot(), spot(36, 25))
    say(desk, masks, "model1good/0.png", "defective", "tear", marks)
    say(desk, masks, "model1good/1.png", "rework")
    return_labels(desk, masks, "oring", root, out)
    table, problems = OringDataModule(root=str(root)).listing()
    assert problems == []
    found = table.set_index("name")
    assert list(found["label_index"]) == [1, -1, 0, 0, -1]
    assert set(found["kind"]) == {"model1"}
    assert found["defect"]["model1good/0.png"] == "tear"
    assert found["split"]["model1good/1.png"] == "test"
    sample = OringDataModule(root=str(root), image_size=SIZE)
    sample.samples = table
    target = sample.dataset(table.iloc[:1])[0].target
    assert target is not None
    assert len(target["labels"]) == 2
    assert (target["masks"].numpy().any(axis=0) == (marks > 127)).all()


def test_cells_of_arrays(tmp_path: Path) -> None:
    root, out = tmp_path / "arrays", tmp_path / "out"
    for array in "abc":
        for row in (1, 2):
            for col in (1, 2):
                draw(root / array / f"{array}_{row},{col}.png", row * col)
    (root / "labels.csv").write_text("array,row,col,class\na,1,1,Good\na,1,2,good\n", encoding="utf-8")
    datamodule = MetaAtomDataModule(root=str(root))
    desk, masks = desk_of(datamodule, out), Masks(out / MASKS)
    say(desk, masks, "a/a_1,2.png", "defective", "missing")
    say(desk, masks, "b/b_2,1.png", "defective", "odd", spot())
    say(desk, masks, "c/c_2,2.png", "unsure")
    return_labels(desk, masks, "meta_atom", root, out, datamodule.defective_classes)
    after = listed(MetaAtomDataModule(root=str(root)))
    assert after["a/a_1,1.png"][0] == 0
    assert after["a/a_1,2.png"][:2] == (1, "missing")
    assert after["b/b_2,1.png"][:2] == (1, "defective")
    assert (read_mask(after["b/b_2,1.png"][2]) == (spot() > 127)).all()
    assert after["c/c_2,2.png"][0] == -1


def test_micrographs_are_labelled_by_their_marks(tmp_path: Path) -> None:
    root, out = tmp_path / "scans", tmp_path / "out"
    for number in range(3):
        draw(root / "images" / f"s{number}.png", number)
    desk = desk_of(MetallographyDataModule(root=str(root), square=24, overlap=4), out, whole=True)
    masks = Masks(out / MASKS)
    say(desk, masks, "images/s0.png", "defective", "", spot())
    say(desk, masks, "images/s1.png", "good")
    say(desk, masks, "images/s2.png", "defective")
    found = return_labels(desk, masks, "metallography", root, out)
    assert "1 images called defective have none, such as images/s2.png" in str(found)
    after = listed(MetallographyDataModule(root=str(root), square=24, overlap=4))
    by_image: dict[str, set[int]] = {}
    for name, (label, *_) in after.items():
        by_image.setdefault(name.partition("#")[0], set()).add(label)
    assert by_image == {"images/s0.png": {0, 1}, "images/s1.png": {0}, "images/s2.png": {-1}}
    marked = [name for name, (label, *_) in after.items() if label == 1]
    assert all((read_mask(after[name][2]) == (spot() > 127)).all() for name in marked)
    squares = MetallographyDataModule(root=str(root), square=24, overlap=4, image_size=(24, 24))
    squares.samples, _ = squares.listing()
    for place, row in enumerate(squares.samples.itertuples(index=False)):
        if row.name in marked:
            mask, box = squares.dataset(squares.samples.iloc[[place]])[0].mask, parse_box(str(row.box))
            assert mask is not None
            assert (mask.numpy() == (cut(spot(), box) > 127)).all()


def test_what_no_layout_reads_is_refused(tmp_path: Path) -> None:
    desk = open_desk(images(tmp_path / "images", [1.0]), tmp_path / "out")
    masks = Masks(tmp_path / "out" / MASKS)
    with pytest.raises(DataError, match="data to be one of folder, fiber"):
        return_labels(desk, masks, "synthetic", tmp_path, tmp_path / "out")
    with pytest.raises(DataError, match="Expected labels of images below"):
        return_labels(desk, masks, "folder", tmp_path, tmp_path / "out")


def test_labels_csv_coco_and_labelme(tmp_path: Path) -> None:
    out = tmp_path / "out"
    desk = open_desk(images(tmp_path / "images", [0.2, 0.9, 1.1, 1.9]), out)
    masks = Masks(out / MASKS)
    marks = np.maximum(spot(), spot(36, 25))
    say(desk, masks, "p01.png", "defective", "pit", marks)
    say(desk, masks, "p02.png", "good")
    say(desk, masks, "p03.png", "unsure")
    table = pd.read_csv(write_labels(desk, out), keep_default_na=False).set_index("score")
    assert list(table["label"]) == ["defective", "good", "unknown"]
    assert list(table["picked"]) == ["nearest"] * 3
    assert [float(weight) for weight in table["weight"] if weight] == [1.0, 1.0]
    assert table["image"][0.9] == "../images/p01.png"
    written = write_coco(desk, masks, out)
    coco = json.loads(written.read_text(encoding="utf-8"))
    assert [image["verdict"] for image in coco["images"]] == ["defective", "good", "unknown"]
    assert [one["area"] for one in coco["annotations"]] == [int((spot() > 0).sum()), int((spot(36, 25) > 0).sum())]
    assert (written.parent / coco["images"][0]["file_name"]).resolve() == (tmp_path / "images" / "p01.png").resolve()
    assert [image["label"] for image in coco["images"]] == ["defective", "good", "unknown"]
    folder = write_labelme(desk, masks, out)
    (first, second, third) = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(folder.iterdir())]
    assert {shape["label"] for shape in first["shapes"]} == {"pit"}
    assert (second["flags"], second["shapes"], third["flags"]) == ({"good": True}, [], {"unknown": True})
    assert (folder / first["imagePath"]).resolve() == (tmp_path / "images" / "p01.png").resolve()


def test_a_source_with_its_labels_may_be_moved_as_a_whole(tmp_path: Path) -> None:
    elsewhere = images(tmp_path / "elsewhere", [0.3])
    gathered = images(tmp_path / "source", [0.2, 0.9, 1.1])
    far = replace(elsewhere.items["p00.png"], name=str(tmp_path / "elsewhere" / "p00.png"))
    gathered.items[far.name] = far
    out = tmp_path / "source" / "labels"
    desk, masks = open_desk(gathered, out), Masks(out / MASKS)
    for name in gathered.items:
        say(desk, masks, name, "defective" if name == "p01.png" else "good")
    write_images(desk, out)
    write_labels(desk, out)
    desk.journal.close()
    shutil.move(tmp_path / "source", tmp_path / "moved")
    moved = tmp_path / "moved" / "labels"
    for path in (moved / "labels.csv", labels_of_journal(moved / JOURNAL)):
        wanted = read_wanted(path, random=False)
        assert sorted(wanted["image"]) == ["../p00.png", "../p01.png", "../p02.png", far.name]
        assert all(Path(file).is_file() for file in wanted["file"])
        assert list(wanted["label_index"]) == [int(image == "../p01.png") for image in wanted["image"]]


def say_five(desk: Desk, masks: Masks) -> npt.NDArray[np.uint8]:
    """Give five images a verdict each; return the mask of the first."""
    marks: npt.NDArray[np.uint8] = np.maximum(spot(), spot(36, 25))
    say(desk, masks, "p00.png", "defective", "tear", marks)
    for name, verdict in (("p01.png", "good"), ("p02.png", "unsure"), ("p03.png", "defective"), ("p04.png", "rework")):
        say(desk, masks, name, verdict)
    return marks


def test_a_coco_file_is_read_back(tmp_path: Path) -> None:
    desk = open_desk(images(tmp_path / "set" / "images", [None] * 5), tmp_path / "out")
    masks = Masks(tmp_path / "out" / MASKS)
    say_five(desk, masks)
    written = write_coco(desk, masks, tmp_path / "out")
    (tmp_path / "set" / "annotations").mkdir()
    shutil.copy(written, tmp_path / "set" / "annotations" / "coco.json")
    found, problems = OringDataModule(root=str(tmp_path / "set")).listing()
    assert problems == []
    assert list(found.sort_values("name")["label_index"]) == [1, 0, -1, -1, -1]
    assert found.set_index("name")["defect"]["images/p00.png"] == "tear"


def test_a_coco_file_is_read_back_as_it_lies(tmp_path: Path) -> None:
    gathered = images(tmp_path / "set" / "images", [None] * 6)
    for name, item in gathered.items.items():
        gathered.items[name] = replace(item, kind="model1", group=f"ring {name[:2]}")
    desk = open_desk(gathered, tmp_path / "out")
    masks = Masks(tmp_path / "out" / MASKS)
    marks = say_five(desk, masks)
    written = write_coco(desk, masks, tmp_path / "out")
    found, problems = OringDataModule(root=str(written.parent)).listing()
    assert problems == []
    assert list(found.sort_values("name")["label_index"]) == [1, 0, -1, 1, -1]
    assert set(found["kind"]) == {"model1"}
    assert set(found["group"]) == {"ring p0"}
    table = found.set_index("name")
    assert (table["defect"]["p00.png"], table["split"]["p04.png"]) == ("tear", "test")
    labels = read_annotation(table["annotation_path"]["p00.png"], table["image_path"]["p00.png"], *SIZE)
    np.testing.assert_array_equal(np.any([fill(one.rings, *SIZE) for one in labels.outlines], axis=0), marks > 0)
    assert table["annotation_path"]["p03.png"] == ""
    (tmp_path / "set" / "images" / "p01.png").unlink()
    _, problems = OringDataModule(root=str(written.parent)).listing()
    assert ["listed in coco.json, but not on disk" in problem.problem for problem in problems] == [True]
    shutil.rmtree(tmp_path / "set")
    with pytest.raises(DataError, match=r"Expected the images that coco\.json lists under"):
        OringDataModule(root=str(written.parent)).listing()


def test_two_coco_files_of_one_image_are_a_contradiction(tmp_path: Path) -> None:
    desk = open_desk(images(tmp_path / "set" / "images", [None] * 6), tmp_path / "out")
    masks = Masks(tmp_path / "out" / MASKS)
    say_five(desk, masks)
    written = write_coco(desk, masks, tmp_path / "out")
    shutil.copy(written, written.with_name("second.json"))
    with pytest.raises(DataError, match=r"no image with only one: .* is named by 2 label files"):
        OringDataModule(root=str(written.parent)).listing()


def test_labelme_files_are_read_back_as_they_lie(tmp_path: Path) -> None:
    desk = open_desk(images(tmp_path / "set" / "images", [None] * 6), tmp_path / "out")
    masks = Masks(tmp_path / "out" / MASKS)
    marks = say_five(desk, masks)
    folder = write_labelme(desk, masks, tmp_path / "out")
    data = OringDataModule(root=str(folder))
    found, problems = data.listing()
    assert problems == []
    assert list(found.sort_values("name")["label_index"]) == [1, 0, -1, 1, -1]
    table = found.set_index("name")
    assert (table["defect"]["p00.png"], table["split"]["p04.png"]) == ("tear", "test")
    labels = read_annotation(table["annotation_path"]["p00.png"], table["image_path"]["p00.png"], *SIZE)
    filled = np.any([fill(outline.rings, *SIZE) for outline in labels.outlines], axis=0)
    np.testing.assert_array_equal(filled, marks > 0)
    (tmp_path / "set" / "images" / "p01.png").unlink()
    _, problems = OringDataModule(root=str(folder)).listing()
    assert ["which is not there" in problem.problem for problem in problems] == [True]
    shutil.rmtree(tmp_path / "set")
    with pytest.raises(DataError, match=r"the images that 5 files of labelme's .* name, but found none"):
        OringDataModule(root=str(folder)).listing()


def test_a_mask_of_another_size_or_no_mask_is_refused(tmp_path: Path) -> None:
    masks = Masks(tmp_path)
    with pytest.raises(ValueError, match="a PNG of 48x40 pixels, as its image, but found 10x9"):
        masks.keep(png(np.zeros((9, 10), np.uint8)), SIZE)
    with pytest.raises(ValueError, match="could not read it"):
        masks.keep(b"nothing", SIZE)
    assert masks.keep(png(np.zeros(SIZE, np.uint8)), SIZE) == ""
    assert masks.keep(png(spot()), SIZE) == masks.keep(png(spot()), SIZE) != ""
