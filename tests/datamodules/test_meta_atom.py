"""Arrays of meta-atoms: tiles on disk, whole arrays, labels, and groups that no split cuts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.errors import DataError
from datamodules.files.images import read_image
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.prepare.meta_atom_tiles import MetaAtomTiles
from datamodules.table import CALIBRATION, TEST, TRAIN, read_table

if TYPE_CHECKING:
    from pathlib import Path

ROWS, COLUMNS, SIDE = 6, 8, 20


def draw_array(seed: int) -> cv2.typing.MatLike:
    """Draw 6 x 8 discs at a pitch of 20 pixels, that of row 2, column 3 missing."""
    rng = np.random.default_rng(seed)
    scene = np.full((ROWS * SIDE, COLUMNS * SIDE), 150.0)
    y, x = np.mgrid[: scene.shape[0], : scene.shape[1]]
    distance = np.hypot(x % SIDE - (SIDE - 1) / 2, y % SIDE - (SIDE - 1) / 2)
    scene -= 90 * np.clip(6 - distance, 0, 1) * ~((y // SIDE == 1) & (x // SIDE == 2))
    return (scene + rng.normal(0, 4, scene.shape)).clip(0, 255).astype(np.uint8)


@pytest.fixture
def tiles(tmp_path: Path) -> Path:
    """Four arrays of tiles of 24 pixels cut two beyond their cells, smaller at the edges, with labels and a mask."""
    root = tmp_path / "tiles"
    lines = ["image,class"]
    for number in range(4):
        picture, array = draw_array(number), f"chip {number}"
        (root / array).mkdir(parents=True)
        for row, col in np.ndindex(ROWS, COLUMNS):
            top, left = max(row * SIDE - 2, 0), max(col * SIDE - 2, 0)
            tile = picture[top : (row + 1) * SIDE + 2, left : (col + 1) * SIDE + 2]
            name = f"{array}/{array}_{row + 1},{col + 1}.BMP"
            assert cv2.imwrite(str(root / name), tile)
            place = {(1, 2): "Missing", (0, 0): "Irregular", (3, 3): "stitching"}.get((row, col), "Good")
            lines.append(f'"{name}",{place}')
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    mask = np.zeros((24, 24), np.uint8)
    mask[6:18, 6:18] = 255
    (root / "masks").mkdir()
    assert cv2.imwrite(str(root / "masks" / "chip 0_2,3.png"), mask)
    return root


def module(root: Path, **changes: object) -> MetaAtomDataModule:
    options: dict[str, object] = {"grid": (ROWS, COLUMNS), "image_size": (24, 24), "num_workers": 0, "batch_size": 8}
    return MetaAtomDataModule(root=str(root), **(options | changes))  # type: ignore[arg-type]  # of many types


def test_tiles_keep_their_place_and_arrays_stay_whole(tiles: Path) -> None:
    data = module(tiles)
    data.setup()
    data.check_training()
    table = data.samples.set_index("name")
    assert len(table) == 4 * (48 - 2)
    assert table["label_index"].value_counts().to_dict() == {0: 4 * 45, 1: 4}
    missing = table.loc["chip 0/chip 0_2,3.BMP"]
    assert (missing["array"], missing["row"], missing["col"], missing["defect"]) == ("chip 0", 2, 3, "missing")
    assert (missing["group"], missing["mask_path"]) == ("chip 0", str(tiles / "masks" / "chip 0_2,3.png"))
    assert len(table.groupby(["group", "split"])) == table["group"].nunique()
    assert set(table["split"]) == {TRAIN, CALIBRATION, TEST}
    assert sorted(data.excluded["problem"].unique()) == ["is of class irregular", "is of class stitching"]


def test_edge_tiles_are_reflected_to_the_size_of_the_others(tiles: Path) -> None:
    data = module(tiles)
    data.setup()
    boxes = data.samples.set_index("name")["box"]
    assert boxes["chip 1/chip 1_1,2.BMP"] == "0 -2 24 24"
    assert boxes["chip 1/chip 1_6,1.BMP"] == "-2 0 24 24"
    assert boxes["chip 1/chip 1_6,8.BMP"] == "0 0 24 24"
    assert boxes["chip 1/chip 1_3,3.BMP"] == ""
    assert set(zip(data.samples["height"], data.samples["width"], strict=True)) == {(24, 24)}
    stored = read_image(tiles / "chip 1" / "chip 1_1,2.BMP")
    row = data.samples[data.samples["name"] == "chip 1/chip 1_1,2.BMP"]
    data.samples = row.assign(split=TEST)
    image = next(iter(data.test_dataloader())).image[0, 0].numpy() * 255
    np.testing.assert_allclose(image[2:], stored, atol=1e-3)
    np.testing.assert_allclose(image[:2], stored[2:0:-1], atol=1e-3)


def test_a_small_tile_inside_an_array_is_left_out(tiles: Path) -> None:
    name = tiles / "chip 2" / "chip 2_3,4.BMP"
    assert cv2.imwrite(str(name), read_image(name)[:20])
    data = module(tiles)
    data.setup()
    problem = data.excluded.loc[data.excluded["path"] == str(name), "problem"].tolist()
    assert problem == ["is a tile of 24x20 pixels, where the others of its array have 24x24"]


def test_masks_reach_the_batch(tiles: Path) -> None:
    data = module(tiles)
    data.setup()
    row = data.samples[data.samples["name"] == "chip 0/chip 0_2,3.BMP"]
    data.samples = row.assign(split=TEST)
    batch = next(iter(data.test_dataloader()))
    assert batch.has_mask.tolist() == [True]
    assert int(batch.gt_mask.sum()) == 144


def test_whole_arrays_give_the_same_rows_as_their_tiles(tiles: Path, tmp_path: Path) -> None:
    root = tmp_path / "arrays"
    root.mkdir()
    for number in range(4):
        assert cv2.imwrite(str(root / f"chip {number}.png"), draw_array(number))
    (root / "labels.csv").write_text((tiles / "labels.csv").read_text())
    whole, cut = module(root), module(tiles)
    whole.setup()
    cut.setup()
    columns = ["array", "row", "col", "label_index", "defect", "group", "split"]
    pd.testing.assert_frame_equal(
        whole.samples[columns].sort_values(columns, ignore_index=True),
        cut.samples[columns].sort_values(columns, ignore_index=True),
    )
    assert whole.samples["sha256"].is_unique
    batch = next(iter(whole.train_dataloader()))
    assert batch.image.shape == (8, 3, 24, 24)
    assert (batch.image[:, 0, 10:14, 10:14].mean((1, 2)) < 0.35).all()  # every good tile shows its pillar


def test_a_saved_table_of_parts_is_read_again(tiles: Path, tmp_path: Path) -> None:
    data, again = module(tiles), module(tiles)
    data.setup()
    data.samples.to_csv(tmp_path / "samples.csv", index=False)
    again.use_samples(read_table(tmp_path / "samples.csv"))
    assert again.content_hash == data.content_hash
    assert again.excluded.empty
    name = tiles / "chip 3" / "chip 3_1,1.BMP"
    name.with_name("chip 3_1,2.BMP").write_bytes((tiles / "chip 3" / "chip 3_5,5.BMP").read_bytes())
    again.use_samples(read_table(tmp_path / "samples.csv"))
    assert again.excluded["problem"].tolist() == ["has changed since the run was trained"]


def test_no_labels_means_unknown(tiles: Path) -> None:
    (tiles / "labels.csv").unlink()
    data = module(tiles)
    data.setup()
    assert set(data.samples["label_index"]) == {-1}
    with pytest.raises(DataError, match="Expected good pictures in the calibration split"):
        data.check_training()


def test_two_arrays_want_blocks_or_say_so(tiles: Path) -> None:
    for number in (2, 3):
        for path in (tiles / f"chip {number}").iterdir():
            path.unlink()
    with pytest.raises(
        DataError,
        match=r"only chip 0, chip 1; set data\.blocks=3 to divide each into parts, and data\.test",
    ):
        module(tiles).setup()
    data = module(tiles, blocks=2, test_arrays=("chip 1",))
    data.setup()
    data.check_training()
    assert set(data.samples.loc[data.samples["array"] == "chip 1", "split"]) == {TEST}
    assert set(data.samples.loc[data.samples["array"] == "chip 0", "split"]) == {TRAIN, CALIBRATION}
    assert len(data.samples.groupby(["group", "split"])) == data.samples["group"].nunique()
    corner = data.samples[(data.samples["row"] <= 3) & (data.samples["col"] <= 4) & (data.samples["array"] == "chip 0")]
    assert corner["group"].unique().tolist() == ["chip 0/0,0"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"test_arrays": ("chip 9",)}, r"Expected data\.test_arrays among chip 0, .* found 'chip 9'"),
        ({"left_out_classes": ()}, r"to be one of .*, but found 'irregular'; name it"),
        ({"grid": (0, 4)}, r"Expected data\.grid"),
        ({"margin": -0.1}, r"Expected data\.margin"),
        ({"blocks": 0}, r"Expected data\.blocks"),
    ],
)
def test_what_cannot_be_is_refused(tiles: Path, changes: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        module(tiles, **changes).setup()


def test_two_tiles_of_one_place_are_refused(tiles: Path) -> None:
    (tiles / "copy").mkdir()
    (tiles / "copy" / "chip 0_2,2.png").write_bytes(b"anything")
    with pytest.raises(DataError, match="Expected one tile for row 2, column 2 of chip 0"):
        module(tiles).setup()


def test_prepare_writes_tiles_that_are_read_again(tmp_path: Path) -> None:
    source, out = tmp_path / "arrays", tmp_path / "out"
    source.mkdir()
    for number in range(3):
        assert cv2.imwrite(str(source / f"chip_{number}.tif"), draw_array(number))
    assert cv2.imwrite(str(source / "flat.png"), np.full((60, 60), 9, np.uint8))
    prepared = MetaAtomTiles(source=str(source), out=str(out), grid=(ROWS, COLUMNS)).write()
    assert prepared.tiles == {"chip_0": 48, "chip_1": 48, "chip_2": 48}
    assert [problem.path for problem in prepared.left_out] == [str(source / "flat.png")]
    cells = pd.read_csv(out / "cells.csv")
    expected = np.stack([cells["col"] - 0.5, cells["row"] - 0.5], axis=1) * SIDE - 0.5
    assert np.abs(cells[["x", "y"]].to_numpy() - expected).max() < 1
    assert (
        cells.groupby("array")["likeness"].idxmin().map(lambda place: tuple(cells.loc[place, ["row", "col"]])).tolist()
        == [(2, 3)] * 3
    )
    data = module(out)
    data.setup()
    assert len(data.samples) == 3 * 48
    assert set(zip(data.samples["height"], data.samples["width"], strict=True)) == {(24, 24)}


def test_real_tiles_have_the_counts_of_their_labels(shared_data: Path) -> None:
    data = module(shared_data / "meta_atom", grid=(21, 21), blocks=3, test_arrays=("Array_2Crop",))
    data.setup()
    data.check_training()
    labels = pd.read_csv(shared_data / "meta_atom" / "labels.csv")
    kept = labels[~labels["class"].isin(["Irregular", "Stitching"])]
    counts = kept.groupby(["array", kept["class"] != "Good"]).size()
    assert data.samples.groupby(["array", "label_index"]).size().tolist() == counts.tolist() == [340, 62, 390, 25]
    assert len(data.excluded) == 65
    assert set(zip(data.samples["height"], data.samples["width"], strict=True)) == {(64, 64)}
