from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.errors import DataError
from datamodules.unlabelled import procedural
from datamodules.unlabelled.crops import CropSource, cut_square, hold_out, paste_patch, read_images, vary_light

if TYPE_CHECKING:
    from pathlib import Path


def picture(height: int, width: int, seed: int = 0) -> procedural.RgbImage:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_pictures_of_any_kind_become_small_rgb(tmp_path: Path) -> None:
    (tmp_path / "sub folder").mkdir()
    Image.fromarray(picture(40, 90)).save(tmp_path / "a, colour.PNG")
    Image.fromarray(picture(40, 30)[..., 0]).save(tmp_path / "sub folder" / "b.png")
    Image.fromarray(np.full((20, 20), 32896, np.uint16)).save(tmp_path / "sub folder" / "c.png")
    (tmp_path / "notes.txt").write_text("no picture")
    found = read_images([tmp_path], longest_side=60)[str(tmp_path)]
    assert [some.shape for some in found] == [(27, 60, 3), (40, 30, 3), (20, 20, 3)]
    assert {some.dtype for some in found} == {np.dtype(np.uint8)}
    assert (found[2] == 128).all()  # 32896 of 65535 is 128 of 255


def test_a_folder_without_pictures_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="found none"):
        read_images([tmp_path])
    with pytest.raises(DataError, match="drawn_share"):
        CropSource({})


def test_held_out_pictures_are_the_last_and_no_others() -> None:
    pictures = {"many": [picture(8, 8, seed) for seed in range(40)], "two": [picture(8, 8, 50), picture(8, 8, 51)]}
    pictures["one"] = [picture(8, 8, 60)]
    learnt, watched = hold_out(pictures, share=0.05)
    assert {name: len(some) for name, some in learnt.items()} == {"many": 38, "two": 1, "one": 1}
    assert {name: len(some) for name, some in watched.items()} == {"many": 2, "two": 1}
    for name, some in watched.items():
        assert all((a == b).all() for a, b in zip([*learnt[name], *some], pictures[name], strict=True))


def test_the_seed_alone_decides_the_crops() -> None:
    source = CropSource({"big": [picture(200, 300)], "small": [picture(9, 7)]}, size=48)
    first, again, other = source.draw(12, [3, 1]), source.draw(12, [3, 1]), source.draw(12, [3, 2])
    assert first.shape == (12, 48, 48, 3)
    assert first.dtype == np.uint8
    assert (first == again).all()
    assert not (first == other).all(axis=(1, 2, 3)).any()


def test_a_small_folder_is_neither_lost_nor_as_loud_as_a_large_one() -> None:
    dark, light = np.full((64, 64, 3), 60, np.uint8), np.full((64, 64, 3), 190, np.uint8)
    source = CropSource({"large": [dark] * 400, "small": [light] * 4}, size=16, drawn_share=0, patch_share=0)
    rng = np.random.default_rng(0)
    share = np.mean([source._pick(rng)[0, 0, 0] == 190 for _ in range(2000)])
    assert share == pytest.approx(2 / 22, abs=0.02)  # roots of 4 and 400 are 2 and 20


@pytest.mark.parametrize("extent", [600, 60])
def test_scale_stays_between_twice_enlarged_and_four_times_shrunk(extent: int) -> None:
    """On an image of one slope the slope of a crop tells the scale it was cut at."""
    ramp = np.repeat(np.arange(extent, dtype=np.float32)[None], extent, axis=0) * (255 / extent)
    slope = np.dstack([ramp] * 3).astype(np.uint8)
    size, scales = 64, []
    for seed in range(60):
        crop = cut_square(slope, size, np.random.default_rng(seed)).astype(np.float32)[..., 0]
        dy, dx = np.gradient(cv2.GaussianBlur(crop, (0, 0), 2.0))
        scales.append(np.median(np.hypot(dx, dy)) * extent / 255)
    widest = min(4.0, max(1.0, extent / size))
    assert min(scales) > 0.5 * np.exp(-0.15) - 0.1
    assert max(scales) < widest * np.exp(0.15) + 0.1
    assert max(scales) > 2 * min(scales) or extent < size


def test_a_cut_shows_what_is_there() -> None:
    """Upright, at scale one, a cut is the image itself or its mirror image; any cut keeps a flat image flat."""
    flat = np.full((50, 80, 3), 77, np.uint8)
    assert all((cut_square(flat, 32, np.random.default_rng(seed)) == 77).all() for seed in range(20))


def test_light_varies_but_a_picture_remains() -> None:
    base = cv2.GaussianBlur(picture(64, 64), (0, 0), 3).astype(np.uint8, copy=False)
    varied = [vary_light(base, np.random.default_rng(seed)) for seed in range(30)]
    likeness = [abs(np.corrcoef(base.mean(axis=2).ravel(), some.mean(axis=2).ravel())[0, 1]) for some in varied]
    assert np.median(likeness) > 0.9
    assert np.std([some.mean() for some in varied]) > 10


def test_a_patch_changes_its_place_only() -> None:
    crop, other = np.zeros((96, 96, 3), np.uint8), np.full((96, 96, 3), 200, np.uint8)
    changed = [(paste_patch(crop, other, np.random.default_rng(seed)) > 0).any(axis=2).mean() for seed in range(40)]
    assert 0 < np.median(changed) < 0.5
    assert max(changed) < 0.9


DRAWERS = [
    procedural.flat,
    procedural.gradient,
    procedural.noise_field,
    procedural.grating,
    procedural.cells,
    procedural.shapes,
    procedural.lattice,
    procedural.strokes,
    procedural.specks,
    procedural.writing,
    procedural.rod,
]


@pytest.mark.parametrize("draw", DRAWERS, ids=lambda draw: draw.__name__)
@pytest.mark.parametrize("side", [16, 65])
def test_what_is_drawn_is_a_picture(draw: procedural.Draw, side: int) -> None:
    drawn = [draw(side, np.random.default_rng(seed)) for seed in range(10)]
    for some in drawn:
        assert some.shape == (side, side)
        assert some.dtype == np.float32
        assert -0.2 < some.min() <= some.max() < 1.2  # the sensor noise of a flat ground may leave [0, 1]
    assert not (drawn[0] == drawn[1]).all()


def test_drawn_pictures_have_contrast() -> None:
    drawn = [procedural.draw_image(64, np.random.default_rng(seed)) for seed in range(40)]
    assert np.median([some.std() for some in drawn]) > 15
