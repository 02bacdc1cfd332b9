"""The layered sorter on drawn arrays, whose truth is known, and on real ones, whose labels were checked by eye."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd
import pytest

from datamodules.arrays.mosaic import lay_together
from datamodules.files.images import read_image
from datamodules.synthetic import meta_atom
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.meta_atom_array import Flaw, Layout, draw_array, scatter
from models.sorter.cells import cells_of_image, cells_of_tiles
from models.sorter.judging import TooFewCellsError
from models.sorter.layers import classes_of
from models.sorter.seams import find_seams
from models.sorter.seed_layers import reflected_levels, sort_by_clusters
from models.sorter.sorting import SortedArray, sort_array

Tiles = dict[tuple[int, int], npt.NDArray[Any]]
CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "meta_atom"


def drawn(seed: int, group: int, share: float, least: float = 0.4) -> tuple[Tiles, list[str]]:
    rng = np.random.default_rng([seed, group])
    tiles, truth = {}, []
    for slot in range(20):
        defect = str(rng.choice(meta_atom.DEFECTS)) if rng.random() < share else None
        severity = float(rng.uniform(least, 1)) if defect else 0.0
        drawing = meta_atom.draw(Identity(seed, "meta_atom", group, slot), 64, defect, severity)
        tiles[slot // 5 + 1, slot % 5 + 1] = drawing.image
        truth.append(defect or "good")
    return tiles, truth


def sort_tiles(tiles: Tiles) -> SortedArray:
    return sort_array(cells_of_tiles("drawn", tiles), features=False)


def classes(tiles: Tiles) -> list[str]:
    return [str(name).lower() for name in sort_tiles(tiles).table["class"]]


def scores(truth: list[str], found: list[str]) -> dict[str, float]:
    table = pd.DataFrame({"truth": truth, "found": found})
    said = {}
    for name in ("good", *meta_atom.DEFECTS):
        both = int(((table["truth"] == name) & (table["found"] == name)).sum())
        said[name] = 2 * both / max(int((table["truth"] == name).sum() + (table["found"] == name).sum()), 1)
    return said


@pytest.mark.parametrize("group", range(900, 912))
def test_a_perfect_array_yields_nothing(group: int) -> None:
    assert Counter(classes(drawn(5, group, 0.0)[0])) == {"good": 20}


def test_planted_defects_are_sorted() -> None:
    truth, found = [], []
    for group in range(950, 962):
        tiles, names = drawn(6, group, 0.25)
        truth += names
        found += classes(tiles)
    f1 = scores(truth, found)
    assert min(f1["missing"], f1["collapsed"], f1["stitching"]) >= 0.85
    assert f1["irregular"] >= 0.6
    assert not any(name == "good" and said != "good" for name, said in zip(truth, found, strict=True))


@pytest.mark.slow
def test_the_cases_of_drawn_arrays() -> None:
    if not CASES.is_dir():
        pytest.skip("needs the cases in ../shared")
    said = {}
    for name in ("clean", "planted"):
        truth, found = [], []
        for _, rows in pd.read_csv(CASES / f"10_drawn_arrays_{name}.csv", keep_default_na=False).groupby("group"):
            tiles = {}
            for row in rows.to_dict("records"):
                identity = Identity(int(row["drawing_seed"]), "meta_atom", int(row["group"]), int(row["slot"]))
                drawing = meta_atom.draw(identity, 64, row["defect"] or None, float(row["severity"]))
                tiles[int(row["row"]), int(row["col"])] = drawing.image
                truth.append(row["defect"] or "good")
            found += classes(tiles)
        said[name] = scores(truth, found)
        if name == "clean":
            assert sum(one != "good" for one in found) <= 3
    f1 = said["planted"]
    assert f1["missing"] >= 0.97
    assert f1["collapsed"] >= 0.97
    assert f1["stitching"] >= 0.85
    assert f1["irregular"] >= 0.6
    assert np.mean(list(f1.values())) >= 0.88


def test_a_row_of_few_cells_is_refused() -> None:
    tiles, _ = drawn(5, 1, 0.0)
    with pytest.raises(TooFewCellsError, match=r"at least 6 cells in array drawn.* but found 4"):
        sort_tiles({place: tile for place, tile in tiles.items() if place[0] == 1 and place[1] < 5})


def test_places_without_a_tile_are_left_out() -> None:
    tiles, _ = drawn(5, 2, 0.0)
    del tiles[2, 3]
    table = sort_tiles(tiles).table
    assert len(table) == 19
    assert not ((table["row"] == 2) & (table["col"] == 3)).any()


def whole_array(rows: int, columns: int, pitch: int, seed: int) -> npt.NDArray[np.uint8]:
    """Draw discs with a dark rim in uneven light, all of them good."""
    rng = np.random.default_rng(seed)
    height, width = round((rows + 0.6) * pitch), round((columns + 0.6) * pitch)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    scene = np.full((height, width), 120.0)
    for row, column in np.ndindex(rows, columns):
        middle = (np.array([row, column]) + 0.8) * pitch + rng.normal(0, 0.3, 2)
        distance = np.hypot(y - middle[0], x - middle[1])
        radius = 0.28 * pitch * rng.uniform(0.98, 1.02)
        scene -= 30 * np.exp(-(((distance - radius) / 2.0) ** 2)) + 10 * np.clip(radius - distance + 0.5, 0, 1)
    light = 0.85 + 0.3 * x / width
    noisy = cv2.GaussianBlur(scene * light, (0, 0), 1.0) + rng.normal(0, 2, scene.shape)
    return np.asarray(noisy.clip(0, 255).astype(np.uint8))


@pytest.mark.parametrize("seed", range(2))
def test_a_perfect_picture_yields_nothing_and_its_grid_is_found(seed: int) -> None:
    cells = cells_of_image("whole", whole_array(12, 15, 40, seed))
    found = sort_array(cells, features=False)
    assert found.shape == (12, 15)
    assert found.counts["good"] == 180
    assert found.seams == ()


def test_defects_and_seams_of_a_picture_are_found() -> None:
    picture = whole_array(12, 15, 40, 3)
    hole, fallen = (slice(4 * 40 + 12, 4 * 40 + 52), slice(6 * 40 + 12, 6 * 40 + 52)), (9 * 40 + 32, 3 * 40 + 32)
    picture[hole] = picture[4 * 40 + 12 : 4 * 40 + 52, 6 * 40 + 10 : 6 * 40 + 12].mean().astype(np.uint8)
    cv2.circle(picture, fallen[::-1], 13, 40, -1)
    seam = 9 * 40 + 30
    picture[:, seam:] = np.clip(np.roll(picture[:, seam:], 3, axis=0).astype(int) + 12, 0, 255).astype(np.uint8)
    found = sort_array(cells_of_image("whole", picture, (12, 15)), features=False)
    named = {(int(row["row"]), int(row["col"])): row["class"] for row in found.table.to_dict("records")}
    assert named[5, 7] == "Missing"
    assert named[10, 4] == "Collapsed"
    assert len(found.seams) == 1
    assert found.seams[0].upright
    assert found.seams[0].place == pytest.approx(seam, abs=1)
    crossed = [place for place, name in named.items() if name == "Stitching"]
    assert len(crossed) == 12
    assert {column for _, column in crossed} == {10}


@pytest.mark.parametrize("group", [3, 7])
@pytest.mark.parametrize(
    "layout",
    [Layout(7, 8), Layout(6, 7, lattice="hexagonal"), Layout(7, 7, angle=7), Layout(7, 8, contrast="sem")],
    ids=["square", "hexagonal", "turned", "electron microscope"],
)
def test_cells_have_their_pillars_in_the_middle_however_one_sided_the_light(layout: Layout, group: int) -> None:
    drawing = draw_array(Identity(303, "meta_atom", group, 0), layout)
    cells = cells_of_image("drawn", drawing.image, (layout.rows, layout.columns))
    assert np.hypot(*np.median(cells.centre_N2 - drawing.centre_N2, axis=0)) < 0.03 * layout.pitch


def test_neighbours_of_a_seam_that_is_not_theirs_are_good() -> None:
    layout = Layout(7, 7, lattice="hexagonal")
    flaws = {(4, 3): Flaw("stitching", 1.0), (2, 6): Flaw("stitching", 0.9)}
    drawing = draw_array(Identity(303, "meta_atom", 6, 0), layout, flaws)
    table = sort_array(cells_of_image("drawn", drawing.image, (7, 7)), features=False).table
    found = table[table["class"] != "good"]
    assert dict(zip(zip(found["row"], found["col"], strict=True), found["class"], strict=True)) == {
        (4, 3): "Stitching",
        (2, 6): "Stitching",
    }


@pytest.mark.parametrize("group", range(2))
def test_seams_and_irregular_pillars_are_told_apart_under_an_electron_microscope(group: int) -> None:
    layout = Layout(8, 8, pitch=46, aspect=1.25, contrast="sem")
    identity = Identity(811, "meta_atom", group, 0)
    flaws = scatter(identity, layout, 0.4, {"stitching": (0.5, 1.0), "irregular": (0.5, 1.0)})
    table = sort_array(cells_of_image("drawn", draw_array(identity, layout, flaws).image), features=False).table
    found = dict(zip(zip(table["row"], table["col"], strict=True), table["class"].str.lower(), strict=True))
    assert len(table) == 64
    wrong = [place for place, flaw in flaws.items() if found[place] != flaw.defect]
    assert len(wrong) <= 1
    assert all(name == "good" for place, name in found.items() if place not in flaws)


def test_light_that_falls_off_to_one_side_makes_no_defects_at_the_edges() -> None:
    drawing = draw_array(Identity(22, "meta_atom", 4, 0), Layout(10, 12, pitch=46))
    height, width = drawing.image.shape[:2]
    light = np.linspace(0.35, 1.0, width)[None, :, None] * np.linspace(0.8, 1.0, height)[:, None, None]
    found = sort_array(cells_of_image("drawn", (drawing.image * light).astype(np.uint8)), features=False)
    assert found.counts["good"] == 120


@pytest.mark.parametrize("group", range(3))
def test_edges_of_pillars_in_two_rows_are_no_seams(group: int) -> None:
    drawing = draw_array(Identity(34, "meta_atom", group, 0), Layout(2, 20))
    found = sort_array(cells_of_image("drawn", drawing.image), features=False)
    assert found.seams == ()
    assert found.counts["good"] == 40


def test_a_pillar_that_is_moved_is_not_missing() -> None:
    score = np.array([[1.4, 0, 1.7, 1.2], [1.4, 0, 1.7, 0.4], [2.9, 0, 1.7, 1.2], [1.4, 1.1, 0, 0], [0.2, 0, 0, 1.0]])
    assert classes_of(score).tolist() == ["Stitching", "Missing", "Missing", "Collapsed", "Irregular"]


def test_blocks_of_a_jpeg_are_no_seams() -> None:
    picture = whole_array(12, 15, 40, 4)
    _, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 60])
    again = np.asarray(cv2.imdecode(encoded, cv2.IMREAD_GRAYSCALE), np.float32)
    assert find_seams(again, 40.0) == []


def test_tiles_that_overlap_are_laid_together() -> None:
    picture = whole_array(6, 7, 40, 5)
    top, left = [0, 36, 76, 116, 156, 196], [0, 36, 76, 116, 156, 196, 236]
    tiles = {(r + 1, c + 1): picture[y : y + 52, x : x + 52] for r, y in enumerate(top) for c, x in enumerate(left)}
    mosaic = lay_together(tiles)
    assert mosaic is not None
    assert (mosaic.top, mosaic.left) == (top, left)
    np.testing.assert_array_equal(mosaic.image, picture[: top[-1] + 52, : left[-1] + 52])
    assert lay_together({place: tile + np.uint8(place[0]) for place, tile in tiles.items()}) is None
    assert lay_together(drawn(5, 3, 0.0)[0]) is None


def real(shared_data: Path, number: int) -> Tiles:
    folder = shared_data / "meta_atom" / f"Array_{number}Crop"
    places = [(row, column) for row in range(1, 22) for column in range(1, 22)]
    return {place: read_image(folder / f"{folder.name}_{place[0]},{place[1]}.bmp") for place in places}


def test_real_arrays(shared_data: Path) -> None:
    """Labels were found by clustering and checked by eye; those of a whole row of seams are missing."""
    labels = pd.read_csv(shared_data / "meta_atom" / "labels.csv")
    counted: Counter[tuple[str, str]] = Counter()
    for number in (1, 2):
        tiles = real(shared_data, number)
        found = sort_array(cells_of_tiles(f"Array_{number}Crop", tiles))
        table = found.table.merge(labels, on=["array", "row", "col"], suffixes=("", "_label"))
        counted.update(zip(table["class_label"], table["class"], strict=True))
        assert len(found.seams) == 2
        assert not found.table.isna().any().any()
    assert counted["Missing", "Missing"] == 46
    assert counted["Collapsed", "Collapsed"] >= 40
    assert counted["Stitching", "Stitching"] >= 53
    assert counted["Good", "Missing"] + counted["Good", "Collapsed"] <= 4


def test_the_notebooks_arithmetic_gives_its_counts(shared_data: Path) -> None:
    levels = np.concatenate([reflected_levels(real(shared_data, number)) for number in (1, 2)])
    assert Counter(sort_by_clusters(levels)) == {"good": 740, "Missing": 46, "Collapsed": 41, "Stitching": 55}


def test_the_most_unlike_cells_rank_first() -> None:
    tiles, truth = drawn(6, 970, 0.2)
    found = sort_array(cells_of_tiles("drawn", tiles))
    ranked = found.table.assign(truth=truth).sort_values("rank")["truth"].tolist()
    bad = sum(name != "good" for name in truth)
    assert bad
    assert sum(name != "good" for name in ranked[:bad]) >= bad - 1
    for ranking in ("lof", "isolation_forest"):
        again = sort_array(cells_of_tiles("drawn", tiles), ranking=ranking)
        assert sorted(again.table["rank"]) == list(range(1, 21))
