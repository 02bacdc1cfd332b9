"""O-rings in every layout that people have, and what is wrong in each, named and left out."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch

from datamodules.errors import DataError
from datamodules.files.images import read_image
from datamodules.layouts.words import parse_folder
from datamodules.oring import OringDataModule
from datamodules.outlines.classes import DEFECT, PART
from datamodules.outlines.image_heads import image_head
from datamodules.samples.dataset import InspectionDataset
from datamodules.synthetic.datamodule import SyntheticDataModule
from datamodules.table import DEFECTIVE, GOOD, SPLITS, TEST, TRAIN, UNKNOWN

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

OUTLINE = {"polygons": [{"points": [{"x": 4, "y": 5}, {"x": 14, "y": 5}, {"x": 14, "y": 15}, {"x": 4, "y": 15}]}]}


def picture(path: Path, seed: int = 0, width: int = 40) -> Path:
    """Write an image with a content of its own: equal files would share a group."""
    path.parent.mkdir(parents=True, exist_ok=True)
    own = [zlib.crc32(path.as_posix().encode()), seed]
    values = np.random.default_rng(own).integers(0, 255, (32, width, 3), dtype=np.uint8)
    assert cv2.imwrite(str(path), values)
    return path


def label(path: Path, content: Any = OUTLINE) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding="utf-8")
    return path


def system_folders(root: Path, count: int = 6) -> Path:
    """The o-ring system's folders: two types, both namings of label files, and a folder of rework."""
    for good, bad in (("model1good", "model1defect"), ("good", "notok")):
        for index in range(count):
            picture(root / "images" / good / f"{index:03}.bmp")
            picture(root / "images" / bad / f"{index:03}.BMP")
            suffix = "_mask.json" if index % 2 else ".json"
            label(root / "labels" / bad / f"{index:03}{suffix}")
    for index in range(3):
        picture(root / "images" / "model1rework" / f"{index}.bmp")
    return root


def module(root: Path, **options: Any) -> OringDataModule:
    data = OringDataModule(root=str(root), image_size=(32, 40), num_workers=0, **options)
    data.setup()
    return data


def by_name(data: OringDataModule) -> pd.DataFrame:
    return data.samples.set_index("name")


def counts(data: OringDataModule) -> dict[Any, int]:
    return data.samples.groupby(["kind", "label_index"]).size().to_dict()


def no_group_is_cut(data: OringDataModule) -> bool:
    return len(data.samples[["group", "split"]].drop_duplicates()) == data.samples["group"].nunique()


def test_folder_pairs_are_kinds_and_rework_is_in_the_test_only(tmp_path: Path) -> None:
    data = module(system_folders(tmp_path), defects_in_train=True)
    assert counts(data) == {
        ("model1", GOOD): 6,
        ("model1", DEFECTIVE): 6,
        ("model2", GOOD): 6,
        ("model2", DEFECTIVE): 6,
        ("model1", UNKNOWN): 3,
    }
    assert data.excluded.empty
    rework = data.samples[data.samples["name"].str.contains("rework")]
    assert set(rework["split"]) == {TEST}
    assert set(data.samples["split"]) == set(SPLITS)
    assert not data.split_samples(TRAIN)["label_index"].eq(UNKNOWN).any()
    annotated = data.samples["annotation_path"] != ""
    assert (annotated == (data.samples["label_index"] == DEFECTIVE)).all()


def test_batches_have_targets_and_masks_for_all(tmp_path: Path) -> None:
    data = module(system_folders(tmp_path), defects_in_train=True, kind="model1", batch_size=32)
    assert set(data.samples["kind"]) == {"model1"}
    (batch,) = data.train_dataloader()
    assert batch.has_mask.all()
    for target, mask, index in zip(batch.target, batch.gt_mask, batch.label_index.tolist(), strict=True):
        if index == DEFECTIVE:
            assert target["boxes"].tolist() == [[4, 5, 14, 15]]
            assert target["labels"].tolist() == [DEFECT]
            assert torch.equal(mask.bool(), target["masks"][0].bool())
        else:
            assert target["boxes"].shape == (0, 4)
            assert target["masks"].shape == (0, 32, 40)
            assert not mask.any()
    assert {GOOD, DEFECTIVE} == set(batch.label_index.tolist())


