"""Parts on plain grounds: what is found of them, and what is not taken for one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest

from datamodules.errors import DataError
from datamodules.files.fitting import Part
from datamodules.zones.foreground import Foreground, read_foreground

if TYPE_CHECKING:
    import numpy.typing as npt

SIDE = 128
MIDDLE = (64, 60)


def scene(ground: float = 0.8, slope: float = 0.0) -> npt.NDArray[np.float32]:
    """Draw a plain ground, lit from one side, with a little noise (H, W)."""
    noise = np.random.default_rng(0).normal(0, 0.005, (SIDE, SIDE))
    return (ground + slope * np.linspace(-0.5, 0.5, SIDE)[None] + noise).astype(np.float32)


def ring(image_HW: npt.NDArray[np.float32], grey: float, radius: int = 40, inner: int = 0) -> npt.NDArray[np.bool_]:
    """Draw a ring or disc, and return where it is."""
    y, x = np.mgrid[:SIDE, :SIDE]
    away = np.hypot(x - MIDDLE[0], y - MIDDLE[1])
    part = (away <= radius) & (away >= inner)
    image_HW[part] = grey
    return np.asarray(part, np.bool_)


def seen(image_HW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return np.repeat(np.clip(image_HW, 0, 1)[None], 3, axis=0)


def agreement(found: Any, part: npt.NDArray[np.bool_]) -> float:
    return float((found & part).sum() / (found | part).sum())


@pytest.mark.parametrize(("ground", "grey"), [(0.8, 0.2), (0.1, 0.7)])
@pytest.mark.parametrize("slope", [0.0, 0.15])
def test_a_part_darker_or_lighter_than_its_ground_is_found_in_light_from_one_side(
    ground: float, grey: float, slope: float
) -> None:
    image = scene(ground, slope)
    part = ring(image, grey)
    assert agreement(Foreground(margin=0.0).find(seen(image)), part) > 0.97


def test_a_hole_shows_the_ground_unless_the_part_is_solid_and_a_pit_belongs_to_the_part() -> None:
    image = scene()
    part = ring(image, 0.2, 40, 25)
    cv2.circle(image, (64 + 32, 60), 3, 0.8, -1)  # a pit of the ground's colour
    found = Foreground(margin=0.0).find(seen(image))
    assert agreement(found, part) > 0.95
    assert found is not None
    assert not found[60, 64]
    assert found[60, 96]
    solid = Foreground(margin=0.0, solid=True).find(seen(image))
    assert agreement(solid, ring(scene(), 0.2, 40)) > 0.95


def test_specks_on_the_ground_are_no_part_of_it() -> None:
    image = scene()
    part = ring(image, 0.2, 40, 25)
    for place in ((10, 10), (64, 60), (115, 20)):
        cv2.circle(image, place, 4, 0.2, -1)
    found = Foreground(margin=0.0).find(seen(image))
    assert agreement(found, part) > 0.95
    assert found is not None
    assert not found[10, 10]
    assert not found[60, 64]


def test_a_margin_widens_the_part_by_a_share_of_the_shorter_side() -> None:
    image = scene()
    ring(image, 0.2)
    tight, wide = (Foreground(margin=margin).find(seen(image)) for margin in (0.0, 0.05))
    assert tight is not None
    assert wide is not None
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (13, 13))
    assert agreement(wide, cv2.dilate(tight.astype(np.uint8), disc) > 0) > 0.99


def test_where_nothing_stands_out_all_of_the_image_counts() -> None:
    assert Foreground().find(seen(scene())) is None
    assert Foreground().find(np.zeros((3, SIDE, SIDE), np.float32)) is None
    texture = np.random.default_rng(0).random((SIDE, SIDE)).astype(np.float32)
    found = Foreground().find(seen(texture))
    assert found is None or found.mean() < 0.95
    speck = scene()
    cv2.circle(speck, MIDDLE, 4, 0.2, -1)  # less than a hundredth
    assert Foreground().find(seen(speck)) is None


def test_zones_are_the_part_where_they_are_known() -> None:
    zones = np.full((SIDE, SIDE), 3, np.uint8)
    cv2.circle(zones, MIDDLE, 40, 2, -1)
    cv2.circle(zones, MIDDLE, 10, 1, -1)
    image = seen(scene())
    assert np.array_equal(np.asarray(Foreground((1, 2), 0.0).find(image, zones)), zones < 3)
    assert np.array_equal(np.asarray(Foreground((2,), 0.0).find(image, zones)), zones == 2)
    assert Foreground((1, 2)).find(image, None) is None
    assert Foreground((1, 2)).find(image, np.zeros_like(zones)) is None


def test_padding_is_neither_looked_at_nor_part() -> None:
    image = scene()
    part = ring(image, 0.2)
    padded = np.pad(image, ((0, 0), (30, 20)), constant_values=0.0)  # black, which would stand out
    found = Foreground(margin=0.0).find(seen(padded), None, Part(0, 30, SIDE, 30 + SIDE))
    assert agreement(found, np.pad(part, ((0, 0), (30, 20)))) > 0.97
    nothing = np.pad(scene(), ((0, 0), (30, 20)))
    assert Foreground().find(seen(nothing), None, Part(0, 30, SIDE, 30 + SIDE)) is None


def test_settings_are_read_and_others_refused() -> None:
    assert read_foreground(None, 0.02) is None
    assert read_foreground("plain", 0.1) == Foreground((), 0.1)
    assert read_foreground("solid", 0) == Foreground((), 0, True)
    assert read_foreground([1, 2], 0.02) == Foreground((1, 2))
    assert read_foreground(3, 0.02) == Foreground((3,))
    found = Foreground((1, 2), 0.1)
    assert Foreground(**found.to_dict()) == found
    with pytest.raises(DataError, match=r"data\.foreground to be plain, solid, ids of zones .* found 'ring'"):
        read_foreground("ring", 0.02)
    with pytest.raises(DataError, match=r"data\.foreground to be from 1 to 255, but found \(0,\)"):
        read_foreground([0], 0.02)
    with pytest.raises(DataError, match=r"data\.foreground_margin to be from 0 to 0\.5, but found 0\.6"):
        read_foreground("plain", 0.6)
