"""Splits that never cut a group, and that images which are added later do not move: see ``stable`` and docs/splits.md.

Folds, of which there is one for every image, are balanced over labels and kinds instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from datamodules.errors import DataError
from datamodules.table import CALIBRATION, DEFECTIVE, TEST, TRAIN, UNASSIGNED

from .stable import draw, keep_floors, places

if TYPE_CHECKING:
    from collections.abc import Mapping


def split_table(
    table: pd.DataFrame,
    calibration_share: float,
    test_share: float,
    seed: int,
    *,
    defects_in_train: bool = False,
    calibration_from: str = TRAIN,
    borrowed: Mapping[str, str] | None = None,
) -> pd.DataFrame:
    """Give every row a split. What was supplied is respected; only what is missing is decided here.

    * Nothing supplied: all rows are divided into train, calibration and test.
    * Some supplied: rows without a split follow the rest of their group where it has one; the others are divided.
    * Train and test supplied: calibration is carved from ``calibration_from``, the other one stays whole.

    A group draws its split by itself, from the seed and its key (see ``keys_of``): whatever is added, it stays. Of two
    exceptions, one is for groups with defects, which avoid the train split (see ``_without_use``), and one for sets so
    small that a split would be left empty (see ``stable.keep_floors``): what it borrows, ``borrowed`` keeps there.

    Args:
        table: A complete sample table, surveyed or not.
        calibration_share: Of the good images (of the rows to carve from, where test was supplied), in [0, 1].
        test_share: Of the good images, in [0, 1].
        seed: Decides everything that chance decides.
        defects_in_train: Spread defective images over all three splits (supervised models need them); by default they
            are divided between calibration and test.
        calibration_from: ``"train"`` or ``"test"``.
        borrowed: Keys (see ``keys_of``) of groups that splits borrowed while the set was smaller, with the split in
            which they stay.

    Returns:
        The table; ``attrs["borrowed"]`` holds the same of now, what was given and still matters included, and
        ``attrs["borrowed_groups"]`` the names of these groups.

    Raises:
        DataError: The shares are negative or more than the whole.
    """
    if calibration_share < 0 or test_share < 0 or calibration_share + test_share > 1:
        raise DataError(
            "Expected data.calibration_share and data.test_share to be at least 0 and at most 1 together, "
            f"but found {calibration_share} and {test_share}."
        )
    keys = keys_of(table)
    table = table.copy()
    table["group"] = join_copies(table) if "sha256" in table else table["group"]
    table["split"] = follow_groups(table)
    undecided = table["split"] == UNASSIGNED
    if undecided.any():
        shares = {
            TRAIN: 1 - calibration_share - test_share,
            CALIBRATION: calibration_share,
            TEST: test_share,
        }
        _draw(table, undecided, keys, shares, {TRAIN} if not defects_in_train else set(), seed, borrowed or {})
    elif CALIBRATION not in set(table["split"]):
        shares = {calibration_from: 1 - calibration_share, CALIBRATION: calibration_share}
        _draw(table, table["split"] == calibration_from, keys, shares, set(), seed, borrowed or {})
    return table


def keys_of(table: pd.DataFrame) -> pd.Series:
    """Return what a row's draw depends on: the name of its group; of an image on its own, what is in the file.

    So images may be renamed and moved to other folders, as long as no group tells of them. Keys of groups sort before
    those of images: where copies join some, the smallest is that of a group.
    """
    own = table["group"] == table["name"]
    content = table["sha256"] if "sha256" in table else table["name"]
    return ("image " + content.astype(str)).where(own, "group " + table["group"])


def _draw(
    table: pd.DataFrame,
    rows: pd.Series,
    keys: pd.Series,
    shares: Mapping[str, float],
    no_defects: set[str],
    seed: int,
    borrowed: Mapping[str, str],
) -> None:
    """Let the groups of the marked rows draw, in place; groups of no use to splits in ``no_defects`` avoid them."""
    part = table.loc[rows]
    if part.empty:
        return
    groups, group_of_row = np.unique(part["group"].to_numpy(dtype=str), return_inverse=True)
    key_of_group = keys[rows].groupby(part["group"]).min()[groups].tolist()
    defective_G, good_G = (
        np.bincount(group_of_row, weights=marked, minlength=len(groups)).astype(np.float64)
        for marked in (part["label_index"] == DEFECTIVE, part["label_index"] != DEFECTIVE)
    )
    avoid_G = _without_use(defective_G, good_G) if no_defects else defective_G > 0
    places_GK = places(key_of_group, list(shares), seed)
    held_G = np.array(
        [list(shares).index(borrowed[key]) if borrowed.get(key) in shares else -1 for key in key_of_group]
    )
    drawn_G, choice_G = np.zeros(len(groups), dtype=np.intp), np.zeros(len(groups), dtype=np.intp)
    scarce_G = np.zeros(len(groups), dtype=np.bool_)  # too few for every split: what comes must not find them free
    for defective, chosen_G in ((False, ~avoid_G), (True, avoid_G)):
        share_K = np.array([_share(shares, split, no_defects, defective=defective) for split in shares])
        if not share_K.any():  # nothing but training is asked for: there they are, and training leaves them aside
            share_K = np.array([float(split in no_defects) for split in shares])
        drawn_G[chosen_G] = choice_C = draw(places_GK[chosen_G], share_K)
        held_C = held_G[chosen_G]
        stay_C = (held_C >= 0) & (share_K[held_C] > 0)
        scarce_G[chosen_G] = len(choice_C) < np.count_nonzero(share_K)
        choice_C = np.where(stay_C, held_C, choice_C)
        keep_floors(choice_C, places_GK[chosen_G], share_K, stay_C)
        choice_G[chosen_G] = choice_C
    fill_empty(choice_G, good_G, np.array([share > 0 for share in shares.values()]))
    moved_G = choice_G != drawn_G
    table.attrs["borrowed"] = {
        key_of_group[group]: list(shares)[choice_G[group]] for group in np.flatnonzero(moved_G | scarce_G).tolist()
    }
    table.attrs["borrowed_groups"] = groups[moved_G].tolist()
    table.loc[rows, "split"] = np.array(list(shares), dtype=object)[choice_G[group_of_row]]


def _without_use(defective_G: npt.NDArray[np.float64], good_G: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell which groups are to avoid the train split, where defects are not learnt from.

    Those with nothing but defects; and all that have any, unless half of the good images lie in such groups, as in
    arrays and scans, each of which has its defects: training could not do without them.
    """
    mixed_G: npt.NDArray[np.bool_] = defective_G > 0
    if 2 * good_G[mixed_G].sum() > good_G.sum():
        return np.equal(good_G, 0)
    return mixed_G


