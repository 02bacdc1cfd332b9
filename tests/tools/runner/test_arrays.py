"""Cells meet before they are judged: bundles say of any array what the line of arrays says."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import cv2
import numpy as np
import pytest

from datamodules.enhancing.enhancement import Enhancement
from datamodules.files.images import read_image
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.meta_atom_array import Layout, draw_array, scatter
from models.sorter.cells import cells_of_image, cells_of_tiles
from models.sorter.sorting import sort_array
from tools.runner.arrays import WithinArrays
from tools.runner.result import Prediction
from tools.runner.sources import find_images

LAYOUT = Layout(rows=6, columns=7, pitch=44, angle=5, contrast="sem")


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    identity = Identity(91, "meta_atom", 3, 0)
    path = tmp_path_factory.mktemp("whole") / "chip.v2.png"
    assert cv2.imwrite(str(path), draw_array(identity, LAYOUT, scatter(identity, LAYOUT, 0.2)).image)
    return path


def judged(
    sources: list[str], factors: tuple[float, ...] = (1, 1, 1, 1)
) -> tuple[list[str], list[PurePosixPath], Prediction]:
    arrays = WithinArrays(factors, None, Enhancement())
    listed = arrays.meet(find_images(sources))
    alone = Prediction(np.full(len(listed), -1.0, np.float32), np.zeros((len(listed), 32, 32), np.float32))
    names = [one.name for one in listed]
    return names, [one.place for one in listed], arrays.within(names, alone)


def test_a_whole_image_is_judged_cell_by_cell_as_the_line_does(image: Path) -> None:
    names, places, found = judged([str(image)])
    cells = cells_of_image("chip", read_image(image))
    expected = sort_array(cells, features=False).table
    rows = zip(expected["row"], expected["col"], strict=True)
    assert names == [f"{image}#{row},{column}" for row, column in rows]
    assert str(places[0]) == "chip.v2_1,1.png"
    np.testing.assert_allclose(found.score_B, expected["score"], rtol=1e-6)
    assert {"good", "Missing"} < set(expected["class"])
    np.testing.assert_array_less(found.map_BHW.max(axis=(1, 2)), np.maximum(expected["score"], 0) * (1 + 1e-5) + 1e-6)


def test_cells_read_as_their_array_shows_them(image: Path) -> None:
    listed = WithinArrays((1, 1, 1, 1), None, Enhancement()).meet(find_images([str(image)]))
    cells = cells_of_image("chip", read_image(image))
    for one, grey_SS in list(zip(listed, cells.grey_NSS, strict=True))[::9]:
        np.testing.assert_allclose(one.read() / 255, grey_SS, atol=1e-6)


def test_tiles_of_one_folder_and_name_are_an_array(image: Path, tmp_path: Path) -> None:
    cells = cells_of_image("chip", read_image(image))
    tiles = {}
    for (row, column), grey_SS in zip(cells.places, cells.grey_NSS, strict=True):
        tiles[int(row) + 1, int(column) + 1] = np.rint(255 * grey_SS).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / f"chip.v2_{row + 1},{column + 1}.png"), tiles[int(row) + 1, int(column) + 1])
    (tmp_path / "chip.v2_9,9.png").write_bytes(b"no image")
    names, _, found = judged([str(tmp_path)], (2, 2, 2, 2))
    expected = sort_array(cells_of_tiles("chip", tiles), features=False).table
    score_of = dict(zip(map(tuple, expected[["row", "col"]].to_numpy().tolist()), expected["score"], strict=True))
    for name, score in zip(names, found.score_B, strict=True):
        row, column = (int(part) for part in Path(name).stem.rsplit("_", 1)[1].split(","))
        assert score == pytest.approx(score_of[row, column] / 2 if (row, column) in score_of else -1.0, rel=1e-6)


def test_what_is_no_array_is_judged_alone(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    assert cv2.imwrite(str(tmp_path / "noise.png"), rng.integers(0, 255, (200, 200), dtype=np.uint8))
    assert cv2.imwrite(str(tmp_path / "few_1,1.png"), rng.integers(0, 255, (64, 64), dtype=np.uint8))
    names, _, found = judged([str(tmp_path)])
    assert [Path(name).name for name in names] == ["few_1,1.png", "noise.png"]
    assert (found.score_B == -1).all()
