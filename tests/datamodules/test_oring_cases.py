"""Small data sets as people bring them from other tools: each gives what its table says, or an error that leads on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

from datamodules.errors import DataError
from datamodules.oring import OringDataModule
from datamodules.samples.dataset import InspectionDataset
from datamodules.table import DEFECTIVE, GOOD

if TYPE_CHECKING:
    from pathlib import Path

BOX, BOTH = 192, 292  # pixels of the standard defect, and of it with the second


class Given(NamedTuple):
    """What a data set gives.

    Attributes:
        good: Number of good images.
        defective: Number of images labelled defective.
        pixels: Marked pixels of the defective images, in the order of their names; None: not marked.
        instances: Outlined objects of each of them.
        left_out: Stems of images that are left out.
    """

    good: int
    defective: int
    pixels: tuple[int | None, ...]
    instances: tuple[int, ...]
    left_out: tuple[str, ...] = ()


def same(pixels: int, count: int = 4, *, good: int = 6, instances: int = 1) -> Given:
    return Given(good, count, (pixels,) * count, (instances,) * count)


EXPECTED = {
    "06_coco_id_types": same(BOX),
    "06c_coco_twice": Given(6, 4, (BOTH, BOX, BOX, BOX), (2, 1, 1, 1)),
    "06d_coco_no_categories": same(BOX),
    "07_coco_rle": Given(6, 4, (BOX,) * 4, (1, 1, 2, 1)),
    "07b_coco_mixed": same(BOTH, instances=2),
    "07c_coco_boxes": Given(6, 4, (None,) * 4, (0,) * 4),
    "08_coco_flat_list": same(BOX),
    "08b_coco_null": Given(6, 2, (BOX, BOX), (1, 1), ("006", "007")),
    "08c_coco_odd_ring": Given(6, 2, (BOX, BOX), (1, 1), ("008", "009")),
    "08f_coco_flat_train_name": same(BOX),
    "09b_label_studio_url": same(BOX),
    "09c_label_studio_project_folder": same(BOX),
    "10c_labelme_rect3": Given(6, 3, (BOX,) * 3, (1,) * 3, ("007",)),
    "10d_labelme_null_points": Given(6, 2, (BOX, BOX), (1, 1), ("006", "007")),
    "10e_labelme_str_size": Given(6, 4, (BOX, BOX, BOX, BOX // 2), (1,) * 4),
    "12_roboflow_coco": same(BOX, 7, good=13),
    "18d_json_folder": same(BOX),
    "18f_labelme_beside_unicode": same(BOX),
    "18g_labelme_beside_case": same(BOX),
    "18h_labelme_renamed_picture": same(BOX),
}

REFUSED = {
    "06b_coco_stray_annotations": r"4 annotations that name images that are not listed \(annotation 6 has image_id 106",
    "08d_coco_cut_short": r"found result\.json: is not JSON",
    "08e_coco_empty": r"found annotations/instances_default\.json: is empty",
    "18a_yolo_with_notes_json": r"4 files \(labels/006\.txt, labels/007\.txt, \.\.\.\): each is a label file of YOLO",
    "18b_via_json": r"via_region_data\.json: is an export of VIA, .* COCO",
    "18c_label_studio_json": r"an export of Label Studio \(JSON\), .* choose COCO",
    "18e_supervisely": r"4 label files \(ann/006\.png\.json, .*Supervisely, .* Export to COCO",
}


def case(shared: Path, name: str) -> Path:
    path = shared.parent / "cases" / "data" / name
    if not path.is_dir():
        pytest.skip(f"no shared case at {path}")
    return path


def module(root: Path, **options: Any) -> OringDataModule:
    data = OringDataModule(root=str(root), image_size=(64, 64), num_workers=0, **options)
    data.setup()
    return data


def given(data: OringDataModule) -> Given:
    table = data.samples.sort_values("name", ignore_index=True)
    defective = table[table["label_index"] == DEFECTIVE]
    dataset = InspectionDataset(defective, data.reading)
    samples = [dataset[index] for index in range(len(dataset))]
    return Given(
        int((table["label_index"] == GOOD).sum()),
        len(defective),
        tuple(None if sample.mask is None else int(sample.mask.sum()) for sample in samples),
        tuple(0 if sample.target is None else len(sample.target["boxes"]) for sample in samples),
        tuple(sorted(path[-8:-5] if path.endswith(".json") else path[-7:-4] for path in data.excluded["path"])),
    )


@pytest.mark.parametrize(("name", "expected"), EXPECTED.items(), ids=EXPECTED)
def test_a_case_gives_what_its_table_says(shared_data: Path, name: str, expected: Given) -> None:
    data = module(case(shared_data, name))
    assert given(data) == expected
    assert data.excluded["remedy"].str.contains("left out").all()


@pytest.mark.parametrize(("name", "message"), REFUSED.items(), ids=REFUSED)
def test_a_case_that_cannot_be_understood_stops_with_its_name(shared_data: Path, name: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        module(case(shared_data, name))


def test_roboflow_brings_its_splits(shared_data: Path) -> None:
    splits = module(case(shared_data, "12_roboflow_coco")).samples["split"].value_counts().to_dict()
    assert splits == {"train": 10, "test": 6, "calibration": 4}


def test_a_background_category_is_hinted_at_and_can_be_told(shared_data: Path) -> None:
    root = case(shared_data, "06e_coco_background_category")
    before = module(root)
    assert not (before.samples["label_index"] == GOOD).any()
    hint = "set data.background=[background]"
    assert any(hint in note for note in before.notes())
    with pytest.raises(DataError, match=r"good pictures in the train split.* set data\.background=\[background\]"):
        before.check_training()
    told = module(root, background=("background",))
    assert given(told) == same(BOX)
    assert not told.notes()
    told.check_training()


def test_sizes_from_before_the_orientation_tag_are_understood_and_said(shared_data: Path) -> None:
    data = module(case(shared_data, "09_label_studio"))
    assert (data.samples["label_index"] == DEFECTIVE).sum() == 4
    assert data.excluded.empty
    assert any("2 images (images/p 008.jpg, images/p 009.jpg)" in note for note in data.notes())
    defective = data.samples[data.samples["label_index"] == DEFECTIVE]
    dataset = InspectionDataset(defective, data.reading._replace(height=64, width=96))
    masks = [dataset[index].mask for index in range(4)]
    assert [mask is not None and int(mask.sum()) for mask in masks] == [BOX] * 4


def test_labelme_shapes_are_read_where_they_have_an_area(shared_data: Path) -> None:
    data = module(case(shared_data, "10_labelme_shapes"))
    found = given(data)
    assert found.left_out == ("007", "008", "009")
    assert found.pixels[1:4] == (BOX,) * 3  # a mask, and rectangles of two and of four points
    assert found.pixels[0] == pytest.approx(3.14159 * 36, rel=0.03)  # a circle of radius 6
    assert data.excluded["problem"].str.contains("has no area").all()


def test_a_polygon_and_a_circle_are_two_instances(shared_data: Path) -> None:
    found = given(module(case(shared_data, "10b_labelme_mixed")))
    assert found.defective == 6
    assert found.instances == (2,) * 6
    assert all(abs((pixels or 0) - 273) <= 4 for pixels in found.pixels)
