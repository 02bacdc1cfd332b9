from __future__ import annotations

import base64
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image
from skimage.color import rgb2lab

from callbacks.report.overlays import (
    MARKED_COLOUR,
    PREDICTED_COLOUR,
    colour_map,
    data_uri,
    enlarged,
    mask_image,
    overlay,
    strip,
)

if TYPE_CHECKING:
    from tests.callbacks.report.conftest import Contents


def test_colours_grow_lighter_in_even_steps() -> None:
    lightness = rgb2lab(colour_map(np.linspace(0, 1, 256, dtype=np.float32)[None], 0, 1))[0, :, 0]
    assert (np.diff(lightness[::4]) > 0).all()
    assert np.corrcoef(lightness, np.arange(256))[0, 1] > 0.99


def test_colours_are_clipped_and_defined_for_any_number() -> None:
    values = np.array([[-9, 0, 1, 9, np.nan, np.inf, -np.inf]], dtype=np.float32)
    colours = colour_map(values, 0, 1)
    assert colours.shape == (1, 7, 3)
    assert colours.dtype == np.uint8
    assert (colours[0, [0, 4, 6]] == colours[0, 1]).all()
    assert (colours[0, [3, 5]] == colours[0, 2]).all()
    assert colour_map(values, 1, 1).shape == (1, 7, 3)


def test_the_picture_shows_where_the_map_is_low_and_changes_where_it_is_high() -> None:
    image = np.full((8, 8, 3), 128, dtype=np.uint8)
    anomaly_map = np.zeros((8, 8), dtype=np.float32)
    anomaly_map[0], anomaly_map[1] = 1.0, 0.2
    blended = overlay(image, anomaly_map, 0, 1)
    assert (blended[1:] == 128).all()
    assert (blended[0] != 128).any()
    assert (image == 128).all()  # drawn on a copy


@pytest.mark.parametrize("size", [1, 9])
def test_contours_run_around_their_region_and_leave_it_visible(size: int) -> None:
    image = np.full((64, 64, 3), 100, dtype=np.uint8)
    region = np.zeros((64, 64), dtype=bool)
    region[20 : 20 + size, 30 : 30 + size] = True
    nothing = np.zeros((64, 64), dtype=np.float32)
    for arguments, colour in (((region, None), MARKED_COLOUR), ((None, region), PREDICTED_COLOUR)):
        drawn = overlay(image, nothing, 0, 1, *arguments)
        outlined = (drawn == colour).all(axis=2)
        assert (drawn[region] == 100).all()
        assert outlined.any()
        rows, columns = np.nonzero(outlined)
        assert (rows.min(), rows.max(), columns.min(), columns.max()) == (19, 20 + size, 29, 30 + size)


def test_a_map_or_mask_of_another_size_is_refused_with_the_sizes() -> None:
    image, wrong = np.zeros((8, 9, 3), dtype=np.uint8), np.zeros((9, 8))
    with pytest.raises(ValueError, match=r"map to be as large as its picture, \(8, 9\), but got \(9, 8\)"):
        overlay(image, wrong.astype(np.float32), 0, 1)
    with pytest.raises(ValueError, match="Expected the mask"):
        overlay(image, np.zeros((8, 9), dtype=np.float32), 0, 1, wrong.astype(bool))


def test_a_strip_holds_all_four_side_by_side(contents: type[Contents]) -> None:
    example = contents.example("miss", "a.png", 0)
    drawn = strip(example, 0, 6)
    gap = 2
    assert drawn.shape == (48, 4 * 64 + 3 * gap, 3)
    assert (drawn[:, :64] == example.image).all()
    assert (drawn[:, 66:130] == colour_map(example.anomaly_map, 0, 6)).all()
    assert (drawn[:, 132:196] == mask_image(example.mask, (48, 64))).all()
    assert strip(contents.example("pass", "b.png", 0, marked=False), 0, 6).shape == drawn.shape


def test_an_enlarged_example_keeps_its_proportions_and_masks(contents: type[Contents]) -> None:
    example = contents.example("miss", "a.png", 0)
    large = enlarged(example, 3)
    assert large.image.shape == (144, 192, 3)
    assert large.anomaly_map.shape == (144, 192)
    assert large.mask is not None
    assert large.mask.sum() == 9 * example.mask.sum()  # type: ignore[union-attr]  # this example has one
    assert enlarged(contents.example("pass", "b.png", 0, marked=False), 2).mask is None


@pytest.mark.parametrize(("shape", "size"), [((40, 60), (60, 40)), ((800, 400), (192, 384)), ((3, 3000), (384, 1))])
def test_data_uris_hold_the_picture_and_shrink_large_ones(shape: tuple[int, int], size: tuple[int, int]) -> None:
    picture = np.full((*shape, 3), 77, dtype=np.uint8)
    head, body = data_uri(picture, 384, lossless=True).split(",")
    decoded = Image.open(BytesIO(base64.b64decode(body)))
    assert head == "data:image/webp;base64"
    assert decoded.size == size
    assert (np.asarray(decoded.convert("RGB")) == 77).all()
