"""How much of each test image counted, where the ground about parts is left out, and where no part was found."""

from __future__ import annotations

from statistics import fmean
from typing import TYPE_CHECKING

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

    from .measure import Tested


class Foregrounds(ContextMeasure):
    """Notes the share of each image, without padding, that is its part; adds the column ``foreground``."""

    def start(self, tested: Tested) -> None:
        """Start a test, with nothing counted."""
        super().start(tested)
        self._share_of: dict[str, float] = {}

    def update(self, batch: InspectionBatch) -> None:
        """Count the pixels of parts."""
        if batch.foreground is not None:
            self._share_of |= dict(zip(batch.name, shares_of(batch), strict=True))

    def result(self) -> Section:
        """``foreground`` of metrics.json, and how many images had no part; nothing where all of all images counted."""
        if not self.tested.parts_alone:
            return Section()
        names = self.tested.predictions["name"].tolist()
        shares = [self._share_of.get(name, 1.0) for name in names]
        parts = [share for share in shares if share < 1]
        without = len(shares) - len(parts)
        where = f"On {without} of {len(shares)} test images"
        counted = f"{where} no part was found (data.foreground), and all of each counts."
        return Section(
            metrics={"foreground": {"images": len(shares), "without_part": without, "share": fmean(parts or [1.0])}},
            columns={"foreground": [round(share, 4) for share in shares]},
            notes=[counted] if without else [],
        )


def shares_of(batch: InspectionBatch) -> list[float]:
    """Return the share of each image of a batch, without its padding, that counts."""
    inside_NHW, unpadded_NHW = batch.inside, batch.unpadded
    if inside_NHW is None:
        return [1.0] * len(batch)
    seen_N = inside_NHW[0].numel() if unpadded_NHW is None else unpadded_NHW.flatten(1).sum(dim=1).clamp_min(1)
    found: list[float] = (inside_NHW.flatten(1).sum(dim=1) / seen_N).tolist()
    return found
