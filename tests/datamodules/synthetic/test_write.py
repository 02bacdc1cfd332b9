"""What lies on disk after a write, and that neither a kill nor a larger order changes it."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageDraw

from datamodules.synthetic import DOMAINS, DrawingError, good_image, is_complete, write_dataset
from datamodules.synthetic.write import COLUMNS, Row

SIZE = 48


def read(root: Path) -> list[Row]:
    with (root / "samples.csv").open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    assert tuple(header) == COLUMNS
    rows: list[list[Any]] = [[*line[:4], int(line[4]), *line[5:]] for line in lines]
    return [Row(*row) for row in rows]


def pixels(path: Path) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.open(path))


def contents(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in sorted(root.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("domain", DOMAINS)
def test_layout(domain: str, tmp_path: Path) -> None:
    write_dataset(tmp_path, domain, SIZE, good=7, defective=5, seed=1)
    assert is_complete(tmp_path)
    rows = read(tmp_path)
    assert [row.label_index for row in rows].count(1) == 5
    assert len({row.image_path for row in rows}) == 12
    for row in rows:
        assert pixels(tmp_path / row.image_path).shape[:2] == (SIZE, SIZE)
        assert (row.mask_path != "") == (row.label_index == 1) == (row.defect != "")
        assert (row.zones_path != "") == (domain == "fiber")
        assert (row.annotation_path != "") == (domain == "oring" and row.label_index == 1)
        assert (row.row != "") == (row.col != "") == (domain == "meta_atom")
        assert Path(row.image_path).name.startswith(row.group)
        if row.mask_path:
            assert set(np.unique(pixels(tmp_path / row.mask_path))) == {0, 255}
            assert Path(row.mask_path).name == Path(row.image_path).name
        if row.zones_path:
            assert set(np.unique(pixels(tmp_path / row.zones_path))) == {1, 2, 3}
    named = {path for row in rows for path in (row.image_path, row.mask_path, row.zones_path, row.annotation_path)}
    assert set(contents(tmp_path)) == named - {""} | {"samples.csv"}


@pytest.mark.parametrize("domain", ["metallography", "print3d"])
def test_pictures_on_disk_are_the_drawn_ones(domain: str, tmp_path: Path) -> None:
    write_dataset(tmp_path, domain, SIZE, good=1, defective=0, seed=4)
    drawn = DOMAINS[domain].draw(good_image(domain, 4, 0).identity, SIZE, None, 0.0)
    np.testing.assert_array_equal(pixels(tmp_path / read(tmp_path)[0].image_path), drawn.image)


def test_oring_annotations_fill_to_the_mask(tmp_path: Path) -> None:
    write_dataset(tmp_path, "oring", 96, good=0, defective=8, seed=0)
    for row in read(tmp_path):
        polygons = json.loads((tmp_path / row.annotation_path).read_text(encoding="utf-8"))["polygons"]
        picture = Image.new("L", (96, 96))
        for polygon in polygons:
            points = [(point["x"], point["y"]) for point in polygon["points"]]
            ImageDraw.Draw(picture).polygon(points, fill=255, outline=255)
        np.testing.assert_array_equal(np.asarray(picture), pixels(tmp_path / row.mask_path))


def test_meta_atoms_fill_whole_arrays(tmp_path: Path) -> None:
    write_dataset(tmp_path, "meta_atom", 32, good=32, defective=8, seed=0)
    rows = read(tmp_path)
    places = [(row, col) for row in range(1, 5) for col in range(1, 6)]
    for array in ("array_0000", "array_0001"):
        tiles = [row for row in rows if row.group == array]
        assert sum(tile.label_index for tile in tiles) == 4
        assert [(int(tile.row), int(tile.col)) for tile in tiles] == places
        assert [tile.image_path for tile in tiles] == [f"images/{array}_{row},{col}.png" for row, col in places]


def test_a_write_cut_short_is_incomplete_and_repeating_it_gives_the_same_bytes(tmp_path: Path) -> None:
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    write_dataset(whole, "fiber", SIZE, good=5, defective=3, seed=9)
    cut.mkdir()
    (cut / "masks").write_bytes(b"")  # a file where a folder must be: stops the write at the first defective image
    with pytest.raises(FileExistsError):
        write_dataset(cut, "fiber", SIZE, good=5, defective=3, seed=9)
    assert not is_complete(cut)
    (cut / "masks").unlink()
    write_dataset(cut, "fiber", SIZE, good=5, defective=3, seed=9)
    assert contents(cut) == contents(whole)


def test_a_repeated_write_is_incomplete_until_its_end(tmp_path: Path) -> None:
    write_dataset(tmp_path, "fiber", SIZE, good=1, defective=0, seed=0)
    (tmp_path / "masks").write_bytes(b"")
    with pytest.raises(FileExistsError):
        write_dataset(tmp_path, "fiber", SIZE, good=1, defective=1, seed=0)
    assert not is_complete(tmp_path)


@pytest.mark.parametrize("domain", DOMAINS)
def test_a_larger_order_keeps_every_earlier_picture(domain: str, tmp_path: Path) -> None:
    write_dataset(tmp_path / "small", domain, 32, good=5, defective=3, seed=2)
    write_dataset(tmp_path / "large", domain, 32, good=11, defective=4, seed=2)
    small, large = contents(tmp_path / "small"), contents(tmp_path / "large")
    del small["samples.csv"]
    assert small.items() <= large.items()
    lines = [(tmp_path / name / "samples.csv").read_text(encoding="utf-8").splitlines() for name in ("small", "large")]
    assert set(lines[0]) <= set(lines[1])


def test_another_seed_draws_other_pictures(tmp_path: Path) -> None:
    for seed in (0, 1):
        write_dataset(tmp_path / str(seed), "print3d", 32, good=1, defective=0, seed=seed)
    pictures = [next((tmp_path / str(seed) / "images").iterdir()).read_bytes() for seed in (0, 1)]
    assert pictures[0] != pictures[1]


def test_a_folder_with_other_things_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    with pytest.raises(DrawingError, match=r"to be empty or a drawn data set, found 'thesis.tex'"):
        write_dataset(tmp_path, "fiber", SIZE, good=1, defective=0, seed=0)
    assert contents(tmp_path) == {"thesis.tex": b"years of work"}


def test_wrong_orders_are_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DrawingError, match="did you mean 'oring'"):
        write_dataset(tmp_path / "new", "orings", SIZE, good=1, defective=1, seed=0)
    with pytest.raises(DrawingError, match="good and defective to be zero or more, got -1 and 1"):
        write_dataset(tmp_path / "new", "oring", SIZE, good=-1, defective=1, seed=0)
    assert not (tmp_path / "new").exists()
