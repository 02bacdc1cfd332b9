"""What a memory bank costs and buys: how well smaller banks tell images apart, and how long a search of each takes.

Letters: B images of a batch, N images, S sizes of banks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import torch

from callbacks.statistics.intervals import image_intervals
from datamodules.table import DEFECTIVE, GOOD

from .figures import Chart, Line
from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt
    from torch import Tensor

    from callbacks.statistics.bootstrap import Estimate
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested

CAPTION = (
    "A bank of good patches is chosen one by one, so it begins with every smaller one. Where the curve is flat, a "
    "smaller model.bank_size would do as well, and judge faster."
)


@runtime_checkable
class HasBank(Protocol):
    """A model that compares images with a bank, and can tell what smaller ones would have said."""

    def bank_sizes(self) -> list[int]:
        """List the sizes of banks that are compared, ascending; none where that cannot be told."""

    def scores_by_bank(self, image_B3HW: Tensor) -> Tensor:
        """Score images (B, 3, H, W) by a bank of each of these sizes: (B, S)."""

    def search_milliseconds(self, image_B3HW: Tensor) -> list[float]:
        """Time the search in a bank of each of these sizes, per image (S)."""


class BankSizes(ContextMeasure):
    """Scores test images by banks of several sizes, from the features that were computed for the verdict."""

    def start(self, tested: Tested) -> None:
        """Ask the model for its bank."""
        super().start(tested)
        module = tested.module
        self._module = module if isinstance(module, HasBank) and len(module.bank_sizes()) > 1 else None
        self._score: dict[str, npt.NDArray[np.float64]] = {}
        self._milliseconds: list[float] = []

    @torch.no_grad()
    def update(self, batch: InspectionBatch) -> None:
        """Score the images of a batch; time the first."""
        if self._module is None:
            return
        score_BS = self._module.scores_by_bank(batch.image).cpu().double().numpy()
        self._score |= dict(zip(batch.name, score_BS, strict=True))
        if not self._milliseconds:
            self._milliseconds = self._module.search_milliseconds(batch.image[:1])

    def result(self) -> Section:
        """Return ``bank`` of metrics.json, banks.csv and two charts; nothing where a class is missing."""
        predictions = self.tested.predictions
        labels = set(predictions["label_index"]) if len(predictions) else set()
        if self._module is None or not {GOOD, DEFECTIVE} <= labels:
            return Section()
        sizes = self._module.bank_sizes()
        score_NS = np.stack([self._score[name] for name in predictions["name"]])
        about = (predictions["label_index"].to_numpy(np.int64), predictions["group"].to_numpy(str))
        estimates_S = [
            image_intervals(score_N, *about, resampling=self.tested.resampling)["auroc"] for score_N in score_NS.T
        ]
        table = pd.DataFrame(
            {
                "bank_size": sizes,
                "image_auroc": [estimate.value for estimate in estimates_S],
                "image_auroc_low": [estimate.low for estimate in estimates_S],
                "image_auroc_high": [estimate.high for estimate in estimates_S],
                "search_ms": np.round(self._milliseconds, 2),
            }
        )
        by_size = {str(size): estimate for size, estimate in zip(sizes, estimates_S, strict=True)}
        return Section(
            metrics={"bank": {"image_auroc_by_size": by_size}},
            tables={"banks": table},
            figures=charts(sizes, estimates_S, self._milliseconds),
            environment={
                "search_milliseconds_by_bank_size": dict(zip(by_size, table["search_ms"].tolist(), strict=True))
            },
        )


def charts(sizes: Sequence[int], estimates_S: Sequence[Estimate], milliseconds_S: Sequence[float]) -> list[Chart]:
    """Draw what a bank buys, and what it costs."""
    kilo = [size / 1000 for size in sizes]
    lower = Line("lower end of the interval", kilo, [one.low for one in estimates_S], guide=True)
    upper = Line("upper end of the interval", kilo, [one.high for one in estimates_S], guide=True)
    bought = [Line("image AUROC", kilo, [one.value for one in estimates_S]), lower, upper]
    axis = "patches in the bank, thousands"
    return [
        Chart("What a larger bank buys", axis, "image AUROC", bought, CAPTION),
        Chart("What a larger bank costs", axis, "ms of search for an image", [Line("search", kilo, milliseconds_S)]),
    ]
