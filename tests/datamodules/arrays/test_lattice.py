"""The lattice of an array: drawn ones, whose cells are known, and real ones, rebuilt from their tiles."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from datamodules.arrays.cells import peak_offset
from datamodules.arrays.lattice import Lattice, cut_tiles, find_lattice, fit_steps, neighbourhood_median
from datamodules.arrays.repeats import LatticeError, find_steps
from datamodules.errors import DataError
from datamodules.files.boxes import Box, cut, mirrored, parse_box
from datamodules.files.images import read_image

if TYPE_CHECKING:
    from pathlib import Path

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.uint8]


def draw_array(
    rows: int, columns: int, *, pitch: float = 40.0, missing: float = 0.0, bright: bool = False, seed: int = 0
) -> tuple[Bytes, Floats]:
    """Draw discs with a rim in uneven light, and return the image and the centre of every cell (R, C, 2)."""
    rng = np.random.default_rng(seed)
    height, width = round((rows + 0.6) * pitch), round((columns + 0.8) * pitch)
    y, x = np.mgrid[:height, :width].astype(np.float64)
    scene = np.full((height, width), 110.0)
    centres = np.stack(np.meshgrid((np.arange(columns) + 0.9) * pitch, (np.arange(rows) + 0.8) * pitch), axis=2)
    column, row = np.floor(x / pitch - 0.4).astype(int), np.floor(y / pitch - 0.3).astype(int)
    stands = np.pad(rng.random((rows, columns)) >= missing, 1)
    shown = stands[np.clip(row, -1, rows) + 1, np.clip(column, -1, columns) + 1]
    distance = np.hypot(x - (column + 0.9) * pitch, y - (row + 0.8) * pitch)
    disc = np.clip(0.28 * pitch - distance + 0.5, 0, 1)
    rim = np.exp(-(((distance - 0.28 * pitch) / 2.0) ** 2))
    scene += shown * (disc * (60 if bright else -15) - 35 * rim)
    light = 0.7 + 0.5 * x / width + 0.15 * np.sin(y / height * 5)
    noisy = scene * light + rng.normal(0, 3, scene.shape)
    return noisy.clip(0, 255).astype(np.uint8), centres


def moved(picture: Bytes, centres: Floats, degrees: float, factor: float) -> tuple[Bytes, Floats]:
    """Turn an image (clockwise as seen) and scale it, all of it kept, with black corners; move the centres along."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((0, 0), -degrees, factor)
    corners = np.array([(0, 0), (width, 0), (0, height), (width, height)]) @ matrix[:, :2].T
    matrix[:, 2] = -corners.min(axis=0)
    size = np.ceil(np.ptp(corners, axis=0)).astype(int)
    turned = cv2.warpAffine(picture, matrix, size.tolist(), flags=cv2.INTER_AREA)
    return turned.astype(np.uint8), centres @ matrix[:, :2].T + matrix[:, 2]


def farthest(lattice: Lattice, centres: Floats) -> float:
    return float(np.linalg.norm(lattice.centres() - centres, axis=2).max())


@pytest.mark.parametrize("bright", [False, True])
@pytest.mark.parametrize(("degrees", "factor"), [(0, 1), (2, 1.07), (-2, 0.93), (14, 0.8), (-31, 1)])
def test_every_cell_is_found(degrees: float, factor: float, bright: bool) -> None:
    picture, centres = draw_array(12, 15, missing=0.15, bright=bright)
    picture, centres = moved(picture, centres, degrees, factor)
    lattice = find_lattice(picture, (12, 15))
    assert farthest(lattice, centres) < 2
    assert lattice.pitch == pytest.approx(40 * factor, rel=0.005)
    assert lattice.angle == pytest.approx(degrees, abs=0.2)


@pytest.mark.parametrize("bright", [False, True])
def test_a_full_array_turned_and_scaled_with_a_third_missing(bright: bool) -> None:
    picture, centres = draw_array(21, 21, pitch=28, missing=0.35, bright=bright)
    picture, centres = moved(picture, centres, 2, 1.07)
    assert farthest(find_lattice(picture), centres) < 2


