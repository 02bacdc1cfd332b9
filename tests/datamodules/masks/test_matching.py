"""Whose mask is whose, by every name and place that people and tools give it."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from datamodules.files.names import is_image_folder
from datamodules.masks.matching import Matched, join_mask, match_masks, split_mask
from datamodules.masks.naming import is_mask_folder, mask_stem


def match(images: list[str], masks: list[str]) -> Matched:
    def table(names: list[str]) -> dict[Path, PurePosixPath]:
        return {Path("/data") / name: PurePosixPath(name) for name in names}

    return match_masks(table(images), table(masks))


def pairs(matched: Matched) -> dict[str, list[str]]:
    root = Path("/data")
    return {
        image.relative_to(root).as_posix(): [mask.relative_to(root).as_posix() for mask in masks]
        for image, masks in matched.masks.items()
    }


@pytest.mark.parametrize(
    "mask",
    [
        *("masks/scratch/7.png", "masks/scratch/7_mask.png", "masks/scratch/7_GT.png", "ground_truth/scratch/7.bmp"),
        *("masks/scratch/7-mask.tif", "masks/scratch/7.seg.png", "masks/scratch/7_label.bmp", "gt/scratch/mask_7.png"),
        *("masks/scratch/7_segmentation.png", "labels/scratch/7_annotation.png", "GroundTruth/scratch/7_mask_1.png"),
        *("SegmentationClass/scratch/7.png", "Mask Images/scratch/gt-7.png", "masks/Scratch/7.PNG", "masks/7.png"),
        *("masks/7_ground_truth.png", "scratch/masks/7.png", "masks/scratch/7/0.png", "masks/7/crack.png"),
        *("scratch/7_label.bmp", "annotations/scratch/7_defect_mask.png", "masks/scratch/images/7.png"),
    ],
)
def test_a_mask_is_found_by_each_of_its_usual_names(mask: str) -> None:
    matched = match(["scratch/7.png", "scratch/8.png"], [mask])
    assert pairs(matched) == {"scratch/7.png": [mask]}
    assert not matched.strays
    assert not matched.refused


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("test/scratch/7.png", "ground_truth/scratch/7_mask.png"),  # MVTec AD
        ("test/scratch/7.png", "test/ground_truth/scratch/7.png"),
        ("test/anomalous/images/7.png", "test/anomalous/masks/7.png"),
        ("scratch/lot 3/7.png", "masks/scratch/lot 3/7.png"),
        ("images/7.jpg", "masks/7.png"),
        ("scratch/é7.png", "masks/scratch/é7.png"),
    ],
)
def test_splits_and_plain_folders_are_left_aside(image: str, mask: str) -> None:
    assert pairs(match([image], [mask])) == {image: [mask]}


def test_several_masks_of_one_image_are_united_where_they_say_so() -> None:
    numbered = [f"masks/scratch/7_mask_{number}.png" for number in (1, 2, 3)]
    assert pairs(match(["scratch/7.png"], numbered)) == {"scratch/7.png": numbered}
    loco = ["ground_truth/logical_anomalies/007/000.png", "ground_truth/logical_anomalies/007/001.png"]
    images = ["test/logical_anomalies/000.png", "test/logical_anomalies/001.png", "test/logical_anomalies/007.png"]
    assert pairs(match(images, loco)) == {images[2]: loco}


def test_two_claims_on_one_image_are_refused_with_both_names() -> None:
    matched = match(["scratch/7.png", "scratch/8.png"], ["masks/scratch/7.png", "masks/scratch/7_mask.png"])
    assert not matched.masks
    assert [problem.path for problem in matched.refused] == ["/data/scratch/7.png"]
    assert "masks/scratch/7.png and masks/scratch/7_mask.png" in matched.refused[0].problem


def test_one_mask_for_two_images_is_refused_with_both_names() -> None:
    matched = match(["scratch/7.png", "scratch/7.jpg", "scratch/8.png"], ["masks/scratch/7.png", "masks/scratch/8.png"])
    assert pairs(matched) == {"scratch/8.png": ["masks/scratch/8.png"]}
    assert len(matched.refused) == 2
    assert "(7.png, 7.jpg)" in matched.refused[0].problem


def test_a_mask_of_another_class_is_not_taken() -> None:
    matched = match(["scratch/7.png"], ["masks/pit/7.png", "pit/7_label.png"])
    assert not matched.masks
    assert [path.name for path in matched.strays] == ["7.png", "7_label.png"]
    assert "belongs to no image" in matched.problems()[0].problem


def test_a_class_whose_name_speaks_of_masks_keeps_its_own() -> None:
    images, masks = ["label_torn/7.png", "torn/7.png"], ["masks/label_torn/7.png", "masks/torn/7.png"]
    assert pairs(match(images, masks)) == {images[0]: [masks[0]], images[1]: [masks[1]]}


def test_an_exact_name_goes_before_a_likely_one() -> None:
    images = ["scratch/face_0_mask.png", "scratch/face_1_mask.png"]
    masks = ["masks/scratch/face_0_mask.png", "masks/scratch/face_1_mask.png"]
    assert pairs(match(images, masks)) == dict(zip(images, [[mask] for mask in masks], strict=True))


def test_names_that_say_nothing_of_a_mask_are_no_stems() -> None:
    for stem in ("007", "mask", "masked_7", "goldmask", "label7", "unlabelled", "gt"):
        assert mask_stem(stem) is None
    assert mask_stem("part_gt") == ("part", False)
    assert mask_stem("part_mask_2") == ("part", True)


def test_folders_are_known_by_their_words() -> None:
    for name in ("masks", "Mask", "GT", "ground truth", "Ground-Truth", "SegmentationClass", "labels"):
        assert is_mask_folder(name)
    for name in ("good", "scratch", "mask_defect_type", "target", "labelled"):
        assert not is_mask_folder(name)
    assert is_image_folder("Imgs")
    assert not is_image_folder("imagine")


def test_several_files_travel_in_one_cell() -> None:
    matched = match(["a/7.png"], ["masks/a/7_mask_1.png", "masks/a/7_mask_2.png"])
    text = matched.text(Path("/data/a/7.png"))
    assert split_mask(text) == ["/data/masks/a/7_mask_1.png", "/data/masks/a/7_mask_2.png"]
    assert split_mask("") == []


def test_bars_of_names_are_no_bars_between_files() -> None:
    paths = [Path("/data/a | b/7 | 1_mask_1.png"), Path("/data/a||b |/| 7_mask_2.png"), Path("/data/a|b/7_mask_3.png ")]
    for files in (paths, paths[::-1], *([path] for path in paths)):
        assert split_mask(join_mask(files)) == [str(path) for path in files]
    assert split_mask("/data/a|b.png") == ["/data/a|b.png"]  # as tables of earlier versions have it