def test_defects_that_nobody_outlined_have_no_target_and_no_mask(tmp_path: Path) -> None:
    root = system_folders(tmp_path)
    picture(root / "images" / "notok" / "unlabelled.bmp")
    data = module(root)
    row = data.samples[data.samples["name"].str.endswith("unlabelled.bmp")]
    assert row["label_index"].item() == DEFECTIVE
    sample = InspectionDataset(row, data.reading)[0]
    assert sample.target is None
    assert sample.mask is None


@pytest.mark.parametrize(
    ("folder", "expected"),
    [
        ("model1good", ("good", "model1")),
        ("model1defect", ("defective", "model1")),
        ("Model1_NotOK", ("defective", "Model1")),
        ("good", ("good", "")),
        ("notok", ("defective", "")),
        ("not_good", ("defective", "")),
        ("no good", ("defective", "")),
        ("type 7 - ok", ("good", "type 7")),
        ("seal2_NG", ("defective", "seal2")),
        ("model2 rework", ("rework", "model2")),
        ("model1defect2", ("defective", "model1")),
        ("notok2", ("defective", "")),
        ("good_2", ("good", "")),
        ("model1", None),
        ("book", None),
        ("morning", None),
        ("images", None),
    ],
)
def test_folder_names(folder: str, expected: tuple[str, str] | None) -> None:
    assert parse_folder(folder) == expected


def test_labels_may_lie_beside_the_pictures_and_kinds_be_folders(tmp_path: Path) -> None:
    for kind in ("nitrile, 12 mm", "viton"):
        for index in range(4):
            picture(tmp_path / kind / "good" / f"{index}.png")
            picture(tmp_path / kind / "bad" / f"{index}.png")
            label(tmp_path / kind / "bad" / f"{index}_mask.json")
    data = module(tmp_path)
    assert counts(data) == {(kind, index): 4 for kind in ("nitrile, 12 mm", "viton") for index in (GOOD, DEFECTIVE)}


def test_folders_below_a_class_and_tile_numbers_are_parts(tmp_path: Path) -> None:
    for part in (1, 2, 3):
        for shot in range(3):
            picture(tmp_path / "good" / f"ring {part}" / f"{shot}.png", seed=10 * part + shot)
    for index in range(4):
        for patch in range(3):
            picture(tmp_path / "notok" / f"{index}_patch_{patch}.png", seed=100 + 10 * index + patch)
            label(tmp_path / "notok" / f"{index}_patch_{patch}.json")
    data = module(tmp_path)
    assert data.samples["group"].nunique() == 3 + 4
    assert no_group_is_cut(data)
    by_batch = module(tmp_path, part_pattern=r"^(\d)")
    assert set(by_batch.samples[by_batch.samples["label_index"] == DEFECTIVE]["group"]) == {
        f"notok/{index}" for index in range(4)
    }


def test_contradictions_and_broken_labels_are_named_and_left_out(tmp_path: Path) -> None:
    root = system_folders(tmp_path)
    images, labels = root / "images", root / "labels"
    label(labels / "good" / "000.json")
    label(labels / "notok" / "000.json", '{"polygons": [')
    label(labels / "notok" / "002.json", {"polygons": []})
    label(labels / "notok" / "004.json", {"polygons": [{"points": [{"x": 1, "y": 1}]}]})
    label(labels / "model1defect" / "000.json", {"polygons": [*OUTLINE["polygons"], {"points": [{"x": 1, "y": 1}]}]})
    label(labels / "model1defect" / "no such picture.json")
    (images / "model1good" / "001.bmp").write_bytes(b"BM")
    data = module(root)
    said = dict(zip(data.excluded["path"], data.excluded["problem"], strict=True))
    assert said.pop(str(images / "good" / "000.bmp")).startswith("is called good, but")
    assert "not JSON" in said.pop(str(labels / "notok" / "000.json"))
    assert "outlines nothing" in said.pop(str(images / "notok" / "002.BMP"))
    assert "has no usable outline" in said.pop(str(images / "notok" / "004.BMP"))
    half_read = said.pop(str(images / "model1defect" / "000.BMP"))
    assert half_read.startswith("has 1 of 2 outlines that cannot be used")
    assert "with 1 points" in half_read
    assert "without a picture" in said.pop(str(labels / "model1defect" / "no such picture.json"))
    assert said.pop(str(images / "model1good" / "001.bmp"))
    assert not said
    assert data.excluded["remedy"].ne("").all()
    names = set(data.samples["name"])
    assert "images/model1defect/000.BMP" not in names  # what its lost outline marks would count as good pixels
    assert len(names) == 24 + 3 - 6


