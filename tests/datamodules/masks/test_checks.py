"""Masks that cannot be what was meant."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from datamodules.files.images import read_image
from datamodules.health.inspection import to_grey
from datamodules.masks.checks import (
    REACH,
    MaskFacts,
    find_common_shift,
    find_shift,
    is_inverted,
    mask_facts,
    shift_surface,
)

if TYPE_CHECKING:
    from pathlib import Path

Mask = npt.NDArray[np.bool_]
Grey = npt.NDArray[np.uint8]


def pit(seed: int, contrast: float = 90) -> tuple[Grey, Mask]:
    """A noisy plate with a strong straight edge, and a pit beside it."""
    rng = np.random.default_rng(seed)
    grey = rng.normal(110, 6, (160, 200))
    grey[:, 150:] += 80
    center = int(rng.integers(40, 115)), int(rng.integers(40, 120))
    mask = np.zeros(grey.shape, np.uint8)
    cv2.ellipse(mask, center, (9, 6), 30, 0, 360, 1, -1)
    grey[mask > 0] += contrast
    return grey.clip(0, 255).astype(np.uint8), mask > 0


@pytest.mark.parametrize("contrast", [90, -70])
def test_a_right_mask_is_left_alone_and_a_moved_one_found(contrast: float) -> None:
    for seed in range(10):
        grey, mask = pit(seed, contrast)
        assert find_shift(mask_facts(mask, grey)) is None
        shift = find_shift(mask_facts(np.roll(mask, (12, -9), (0, 1)), grey))
        assert shift is not None
        assert (round(shift.right), round(shift.down)) == (9, -12)


def test_large_pictures_give_the_shift_in_their_own_pixels() -> None:
    grey, mask = pit(0)
    large = cv2.resize(grey, None, fx=8, fy=8, interpolation=cv2.INTER_NEAREST).astype(np.uint8)
    moved = np.roll(np.kron(mask, np.ones((8, 8))) > 0, (40, -32), (0, 1))
    shift = find_shift(mask_facts(moved, large))
    assert shift is not None
    assert shift.right == pytest.approx(32, abs=4)
    assert shift.down == pytest.approx(-40, abs=4)


def test_the_surface_is_the_correlation_it_says() -> None:
    grey, mask = pit(3)
    surface = shift_surface(mask, grey, 1.0)
    assert surface is not None
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    margin = max(4, round(0.25 * min(np.ptp(rows), np.ptp(cols))))
    top, bottom, left, right = rows[0] - margin, rows[-1] + margin + 1, cols[0] - margin, cols[-1] + margin + 1
    for down, across in ((0, 0), (3, -2), (-REACH, REACH)):
        window = grey[top + down : bottom + down, left + across : right + across]
        expected = abs(np.corrcoef(mask[top:bottom, left:right].ravel(), window.ravel())[0, 1])
        assert surface[REACH + down, REACH + across] == pytest.approx(expected, abs=1e-3)


def test_faint_masks_speak_together() -> None:
    right, moved = [], []
    for seed in range(40):
        grey, mask = pit(seed, contrast=5)
        right.append(mask_facts(mask, grey))
        moved.append(mask_facts(np.roll(mask, (6, 5), (0, 1)), grey))
    assert find_common_shift(right) is None
    common = find_common_shift(moved)
    assert common is not None
    assert (common.right, common.down) == pytest.approx((-5, -6), abs=1)
    assert find_common_shift(moved[:3]) is None


def test_an_inverted_mask_is_told_from_a_large_defect() -> None:
    grey, mask = pit(0)
    assert not is_inverted(mask_facts(mask, grey))
    assert is_inverted(mask_facts(~mask, grey))
    large = np.zeros(mask.shape, np.bool_)
    large[10:150, 10:190] = True  # most of the image, but not its border
    assert not is_inverted(mask_facts(large, grey))


def test_a_mask_that_fills_the_picture_says_nothing_about_a_shift() -> None:
    facts = mask_facts(np.ones((60, 60), np.bool_), np.full((60, 60), 9, np.uint8))
    assert facts.surface is None
    assert find_shift(facts) is None
    assert find_common_shift([facts] * 20) is None


def test_real_masks_lie_right(shared_data: Path) -> None:
    facts: list[MaskFacts] = []
    root = shared_data / "benchmark" / "screw"
    for path in sorted((root / "ground_truth").rglob("*.png")):
        picture = root / "test" / path.parent.name / path.name.replace("_mask", "")
        facts.append(mask_facts(read_image(path) > 127, to_grey(read_image(picture))))
    assert len(facts) == 119
    assert not any(map(is_inverted, facts))
    assert sum(find_shift(one) is not None for one in facts) <= 1
    assert find_common_shift(facts) is None
