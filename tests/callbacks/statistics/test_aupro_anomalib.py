"""AU-PRO against anomalib's own, which keeps every pixel. A module of its own: the import takes seconds."""

from __future__ import annotations

import pytest
import torch
from anomalib.metrics.aupro import _AUPRO

from callbacks.statistics.curves import overlap_area
from callbacks.statistics.histogram import PixelHistogram


@pytest.mark.parametrize("limit", [0.05, 0.3])
@pytest.mark.parametrize("levels", [None, 8])
def test_overlap_area_agrees_with_anomalib(levels: int | None, limit: float) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = torch.zeros(12, 64, 64, dtype=torch.bool)
    for n in range(9):
        masks[n, 5 : 8 + n, 6:12] = masks[n, 40:60, 30 : 33 + 2 * n] = True
    maps = torch.rand(12, 64, 64, generator=generator) + 0.3 * masks
    if levels is not None:
        maps = (maps * levels).round() / levels
    histogram = PixelHistogram()
    histogram.update(maps, masks)
    ours = overlap_area(histogram.counts().negative, histogram.overlaps(), limit)
    metric = _AUPRO(fpr_limit=limit)
    metric.update(maps, masks.int())
    # Without ties within a bin the two differ by float32 rounding; with half a thousandth of bin width, by little more.
    assert ours == pytest.approx(float(metric.compute()), abs=1e-5 if levels else 1e-4)
