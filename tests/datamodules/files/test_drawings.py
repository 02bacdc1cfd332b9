"""What is drawn over other images is never one: told by names, where the image under it is there, too, and said."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.fiber import FiberDataModule
from datamodules.files.walking import walk_images
from datamodules.folder import FolderDataModule
from datamodules.layouts.files import walk_tree
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule
from datamodules.print3d import Print3dDataModule

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.base import InspectionDataModule
    from datamodules.errors import UnreadableImageError

DRAWN = (
    *("000_overlay.png", "000-heatmap.jpg", "000.png.heatmap.png", "000_anomaly_map.png", "000_pred.png"),
    *(
        "000_prediction_2.png",
        "pred_000.png",
        "Overlay 000.JPG",
        "000_vis.png",
        "000_annotated.png",
        "000_pred_map.png",
    ),
    *("000_gt_overlay.png", "000_mask_overlay.png", "000_gradcam.png", "000_bbox.png", "000_result.bmp"),
)
IMAGES = (
    "001_overlay.png",
    "overlay.png",
    "000_pit.png",
    "000_2.png",
    "result_1.png",
    "000_top.png",
    "visible_000.png",
)


def draw(path: Path, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng([seed, *str(path).encode()]).integers(60, 180, (64, 64, 3)).astype(np.uint8)
    assert cv2.imwrite(str(path), values)


@pytest.mark.parametrize("name", DRAWN)
def test_drawings_beside_an_image_are_named_and_not_used(tmp_path: Path, name: str) -> None:
    (tmp_path / "lot").mkdir()
    for file in ("000.png", "001.png", name):
        (tmp_path / "lot" / file).touch()
    problems: list[UnreadableImageError] = []
    found = walk_images(tmp_path, problems)
    assert [path.name for path in found] == ["000.png", "001.png"]
    assert [problem.problem for problem in problems] == ["is drawn over 000.png, by its name, and not used"]
    said: list[UnreadableImageError] = []
    assert walk_tree(tmp_path, said).images == found
    assert list(map(str, said)) == list(map(str, problems))


@pytest.mark.parametrize("name", IMAGES)
def test_without_the_image_under_it_a_name_says_nothing(tmp_path: Path, name: str) -> None:
    for file in ("000.png", name):
        (tmp_path / file).touch()
    problems: list[UnreadableImageError] = []
    assert len(walk_images(tmp_path, problems)) == len(walk_tree(tmp_path, problems).images) == 2
    assert problems == []


@pytest.mark.parametrize(
    "folder", ["overlays", "good/heatmaps", "images/Predictions", "image_predictions", "anomaly_maps"]
)
def test_folders_of_drawings_are_named_and_not_used(tmp_path: Path, folder: str) -> None:
    place = (tmp_path / folder).parent
    place = tmp_path / "images" if place == tmp_path else place
    for index in range(4):
        draw(place / f"{index:03}.png")
        draw(tmp_path / folder / "lot" / f"{index:03}{'_overlay' * (index % 2)}.jpg")
    problems: list[UnreadableImageError] = []
    assert {path.parent for path in walk_images(tmp_path, problems)} == {place}
    (problem,) = problems
    assert problem.path == str(tmp_path / folder)
    assert "holds 4 images drawn over those beside it" in problem.problem
    assert {path.parent for path in walk_tree(tmp_path, []).images} == {place}


def test_classes_by_such_a_name_are_asked_for(tmp_path: Path) -> None:
    """``overlays/000.png`` beside ``good/000.png`` may be a type of defect: every class counts from 000."""
    for index in range(6):
        draw(tmp_path / "good" / f"{index:03}.png")
        draw(tmp_path / "overlays" / f"{index:03}.png")
    with pytest.raises(ValueError, match=r"overlays/ \(6 images\), which may be either"):
        FolderDataModule(root=str(tmp_path)).sample_table()
    rows, _ = FolderDataModule(root=str(tmp_path), defective=("overlays",)).sample_table()
    assert rows["label_index"].sum() == 6


@pytest.mark.parametrize(
    ("make", "folders"),
    [
        (FolderDataModule, ("good", "scratch")),
        (FiberDataModule, ("",)),
        (MetallographyDataModule, ("images",)),
        (OringDataModule, ("model1good", "model1defect")),
        (Print3dDataModule, ("No_Defect", "Defect")),
    ],
)
def test_every_data_set_leaves_them_out(
    tmp_path: Path, make: type[InspectionDataModule], folders: tuple[str, ...]
) -> None:
    for folder in folders:
        for index in range(6):
            draw(tmp_path / folder / f"{index:03}.png")
            draw(tmp_path / folder / f"{index:03}_overlay.png")
    rows, problems = make(root=str(tmp_path)).sample_table()
    assert len(rows) == 6 * len(folders)
    assert not rows["image_path"].str.contains("overlay").any()
    assert sum("is drawn over 00" in problem.problem for problem in problems) == 6 * len(folders)
