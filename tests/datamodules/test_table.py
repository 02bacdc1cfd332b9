from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import pytest

from datamodules.errors import DataError
from datamodules.table import complete_table, content_hash, count_by_split, limit_table, read_table

if TYPE_CHECKING:
    from pathlib import Path


def rows(count: int = 6, **columns: Any) -> pd.DataFrame:
    names = [f"good/{index:03}.png" for index in range(count)]
    return pd.DataFrame(
        {"image_path": [f"/data/{name}" for name in names], "name": names, "label_index": [0] * count} | columns
    )


def surveyed(**columns: Any) -> pd.DataFrame:
    return complete_table(rows(sha256=[f"{index:064}" for index in range(6)], **columns))


def test_optional_columns_get_their_defaults() -> None:
    table = complete_table(rows())
    for column in ("split", "mask_path", "zones_path", "annotation_path", "kind", "defect"):
        assert (table[column] == "").all()
    assert (table["group"] == table["name"]).all()  # an image of no group is a group of its own
    table = complete_table(rows(group=["a", None, "", "a", np.nan, "b"], kind=[7] * 6, split="test", more=range(6)))
    assert table["group"].tolist() == ["a", "good/001.png", "good/002.png", "a", "good/004.png", "b"]
    assert table["kind"].tolist() == ["7"] * 6
    assert table["split"].tolist() == ["test"] * 6
    assert table["more"].tolist() == list(range(6))


def test_rows_are_sorted_by_name_and_the_argument_stays_as_it_was() -> None:
    given = rows(label_index=[0, 1, -1, 0, 1, 0]).sample(frac=1, random_state=0)
    before = given.copy()
    table = complete_table(given)
    assert table["name"].is_monotonic_increasing
    assert table["label_index"].tolist() == [0, 1, -1, 0, 1, 0]
    assert table.index.tolist() == list(range(6))
    pd.testing.assert_frame_equal(given, before)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows().drop(columns="label_index"), "found no label_index"),
        (pd.DataFrame(), "found no image_path"),
        (rows(label_index=[0, 1, 2, 0, 0, 0]), r"label_index to be one of -1, 0, 1, but found .*2.* for good/002\.png"),
        (rows(label_index=[0, 0.5, 0, 0, 0, 0]), r"0\.5.* for good/001\.png"),
        (rows(label_index=[0, 0, 0, 0, 0, None]), r"nan.* for good/005\.png"),
        (rows(label_index=["good"] * 6), "found 'good' for"),
        (rows(split=["train"] * 5 + ["val"]), r"split to be one of '', .*'train', but found 'val' for good/005\.png"),
        (rows(name=["x.png"] * 6), r"every picture once in the sample table, but found x\.png twice"),
    ],
)
def test_what_is_wrong_is_named(table: pd.DataFrame, message: str) -> None:
    with pytest.raises(DataError, match=message):
        complete_table(table)


def test_the_hash_is_of_content_not_of_place_or_order() -> None:
    one = surveyed()
    moved = surveyed(image_path=[f"/elsewhere/{index}.png" for index in range(6)])
    assert content_hash(one) == content_hash(moved)
    assert content_hash(one) == content_hash(one.sample(frac=1, random_state=1))
    others = [
        one.assign(sha256=["f" * 64] * 6),
        surveyed(label_index=[0, 0, 0, 0, 0, 1]),
        surveyed(split=["train"] * 6),
        surveyed(group=["a"] * 6),
        surveyed(kind=["a"] * 6),
        one[:5],
    ]
    assert len({content_hash(table) for table in [one, *others]}) == 7


def test_a_saved_table_comes_back_whole(tmp_path: Path) -> None:
    table = surveyed(
        group=["001", "1", "1.0", "nan", "None", "a, b"],
        kind=["007"] * 6,
        defect=["", "", "1e3", "ß", '"', "NA"],
        brightness=np.random.default_rng(0).random(6),
        label_index=[0, 1, -1, 0, 1, 0],
    )
    table.to_csv(tmp_path / "samples.csv", index=False)
    again = complete_table(read_table(tmp_path / "samples.csv"))
    assert content_hash(again) == content_hash(table)
    for column in ("name", "group", "kind", "defect", "label_index"):
        assert again[column].tolist() == table[column].tolist()
    np.testing.assert_allclose(again["brightness"], table["brightness"], rtol=1e-12)


def test_counts_are_by_split_and_label() -> None:
    table = complete_table(
        rows(
            label_index=[0, 0, 1, -1, 0, 1],
            split=["train", "train", "test", "train", "test", "test"],
            group=["a", "a", "b", "c", "d", "d"],
        )
    )
    counts = count_by_split(table)
    assert counts.index.tolist() == ["train", "test"]
    assert counts.loc["train"].to_dict() == {"good": 2, "defective": 0, "unknown": 1, "groups": 2}
    assert counts.loc["test"].to_dict() == {"good": 1, "defective": 2, "unknown": 0, "groups": 2}


def test_a_limit_holds_for_every_split_and_label() -> None:
    table = complete_table(rows(60, label_index=[0, 0, 1] * 20, split=["train"] * 30 + ["test"] * 30))
    few = limit_table(table, 4, seed=3)
    assert few.groupby(["split", "label_index"]).size().tolist() == [4, 4, 4, 4]
    assert few["name"].is_monotonic_increasing
    assert set(few["name"]) <= set(table["name"])
    pd.testing.assert_frame_equal(few, limit_table(table, 4, seed=3))
    assert set(few["name"]) != set(limit_table(table, 4, seed=4)["name"])
    assert len(limit_table(table, 1000, seed=0)) == 60
