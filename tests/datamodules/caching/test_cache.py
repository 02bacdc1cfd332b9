"""The cache of decoded samples: bit for bit what reading gives, and gone stale whenever a file changes."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
import torch

from datamodules.caching.cache import CachedDataset
from datamodules.folder import FolderDataModule
from datamodules.samples.dataset import InspectionDataset, Reading
from datamodules.synthetic.datamodule import SyntheticDataModule

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd

    from datamodules.samples.batch import Sample


def same(one: Sample, other: Sample) -> bool:
    for name in ("image", "mask", "zones"):
        part, twin = getattr(one, name), getattr(other, name)
        if (part is None) != (twin is None) or (part is not None and not torch.equal(part, twin)):
            return False
    left, right = ({} if sample.target is None else sample.target for sample in (one, other))
    if set(left) != set(right) or not all(torch.equal(left[key], right[key]) for key in left):
        return False
    return (one.name, one.label_index, one.group, one.kind) == (other.name, other.label_index, other.group, other.kind)


@pytest.mark.parametrize("domain", ["fiber", "oring"])
def test_cached_samples_are_the_read_ones(domain: str, tmp_path: Path) -> None:
    data = SyntheticDataModule(root=str(tmp_path / "d"), domain=domain, size=64, good=12, defective=6)
    data.image_size = (48, 40)
    data.setup()
    plain = data.dataset(data.samples)
    for _ in range(2):  # the first time written, the second time read
        cached = CachedDataset(data.dataset(data.samples), data.samples, tmp_path / "cache")
        assert all(same(cached[index], plain[index]) for index in range(len(plain)))
    assert len(list((tmp_path / "cache").rglob("*.pt"))) == len(plain)


def deep_folder(root: Path, seed: int = 0) -> pd.DataFrame:
    """Write 16-bit images, good and defective, and list them."""
    rng = np.random.default_rng(seed)
    for name in ("good", "pit", "masks/pit"):
        (root / name).mkdir(parents=True, exist_ok=True)
    for index in range(4):
        for name in ("good", "pit"):
            cv2.imwrite(str(root / name / f"{index}.png"), rng.integers(0, 65535, (40, 40)).astype(np.uint16))
        cv2.imwrite(str(root / "masks/pit" / f"{index}.png"), (rng.random((40, 40)) > 0.8).astype(np.uint8) * 255)
    data = FolderDataModule(root=str(root))
    data.setup()
    return data.samples


def test_deep_pictures_lose_nothing(tmp_path: Path) -> None:
    table, reading = deep_folder(tmp_path / "d"), Reading(32, 32)
    plain = InspectionDataset(table, reading)
    for _ in range(2):
        cached = CachedDataset(InspectionDataset(table, reading), table, tmp_path / "cache")
        assert all(same(cached[index], plain[index]) for index in range(len(plain)))


def test_whatever_changes_is_read_anew(tmp_path: Path) -> None:
    reading = Reading(32, 32)

    def check() -> int:
        table = deep_folder_table()
        cached = CachedDataset(InspectionDataset(table, reading), table, tmp_path / "cache")
        plain = InspectionDataset(table, reading)
        assert all(same(cached[index], plain[index]) for index in range(len(plain)))
        return len(list((tmp_path / "cache").rglob("*.pt")))

    def deep_folder_table() -> pd.DataFrame:
        data = FolderDataModule(root=str(tmp_path / "d"))
        data.setup()
        return data.samples

    deep_folder(tmp_path / "d")
    assert check() == 8
    assert check() == 8
    mask = tmp_path / "d/masks/pit/0.png"
    cv2.imwrite(str(mask), np.full((40, 40), 255, np.uint8))
    os.utime(mask, ns=(1, 1))
    assert check() == 9
    cv2.imwrite(str(tmp_path / "d/good/0.png"), np.arange(1600, dtype=np.uint16).reshape(40, 40))
    assert check() == 10
    reading = Reading(16, 16)
    assert check() == 18


def test_a_file_cut_short_is_written_again(tmp_path: Path) -> None:
    table, reading = deep_folder(tmp_path / "d"), Reading(32, 32)
    cached = CachedDataset(InspectionDataset(table, reading), table, tmp_path / "cache")
    whole = cached[0]
    (path,) = (tmp_path / "cache").rglob("*.pt")
    for content in (b"", path.read_bytes()[:200]):
        path.write_bytes(content)
        assert same(cached[0], whole)
        assert same(cached[0], whole)


def test_the_loaders_use_it(tmp_path: Path) -> None:
    deep_folder(tmp_path / "d")
    data = FolderDataModule(root=str(tmp_path / "d"), cache=str(tmp_path / "cache"), num_workers=0)
    data.setup()
    first = [batch.image for batch in data.val_dataloader()]
    assert list((tmp_path / "cache").rglob("*.pt"))
    assert all(torch.equal(one, two.image) for one, two in zip(first, data.val_dataloader(), strict=True))
