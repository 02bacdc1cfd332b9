"""``loupe prepare metallography``: squares that data=metallography reads, crops that shapes are learnt from."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.inclusions.measures import measure_map
from datamodules.files.object_crops import MARGIN, SIDE, object_crops
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels
from datamodules.folder import FolderDataModule
from datamodules.metallography import MetallographyDataModule
from datamodules.table import DEFECTIVE
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def draw_mask(seed: int, count: int = 60) -> npt.NDArray[np.uint8]:
    """Draw round inclusions and stringers, white on black."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((400, 500), np.uint8)
    for index in range(count):
        at = 30 + 55 * (index % 9), 30 + 55 * (index // 9)
        long = index % 4 == 3
        half = float(rng.uniform(18, 22) if long else rng.uniform(7, 15))
        axes = round(16 * half), round(16 * half * float(rng.uniform(0.12, 0.2) if long else rng.uniform(0.85, 1)))
        cv2.ellipse(mask, (16 * at[0], 16 * at[1]), axes, float(rng.uniform(0, 180)), 0, 360, 255, -1, shift=4)
    return mask


def write(path: Path, values: npt.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)


def test_scans_become_squares_with_masks_and_crops(tmp_path: Path) -> None:
    for seed in range(3):
        mask = draw_mask(seed)
        write(tmp_path / "scans" / "images" / f"{seed}.png", np.where(mask > 0, 20, 180).astype(np.uint8))
        write(tmp_path / "scans" / "masks" / f"{seed}.png", mask)
    out = tmp_path / "out"
    command = ["prepare", "metallography", f"source={tmp_path / 'scans'}", f"out={out}"]
    assert main(command) == 0
    squares = sorted(path.name for path in (out / "images").iterdir())
    assert len(squares) == 3 * 4 * 5
    assert squares == sorted(path.name for path in (out / "masks").iterdir())
    for name in ("0-0-0.png", "2-272-372.png"):
        image = cv2.imread(str(out / "images" / name), cv2.IMREAD_GRAYSCALE)
        marks = cv2.imread(str(out / "masks" / name), cv2.IMREAD_GRAYSCALE)
        assert image is not None
        assert marks is not None
        assert image.shape == marks.shape == (128, 128)
        np.testing.assert_array_equal(marks > 0, image < 100)
    data = MetallographyDataModule(root=str(out), defects_in_train=True)
    data.setup()
    assert set(data.samples["group"]) == {"0", "1", "2"}
    assert len(data.samples) == len(squares)
    written = {path: path.read_bytes() for path in out.rglob("*.png")}
    assert main(command) == 0  # once more, in its place
    assert {path: path.read_bytes() for path in out.rglob("*.png")} == written


def test_inclusions_of_maps_become_crops_by_roundness(tmp_path: Path) -> None:
    for seed in range(4):
        write(tmp_path / "maps" / f"scan{seed}tag-1.png", 255 - draw_mask(seed))
    out = tmp_path / "out"
    assert main(["prepare", "metallography", f"source={tmp_path / 'maps'}", f"out={out}", "maps=true"]) == 0
    assert not (out / "images").exists()
    table = pd.read_csv(out / "objects.csv")
    assert len(table) == 4 * 60
    assert (table["kind"] == "anomalous").sum() == 4 * 15
    assert (table["kind"] == "good").sum() > 4 * 40
    for row in table.dropna(subset="file").itertuples():
        crop = cv2.imread(str(out / "objects" / str(row.file)), cv2.IMREAD_GRAYSCALE)
        assert crop is not None
        assert crop.shape == (SIDE, SIDE)
    data = FolderDataModule(root=str(out / "objects"))
    data.setup()
    assert (data.samples["label_index"] == DEFECTIVE).sum() == 4 * 15
    assert set(data.samples["group"]) <= {f"scan{seed}tag-1" for seed in range(4)}  # scans with equal crops are one
    assert len(set(data.samples["group"])) > 1


def test_crops_show_shape_and_not_size() -> None:
    mask = np.zeros((200, 300), np.uint8)
    cv2.circle(mask, (50, 60), 10, 255, -1)
    cv2.circle(mask, (180, 100), 60, 255, -1)
    label = object_labels(mask > 0)
    table = object_table(label)
    small, large = object_crops(label, table).astype(float) / 255
    assert np.abs(small - large).mean() < 0.06
    assert small[:MARGIN].max() == 0
    assert small[:, :MARGIN].max() == 0
    assert small[MARGIN + 1, SIDE // 2] > 0.5
    assert object_crops(label, table.iloc[:0]).shape == (0, SIDE, SIDE)


@pytest.mark.procedure
def test_a_network_that_learnt_round_shapes_scores_others(tmp_path: Path) -> None:
    for seed in range(6):
        write(tmp_path / "maps" / f"scan{seed}tag-1.png", 255 - draw_mask(seed))
    out = tmp_path / "out"
    assert main(["prepare", "metallography", f"source={tmp_path / 'maps'}", f"out={out}", "maps=true"]) == 0
    words = ["experiment=metallography_shapes", f"data.root={out / 'objects'}", f"out={tmp_path / 'runs'}"]
    words += ["data.num_workers=0", "report=false", "callbacks.epoch_pictures.every=0", "trainer.max_epochs=12"]
    assert main(["train", *words, "name=shapes", "id=run", "trainer=cpu"]) == 0
    map_path = tmp_path / "other" / "map.png"
    write(map_path, 255 - draw_mask(100))
    found = tmp_path / "found"
    command = ["predict", "line=inclusion_maps", f"source={map_path}", f"out={found}", "page=false"]
    assert main([*command, f"shapes={tmp_path / 'runs' / 'shapes' / 'run'}"]) == 0
    scored = pd.read_csv(found / "inclusions.csv")
    stringer = scored["major"] > 3 * scored["minor"]
    assert stringer.sum() == 15
    assert scored["shape"].between(0, 1, inclusive="left").all()
    assert scored.loc[stringer, "shape"].median() > scored.loc[~stringer, "shape"].median() + 0.1
    assert not scored["shape"].equals(measure_map(scored).table["shape"])
