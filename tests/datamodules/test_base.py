from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.base import InspectionDataModule, excluded_table
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.files.roots import existing_root
from datamodules.folder import FolderDataModule
from datamodules.table import read_table

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def plates(root: Path, **options: Any) -> FolderDataModule:
    defaults: dict[str, Any] = {"image_size": (24, 20), "batch_size": 4, "num_workers": 0}
    return FolderDataModule(root=str(root), **defaults | options)


def names(batches: Iterator[Any]) -> list[str]:
    return [name for batch in batches for name in batch.name]


def test_pictures_are_divided_and_loaded(picture_folder: Path) -> None:
    data = plates(picture_folder)
    data.setup()
    data.check_training()
    train, calibration, test = (
        names(iter(loader)) for loader in (data.train_dataloader(), data.val_dataloader(), data.test_dataloader())
    )
    assert len(train) + len(calibration) + len(test) == 26
    assert not set(train) & set(calibration)
    assert not set(train) & set(test)
    assert not set(calibration) & set(test)
    assert not any(name.startswith("pit/") for name in train)
    assert sum(name.startswith("pit/") for name in calibration) in {1, 2}
    assert train != sorted(train)
    assert test == sorted(test)
    assert names(iter(data.train_dataloader())) == train  # a new loader starts over with the seed
    batch = next(iter(data.test_dataloader()))
    assert batch.image.shape == (4, 3, 24, 20)


def test_a_second_setup_changes_nothing(picture_folder: Path) -> None:
    data = plates(picture_folder)
    data.setup("fit")
    before = data.samples
    (picture_folder / "good" / "000.png").unlink()
    data.setup("test")
    assert data.samples is before


def test_one_seed_gives_one_table(picture_folder: Path) -> None:
    tables = []
    for seed in (0, 0, 1):
        data = plates(picture_folder, seed=seed)
        data.setup()
        tables.append(data)
    assert tables[0].content_hash == tables[1].content_hash
    assert tables[0].content_hash != tables[2].content_hash
    pd.testing.assert_frame_equal(tables[0].samples, tables[1].samples)


def test_what_cannot_be_used_is_left_out_and_named(picture_folder: Path) -> None:
    pit = sorted((picture_folder / "pit").iterdir())
    masks = sorted((picture_folder / "masks" / "pit").iterdir())
    (picture_folder / "good" / "003.png").write_bytes(b"")
    (picture_folder / "good" / "004.png").write_bytes((picture_folder / "good" / "005.png").read_bytes()[:200])
    assert cv2.imwrite(str(masks[1]), np.full((10, 10), 255, dtype=np.uint8))
    assert cv2.imwrite(str(masks[2]), np.zeros((48, 40), dtype=np.uint8))
    data = plates(picture_folder)
    data.setup()
    problems = dict(zip(data.excluded["path"], data.excluded["problem"], strict=True))
    assert set(problems) == {
        str(picture_folder / "good" / "003.png"),
        str(picture_folder / "good" / "004.png"),
        str(masks[1]),
        str(masks[2]),
    }
    assert "of 10x10 pixels for a picture of 40x48" in problems[str(masks[1])]
    assert "marks nothing" in problems[str(masks[2])]
    assert data.excluded["remedy"].astype(bool).all()
    assert len(data.samples) == 26 - 4
    assert not {str(pit[1]), str(pit[2])} & set(data.samples["image_path"])
    assert (data.samples["sha256"].str.len() == 64).all()


def test_where_nothing_can_be_used_the_first_reason_is_given(picture_folder: Path) -> None:
    for path in picture_folder.rglob("*.png"):
        path.write_bytes(b"")
    with pytest.raises(DataError, match=r"at least one usable picture.*000\.png: is empty"):
        plates(picture_folder).setup()


def test_a_bad_zone_map_is_named(picture_folder: Path) -> None:
    @dataclass(kw_only=True, eq=False)
    class Zoned(FolderDataModule):
        def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
            rows, problems = super().sample_table()
            return rows.assign(zones_path=[str(self.zones / f"{i % 2}.png") for i in range(len(rows))]), problems

        zones: Any = None

    for index, size in enumerate([(48, 40), (9, 9)]):
        assert cv2.imwrite(str(picture_folder.parent / f"{index}.png"), np.ones(size, dtype=np.uint8))
    data = Zoned(root=str(picture_folder), zones=picture_folder.parent)
    data.setup()
    assert data.excluded["path"].tolist() == [str(picture_folder.parent / "1.png")] * 13
    assert "zone map of 9x9 pixels for a picture of 40x48" in data.excluded["problem"][0]
    assert len(data.samples) == 13


def test_the_limit_is_per_label(picture_folder: Path) -> None:
    data = plates(picture_folder, limit=3)
    data.setup()
    assert data.samples["label_index"].value_counts().to_dict() == {0: 3, 1: 3, -1: 2}


def test_a_saved_table_brings_back_the_same_splits(picture_folder: Path, tmp_path: Path) -> None:
    data = plates(picture_folder, seed=4)
    data.setup()
    data.samples.to_csv(tmp_path / "samples.csv", index=False)
    again = plates(picture_folder, seed=99)
    again.use_samples(read_table(tmp_path / "samples.csv"))
    assert again.content_hash == data.content_hash
    assert again.excluded.empty
    assert names(iter(again.test_dataloader())) == names(iter(data.test_dataloader()))


