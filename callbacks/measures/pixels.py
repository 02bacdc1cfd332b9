"""How well defects are marked, pixel by pixel: ranking, rates at the threshold, overlap of the masks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callbacks.statistics.histogram import PixelHistogram
from callbacks.statistics.overlap import OverlapMeter
from callbacks.statistics.paired import VERDICT_LINE
from callbacks.statistics.pixels import pixel_intervals
from callbacks.statistics.threshold_table import threshold_table

from .images import RATES, REPORTED_AS
from .measure import ContextMeasure, Section, known_masks

if TYPE_CHECKING:
    from torch import Tensor

    from callbacks.statistics.bootstrap import Estimate
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested

THRESHOLDS = "pixel_sweep"
"""The table of pixel thresholds, thinned."""
MOST_ROWS = 1000


class Pixels(ContextMeasure):
    """Judges the maps, where defects are marked at all; rates are those of the masks as decided."""

    def start(self, tested: Tested) -> None:
        """Count on the model's device."""
        super().start(tested)
        self._maps = PixelHistogram(tested.device)
        self._decided = PixelHistogram(tested.device)
        self._overlap = OverlapMeter()

    def update(self, batch: InspectionBatch) -> None:
        """Count the pixels whose truth is known."""
        known_N, groups = known_masks(batch)
        maps, masks, truth = (values[known_N] for values in (batch.anomaly_map, batch.pred_mask, batch.gt_mask))
        if batch.frame is None:
            self._count(maps, masks, truth, groups)
            return
        frames = [frame for frame, known in zip(batch.frame, known_N.tolist(), strict=True) if known]
        for index, frame in enumerate(frames):  # padding is neither good nor defective
            inside = (slice(index, index + 1), *((...,) if frame is None else frame.slices))
            self._count(maps[inside], masks[inside], truth[inside], groups[index : index + 1])

    def _count(self, map_NHW: Tensor, mask_NHW: Tensor, truth_NHW: Tensor, groups: list[str]) -> None:
        self._maps.update(map_NHW, truth_NHW, groups)
        self._overlap.update(mask_NHW.cpu(), truth_NHW.cpu(), groups)
        if not self.tested.calibration.decides_plainly:
            self._decided.update(mask_NHW.float(), truth_NHW, groups)

    def result(self) -> Section:
        """Return pixel figures under ``test``, and pixel_sweep.csv; nothing where no defect is marked."""
        if not bool(self._maps.count[1].any()):
            return Section()
        named = {f"pixel_{REPORTED_AS[name]}": estimate for name, estimate in self._estimates().items()}
        return Section(
            metrics={"test": named | self._overlap.estimates(self.tested.resampling)},
            tables={THRESHOLDS: threshold_table(self._maps.counts(), MOST_ROWS)},
        )

    def _estimates(self) -> dict[str, Estimate]:
        """Rank by the maps, and rate what was decided."""
        calibration, resampling = self.tested.calibration, self.tested.resampling
        estimates = pixel_intervals(self._maps, float(calibration.pixel_threshold), resampling)
        if calibration.decides_plainly:
            return estimates
        decided = pixel_intervals(self._decided, VERDICT_LINE, resampling)
        return estimates | {name: decided[name] for name in RATES}
