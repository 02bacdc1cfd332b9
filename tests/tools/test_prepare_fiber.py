"""``loupe prepare fiber`` and ``data.zones=find``: what a user types, on drawn faces whose zones are known."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from datamodules.errors import DataError
from datamodules.fiber import FiberDataModule
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.hard_fiber import HardFiber, draw_hard
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

COLUMNS = (
    "image,found,support,cx,cy,core_radius,cladding_radius,aspect,um_per_pixel_x,um_per_pixel_y,core_offset_um,ovality"
)
CONDITIONS = ("plain", "non_square", "plain", "flooded", "blur", "black_frame", "plain", "plain", "dirty", "plain")


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, HardFiber]]:
    """Ten faces of one kind, one of them flooded, beside a file that is not an image and a mask that is not a face."""
    root = tmp_path_factory.mktemp("real fibers, 2026")
    drawn = {}
    for number, condition in enumerate(CONDITIONS):
        name = f"core 50um/{number:02}.png"
        drawn[name] = draw_hard(condition, Identity(2, "fiber", 3 * number + 1, 0), 288)
        (root / name).parent.mkdir(exist_ok=True)
        assert cv2.imwrite(str(root / name), drawn[name].drawing.image)
    (root / "core 50um" / "broken.png").write_bytes(b"\x89PNG cut short")
    (root / "masks").mkdir()
    assert cv2.imwrite(str(root / "masks" / "00.png"), np.zeros((9, 9), np.uint8))
    lines = [f"{name},good" for name in drawn]
    (root / "labels.csv").write_text("\n".join(["image,label", *lines]) + "\n")
    return root, drawn


@pytest.fixture(scope="module")
def prepared(faces: tuple[Path, dict[str, HardFiber]], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared")
    assert main(["prepare", "fiber", f"source='{faces[0]}'", f"out={out}", "core_um=50"]) == 0
    return out


def test_the_table_says_what_was_drawn(faces: tuple[Path, dict[str, HardFiber]], prepared: Path) -> None:
    text = (prepared / "zones.csv").read_text()
    assert text.splitlines()[0] == COLUMNS
    table = pd.read_csv(prepared / "zones.csv", dtype={"found": str}).set_index("image")
    assert set(table.index) == {*faces[1], "core 50um/broken.png"}
    for name, face in faces[1].items():
        row = table.loc[name]
        assert row["found"] == ("true" if face.visible else "false")
        if not face.visible:
            assert row.drop(["found", "support"]).isna().all()
            continue
        um_x, um_y = face.um_per_pixel
        assert row["cx"] == pytest.approx(face.cx, abs=0.3)
        assert row["cy"] == pytest.approx(face.cy, abs=0.3)
        assert row["cladding_radius"] == pytest.approx(face.cladding_radius, abs=0.5)
        assert row["core_radius"] == pytest.approx(face.core_radius, abs=1.0)
        assert row["aspect"] == pytest.approx(face.aspect, rel=0.004)
        assert (row["um_per_pixel_x"], row["um_per_pixel_y"]) == pytest.approx((um_x, um_y), rel=0.006)
        assert 0.5 <= row["support"] <= 1
    assert table.loc["core 50um/broken.png"].drop("found").isna().all()


def test_zones_are_written_where_they_were_found(faces: tuple[Path, dict[str, HardFiber]], prepared: Path) -> None:
    for name, face in faces[1].items():
        assert (prepared / "zones" / name).exists() == face.visible
        assert (prepared / "overlays" / name).exists()
        if face.visible:
            found, truth = cv2.imread(str(prepared / "zones" / name), cv2.IMREAD_UNCHANGED), face.drawing.zones
            assert truth is not None
            assert found is not None
            assert (found == truth)[truth > 0].mean() > 0.99
    excluded = pd.read_csv(prepared / "excluded.csv")
    assert excluded["path"].str.extract(r"(\w+)\.png$")[0].tolist() == ["03", "broken"]


def test_it_says_what_it_did_and_the_same_again_gives_the_same(
    faces: tuple[Path, dict[str, HardFiber]], prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prepare", "fiber", f"source='{faces[0]}'", f"out={tmp_path}", "core_um={core 50um: 50}"]) == 0
    said = capsys.readouterr().out
    assert "Found the zones of 9 of 11 images" in said
    assert "um per pixel along y" in said
    assert "Problems, 2 in all" in said
    assert f"data.zones={tmp_path}" in said
    for name in ("zones.csv", "weights.json"):
        assert (tmp_path / name).read_bytes() == (prepared / name).read_bytes()


def test_a_source_without_faces_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for source in (tmp_path, tmp_path / "nowhere"):
        assert main(["prepare", "fiber", f"source={source}", f"out={tmp_path / 'out'}"]) != 0
        assert "Expected source to be an image of an end face, or a folder of them" in capsys.readouterr().err
    assert main(["prepare", "fiber", "source=x", "out=y", "core_um=-3"]) != 0


def data(root: Path, zones: str, cache: str | None = None) -> FiberDataModule:
    module = FiberDataModule(
        root=str(root),
        image_size=(96, 96),
        batch_size=4,
        num_workers=0,
        core_um=50.0,
        test_share=0.4,
        zones=zones,
        cache=cache,
    )
    module.setup()
    return module


def test_found_zones_travel_with_every_sample(
    faces: tuple[Path, dict[str, HardFiber]], prepared: Path, tmp_path: Path
) -> None:
    root, drawn = faces
    module = data(root, zones="find")
    by_folder = data(root, zones=str(prepared))
    cached = data(root, zones="find", cache=str(tmp_path / "cache"))
    table = module.samples.set_index("name")
    assert (table["found_zones"] != "").sum() == 9
    flooded = table.loc["core 50um/03.png"]
    like_it = table[(table["width"] == flooded["width"]) & (table["um_source"] == "image")]
    assert (flooded["um_per_pixel"], flooded["um_source"]) == (like_it["um_per_pixel"].median(), "kind")
    assert any("No cladding was found on 1 of 10 images" in note for note in module.notes())
    for batches in zip(*(one.test_dataloader() for one in (module, by_folder, cached)), strict=True):
        found, read, kept = batches
        assert found.name == read.name == kept.name
        assert found.zones is not None
        assert torch.equal(found.zones, kept.zones)
        for name, one, other in zip(found.name, found.zones, read.zones, strict=True):
            assert (one == other).float().mean() > 0.97
            assert bool(one.any()) == drawn[name].visible
    again = data(root, zones="find")
    again.use_samples(module.samples)
    pd.testing.assert_frame_equal(again.samples[module.samples.columns], module.samples)


def test_zones_of_nowhere_are_refused(faces: tuple[Path, dict[str, HardFiber]]) -> None:
    with pytest.raises(DataError, match=r"data\.zones to be find, or a folder"):
        data(faces[0], zones="fnd")
