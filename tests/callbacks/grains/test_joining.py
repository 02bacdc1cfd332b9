"""Grains of large images, closed by blocks: as if closed at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree
from skimage.measure import label

from callbacks.grains import closing
from callbacks.grains.closing import boundaries_of, grains_of_logits
from callbacks.grains.counting import intercepts, planimetry
from callbacks.grains.joining import close_by_blocks, same_grains

if TYPE_CHECKING:
    import numpy.typing as npt


def grains_near(height: int, width: int, count: int, seed: int = 0) -> npt.NDArray[np.int32]:
    rng = np.random.default_rng(seed)
    heart = rng.uniform(0, 1, (count, 2)) * [height, width]
    row, column = np.mgrid[:height, :width]
    return np.asarray(cKDTree(heart).query(np.stack([row, column], axis=-1))[1] + 1, np.int32)


def noisy_logits(grain_HW: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
    line_HW = cv2.dilate(boundaries_of(grain_HW).astype(np.uint8), np.ones((3, 3), np.uint8)) * np.float32(8) - 4
    noise_HW = np.random.default_rng(1).normal(0, 0.3, grain_HW.shape)
    return np.asarray(cv2.GaussianBlur(line_HW, (0, 0), 2) + noise_HW, np.float32)


def of_zero(value_HW: npt.NDArray[np.float32]) -> npt.NDArray[np.int32]:
    """Number the parts that are 0, and give all else to one."""
    return np.asarray(label(value_HW == 0, connectivity=1) + 1, np.int32)  # type: ignore[no-untyped-call]  # none there


@pytest.mark.parametrize("shape", [(90, 400), (257, 190), (64, 64), (63, 129)])
def test_blocks_give_the_grains_of_the_whole(shape: tuple[int, int]) -> None:
    truth = grains_near(*shape, count=max(6, shape[0] * shape[1] // 250))
    line = boundaries_of(truth).astype(np.float32)
    whole = of_zero(line)
    found = close_by_blocks(line, of_zero, block=64, margin=60)
    pairs = np.unique(np.stack([whole.ravel(), found.ravel()], axis=1), axis=0)
    grains = len(np.unique(whole))
    assert grains <= len(pairs) <= grains + 1  # tips that lie in a corner of four blocks may stay apart
    assert abs(len(np.unique(found)) - grains) <= 1
    assert sorted(np.unique(found)) == list(range(1, int(found.max()) + 1))


def test_a_grain_longer_than_blocks_stays_one() -> None:
    line = np.zeros((40, 500), np.float32)
    line[20] = 1
    assert len(np.unique(close_by_blocks(line, of_zero, block=64, margin=32))) == 3


def test_large_scans_are_closed_by_blocks_and_measure_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    logit = noisy_logits(grains_near(500, 700, 900))
    whole = grains_of_logits(logit)
    seen: list[tuple[int, int]] = []

    def small(value_HW: npt.NDArray[np.float32], close: object) -> npt.NDArray[np.int32]:
        seen.append(value_HW.shape)
        return close_by_blocks(value_HW, close, block=128, margin=64)  # type: ignore[arg-type]  # it is called above

    monkeypatch.setattr(closing, "BLOCK", 128)
    monkeypatch.setattr(closing, "MARGIN", 64)
    monkeypatch.setattr(closing, "close_by_blocks", small)
    found = grains_of_logits(logit)
    assert seen == [(500, 700)]
    assert (boundaries_of(found) != boundaries_of(whole)).mean() < 1e-3
    assert intercepts(found).mean() == pytest.approx(intercepts(whole).mean(), rel=2e-3)
    assert planimetry(found).per_pixel == pytest.approx(planimetry(whole).per_pixel, rel=0.01)


def test_only_what_lies_on_each_other_is_one() -> None:
    one = np.array([[1, 1, 1, 1, 2, 2, 0, 0]], np.int32)
    other = np.array([[5, 5, 5, 6, 6, 6, 6, 6]], np.int32)
    assert same_grains(one, other).tolist() == [[1, 5], [2, 6]]
    assert not len(same_grains(np.zeros_like(one), other))
