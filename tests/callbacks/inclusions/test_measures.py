"""The measures of inclusions, held against literal loops as in the source, and against cases made by such loops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from callbacks.inclusions.combined import combined
from callbacks.inclusions.gaps import boxes_of, gaps
from callbacks.inclusions.market import find_areas
from callbacks.inclusions.measures import measure_map
from callbacks.inclusions.order_keys import FINAL, KEYS, order_keys
from callbacks.inclusions.ranking import decile_text, ranked
from callbacks.inclusions.spatial import normalised_spatial, raw_spatial
from datamodules.files.images import read_image
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "metallography"
MAPS = [("scan1tag-47", "03"), ("scan3tag-53", "02")]
needs_cases = pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")


def drawn_boxes(seed: int, count: int) -> tuple[Floats, Floats]:
    """Draw boxes, some of which overlap, and areas that spread over four powers of ten."""
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, [400, 600], (count, 2))
    side = rng.integers(2, 40, (count, 2))
    box_N4 = np.stack([corner[:, 0], corner[:, 0] + side[:, 0], corner[:, 1], corner[:, 1] + side[:, 1]], axis=1)
    return box_N4.astype(float), np.maximum(rng.lognormal(4, 1.2, count).round(), 4)


def literal_gap(one: Floats, other: Floats) -> float:
    """Return the distance of two boxes."""
    down = max(one[0] - other[1], other[0] - one[1], 0.0)
    aside = max(one[2] - other[3], other[2] - one[3], 0.0)
    return float((down**2 + aside**2) ** 0.5)


def literal_spatial(box_N4: Floats, area_N: Floats, k: int) -> list[float]:
    """Return raw scores by sorting all neighbours of every inclusion."""
    raw = []
    for i in range(len(area_N)):
        away = sorted(
            (area_N[i] / area_N[j]) ** 4 * max(literal_gap(box_N4[i], box_N4[j]), 1e-5)
            for j in range(len(area_N))
            if j != i
        )
        raw.append(float(area_N[i] * away[min(k, len(away)) - 1] ** 2))
    return raw


def literal_market(  # noqa: C901 - in one piece, as the source has it
    box_N4: Floats, score_N: Floats, *, moved: bool
) -> list[tuple[list[int], list[int]]]:
    """Cluster as the source does, one inclusion after the other; return cores and members of every area."""
    damp = 0.95
    order = sorted((i for i in range(len(score_N)) if score_N[i] > 0), key=lambda i: (score_N[i], i))
    clusters = [
        {"cores": [i], "inside": [i], "wallet": np.exp(np.sqrt(score_N[i] * 100)) ** 2.8} for i in order[::-1][:10]
    ]
    bids: dict[int, float] = {}
    status = -1 if clusters else 0
    while status:
        status = 0
        clusters.sort(key=lambda cluster: cluster["wallet"], reverse=True)
        for cluster in list(clusters):
            if status == 2:
                break
            best, chosen, owner = np.inf, None, None
            core = cluster["inside"][0]
            for i in sorted(set(order) - set(cluster["inside"])):
                holder = next((one for one in clusters if i in one["inside"]), None)
                both = (score_N[i] * damp) ** 0.5 * (score_N[core] * damp) ** 0.5
                price = np.exp(np.sqrt(literal_gap(box_N4[i], box_N4[core]))) ** 1.7 * (1 - both) ** 1.6
                if holder is not None and i in holder["cores"]:
                    alike = (score_N[i] * damp) ** 0.05 * (score_N[core] * damp) ** 0.05
                    price *= (1 - alike) ** 2.5 * (2 - abs(score_N[i] - score_N[core])) ** 8
                if price < best and (i not in bids or bids[i] < cluster["wallet"]):
                    best, chosen, owner = price, i, holder
            if chosen is None:
                status = 0
            elif owner is not None and chosen in owner["cores"]:
                bids[chosen] = cluster["wallet"]
                cluster["wallet"] += owner["wallet"]
                cluster["cores"] += owner["cores"]
                cluster["inside"] += owner["inside"]
                clusters = [one for one in clusters if one is not owner]
                status = 2
            elif cluster["wallet"] >= best:
                bids[chosen] = cluster["wallet"]
                cluster["wallet"] -= best
                cluster["inside"].append(chosen)
                if owner is not None and moved:
                    owner["inside"].remove(chosen)
                status = 1
            else:
                status = 0
    return [(cluster["cores"], cluster["inside"]) for cluster in clusters]


@pytest.mark.parametrize(("count", "k"), [(2, 50), (9, 3), (40, 50), (51, 50), (300, 50), (400, 10), (400, 1)])
def test_spatial_agrees_with_sorting_all_neighbours(count: int, k: int) -> None:
    box_N4, area_N = drawn_boxes(count + k, count)
    raw_N = raw_spatial(box_N4, area_N, k)
    np.testing.assert_allclose(np.log(raw_N), np.log(literal_spatial(box_N4, area_N, k)), atol=1e-9)


def test_spatial_where_all_areas_are_alike() -> None:
    box_N4, _ = drawn_boxes(5, 500)
    area_N = np.full(500, 30.0)
    np.testing.assert_allclose(
        np.log(raw_spatial(box_N4, area_N)), np.log(literal_spatial(box_N4, area_N, 50)), atol=1e-9
    )


def test_few_inclusions() -> None:
    box_N4, area_N = drawn_boxes(1, 1)
    assert raw_spatial(box_N4, area_N).tolist() == [0.0]
    assert normalised_spatial(np.zeros(1)).tolist() == [0.0]
    assert normalised_spatial(np.zeros(0)).tolist() == []
    empty = measure_map(object_table(np.zeros((9, 9), np.int32)))
    assert empty.table.empty
    assert empty.areas == []


@pytest.mark.parametrize("count", [1, 2, 5, 30, 150])
@pytest.mark.parametrize("moved", [True, False])
def test_areas_agree_with_a_literal_market(count: int, moved: bool) -> None:
    box_N4, area_N = drawn_boxes(count, count)
    rng = np.random.default_rng(count)
    score_N = combined(normalised_spatial(raw_spatial(box_N4, area_N)), rng.uniform(0, 1, count) ** 2)
    found = find_areas(box_N4, score_N, mode="serial" if moved else "source")
    expected = literal_market(box_N4, score_N, moved=moved)
    assert [(area.cores, area.members) for area in found] == expected


def test_areas_share_no_inclusion_in_the_default() -> None:
    box_N4, area_N = drawn_boxes(8, 400)
    score_N = normalised_spatial(raw_spatial(box_N4, area_N))
    found = find_areas(box_N4, score_N)
    members = [member for area in found for member in area.members]
    assert len(members) == len(set(members)) > 20


def test_gaps_of_boxes() -> None:
    box_N4, _ = drawn_boxes(4, 60)
    expected = [[literal_gap(one, other) for other in box_N4] for one in box_N4]
    np.testing.assert_allclose(gaps(box_N4, box_N4), expected, atol=1e-12)


def test_order_keys_of_a_single_member() -> None:
    box_N4, area_N = drawn_boxes(2, 3)
    keys = order_keys([1], box_N4, area_N, np.array([0.1, 0.5, 0.2]))
    assert list(keys) == list(KEYS)
    assert keys["diameter"] == keys[FINAL] == keys["area_sum_mult_diameter"] == 0
    quotients = ("amount_div_diameter", "sum_div_diameter", "area_sum_div_diameter", "amount_mult_diameter")
    assert [keys[name] for name in quotients] == [-1] * 4


def test_deciles_are_open_below_and_closed_above() -> None:
    found = ranked(np.arange(1, 11, dtype=float))
    assert found.rank_A.tolist() == list(range(10, 0, -1))
    assert found.decile_A.tolist() == list(range(1, 11))
    assert ranked(np.full(4, 2.0)).decile_A.tolist() == [1] * 4
    assert ranked(np.zeros(0)).rank_A.tolist() == []


@needs_cases
@pytest.mark.parametrize("case", ["04_spatial_60.json", "05_spatial_8.json"])
def test_spatial_cases(case: str) -> None:
    given = json.loads((CASES / case).read_text())
    raw_N = raw_spatial(np.array(given["boxes"], float), np.array(given["areas"], float))
    np.testing.assert_allclose(np.log(raw_N), np.log(given["raw"]), atol=1e-9)
    np.testing.assert_allclose(normalised_spatial(raw_N), given["spatial"], atol=1e-9)


@needs_cases
def test_shape_cases() -> None:
    for given in json.loads((CASES / "06_shapes.json").read_text()):
        table = object_table(np.array([[dot == "#" for dot in row] for row in given["rows"]], np.int32))
        assert table["area"].tolist() == [given["area"]]
        assert table["circle_score"].tolist() == pytest.approx([given["score_corners"]], abs=1e-9)
        assert table["circle_score_centres"].tolist() == pytest.approx([given["score_centres"]], abs=1e-9)


@needs_cases
@pytest.mark.parametrize(("name", "case"), MAPS)
def test_measures_of_real_maps(shared_data: Path, name: str, case: str) -> None:
    table = object_table(object_labels(read_image(shared_data / "metallography" / "inclusion_maps" / f"{name}.png")))
    expected = pd.read_csv(CASES / f"{case}_measures_{name}.csv")
    raw_N = raw_spatial(boxes_of(table), table["area"].to_numpy(float))
    seen = expected["spatial_raw"] > 1e-6  # the file keeps nine decimals
    assert seen.mean() > 0.9
    # Within 1e-5, as far as nine decimals of a small number can tell.
    rounding = 1e-5 + 0.5e-9 / expected["spatial_raw"][seen]
    assert (np.abs(np.log(raw_N[seen]) - np.log(expected["spatial_raw"][seen])) <= rounding).all()
    for mode, kind in (("default", "corners"), ("source", "centres")):
        measured = measure_map(table, mode=mode).table  # type: ignore[arg-type]
        np.testing.assert_allclose(measured["spatial"], expected["spatial"], atol=1e-8)
        np.testing.assert_allclose(measured["shape"], expected[f"shape_{kind}"], atol=1e-8)
        np.testing.assert_allclose(measured["combined"], expected[f"combined_{kind}"], atol=1e-8)


@needs_cases
@pytest.mark.parametrize(("name", "case"), MAPS)
def test_areas_of_real_maps(shared_data: Path, name: str, case: str) -> None:
    table = object_table(object_labels(read_image(shared_data / "metallography" / "inclusion_maps" / f"{name}.png")))
    given = json.loads((CASES / f"{case}_areas_{name}.json").read_text())
    label_N, box_N4, area_N = table["label"].to_numpy(), boxes_of(table), table["area"].to_numpy(float)
    for kind, expected in given.items():
        mode = "default" if "corners" in kind else "source"
        score_N = measure_map(table, mode=mode).table["combined"].to_numpy()  # type: ignore[arg-type]
        found = find_areas(box_N4, score_N, mode=kind.split("/")[1])
        keys = [order_keys(area.members, box_N4, area_N, score_N) for area in found]
        best_first = sorted(range(len(found)), key=lambda index: keys[index][FINAL], reverse=True)
        assert len(found) == len(expected)
        for index, area in zip(best_first, expected, strict=True):
            assert sorted(label_N[found[index].members]) == sorted(area["members"])
            assert label_N[found[index].cores].tolist() == area["cores"]
            assert found[index].wallet == pytest.approx(area["wallet"], rel=1e-5)
            assert keys[index] == pytest.approx(area["order_keys"], rel=1e-5)


@needs_cases
def test_published_areas_are_met(shared_data: Path) -> None:
    table = object_table(
        object_labels(read_image(shared_data / "metallography" / "inclusion_maps" / "scan1tag-47.png"))
    )
    published = pd.read_csv(CASES / "03b_published_areas_scan1tag-47.csv").groupby("published_area")["label"].apply(set)
    found = [set(table["label"].iloc[list(area.members)]) for area in measure_map(table).areas]
    overlap = sorted((max(len(one & other) / len(one | other) for other in found) for one in published), reverse=True)
    assert overlap[4] >= 0.7


@needs_cases
def test_order_case() -> None:
    given = json.loads((CASES / "07_order_across_scans.json").read_text())
    value_A = np.array([value for values in given["scores"].values() for value in values])
    found = ranked(value_A)
    for index, row in zip(np.argsort(found.rank_A), given["order"], strict=True):
        assert value_A[index] == row["score"]
        assert found.normalised_A[index] == pytest.approx(row["normalised"], abs=1e-12)
        assert decile_text(int(found.decile_A[index])) == row["percentile_range"]