def test_files_that_changed_since_are_left_out(picture_folder: Path, tmp_path: Path) -> None:
    data = plates(picture_folder)
    data.setup()
    data.samples.to_csv(tmp_path / "samples.csv", index=False)
    changed, gone = (picture_folder / "good" / name for name in ("000.png", "001.png"))
    assert cv2.imwrite(str(changed), read_image(changed)[::-1])
    gone.unlink()
    again = plates(picture_folder)
    again.use_samples(read_table(tmp_path / "samples.csv"))
    problems = dict(zip(again.excluded["path"], again.excluded["problem"], strict=True))
    assert set(problems) == {str(changed), str(gone)}
    assert "has changed since" in problems[str(changed)]
    assert "cannot be opened" in problems[str(gone)]
    assert len(again.samples) == 24


def test_pictures_can_be_left_out_by_hash(picture_folder: Path) -> None:
    data = plates(picture_folder)
    data.setup()
    digest = data.samples["sha256"][0]
    data.leave_out([digest], "was seen before", "nothing to do")
    assert digest not in set(data.samples["sha256"])
    assert len(data.samples) == 25
    assert data.excluded["problem"].tolist() == ["was seen before"]


def test_training_shows_no_defective_picture_unless_asked_to(picture_folder: Path) -> None:
    data = plates(picture_folder)
    data.setup()
    data.samples["split"] = "train"
    assert set(data.split_samples("train")["label_index"]) == {0, -1}
    data.defects_in_train = True
    assert set(data.split_samples("train")["label_index"]) == {0, 1, -1}


@pytest.mark.parametrize(
    ("options", "split", "key"),
    [
        ({"calibration_share": 0.4, "test_share": 0.6}, "train", "data.test_share"),
        ({"calibration_share": 0.0}, "calibration", "data.calibration_share"),
    ],
)
def test_splits_that_lead_nowhere_are_refused(
    picture_folder: Path, options: dict[str, Any], split: str, key: str
) -> None:
    data = plates(picture_folder, **options)
    data.setup()
    with pytest.raises(DataError, match=f"good pictures in the {split} split .* change {key}"):
        data.check_training()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"limit": 0}, r"data\.limit to be at least 1 or null, but found 0"),
        ({"image_size": (256,)}, r"data\.image_size to be \[height, width\]"),
        ({"image_size": (0, 256)}, r"found \(0, 256\)"),
        ({"white_level": 0.0}, r"data\.white_level to be above 0 or null, but found 0\.0"),
    ],
)
def test_impossible_settings_are_refused_at_once(options: dict[str, Any], message: str) -> None:
    with pytest.raises(DataError, match=message):
        FolderDataModule(root="anywhere", **options)


def test_a_root_that_is_no_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DataError, match=r"a folder with apples, but found none at .*/missing; set data\.root=PATH"):
        existing_root(str(tmp_path / "missing"), "apples")
    for name, words in (
        ("set.ZIP", "an archive at .*set.ZIP; unpack it, and set data.root to the folder that comes of it"),
        ("set.tar.gz", "an archive at .*set.tar.gz; unpack it"),
        ("line.mp4", "a video at .*line.mp4; save its frames as images in folders"),
        ("000.png", f"a file at .*000.png; set data.root to a folder, such as {tmp_path}"),
    ):
        (tmp_path / name).touch()
        with pytest.raises(DataError, match=f"a folder with apples, but found {words}"):
            existing_root(str(tmp_path / name), "apples")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert existing_root("~", "apples") == tmp_path.resolve()


def test_the_base_alone_says_nothing_about_files() -> None:
    with pytest.raises(TypeError, match="sample_table"):
        InspectionDataModule(root="x")  # type: ignore[abstract]  # that is the point
    assert list(excluded_table([]).columns) == ["path", "problem", "remedy"]


def test_a_table_of_an_earlier_version_is_read_with_the_facts_of_this_one(picture_folder: Path, tmp_path: Path) -> None:
    data = FolderDataModule(root=str(picture_folder), image_size=(32, 32))
    data.setup()
    data.samples.drop(columns=["contrast", "sharpness", "warmth"]).to_csv(tmp_path / "samples.csv", index=False)
    again = FolderDataModule(root=str(picture_folder), image_size=(32, 32))
    again.use_samples(read_table(tmp_path / "samples.csv"))
    assert again.excluded.empty
    assert {"contrast", "sharpness", "warmth"} <= set(again.samples)


def test_images_of_one_colour_are_left_out_unless_most_are_such(picture_folder: Path) -> None:
    blank = picture_folder / "good" / "blank.png"
    cv2.imwrite(str(blank), np.full((40, 40), 9, np.uint8))
    data = FolderDataModule(root=str(picture_folder), image_size=(32, 32))
    data.setup()
    assert str(blank) not in set(data.samples["image_path"])
    problems = dict(zip(data.excluded["path"], data.excluded["problem"], strict=True))
    assert "shows nothing" in problems[str(blank)]
    for index in range(len(data.samples) + 1):
        cv2.imwrite(str(picture_folder / "good" / f"blank{index:03}.png"), np.full((40, 40), index % 250, np.uint8))
    most = FolderDataModule(root=str(picture_folder), image_size=(32, 32))
    most.setup()
    assert str(blank) in set(most.samples["image_path"])
