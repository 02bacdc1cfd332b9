from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.files.csv_text import csv_text
from datamodules.folder import FolderDataModule

if TYPE_CHECKING:
    from pathlib import Path


def add(root: Path, name: str, seed: int) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(0, 255, (24, 24)).astype(np.uint8)
    assert cv2.imwrite(str(root / name), values)


def data(root: Path, **options: object) -> FolderDataModule:
    made = FolderDataModule(root=str(root), image_size=(24, 24), num_workers=0, **options)  # type: ignore[arg-type]
    made.setup()
    return made


@pytest.fixture
def run(tmp_path: Path) -> tuple[Path, Path]:
    """A folder of images, and that of a run which split it by seed 3."""
    root, folder = tmp_path / "images", tmp_path / "run"
    for number in range(24):
        add(root, f"good/{number:02}.png", number)
        add(root, f"scratch/{number:02}.png", 100 + number)
    folder.mkdir()
    (folder / "samples.csv").write_text(csv_text(data(root, seed=3).samples))
    return root, folder


def test_old_images_keep_their_splits_whatever_seed_and_shares_say(run: tuple[Path, Path]) -> None:
    root, folder = run
    before = data(root, seed=3).samples.set_index("name")["split"]
    for number in range(60):
        add(root, f"{'scratch' if number % 3 else 'good'}/new {number}.png", 1000 + number)
    held = data(root, seed=8, test_share=0.5, split_from=str(folder))
    after = held.samples.set_index("name")["split"]
    assert (after[before.index] == before).all()
    assert set(after.drop(before.index)) == {"train"}
    tested, calibrated = (before == "test").sum(), (before == "calibration").sum()
    assert held.remarks == [
        (
            f"Splits are those of run: {tested} of its {tested} test images and {calibrated} of its {calibrated} "
            "calibration images are here; 60 new images go to training."
        )
    ]


def test_new_images_of_held_groups_and_copies_are_not_learnt_from(tmp_path: Path) -> None:
    root, folder = tmp_path / "images", tmp_path / "run"
    for lot in range(8):
        for number in range(3):
            add(root, f"good/lot{lot}/{number}.png", 10 * lot + number)
    folder.mkdir()
    before = data(root)
    (folder / "samples.csv").write_text(csv_text(before.samples))
    split = before.samples.drop_duplicates("group").set_index("group")["split"]
    for lot in range(9):
        add(root, f"good/lot{lot}/new.png", 500 + lot)
    after = data(root, split_from=str(folder / "samples.csv"))
    new = after.samples[after.samples["name"].str.endswith("new.png")]
    assert set(new["split"]) == {"train"}
    assert set(new["group"]) == {*split.index[split == "train"], "lot8"}
    assert len(after.excluded) == (split != "train").sum()
    assert after.excluded["problem"].str.contains("is new beside the").all()


def test_what_cannot_be_held_is_refused(run: tuple[Path, Path], tmp_path: Path) -> None:
    root, folder = run
    with pytest.raises(DataError, match=r"data\.split_from or data\.folds, but found both"):
        data(root, split_from=str(folder), folds=3)
    with pytest.raises(DataError, match=r"to be a run with samples\.csv, but found none"):
        data(root, split_from=str(tmp_path / "nowhere"))
    for number in range(3):
        add(tmp_path / "others", f"good/{number}.png", 3000 + number)
    with pytest.raises(DataError, match="byte by byte, but found none of its"):
        data(tmp_path / "others", split_from=str(folder))