def test_labelme_folders_need_no_words(tmp_path: Path) -> None:
    shape = {"label": "Pitting", "points": [[4, 5], [14, 5], [14, 15]], "shape_type": "polygon"}
    ring = {"label": "O-Ring", "points": [[1, 1], [30, 1], [30, 30]], "shape_type": "polygon"}
    for index in range(12):
        picture(tmp_path / "images" / f"{index}.jpg")
    for index, shapes in {0: [shape], 1: [ring], 2: [ring, shape], 3: [shape, shape]}.items():
        content = {"shapes": shapes, "imageHeight": 32, "imageWidth": 40}
        label(tmp_path / "labels" / f"{index}.json", content)
    data = module(tmp_path)
    table = by_name(data)
    labels = [table["label_index"].to_dict()[f"images/{index}.jpg"] for index in range(5)]
    assert labels == [DEFECTIVE, UNKNOWN, DEFECTIVE, DEFECTIVE, GOOD]
    assert table.loc["images/0.jpg", "defect"] == "Pitting"
    dataset = InspectionDataset(data.samples[data.samples["name"] == "images/2.jpg"], data.reading)
    sample = dataset[0]
    assert sample.target is not None
    assert sample.mask is not None
    assert sample.target["labels"].tolist() == [PART, DEFECT]
    assert torch.equal(sample.mask, sample.target["masks"][1].bool())


def test_labels_of_another_picture_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "a.png")
    picture(tmp_path / "images" / "b.png")
    label(tmp_path / "labels" / "a.json", {"shapes": [], "imageHeight": 2048, "imageWidth": 2448})
    data = module(tmp_path)
    assert data.samples["name"].tolist() == ["images/b.png"]
    assert "2448x2048" in data.excluded["problem"].item()


def test_a_table_gives_labels_and_groups(tmp_path: Path) -> None:
    lines = ["image,location,label,kind"]
    for index in range(12):
        word = "rework" if index == 11 else "NOT OK" if index % 3 == 0 else "good"
        lines.append(rf"images\{index}.png,place {index // 2},{word},screw")
        picture(tmp_path / "images" / f"{index}.png")
        if word == "NOT OK" and index:
            label(tmp_path / "labels" / f"{index}.json")
    lines += ["../x.png,p,good,", "images/12.png,p,maybe,"]
    (tmp_path / "labels.csv").write_text("\n".join(lines), encoding="utf-8")
    data = module(tmp_path)
    table = by_name(data)
    assert set(table["group"]) == {f"place {number}" for number in range(6)}
    assert no_group_is_cut(data)
    assert set(table["kind"]) == {"screw"}
    assert table.loc["images/11.png", "split"] == TEST
    assert table.loc["images/11.png", "label_index"] == UNKNOWN
    assert (table["label_index"] == DEFECTIVE).sum() == 4
    assert len(data.excluded) == 2


def test_coco_folders_keep_their_splits(tmp_path: Path) -> None:
    for split, folder in (("train", "train"), ("calibration", "val"), ("test", "test")):
        images = [
            {"id": number, "file_name": rf"F:\rings\{number}.png", "height": 32, "width": 40} for number in range(4)
        ]
        ring = [4, 5, 14, 5, 14, 15]
        annotations = [{"id": 1, "image_id": 0, "category_id": 1, "segmentation": [ring]}]
        categories = [{"id": 1, "name": "hole"}]
        content = {"images": images, "annotations": annotations, "categories": categories}
        label(tmp_path / "annotations" / f"instances_{folder}2024.json", content)
        for number in range(4):
            picture(tmp_path / "images" / folder / f"{number}.png", seed=len(split))
    data = module(tmp_path, defects_in_train=True)
    assert data.samples.groupby(["split", "label_index"]).size().to_dict() == {
        (split, index): count for split in SPLITS for index, count in ((GOOD, 3), (DEFECTIVE, 1))
    }
    assert set(data.samples["defect"]) == {"", "hole"}
    (batch,) = data.test_dataloader()
    assert sorted(len(target["boxes"]) for target in batch.target) == [0, 0, 0, 1]


