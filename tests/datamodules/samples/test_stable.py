"""What stays when images are added: properties over many drawn sets, and the real folders where they are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.fiber import FiberDataModule
from datamodules.folder import FolderDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.oring import OringDataModule
from datamodules.print3d import Print3dDataModule, usual_step
from datamodules.samples.split import keys_of, split_table
from datamodules.samples.stable import draw, keep_floors, places
from datamodules.table import complete_table
from tests.datamodules.samples.test_split import within_bound

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule

REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data"


def table(rng: np.random.Generator, count: int, first: int = 0, **columns: Any) -> pd.DataFrame:
    """Draw images on their own, of random content, a fifth of them defective."""
    names = [f"{'ab'[int(rng.integers(2))]}/{index:05}.png" for index in range(first, first + count)]
    drawn = {
        "image_path": names,
        "name": names,
        "sha256": [f"{value:016x}" for value in rng.integers(0, 2**62, count)],
        "label_index": rng.choice([0, 1, -1], count, p=[0.75, 0.2, 0.05]),
    }
    return pd.DataFrame(drawn | columns)


def split(rows: pd.DataFrame, seed: int = 0, **options: Any) -> pd.Series:
    """Return the split of every image, by its name."""
    return split_table(complete_table(rows), 0.2, 0.3, seed, **options).set_index("name")["split"]


@pytest.mark.parametrize("defects_in_train", [False, True])
@pytest.mark.parametrize("added", [1, 6, 60])
@pytest.mark.parametrize("seed", range(30))
def test_adding_images_moves_none(seed: int, added: int, defects_in_train: bool) -> None:
    rng = np.random.default_rng(seed)
    rows = table(rng, int(rng.integers(60, 300)))
    more = pd.concat([rows, table(rng, added, first=900)])
    options = {"defects_in_train": defects_in_train}
    before, after = split(rows, seed, **options), split(more, seed, **options)
    assert (after[before.index] == before).all()
    assert len(after) == len(before) + added


@pytest.mark.parametrize("added", [1, 6, 60])
@pytest.mark.parametrize("seed", range(30))
def test_adding_groups_moves_none_and_images_follow_their_group(seed: int, added: int) -> None:
    """Groups of one label: of new ones, each draws for itself; what joins an old group goes where it is."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(100, 400))
    part = rng.integers(0, 60, count)
    rows = table(rng, count, group=[f"g{one}" for one in part], label_index=(part % 4 == 0).astype(int))
    part = rng.integers(0, 90, added)
    new = table(rng, added, 900, group=[f"g{one}" for one in part], label_index=(part % 4 == 0).astype(int))
    more = pd.concat([rows, new])
    before, after = split(rows, seed), split(more, seed)
    assert (after[before.index] == before).all()
    groups = more.set_index("name")["group"]
    assert after.groupby(groups[after.index]).nunique().max() == 1


