"""Grains and their sizes, on drawn Voronoi maps whose truth is known, and on cases."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from scipy.spatial import cKDTree

from callbacks.grains.closing import (
    boundaries_of,
    bridged_share,
    grains_of_lines,
    grains_of_logits,
    open_share,
    rim_of_lines,
)
from callbacks.grains.counting import intercepts, number_by_count, number_by_intercept, planimetry, whole_areas
from callbacks.grains.measures import grain_facts, over_images
from datamodules.files.images import read_image

if TYPE_CHECKING:
    import numpy.typing as npt

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "metallography"


def voronoi(seed: int, side: int, count: int, stretch: float = 1.0) -> npt.NDArray[np.int32]:
    """Draw grains: for every pixel, the nearest of random hearts."""
    rng = np.random.default_rng(seed)
    heart = rng.uniform(-0.2 * side, 1.2 * side, (int(count * 1.96), 2)) * [1, 1 / stretch]
    y, x = np.mgrid[:side, :side]
    nearest = cKDTree(heart).query(np.stack([y.ravel(), x.ravel() / stretch], axis=1))[1]
    return np.asarray(nearest.reshape(side, side) + 1, np.int32)


def lines_of(grain_HW: npt.NDArray[np.int32], width: int) -> npt.NDArray[np.bool_]:
    """Draw the boundaries of grains, so many pixels wide."""
    line = boundaries_of(grain_HW).astype(np.uint8)
    # A skeleton may touch itself at corners only, where 4-connected grains stay apart all the same.
    return np.asarray(cv2.dilate(line, np.ones((width, width), np.uint8)) > 0)


@pytest.mark.parametrize("width", [1, 3, 5])
@pytest.mark.parametrize(("side", "count"), [(256, 60), (512, 400)])
def test_sizes_of_drawn_maps(side: int, count: int, width: int) -> None:
    truth = voronoi(side + width, side, count)
    line = lines_of(truth, width)
    grain = grains_of_lines(line)
    found = intercepts(grain, rim_of_lines(line)).mean()
    expected = intercepts(truth).mean()
    assert abs(number_by_intercept(found / 1000) - number_by_intercept(expected / 1000)) <= 0.15
    counted, known = planimetry(grain).per_pixel, planimetry(truth).per_pixel
    assert abs(number_by_count(counted * 1e6) - number_by_count(known * 1e6)) <= 0.15


def literal_changes(values: npt.NDArray[np.int32]) -> int:
    return sum(1 for before, after in pairwise(values) if before != after)


def test_counts_along_every_row_column_and_diagonal() -> None:
    grain = voronoi(1, 40, 12)[:, :31]
    found = intercepts(grain)
    assert found.met["row"] == sum(literal_changes(row) for row in grain)
    assert found.met["column"] == sum(literal_changes(column) for column in grain.T)
    diagonals = [np.diagonal(grain, k) for k in range(-39, 31)]
    assert found.met["falling diagonal"] == sum(literal_changes(one) for one in diagonals)
    rising = [np.diagonal(grain[::-1], k) for k in range(-39, 31)]
    assert found.met["rising diagonal"] == sum(literal_changes(one) for one in rising)
    assert found.length["rising diagonal"] == pytest.approx(sum(len(one) - 1 for one in rising) * 2**0.5)


def test_stretched_grains_are_anisotropic() -> None:
    plain, stretched = intercepts(voronoi(3, 400, 200)), intercepts(voronoi(3, 400, 200, stretch=2.0))
    assert plain.anisotropy < 1.15
    assert stretched.anisotropy > 1.4
    assert stretched.mean("row") > stretched.mean("column")


def test_whole_and_cut_grains() -> None:
    grain = np.ones((6, 8), np.int32)
    grain[1:3, 1:4] = 2
    grain[4:, 6:] = 3
    assert planimetry(grain).inside == 1
    assert planimetry(grain).cut == 2
    assert whole_areas(grain).tolist() == [6]


def test_numbers_of_e112() -> None:
    """A grain of G = 0 measures 0.32 mm by intercept, and one more G halves its area: 7.75 to 15.5 per square mm."""
    assert number_by_intercept(0.320) == pytest.approx(0, abs=0.01)
    assert number_by_count(15.5) - number_by_count(7.75) == pytest.approx(1, abs=1e-5)
    assert number_by_count(7.75) == pytest.approx(0, abs=0.01)


def test_gaps_are_closed_on_logits_where_filling_fails() -> None:
    truth = voronoi(5, 300, 120)
    line = lines_of(truth, 3)
    rng = np.random.default_rng(0)
    y, x = np.nonzero(boundaries_of(truth))
    for index in rng.choice(len(y), 200):
        line[max(y[index] - 2, 0) : y[index] + 3, max(x[index] - 2, 0) : x[index] + 3] = False
    logit = np.asarray(cv2.GaussianBlur(np.where(line, 4.0, -4.0).astype(np.float32), (0, 0), 2.0))
    logit += rng.normal(0, 0.15, logit.shape).astype(np.float32)
    expected = intercepts(truth).mean()
    assert intercepts(grains_of_lines(line)).mean() > 2 * expected
    for scale in (1.0, 0.1):
        assert intercepts(grains_of_logits(logit * scale)).mean() == pytest.approx(expected, rel=0.25)


def test_what_could_not_be_closed_is_counted() -> None:
    line = np.zeros((60, 60), np.bool_)
    line[:, 30] = True
    grain = grains_of_lines(line)
    assert open_share(line, grain) == 0
    line[30, 5:25] = True  # ends in the middle of a grain
    assert open_share(line, grains_of_lines(line)) == pytest.approx(20 / 80, abs=0.06)
    line[30, 5:25] = False
    marked = line.copy()
    marked[20:40] = False
    assert bridged_share(marked, grain) == pytest.approx(14 / 60, abs=0.05)
    assert bridged_share(marked, np.ones_like(grain)) == 0


def test_facts_with_and_without_a_scale() -> None:
    grain = voronoi(2, 256, 60)
    plain = grain_facts(grain)
    assert "G_heyn" not in plain
    assert plain["mean_intercept_interval_px"][0] < plain["mean_intercept_px"] < plain["mean_intercept_interval_px"][1]  # type: ignore[index, operator]
    known = grain_facts(grain, boundaries_of(grain), 0.5)
    assert known["G_heyn"] == pytest.approx(number_by_intercept(intercepts(grain).mean() / 2000))
    assert known["open_share"] == 0
    together = over_images({"a": known, "b": grain_facts(voronoi(4, 256, 60), None, 0.5)})
    assert together["images"] == 2
    assert together["G_heyn_interval"] is not None


def test_nothing_marked_is_one_grain() -> None:
    facts = grain_facts(grains_of_lines(np.zeros((40, 40), np.bool_)), um_per_pixel=1.0)
    assert facts["mean_intercept_px"] is None
    assert facts["G_heyn"] is None
    assert facts["grains_cut"] == 1
    assert (grains_of_logits(np.zeros((30, 30), np.float32)) == 1).all()
    assert (grains_of_lines(np.ones((30, 30), np.bool_)) == 1).all()


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
@pytest.mark.parametrize("case", ["08_grains_512", "09_grains_256"])
def test_drawn_cases(case: str) -> None:
    values = read_image(CASES / f"{case}.png")
    line = (values if values.ndim == 2 else values[..., 0]) < 128
    given = json.loads((CASES / f"{case}.json").read_text())
    facts = grain_facts(grains_of_lines(line), line, given["um_per_pixel"], rim_HW=rim_of_lines(line))
    for name in ("G_heyn", "G_planimetric"):
        assert facts[name] == pytest.approx(given[name], abs=0.06)
    found = list(facts["by_direction_px"].values())  # type: ignore[union-attr]
    assert found == pytest.approx(given["by_direction_px"], rel=0.03)


@pytest.mark.skipif(not CASES.is_dir(), reason="needs the shared cases")
def test_the_square_grid() -> None:
    values = read_image(CASES / "09b_square_grid.png")
    line = (values if values.ndim == 2 else values[..., 0]) < 128
    given = json.loads((CASES / "09b_square_grid.json").read_text())
    found = intercepts(grains_of_lines(line), rim_of_lines(line))
    assert found.mean("row") == pytest.approx(given["rows_px"], rel=0.05)
    assert found.mean("column") == pytest.approx(given["columns_px"], rel=0.05)
    assert found.mean("rising diagonal") == pytest.approx(given["diagonal_px"], rel=0.07)
