from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from datamodules.errors import DataError
from datamodules.samples.split import assign_groups, fold_table, join_copies, split_table
from datamodules.table import complete_table

if TYPE_CHECKING:
    import numpy.typing as npt


def table(count: int, **columns: Any) -> pd.DataFrame:
    names = [f"{index:04}.png" for index in range(count)]
    return complete_table(pd.DataFrame({"image_path": names, "name": names, "label_index": 0} | columns))


def random_table(seed: int) -> pd.DataFrame:
    """Draw a table as they come: groups of any sizes, few defects, some kinds, some unknown."""
    rng = np.random.default_rng(seed)
    count = int(rng.integers(30, 300))
    groups = int(rng.integers(max(4, count // 20), count + 1))
    return table(
        count,
        label_index=rng.choice([0, 1, -1], count, p=[0.75, 0.2, 0.05]),
        group=[f"g{index}" for index in rng.integers(0, groups, count)],
        kind=[f"k{index}" for index in rng.integers(0, rng.integers(1, 4), count)],
    )


def share(split: pd.DataFrame, name: str) -> float:
    return float((split["split"] == name).mean())


def assert_no_group_is_cut(done: pd.DataFrame) -> None:
    assert len(done[["group", "split"]].drop_duplicates()) == done["group"].nunique()


def counts(done: pd.DataFrame, label: int) -> dict[str, int]:
    return dict(done["split"][done["label_index"] == label].value_counts())


@pytest.mark.parametrize("defects_in_train", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_no_group_is_cut_and_everything_is_decided(seed: int, defects_in_train: bool) -> None:
    rows = random_table(seed)
    done = split_table(rows, 0.2, 0.3, seed, defects_in_train=defects_in_train)
    assert_no_group_is_cut(done)
    assert set(done["split"]) <= {"train", "calibration", "test"}
    pd.testing.assert_frame_equal(done.drop(columns="split"), rows.drop(columns="split"))
    assert (rows["split"] == "").all()  # the argument stays as it was


@pytest.mark.parametrize("seed", range(10))
def test_one_seed_gives_one_split_whatever_the_order_of_rows(seed: int) -> None:
    rows = random_table(seed)
    done = split_table(rows, 0.2, 0.3, 5).set_index("name")["split"]
    shuffled = rows.sample(frac=1, random_state=seed)
    again = split_table(shuffled, 0.2, 0.3, 5).set_index("name")["split"]
    assert (done == again[done.index]).all()


def test_another_seed_gives_another_split() -> None:
    rows = table(100, label_index=[0] * 80 + [1] * 20)
    splits = {tuple(split_table(rows, 0.2, 0.3, seed)["split"]) for seed in range(10)}
    assert len(splits) == 10


SHARES = [(0.2, 0.3), (0.1, 0.1), (0.5, 0.25), (0.0, 0.4), (0.3, 0.0), (0.4, 0.6)]


def within_bound(done: pd.DataFrame, wanted: dict[str, float]) -> bool:
    """Tell whether every split has what it asked for, to within the bound that docs/splits.md states.

    Five standard deviations of independent draws, and the largest group for what a floor lends or borrows.
    """
    sizes = done.groupby("group").size()
    return all(
        abs((done["split"] == name).sum() - share * len(done))
        <= 5 * np.sqrt(share * (1 - share) * (sizes**2).sum()) + sizes.max()
        for name, share in wanted.items()
    )


@pytest.mark.parametrize("count", [5, 10, 33, 100, 257])
@pytest.mark.parametrize("shares", SHARES)
def test_single_pictures_are_divided_to_within_the_stated_bound(count: int, shares: tuple[float, float]) -> None:
    rows, seeds = table(count, label_index=[0] * count), range(60)
    wanted = {"calibration": shares[0], "test": shares[1], "train": 1 - sum(shares)}
    drawn = [split_table(rows, *shares, seed) for seed in seeds]
    for done in drawn:
        assert within_bound(done, wanted)
        for name, part in wanted.items():
            found = (done["split"] == name).sum()
            assert found == 0 if part < 1e-9 else found >= 1
    if count > 5:  # below, what a floor lends shows in the mean
        for name, part in wanted.items():
            mean = np.mean([share(done, name) for done in drawn])
            assert abs(mean - part) <= 4 * np.sqrt(part * (1 - part) / count / len(seeds)) + 0.02


@pytest.mark.parametrize("seed", range(60))
def test_shares_of_groups_are_within_the_stated_bound(seed: int) -> None:
    """One stratum, groups of one to fifteen images."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 16, 25)
    rows = table(int(sizes.sum()), group=np.repeat([f"g{index}" for index in range(25)], sizes))
    assert within_bound(split_table(rows, 0.2, 0.3, seed), {"train": 0.5, "calibration": 0.2, "test": 0.3})


@pytest.mark.parametrize("seed", range(40))
def test_every_label_and_kind_is_divided_in_proportion(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = table(
        400,
        label_index=(rng.random(400) < 0.2).astype(int),
        kind=rng.choice(["oil", "water", "air"], 400, p=[0.7, 0.25, 0.05]),
    )
    done = split_table(rows, 0.2, 0.3, seed, defects_in_train=True)
    for _, stratum in done.groupby(["label_index", "kind"]):
        assert within_bound(stratum, {"train": 0.5, "calibration": 0.2, "test": 0.3})


@pytest.mark.parametrize("seed", range(40))
def test_defects_are_divided_between_calibration_and_test(seed: int) -> None:
    rows = table(120, label_index=[0] * 100 + [1] * 20)
    done = split_table(rows, 0.2, 0.3, seed)
    assert set(counts(done, 1)) == {"calibration", "test"}
    assert within_bound(done[done["label_index"] == 0], {"train": 0.5, "calibration": 0.2, "test": 0.3})
    assert within_bound(done[done["label_index"] == 1], {"calibration": 0.4, "test": 0.6})
    done = split_table(rows, 0.2, 0.3, seed, defects_in_train=True)
    assert set(counts(done, 1)) == {"train", "calibration", "test"}
    assert within_bound(done[done["label_index"] == 1], {"train": 0.5, "calibration": 0.2, "test": 0.3})


@pytest.mark.parametrize("seed", range(10))
def test_groups_with_defects_avoid_the_train_split(seed: int) -> None:
    """Training would not use a defective image, and neither would anyone else."""
    rows = table(120, label_index=[0, 0, 0, 1] * 10 + [0] * 80, group=[f"g{index // 4}" for index in range(120)])
    done = split_table(rows, 0.2, 0.3, seed)
    assert set(counts(done, 1)) == {"calibration", "test"}
    clean = done[done.groupby("group")["label_index"].transform("max") == 0]
    assert within_bound(clean, {"train": 0.5, "calibration": 0.2, "test": 0.3})
    assert within_bound(done.drop(clean.index), {"calibration": 0.4, "test": 0.6})


def test_where_every_group_has_defects_training_gets_some_all_the_same() -> None:
    rows = table(80, label_index=[0, 0, 0, 1] * 20, group=[f"g{index // 4}" for index in range(80)])
    assert counts(split_table(rows, 0.2, 0.3, 0), 0)["train"] >= 12


def test_supplied_splits_are_not_touched() -> None:
    supplied = ["train"] * 50 + ["calibration"] * 10 + ["test"] * 40
    rows = table(100, split=supplied, label_index=[0] * 80 + [1] * 20)
    assert split_table(rows, 0.2, 0.3, 0)["split"].tolist() == supplied


@pytest.mark.parametrize(("source", "other"), [("train", "test"), ("test", "train")])
def test_a_missing_calibration_split_is_carved_from_one_and_leaves_the_other_whole(source: str, other: str) -> None:
    rows = table(
        130,
        split=["train"] * 60 + ["test"] * 70,
        label_index=[0] * 90 + [1] * 40,
        group=[f"g{index // 2}" for index in range(130)],
    )
    done = split_table(rows, 0.2, 0.3, 0, calibration_from=source)
    before = rows["split"]
    assert (done["split"][before == other] == other).all()
    assert set(done["split"][before == source]) == {source, "calibration"}
    assert_no_group_is_cut(done)
    for label in set(rows["label_index"][before == source]):
        carved = done[(before == source) & (rows["label_index"] == label)]
        assert within_bound(carved, {source: 0.8, "calibration": 0.2})


def test_rows_without_a_split_follow_their_group() -> None:
    rows = table(
        40,
        split=["train", "", "test", ""] * 2 + [""] * 32,
        group=["a", "a", "b", "b"] * 2 + [f"g{index}" for index in range(32)],
    )
    done = split_table(rows, 0.25, 0.25, 0)
    assert_no_group_is_cut(done)
    assert done["split"][:8].tolist() == ["train", "train", "test", "test"] * 2
    assert within_bound(done[8:], {"train": 0.5, "calibration": 0.25, "test": 0.25})


def test_a_test_split_alone_stays_a_test_split() -> None:
    rows = table(10, split=["test"] * 10)
    assert (split_table(rows, 0.2, 0.3, 0)["split"] == "test").all()


@pytest.mark.parametrize("shares", [(-0.1, 0.3), (0.2, -0.3), (0.6, 0.5), (1.1, 0.0)])
def test_impossible_shares_are_refused(shares: tuple[float, float]) -> None:
    with pytest.raises(DataError, match=f"at most 1 together, but found {shares[0]} and {shares[1]}"):
        split_table(table(10), *shares, 0)


def deviation(
    share_GS: npt.NDArray[np.float64], wanted_KS: npt.NDArray[np.float64], choice_G: npt.NDArray[Any]
) -> float:
    got_KS = np.stack([share_GS[choice_G == split].sum(axis=0) for split in range(len(wanted_KS))])
    return float(((got_KS - wanted_KS) ** 2).sum())


def test_of_all_assignments_the_greedy_one_is_among_the_best() -> None:
    wanted_KS, rng, ranks = np.array([[0.6, 0.2], [0.4, 0.8]]), np.random.default_rng(0), []
    for seed in range(12):
        count_GS = rng.integers(1, 7, (8, 2)).astype(float)
        share_GS = count_GS / count_GS.sum(axis=0)
        every = [deviation(share_GS, wanted_KS, np.array(choice)) for choice in product(range(2), repeat=8)]
        greedy = deviation(share_GS, wanted_KS, assign_groups(count_GS, wanted_KS, seed))
        ranks.append(np.mean(np.array(every) < greedy))
    assert np.mean(ranks) < 0.1


def test_groups_that_hold_the_same_file_are_joined() -> None:
    table = pd.DataFrame(
        {
            "group": ["a", "a", "b", "b", "c", "d", "e"],
            "sha256": ["1", "2", "2", "3", "3", "4", "5"],
        }
    )
    assert join_copies(table).tolist() == ["a", "a", "a", "a", "a", "d", "e"]


def test_tables_without_copies_keep_their_groups() -> None:
    table = pd.DataFrame({"group": ["x", "y", "x"], "sha256": ["1", "2", "3"]})
    assert join_copies(table).tolist() == ["x", "y", "x"]


def fold_rows() -> pd.DataFrame:
    """60 groups of three images; a fifth of the groups is defective; the data brings splits of its own."""
    rows = [
        {"image_path": f"{g}_{i}.png", "name": f"{g}_{i}.png", "label_index": int(g % 5 == 0), "group": f"g{g:02}",
         "split": "test" if g > 40 else "train", "kind": "ab"[g % 2]}
        for g in range(60) for i in range(3)
    ]  # fmt: skip
    return complete_table(pd.DataFrame(rows))


@pytest.mark.parametrize("folds", [2, 5])
def test_every_picture_is_tested_in_one_fold_and_no_group_is_cut(folds: int) -> None:
    tested: list[str] = []
    for fold in range(1, folds + 1):
        table = fold_table(fold_rows(), folds, fold, 0.2, seed=3)
        assert table.groupby("group")["split"].nunique().max() == 1
        assert set(table["split"]) == {"train", "calibration", "test"}
        test = table[table["split"] == "test"]
        assert 0.1 < test["label_index"].mean() < 0.3  # groups are whole: 2 or 3 of 12 defective ones in five folds
        good = table[table["label_index"] == 0]
        assert (good["split"] == "calibration").mean() == pytest.approx(0.2, abs=0.06)
        assert not ((table["split"] == "train") & (table["label_index"] == 1)).any()
        tested += test["name"].tolist()
    assert sorted(tested) == sorted(fold_rows()["name"])


def test_folds_depend_on_the_seed_alone_and_share_defects_where_asked() -> None:
    rows = fold_rows()
    first = fold_table(rows, 3, 1, 0.2, seed=0)
    shuffled = fold_table(rows.sample(frac=1, random_state=1), 3, 1, 0.2, seed=0).sort_values("name", ignore_index=True)
    assert first["split"].tolist() == shuffled["split"].tolist()
    assert first["split"].tolist() != fold_table(rows, 3, 1, 0.2, seed=1)["split"].tolist()
    spread = fold_table(rows, 3, 1, 0.2, seed=0, defects_in_train=True)
    assert ((spread["split"] == "train") & (spread["label_index"] == 1)).any()


@pytest.mark.parametrize(
    ("folds", "fold", "share", "message"),
    [
        (1, 1, 0.2, "at least 2"),
        (5, 0, 0.2, "found 0 of 5"),
        (5, 6, 0.2, "found 6 of 5"),
        (61, 1, 0.2, "at least as many groups as folds, but found 60"),
        (2, 1, 0.6, "at most 0.5 beside one of 2 folds"),
    ],
)
def test_folds_that_cannot_be_are_refused(folds: int, fold: int, share: float, message: str) -> None:
    with pytest.raises(DataError, match=message):
        fold_table(fold_rows(), folds, fold, share, seed=0)


def test_most_sets_are_far_nearer_to_what_was_asked_than_the_bound() -> None:
    """Of many sets, 19 in 20 lie within two standard deviations, as lots do."""
    rng, far = np.random.default_rng(0), []
    for seed in range(300):
        count = int(rng.integers(40, 200))
        done = split_table(table(count, label_index=[0] * count), 0.2, 0.3, seed)
        far += [
            abs((done["split"] == name).sum() - part * count) / np.sqrt(part * (1 - part) * count)
            for name, part in {"train": 0.5, "calibration": 0.2, "test": 0.3}.items()
        ]
    assert 0.93 <= np.mean(np.array(far) <= 2) <= 0.98
    assert np.median(far) < 0.8