@pytest.mark.parametrize("seed", range(20))
def test_taking_images_away_moves_none_of_those_that_are_left(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = table(rng, 200)
    before, after = split(rows, seed), split(rows.sample(frac=0.7, random_state=seed), seed)
    assert (before[after.index] == after).all()


def test_images_may_be_renamed_and_copies_stay_together() -> None:
    rng = np.random.default_rng(0)
    rows = table(rng, 120)
    before = split(rows)
    renamed = rows.assign(name="other/" + rows["name"].str.replace("/", "-"))
    after = split(renamed)
    assert after.index.tolist() == sorted(renamed["name"])
    assert all(after[new] == before[old] for new, old in zip(renamed["name"], rows["name"], strict=True))
    copies = rows.assign(name="0_copy_of_" + rows["name"])
    after = split(pd.concat([rows, copies]))
    assert (after[before.index] == before).all()
    assert all(after[f"0_copy_of_{name}"] == where for name, where in before.items())


def test_a_copy_beside_a_group_leaves_the_group_where_it_is() -> None:
    rng = np.random.default_rng(1)
    rows = table(rng, 120, group=[f"lot {index // 2}" for index in range(120)], label_index=0)
    before = split(rows)
    for row in range(0, 120, 7):
        copy = rows.iloc[[row]].assign(name="0 copy.png", group="")
        after = split(pd.concat([rows, copy]))
        assert (after[before.index] == before).all()
        assert after["0 copy.png"] == before[rows["name"].iloc[row]]


@pytest.mark.parametrize("seed", range(10))
def test_asking_for_a_larger_test_takes_none_out_of_it_and_puts_none_into_training(seed: int) -> None:
    rows = complete_table(table(np.random.default_rng(seed), 300, label_index=0))
    small, large = (split_table(rows, 0.2, share, seed)["split"] for share in (0.2, 0.4))
    assert (small != large).any()
    assert (large[small == "test"] == "test").all()
    assert (small[large == "train"] == "train").all()


def test_seeds_draw_independently() -> None:
    keys = [f"image {index}" for index in range(4000)]
    shares = np.array([0.5, 0.2, 0.3])
    first, second = (draw(places(keys, ["a", "b", "c"], seed), shares) for seed in (0, 1))
    joint = np.histogram2d(first, second, bins=3)[0] / len(keys)
    assert np.abs(joint - np.outer(shares, shares)).max() < 0.02
    assert np.abs(np.bincount(first) / len(keys) - shares).max() < 0.03


def test_floors_borrow_those_that_stand_foremost_and_no_more_than_needed() -> None:
    shares = np.array([0.5, 0.2, 0.3])
    for seed in range(200):
        drawn_GK = places([f"g{index}" for index in range(12)], ["a", "b", "c"], seed)
        before = draw(drawn_GK, shares)
        after = before.copy()
        keep_floors(after, drawn_GK, shares)
        floors = np.ones(3)
        held = np.bincount(after, minlength=3)
        assert (held >= floors).all()
        lacking = np.maximum(0, floors - np.bincount(before, minlength=3))
        assert (after != before).sum() == lacking.sum()
        for one in np.flatnonzero(after != before):
            queue = drawn_GK[:, after[one]]
            passed = np.flatnonzero((queue < queue[one]) & (after != after[one]))
            assert all(held[after[other]] <= floors[after[other]] for other in passed)


@pytest.mark.parametrize("count", [1, 2, 4, 8])
@pytest.mark.parametrize("seed", range(40))
def test_what_was_borrowed_stays_where_it_is_told_and_is_told_again(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    before: pd.Series | None = None
    borrowed: dict[str, str] = {}
    rows = table(rng, count)
    for added in (0, 1, 6, 60):
        rows = pd.concat([rows, table(rng, added, first=len(rows))], ignore_index=True)
        done = split_table(complete_table(rows), 0.2, 0.3, seed, borrowed=borrowed)
        now = done.set_index("name")["split"]
        if before is not None:
            assert (now[before.index] == before).all()
        before, borrowed = now, done.attrs["borrowed"]
        assert set(done.attrs["borrowed_groups"]) <= set(now.index)
    assert split_table(complete_table(rows), 0.2, 0.3, seed).attrs["borrowed"] == {}  # so many need no loan


def test_keys_are_the_content_of_images_on_their_own_and_the_names_of_groups() -> None:
    rows = complete_table(table(np.random.default_rng(0), 3, group=["", "lot", ""]))
    own = rows["group"] == rows["name"]
    assert keys_of(rows).tolist() == [
        f"image {digest}" if alone else "group lot" for digest, alone in zip(rows["sha256"], own, strict=True)
    ]


def test_the_usual_step_of_layers() -> None:
    assert usual_step([0, 20, 40, 60, 61]) == 20
    assert usual_step([5, 5]) == 1
    assert usual_step([]) == 1
    assert usual_step([0, 1, 3]) == 1  # of two that are as common, the smaller


def assert_balanced(data: InspectionDataModule) -> None:
    """Hold good and defective images to the bound of docs/splits.md; splits that the data brings are its own."""
    rest, calibration = data.test_share, data.calibration_share
    everything = {"train": 1 - rest - calibration, "calibration": calibration, "test": rest}
    if data.listing()[0]["split"].eq("test").any():
        everything = {"train": 1 - calibration, "calibration": calibration}
    for label, part in data.samples[data.samples["split"].isin(everything)].groupby("label_index"):
        no_training = label == 1 and not data.defects_in_train
        shares = {name: share for name, share in everything.items() if name != "train" or not no_training}
        assert within_bound(part, {name: share / sum(shares.values()) for name, share in shares.items()}), label


def _copy_of_real(rng: np.random.Generator, source: Path, target: Path, count: int) -> None:
    """Add so many images to a folder: such as lie there, brighter by a grey level or more."""
    for number in range(count):
        values = cv2.imread(str(source), cv2.IMREAD_UNCHANGED)
        assert values is not None
        shifted = np.clip(values.astype(int) + rng.integers(1, 20, values.shape), 0, 255).astype(np.uint8)
        assert cv2.imwrite(str(target / f"_new {number:03}{source.suffix.lower()}"), shifted)


@pytest.mark.procedure
@pytest.mark.parametrize(
    ("kind", "name", "where", "options"),
    [
        (FiberDataModule, "fiber", None, {}),
        (FolderDataModule, "print3d", "No_Defect", {}),
        (FolderDataModule, "benchmark/screw", "train/good", {}),
        (Print3dDataModule, "print3d", "Powder Uneven_With_Scratch", {"run_length": 1}),
        (OringDataModule, "oring/rings", "images", {}),
        (MetallographyDataModule, "metallography/inclusions", None, {"defects_in_train": True}),
    ],
)
def test_real_folders_stay_divided_as_they_are(
    kind: type[InspectionDataModule], name: str, where: str | None, options: dict[str, Any], tmp_path: Path
) -> None:
    """Links to the real files, and 1, 6 and 60 more beside them; or all but so many, where labels are in a table."""
    root = REAL / name
    if not root.is_dir():
        pytest.skip("the real images are not here")

    borrowed: dict[str, str] = {}

    def divided(folder: Path, listing: int | None = None) -> pd.Series:
        data = kind(root=str(folder), image_size=(32, 32), num_workers=0, borrowed=dict(borrowed), **options)
        rows, problems = data.listing()
        kept = rows if listing is None else rows.sample(len(rows) - listing, random_state=0)
        surveyed, more = data.survey(kept.reset_index(drop=True))
        data.divide(surveyed, [*problems, *more])
        borrowed.update(data.borrowed)
        assert_balanced(data)
        return data.samples.set_index("name")["split"]

    if where is None:
        part = divided(root, 67)
        for missing in (66, 60, 0):  # 1, 6 and 60 come
            more = divided(root, missing)
            assert len(more) > len(part)
            assert (more[part.index] == part).all()
            part = more
        return
    for path in sorted(root.rglob("*")):
        if path.is_file():
            (tmp_path / path.relative_to(root)).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path.relative_to(root)).symlink_to(path)
    before, rng = divided(tmp_path), np.random.default_rng(0)
    source = next(path for path in sorted((root / where).iterdir()) if path.suffix.lower() in {".jpg", ".png"})
    assert bool(borrowed) == (kind is FolderDataModule and name == "print3d")  # none of its 16 good ones draws the test
    for added in (1, 6, 60):
        _copy_of_real(rng, source, tmp_path / where, added)
        after = divided(tmp_path)
        assert len(after) == len(before) + added
        assert (after[before.index] == before).all()