def test_missing_pillars_have_a_low_likeness() -> None:
    picture, centres = draw_array(9, 9)
    x, y = centres[4, 6].round().astype(int)
    picture[y - 18 : y + 19, x - 18 : x + 19] = picture[y, x - 20]
    lattice = find_lattice(picture, (9, 9))
    assert lattice.likeness_RC.argmin() == 4 * 9 + 6
    assert lattice.likeness_RC[4, 6] < 0.45 < np.sort(lattice.likeness_RC.ravel())[1]


def test_a_seam_moves_its_side_only() -> None:
    picture, centres = draw_array(10, 12)
    seam = round(float(centres[0, 5:7, 0].mean()))
    shifted = np.hstack([picture[:, :seam], np.roll(picture, 7, axis=0)[:, seam:]])
    centres = centres.copy()
    centres[:, 6:, 1] += 7
    assert farthest(find_lattice(shifted, (10, 12)), centres) < 2


def test_colour_and_sixteen_bits_give_the_same_lattice() -> None:
    picture, _ = draw_array(8, 8)
    grey = find_lattice(picture, (8, 8)).centres()
    deep = picture.astype(np.uint16) * np.uint16(257)
    for other in (deep, np.repeat(picture[..., None], 3, axis=2)):
        np.testing.assert_allclose(find_lattice(other, (8, 8)).centres(), grey, atol=0.1)


@pytest.mark.parametrize("grid", [(9, 9), (8, 9), (13, 10)])
def test_another_grid_than_shown_is_refused(grid: tuple[int, int]) -> None:
    picture, _ = draw_array(9, 10)
    with pytest.raises(LatticeError, match=r"found 9x10 in the picture; set data\.grid"):
        find_lattice(picture, grid)


@pytest.mark.parametrize(("rows", "columns"), [(3, 3), (2, 6), (9, 10), (20, 22), (26, 31)])
def test_a_grid_that_nobody_knows_is_found(rows: int, columns: int) -> None:
    picture, centres = draw_array(rows, columns, pitch=32)
    lattice = find_lattice(picture, None)
    assert lattice.likeness_RC.shape == (rows, columns)
    assert farthest(lattice, centres) < 2


def test_a_row_whose_pillars_have_gone_is_still_a_row() -> None:
    picture, centres = draw_array(9, 10)
    top, bottom = round(float(centres[3, 0, 1])) + 20, round(float(centres[5, 0, 1])) - 20
    picture[top:bottom] = np.median(picture[top - 6 : top], axis=0)
    assert find_lattice(picture, None).likeness_RC.shape == (9, 10)


def test_a_picture_without_repeats_is_refused() -> None:
    noise = np.random.default_rng(0).integers(0, 255, (300, 300), dtype=np.uint8)
    with pytest.raises(LatticeError, match="check that"):
        find_lattice(noise)
    with pytest.raises(LatticeError, match="nothing that repeats"):
        find_steps(np.full((200, 200), 90, np.uint8))


def test_tiles_are_equal_and_show_their_pillar_in_the_middle() -> None:
    picture, _ = draw_array(6, 7, bright=True)
    lattice = find_lattice(picture, (6, 7))
    tiles = cut_tiles(picture, lattice, margin=0.1)
    assert tiles.shape == (6, 7, 48, 48)
    assert tiles.dtype == np.uint8
    middle, corner = tiles[:, :, 20:28, 20:28].mean(axis=(2, 3)), tiles[:, :, :4, :4].mean(axis=(2, 3))
    assert (middle > corner + 15).all()


def test_a_turned_array_gives_upright_tiles() -> None:
    """Tiles of the turned image equal those of the straight one, but for the interpolation."""
    picture, centres = draw_array(8, 8, pitch=48)
    turned, _ = moved(picture, centres, 10, 1)
    straight_tiles = cut_tiles(picture, find_lattice(picture, (8, 8)), 0).astype(float)
    turned_tiles = cut_tiles(turned, find_lattice(turned, (8, 8)), 0).astype(float)
    assert np.abs(straight_tiles - turned_tiles)[1:-1, 1:-1].mean() < 4