def fold_table(
    table: pd.DataFrame,
    folds: int,
    fold: int,
    calibration_share: float,
    seed: int,
    *,
    defects_in_train: bool = False,
) -> pd.DataFrame:
    """Give every row a split for one fold of a cross-validation; every row is tested in exactly one of the folds.

    Splits that were supplied play no part: all rows are divided anew, groups whole, labels and kinds in proportion.

    Args:
        table: A complete sample table.
        folds: K, at least 2.
        fold: Which of them is tested, from 1 to K.
        calibration_share: Of the good images, all of them; taken from those that are not tested.
        seed: Decides the folds, and what is calibrated on in each.
        defects_in_train: As in `split_table`.

    Raises:
        DataError: There is no such fold, there are fewer groups than folds, or too little is left to train on.
    """
    if folds < 2 or not 1 <= fold <= folds:
        raise DataError(f"Expected data.fold to be from 1 to data.folds (at least 2), but found {fold} of {folds}.")
    if (groups := table["group"].nunique()) < folds:
        raise DataError(f"Expected at least as many groups as folds, but found {groups} for data.folds={folds}.")
    if calibration_share < 0 or calibration_share + 1 / folds > 1:
        raise DataError(
            f"Expected data.calibration_share to be at least 0 and at most {1 - 1 / folds:.3g} beside one of {folds} "
            f"folds, but found {calibration_share}."
        )
    table = table.copy()
    everywhere = pd.Series(data=True, index=table.index)
    shares = {f"fold {number}": 1 / folds for number in range(1, folds + 1)}
    _assign(table, everywhere, shares, set(), seed)
    tested = table["split"] == f"fold {fold}"
    table.loc[tested, "split"] = TEST
    rest = calibration_share / (1 - 1 / folds)
    _assign(table, ~tested, {TRAIN: 1 - rest, CALIBRATION: rest}, set() if defects_in_train else {TRAIN}, seed + fold)
    return table


def join_copies(table: pd.DataFrame) -> pd.Series:
    """Return the groups of a surveyed table, joined wherever they hold the same file: a copy must not be in two splits.

    Joined groups take the name that sorts first.
    """
    group = table["group"]
    while True:
        by_file = group.groupby(table["sha256"]).transform("min")
        joined = by_file.groupby(table["group"]).transform("min")
        if joined.equals(group):
            return group
        group = joined


def follow_groups(table: pd.DataFrame) -> pd.Series:
    """Return the splits of a table, where rows without one take that of the first row of their group that has one."""
    supplied = table[table["split"] != UNASSIGNED].drop_duplicates("group")
    split_of_group = dict(zip(supplied["group"], supplied["split"], strict=True))
    followed = [split_of_group.get(group, UNASSIGNED) for group in table["group"]]
    return table["split"].where(table["split"] != UNASSIGNED, pd.Series(followed, index=table.index, dtype="str"))