def test_a_broken_coco_file_stops_rather_than_making_every_picture_good(tmp_path: Path) -> None:
    picture(tmp_path / "images" / "train" / "a.png")
    label(tmp_path / "annotations" / "train.json", '{"images": [')
    with pytest.raises(DataError, match=r"train\.json: is not JSON"):
        module(tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "model3"}, "'model1', 'model2', but found 'model3'"),
        ({"part_pattern": "("}, "to be a regular expression"),
        ({"part_pattern": "ring"}, "to have a group"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, Any], message: str) -> None:
    system_folders(tmp_path, count=2)
    with pytest.raises(DataError, match=message):
        module(tmp_path, **options)


def test_pictures_that_nothing_labels_are_refused(tmp_path: Path) -> None:
    picture(tmp_path / "a.png")
    with pytest.raises(DataError, match="sort or label them"):
        module(tmp_path)
    with pytest.raises(DataError, match="found none"):
        module(tmp_path / "absent")


def test_saved_samples_give_the_same_batches(tmp_path: Path) -> None:
    first = module(system_folders(tmp_path), batch_size=64)
    second = OringDataModule(root="elsewhere", image_size=(32, 40), num_workers=0, batch_size=64)
    second.use_samples(first.samples)
    (a,), (b,) = first.val_dataloader(), second.val_dataloader()
    assert a.name == b.name
    assert torch.equal(a.gt_mask, b.gt_mask)
    assert all(torch.equal(x["boxes"], y["boxes"]) for x, y in zip(a.target, b.target, strict=True))


def test_a_pictures_head_tells_the_size_that_reading_gives(tmp_path: Path) -> None:
    from PIL import Image  # noqa: PLC0415 - only this test writes orientation tags

    tag = Image.Exif()
    tag[0x0112] = 6
    both: tuple[tuple[str, dict[str, Any]], ...] = (("turned", {"exif": tag}), ("upright", {}))
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        for name, options in both:
            path = tmp_path / f"{name}{suffix}"
            Image.new("RGB", (40, 30)).save(path, **options)
            height, width = read_image(path).shape[:2]
            assert (height, width) == ((40, 30) if options else (30, 40))
            assert image_head(path) == (height, width, bool(options))
    assert image_head(tmp_path / "absent.png") is None


def test_drawn_rings_have_targets(tmp_path: Path) -> None:
    data = SyntheticDataModule(
        root=str(tmp_path),
        domain="oring",
        good=12,
        defective=8,
        size=64,
        image_size=(64, 64),
        num_workers=0,
        batch_size=32,
    )
    data.setup()
    (batch,) = data.test_dataloader()
    for target, index, mask in zip(batch.target, batch.label_index.tolist(), batch.gt_mask, strict=True):
        assert bool(len(target["boxes"])) == (index == DEFECTIVE)
        # Drawn outlines join the middles of border pixels: filled between them, half a pixel is missing or too much.
        near = torch.nn.functional.max_pool2d(mask[None].float(), 3, stride=1, padding=1)[0].bool()
        assert not (target["masks"].bool().any(dim=0) & ~near).any()


def test_real_rings_have_299_instances(shared_data: Path) -> None:
    data = module(shared_data / "oring" / "rings")
    assert len(data.samples) == 76
    assert data.excluded.empty
    assert set(data.samples["label_index"]) == {UNKNOWN}
    dataset = InspectionDataset(data.samples, data.reading)
    targets = [sample.target for sample in (dataset[index] for index in range(len(dataset)))]
    assert sum(len(target["boxes"]) for target in targets if target is not None) == 299


def test_the_real_spindle_is_split_by_location(shared_data: Path) -> None:
    data = module(shared_data / "oring" / "spindle", defects_in_train=True)
    assert len(data.samples) == 293
    assert (data.samples["label_index"] == DEFECTIVE).sum() == 184
    assert (data.samples["annotation_path"] != "").sum() == 184
    assert data.excluded.empty
    assert data.samples["group"].nunique() == 9
    assert no_group_is_cut(data)
    assert set(data.samples["split"]) == set(SPLITS)
    assert set(data.samples["defect"]) == {"", "Pitting"}
