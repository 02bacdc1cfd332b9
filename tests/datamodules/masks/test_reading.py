"""What a mask marks: all of it, or none and the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image

from datamodules.errors import UnreadableImageError
from datamodules.masks.reading import read_mask

if TYPE_CHECKING:
    from pathlib import Path

BOX = (slice(20, 32), slice(20, 36))
OTHER = (slice(40, 50), slice(40, 50))
MARKED, BOTH = 192, 292


def labels(first: int, second: int = 0, dtype: Any = np.uint8, border: int = 0) -> Any:
    values = np.zeros((64, 64), dtype)
    if border:
        values[18:34, 18:38] = border
    values[BOX] = first
    values[OTHER] = second
    return values


def save(path: Path, values: Any) -> str:
    assert cv2.imwrite(str(path), values)
    return str(path)


def count(path: str, mask_on: int = 127, void: tuple[int, ...] | None = None) -> int:
    return int(read_mask(path, mask_on, void).sum())


@pytest.mark.parametrize(("first", "second"), [(255, 0), (255, 255), (200, 140), (128, 0), (255, 254)])
def test_marks_above_the_limit_are_all_read(tmp_path: Path, first: int, second: int) -> None:
    assert count(save(tmp_path / "m.png", labels(first, second))) == (BOTH if second else MARKED)


@pytest.mark.parametrize(
    ("first", "second", "dtype"),
    [(100, 150, np.uint8), (1, 255, np.uint8), (100, 150, np.uint16), (7, 300, np.uint16), (64, 128, np.uint8)],
)
def test_marks_on_both_sides_of_the_limit_are_refused_with_their_values(
    tmp_path: Path, first: int, second: int, dtype: Any
) -> None:
    path = save(tmp_path / "m.png", labels(first, second, dtype))
    with pytest.raises(UnreadableImageError, match=rf"values {first} beside {second}.*data\.mask_on=0"):
        read_mask(path)
    assert count(path, 0, ()) == BOTH


@pytest.mark.parametrize("suffix", [".png", ".bmp", ".tif"])
def test_objects_that_touch_are_not_lost_in_one_another(tmp_path: Path, suffix: str) -> None:
    values = labels(200)
    values[20:32, 36:40] = 90
    with pytest.raises(UnreadableImageError, match="values 90 beside 200"):
        read_mask(save(tmp_path / f"m{suffix}", values))


def test_a_thin_mark_of_a_low_value_is_not_lost(tmp_path: Path) -> None:
    values = labels(255)
    values[5, 3:40] = 60
    with pytest.raises(UnreadableImageError, match="values 60 beside 255"):
        read_mask(save(tmp_path / "m.png", values))


@pytest.mark.parametrize("sigma", [0.6, 1.0])
def test_soft_borders_are_no_marks_of_their_own(tmp_path: Path, sigma: float) -> None:
    soft = cv2.GaussianBlur(labels(255, 255), (0, 0), sigma)
    assert count(save(tmp_path / "m.png", soft)) == pytest.approx(BOTH, abs=16)


@pytest.mark.parametrize("quality", [50, 75, 95])
def test_noise_of_jpeg_is_no_mark(tmp_path: Path, quality: int) -> None:
    path = str(tmp_path / "m.jpg")
    assert cv2.imwrite(path, labels(255, 255), [cv2.IMWRITE_JPEG_QUALITY, quality])
    assert count(path) == pytest.approx(BOTH, abs=12)


def test_marks_that_are_all_low_are_refused_with_the_remedy(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", labels(31, 31))
    with pytest.raises(UnreadableImageError, match=r"of value 31 at most, none above data\.mask_on=127.*mask_on=0"):
        read_mask(path)
    assert count(path, 0) == BOTH


@pytest.mark.parametrize("palette", [[0, 0, 0, 128, 0, 0, 0, 128, 0], [0, 0, 0, 64, 0, 0, 0, 64, 64]])
def test_numbers_of_a_palette_are_read_and_not_its_colours(tmp_path: Path, palette: list[int]) -> None:
    image = Image.fromarray(labels(1, 2), "P")
    image.putpalette(palette)
    image.save(tmp_path / "m.png")
    with pytest.raises(UnreadableImageError, match="of value 2 at most"):
        read_mask(tmp_path / "m.png")
    assert count(str(tmp_path / "m.png"), 0) == BOTH


def test_a_grey_palette_keeps_its_greys(tmp_path: Path) -> None:
    image = Image.fromarray(labels(1), "P")
    image.putpalette([0, 0, 0, 255, 255, 255])
    image.save(tmp_path / "m.png")
    assert count(str(tmp_path / "m.png")) == MARKED


def test_undecided_borders_are_asked_for_and_left_out(tmp_path: Path) -> None:
    path = save(tmp_path / "m.png", labels(1, 2, border=255))
    with pytest.raises(UnreadableImageError, match="values 1, 2 beside 255"):
        read_mask(path)
    with pytest.raises(UnreadableImageError, match=r"classes \(1, 2\) beside 255.*data\.void=\[255\]"):
        read_mask(path, 0)
    assert count(path, 0, (255,)) == count(path, 127, (255,)) == BOTH
    assert count(path, 0, ()) == BOTH + 128


def test_marks_in_the_alpha_channel_are_read(tmp_path: Path) -> None:
    values = np.zeros((64, 64, 4), np.uint8)
    values[..., 3] = labels(255)
    assert count(save(tmp_path / "m.png", values)) == MARKED
    values[..., :3] = 255
    assert count(save(tmp_path / "white.png", values)) == MARKED
    values[..., :3] = labels(0, 255)[..., None]
    with pytest.raises(UnreadableImageError, match="other marks in its colours than in its alpha channel"):
        read_mask(save(tmp_path / "both.png", values))
    values[..., :3], values[..., 3] = labels(255)[..., None], 255
    assert count(save(tmp_path / "opaque.png", values)) == MARKED


def test_several_files_are_united(tmp_path: Path) -> None:
    first, second = save(tmp_path / "1.png", labels(255)), save(tmp_path / "2.png", labels(0, 254))
    assert count(f"{first} | {second}") == BOTH
    small = save(tmp_path / "3.png", labels(255)[:32])
    with pytest.raises(UnreadableImageError, match="64x32 and 64x64 pixels"):
        read_mask(f"{first} | {small}")