@pytest.mark.parametrize(("start", "length", "size"), [(-3, 12, 5), (2, 4, 9), (-30, 50, 4), (0, 3, 1)])
def test_reflection_is_that_of_numpy(start: int, length: int, size: int) -> None:
    axis = np.arange(size)
    expected = np.pad(axis, 60, mode="reflect")[60 + start : 60 + start + length] if size > 1 else np.zeros(length)
    np.testing.assert_array_equal(axis[mirrored(start, length, size)], expected)


def test_boxes_are_read_as_they_are_written() -> None:
    for box in (Box(-3, 4, 1234567, 6), Box(0, 0, 1, 1, -2.25)):
        assert parse_box(box.text) == box
    for wrong in ("1 2 3", "a b c d", "0 0 0 5", ""):
        with pytest.raises(DataError, match="Expected a box"):
            parse_box(wrong)


def test_a_turned_box_cuts_booleans() -> None:
    mask = np.zeros((40, 40), dtype=np.bool_)
    mask[10:30, 18:22] = True
    part = cut(mask, Box(5, 5, 30, 30, 90.0))
    assert part.dtype == np.bool_
    assert part[13:17].mean() > part[:, 13:17].mean()


def test_least_squares_ignores_outliers() -> None:
    index = np.array([(c, r) for r in range(8) for c in range(8)])
    point = np.array([3.0, 5.0]) + index @ np.array([(32.0, 1.0), (-1.0, 32.0)])
    point[::9] += 9
    origin, across, down = fit_steps(point, index, np.ones(len(index)))
    np.testing.assert_allclose([*across, *down], [32, 1, -1, 32], atol=0.1)
    np.testing.assert_allclose(origin, [3, 5], atol=0.5)


def test_peaks_of_parabolas_are_found_exactly() -> None:
    y, x = np.mgrid[-1:2, -1:2]
    np.testing.assert_allclose(peak_offset(-((x - 0.3) ** 2) - 2.0 * (y + 0.2) ** 2), [0.3, -0.2])


def test_cells_without_votes_take_the_shift_of_their_neighbours() -> None:
    shift = np.full((5, 5, 2), np.nan)
    shift[:, :3] = (2.0, -1.0)
    np.testing.assert_array_equal(neighbourhood_median(shift), np.broadcast_to((2.0, -1.0), (5, 5, 2)))


def rebuilt(folder: Path) -> Bytes:
    """Lay real tiles side by side where their overlaps agree."""

    def tile(row: int, col: int) -> Bytes:
        return read_image(folder / f"{folder.name}_{row},{col}.bmp")

    def starts(strips: list[Bytes]) -> list[int]:
        found = [0]
        for this, following in pairwise(strips):
            errors = {
                step: np.abs(this[step:].astype(int) - following[: len(this) - step]).mean()
                for step in range(40, len(this) - 4)
            }
            found.append(found[-1] + min(errors, key=lambda step: errors[step]))
        return found

    x = starts([tile(5, col).swapaxes(0, 1) for col in range(1, 22)])
    y = starts([tile(row, 5) for row in range(1, 22)])
    last = tile(21, 21)
    picture = np.zeros((y[-1] + last.shape[0], x[-1] + last.shape[1], 3), np.uint8)
    for row, top in enumerate(y, start=1):
        for col, left in enumerate(x, start=1):
            part = tile(row, col)
            picture[top : top + part.shape[0], left : left + part.shape[1]] = part
    return picture


@pytest.mark.parametrize("array", ["Array_1Crop", "Array_2Crop"])
def test_real_arrays_are_found_the_same_however_they_lie(shared_data: Path, array: str) -> None:
    """Real arrays of four shots with seams of a quarter of a pitch, a tenth of the pillars gone or fallen."""
    picture = rebuilt(shared_data / "meta_atom" / array)
    lattice = find_lattice(picture)
    pitch = np.array(picture.shape[1::-1]) / 21
    tiles = (np.stack(np.meshgrid(np.arange(21), np.arange(21)), axis=2) + 0.5) * pitch
    assert np.abs(lattice.centres() - tiles).max() < 0.35 * pitch.min()
    turned, centres = moved(picture, lattice.centres(), 2, 1.07)
    assert farthest(find_lattice(turned), centres) < 2