def _assign(table: pd.DataFrame, rows: pd.Series, shares: Mapping[str, float], no_defects: set[str], seed: int) -> None:
    """Divide the marked rows, in place, by ``shares``; splits in ``no_defects`` want no defective image."""
    part = table.loc[rows]
    if part.empty:
        return
    groups, group_of_row = np.unique(part["group"].to_numpy(dtype=str), return_inverse=True)
    strata, stratum_of_row = np.unique(
        (part["label_index"].astype(str) + "/" + part["kind"]).to_numpy(dtype=str), return_inverse=True
    )
    count_GS = np.zeros((len(groups), len(strata)))
    np.add.at(count_GS, (group_of_row, stratum_of_row), 1)
    wanted_KS = np.array(
        [
            [_share(shares, split, no_defects, defective=name.startswith(f"{DEFECTIVE}/")) for name in strata]
            for split in shares
        ]
    )
    choice_G = assign_groups(count_GS, wanted_KS, seed)
    good_S = np.array([not name.startswith(f"{DEFECTIVE}/") for name in strata])
    fill_empty(choice_G, count_GS[:, good_S].sum(axis=1), wanted_KS[:, good_S].sum(axis=1) > 0)
    table.loc[rows, "split"] = np.array(list(shares), dtype=object)[choice_G[group_of_row]]


def _share(shares: Mapping[str, float], split: str, no_defects: set[str], *, defective: bool) -> float:
    if not defective:
        return shares[split]
    rest = sum(share for name, share in shares.items() if name not in no_defects)
    return 0.0 if split in no_defects or rest == 0 else shares[split] / rest


def assign_groups(
    count_GS: npt.NDArray[np.float64],
    wanted_KS: npt.NDArray[np.float64],
    seed: int,
) -> npt.NDArray[np.intp]:
    """Assign every group whole to one of K splits, so that each stratum is divided nearly as wanted.

    Greedy: groups with the rarest strata and the most images choose first; each goes where it leaves the smallest sum
    of squared deviations from the wanted shares, every stratum weighing the same however rare it is. A split that wants
    nothing of a stratum gets no group with any of it, as long as the other groups suffice to fill that split.

    Args:
        count_GS: Images of each stratum in each group.
        wanted_KS: Share of each stratum that each split should get; columns sum to one.
        seed: Breaks ties: it shuffles the groups before they queue.

    Returns:
        (G,) index of the split of every group.
    """
    total_S = count_GS.sum(axis=0)
    share_GS = count_GS / total_S
    order = np.random.default_rng(seed).permutation(len(count_GS))
    order = order[np.argsort(-share_GS[order].max(axis=1), kind="stable")]
    barred_GK = _barred(share_GS, wanted_KS)
    got_KS = np.zeros_like(wanted_KS)
    choice_G = np.zeros(len(count_GS), dtype=np.intp)
    for group in order:
        # Adding x to a split changes its squared deviation by x (x + 2 (got - wanted)): the rest of the sum is common.
        change_K = (share_GS[group] * (share_GS[group] + 2 * (got_KS - wanted_KS))).sum(axis=1)
        choice_G[group] = np.argmin(np.where(barred_GK[group], np.inf, change_K))
        got_KS[choice_G[group]] += share_GS[group]
    return choice_G


def fill_empty(
    choice_G: npt.NDArray[np.intp], count_G: npt.NDArray[np.float64], wanted_K: npt.NDArray[np.bool_]
) -> None:
    """Give every split that wants good images a group with some, in place, as long as there are as many groups.

    A share of 0.2 of two groups is none of them; yet nothing can be calibrated on nothing. The split with the most such
    groups hands over its smallest.

    Args:
        choice_G: Split of every group.
        count_G: Images in every group that are not defective.
        wanted_K: Which splits want any.
    """
    for split in np.flatnonzero(wanted_K):
        held_K = np.bincount(choice_G[count_G > 0], minlength=len(wanted_K))
        if held_K[split] or held_K.max(initial=0) < 2:
            continue
        lent = np.flatnonzero((choice_G == held_K.argmax()) & (count_G > 0))
        choice_G[lent[np.argmin(count_G[lent])]] = split


def _barred(share_GS: npt.NDArray[np.float64], wanted_KS: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Tell (G, K) which groups a split must not get: those with strata that it does not want, if it can do without."""
    barred_GK: npt.NDArray[np.bool_] = ((share_GS > 0).astype(float) @ (wanted_KS == 0).T.astype(float)) > 0
    for split, wanted_S in enumerate(wanted_KS):
        if (share_GS[~barred_GK[:, split]].sum(axis=0) < wanted_S - 1e-9).any():
            barred_GK[:, split] = False
    barred_GK[barred_GK.all(axis=1)] = False
    return barred_GK
