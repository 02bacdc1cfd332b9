from __future__ import annotations

import pickle
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.errors import UnreadableImageError
from datamodules.files.images import read_image, resize_mask
from datamodules.masks.reading import read_mask
from datamodules.samples.batch import Sample, collate
from datamodules.samples.dataset import FileDataset, InspectionDataset, Reading, image_tensor
from datamodules.table import complete_table

if TYPE_CHECKING:
    from pathlib import Path

READING = Reading(32, 24)


def plates(root: Path) -> pd.DataFrame:
    paths = sorted((root / "good").iterdir())[:3] + sorted((root / "pit").iterdir())
    rows = [
        {
            "image_path": str(path),
            "name": path.relative_to(root).as_posix(),
            "label_index": int(path.parent.name == "pit"),
            "mask_path": str(root / "masks" / "pit" / f"{path.stem}_mask.png") if path.parent.name == "pit" else "",
            "group": path.stem,
            "kind": "steel",
        }
        for path in paths
    ]
    return complete_table(pd.DataFrame(rows))


def test_masks_become_instances_where_they_are_wanted(picture_folder: Path) -> None:
    table = plates(picture_folder)
    dataset = InspectionDataset(table, READING._replace(instances=True))
    good, pit = dataset[0], dataset[6]
    assert good.target is not None
    assert good.target["masks"].shape == (0, 32, 24)
    assert pit.target is not None
    assert pit.mask is not None
    assert len(pit.target["boxes"]) == 1
    assert torch.equal(pit.target["masks"][0].bool(), pit.mask)
    assert InspectionDataset(table, READING)[6].target is None
    unmarked = table.assign(mask_path="")
    assert InspectionDataset(unmarked, READING._replace(instances=True))[6].target is None


def test_a_row_becomes_a_sample(picture_folder: Path) -> None:
    table = plates(picture_folder)
    dataset = InspectionDataset(table, READING)
    assert len(dataset) == 7
    for index in (0, 6):
        row, sample = table.iloc[index], dataset[index]
        assert sample.image.shape == (3, 32, 24)
        assert sample.image.dtype == torch.float32
        assert 0 <= float(sample.image.min()) < float(sample.image.max()) <= 1
        assert (sample.name, sample.image_path, sample.label_index) == (
            row["name"],
            row["image_path"],
            row["label_index"],
        )
        assert (sample.group, sample.kind) == (row["group"], "steel")
    assert dataset[0].mask is None
    sample = dataset[6]
    assert sample.mask is not None
    assert sample.mask.dtype == torch.bool
    np.testing.assert_array_equal(sample.mask, resize_mask(read_mask(table["mask_path"][6]), 32, 24))
    inside, outside = sample.image[:, sample.mask].mean(), sample.image[:, ~sample.mask].mean()
    assert float(inside) > float(outside) + 0.2  # mask and image lie on one another


def test_at_its_own_size_a_picture_is_its_values(picture_folder: Path) -> None:
    path = min((picture_folder / "good").iterdir())
    tensor = image_tensor(read_image(path), Reading(48, 40))
    np.testing.assert_allclose(tensor.permute(1, 2, 0), read_image(path) / 255, atol=1e-7)


@pytest.mark.parametrize(
    ("values", "white_level", "wanted"),
    [
        (np.full((8, 8), 51, dtype=np.uint8), None, 0.2),
        (np.full((8, 8), 13107, dtype=np.uint16), None, 0.2),
        (np.full((8, 8), 819, dtype=np.uint16), 4095.0, 0.2),
        (np.full((8, 8, 3), 2.5, dtype=np.float32), 12.5, 0.2),
        (np.full((8, 8), 5000, dtype=np.uint16), 4095.0, 1.0),
    ],
)
@pytest.mark.parametrize("size", [(8, 8), (4, 4), (20, 30)])
def test_every_depth_lands_between_zero_and_one(
    values: np.ndarray, white_level: float | None, wanted: float, size: tuple[int, int]
) -> None:
    tensor = image_tensor(values, Reading(*size, white_level))
    assert tensor.shape == (3, *size)
    assert tensor.dtype == torch.float32
    torch.testing.assert_close(tensor, torch.full_like(tensor, wanted), atol=1e-6, rtol=0)


def test_zones_come_along(picture_folder: Path) -> None:
    zones = np.zeros((48, 40), dtype=np.uint8)
    zones[12:36, 10:30] = 2
    assert cv2.imwrite(str(picture_folder / "zones.png"), zones)
    table = plates(picture_folder)
    table.loc[0, "zones_path"] = str(picture_folder / "zones.png")
    dataset = InspectionDataset(table, Reading(24, 20))
    found = dataset[0].zones
    assert found is not None
    assert found.dtype == torch.uint8
    np.testing.assert_array_equal(found, zones[::2, ::2])
    assert dataset[1].zones is None


def test_files_of_any_kind_give_samples_or_errors(picture_folder: Path) -> None:
    good = min((picture_folder / "good").iterdir())
    empty, broken, text = (picture_folder / name for name in ("empty.png", "sub/broken.png", "text.jpg"))
    broken.parent.mkdir()
    empty.touch()
    broken.write_bytes(good.read_bytes()[:300])
    text.write_text("no picture")
    floats = picture_folder / "floats.tif"
    assert cv2.imwrite(str(floats), np.eye(8, dtype=np.float32))
    paths = [good, empty, broken, text, floats, picture_folder / "missing.png"]
    dataset = FileDataset(paths, READING)
    assert dataset.names == ["good/000.png", "empty.png", "sub/broken.png", "text.jpg", "floats.tif", "missing.png"]
    items = [dataset[index] for index in range(len(dataset))]
    batch = collate([item for item in items if isinstance(item, Sample)])
    errors = [item for item in items if isinstance(item, UnreadableImageError)]
    assert batch.name == ["good/000.png"]
    assert batch.label_index.tolist() == [-1]
    assert batch.has_mask.tolist() == [False]
    assert [error.path for error in errors] == [str(path) for path in paths[1:]]
    assert "data.white_level" in errors[3].remedy
    sample = FileDataset(paths, Reading(32, 24, white_level=2.0))[4]
    assert isinstance(sample, Sample)
    assert sample.image.max() == 0.5


def test_an_error_travels_whole_between_processes() -> None:
    error = UnreadableImageError("a.png", "is empty", "delete it")
    again = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert (again.path, again.problem, again.remedy, str(again)) == ("a.png", "is empty", "delete it", str(error))
