"""How images lie in what models see, against drawings whose places are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from datamodules.files.fitting import FITS, Fit, fit_mask, fit_values, fit_zones, network_input, place
from datamodules.files.images import resize

SIZES = [(60, 80), (80, 60), (64, 64), (31, 200), (200, 31), (7, 9), (1, 40)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("fit", FITS)
def test_places_go_there_and_back(size: tuple[int, int], fit: Fit) -> None:
    placement = place(size, (32, 48), fit)
    whole = placement.box((placement.frame.left, placement.frame.top, placement.frame.right, placement.frame.bottom))
    part = placement.part
    assert whole == pytest.approx((part.left, part.top, part.right, part.bottom))
    assert (placement.padded, placement.whole) == (
        fit in {"letterbox", "keep"} and placement.frame.size != (32, 48),
        placement.whole,
    )
    assert placement.inside().sum() == placement.frame.area
    assert fit != "squash" or placement.whole


@pytest.mark.parametrize("size", [(60, 80), (80, 60), (120, 90), (48, 160)])
def test_letterbox_and_crop_keep_proportions(size: tuple[int, int]) -> None:
    for fit in ("letterbox", "crop"):
        down, across = place(size, (32, 32), fit).scale
        assert down == pytest.approx(across, rel=0.05)  # to half a pixel of 32
    height, width = size
    padded, cut = place(size, (32, 32), "letterbox"), place(size, (32, 32), "crop")
    assert max(padded.frame.size) == 32
    assert padded.part.size == size
    assert cut.frame.size == (32, 32)
    assert max(cut.part.size) == min(height, width)


def test_keep_changes_no_scale_unless_it_must() -> None:
    values = np.arange(30 * 45, dtype=np.uint16).reshape(30, 45)
    placement = place((30, 45), (64, 64), "keep")
    assert (placement.scale, placement.frame.size) == ((1.0, 1.0), (30, 45))
    assert np.array_equal(placement.frame.of(fit_values(values, placement)), values)
    assert placement.box((9.0, 17.0, 54.0, 47.0)) == (0.0, 0.0, 45.0, 30.0)
    larger = place((60, 200), (64, 64), "keep")
    assert larger == place((60, 200), (64, 64), "letterbox")


def test_own_changes_nothing() -> None:
    values = np.arange(30 * 45, dtype=np.uint16).reshape(30, 45)
    placement = place((30, 45), (64, 64), "own")
    assert placement.seen == (30, 45)
    assert placement.whole
    assert placement.box((9.0, 17.0, 44.0, 29.0)) == (9.0, 17.0, 44.0, 29.0)
    assert np.array_equal(fit_values(values, placement), values)
    assert network_input(values.astype(np.uint8), 64, 64, fit="own").shape == (3, 30, 45)


def test_a_circle_stays_round_in_a_letterbox_and_becomes_an_egg_when_squashed() -> None:
    values = np.zeros((60, 120), np.uint8)
    cv2.circle(values, (60, 30), 20, 255, -1)
    shapes: list[tuple[Fit, float]] = [("letterbox", 1.0), ("squash", 0.5)]
    for fit, egg in shapes:
        seen = fit_values(values, place((60, 120), (64, 64), fit)) > 127
        rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
        assert np.ptp(columns) / np.ptp(rows) == pytest.approx(egg, abs=0.08)


def test_padding_repeats_the_edge_and_marks_nothing() -> None:
    placement = place((10, 20), (40, 40), "letterbox")
    mask, zones = np.ones((10, 20), bool), np.full((10, 20), 3, np.uint8)
    values = np.arange(200, dtype=np.uint8).reshape(10, 20)
    seen, outside = fit_values(values, placement), ~placement.inside()
    assert outside.any()
    assert not fit_mask(mask, placement)[outside].any()
    assert fit_mask(mask, placement)[~outside].all()
    assert set(fit_zones(zones, placement)[outside]) == {0}
    frame = placement.frame
    assert (seen[: frame.top] == seen[frame.top]).all()
    assert (seen[frame.bottom :] == seen[frame.bottom - 1]).all()


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("factor", [1, 2, 5])
def test_masks_come_back_exactly_where_pixels_are_whole(fit: Fit, factor: int) -> None:
    height, width = (20 * factor, 30 * factor) if fit != "squash" else (40 * factor, 40 * factor)
    placement = place((height, width), (40, 40), fit)
    if fit in {"letterbox", "keep"}:
        placement = place((20 * factor, 40 * factor), (40, 40), fit)
    small = np.zeros(placement.frame.size, bool)
    small[3:9, 5:8] = True
    seen = np.zeros(placement.seen, bool)
    placement.frame.of(seen)[:] = small
    on_disk = placement.mask_on_disk(seen)
    assert on_disk.shape == placement.size
    down, across = (round(side) for side in placement.scale) if fit != "crop" else placement.scale
    if fit != "crop":
        assert np.array_equal(placement.part.of(on_disk), np.kron(small, np.ones((int(down), int(across)), bool)))
    assert np.array_equal(fit_mask(on_disk, placement), seen) or fit == "crop"


def test_squash_is_the_resize_that_always_was() -> None:
    values = np.random.default_rng(0).integers(0, 255, (50, 70, 3), dtype=np.uint8)
    expected = resize(values, 32, 24).transpose(2, 0, 1).astype(np.float32) / np.float32(255)
    assert np.array_equal(network_input(values, 32, 24), expected)


def test_values_are_laid_on_the_image_and_are_zero_where_nobody_looked() -> None:
    placement = place((20, 60), (10, 10), "crop")
    laid = placement.values_on_disk(np.ones((10, 10), np.float32))
    assert laid.shape == (20, 60)
    assert (laid[:, 20:40] == 1).all()
    assert not laid[:, :20].any()
    assert not laid[:, 40:].any()
    assert placement.values_on_disk(np.ones((10, 10, 4), np.uint8), (10, 30)).shape == (10, 30, 4)
