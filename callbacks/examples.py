"""Which pictures to show: the worst mistakes, and a fair draw of what went right, in bounded memory.

Letters: N pictures of a batch, H and W pixels.
"""

from __future__ import annotations

import hashlib
import heapq
from typing import TYPE_CHECKING

import numpy as np

from datamodules.table import DEFECTIVE, GOOD

from .report.content import Category, Example

if TYPE_CHECKING:
    from datamodules.batch import InspectionBatch

CATEGORIES: tuple[Category, ...] = ("miss", "false_alarm", "hit", "pass")


class ExampleGallery:
    """Keeps the best ``size`` examples of every category while batches pass by.

    Misses with the lowest and false alarms with the highest scores rank first. Hits and passes rank by a hash of their
    name: a draw that neither favours good looks nor depends on the order of the pictures.

    Args:
        size: How many to keep per category; 0 keeps none.
    """

    def __init__(self, size: int) -> None:
        self.size = size
        self._kept: dict[Category, list[tuple[float, str, Example]]] = {category: [] for category in CATEGORIES}

    def update(self, batch: InspectionBatch) -> None:
        """See a batch of decided pictures; unlabelled ones are passed over."""
        columns = (batch.pred_score.tolist(), batch.pred_label.tolist(), batch.label_index.tolist())
        for index, (score, verdict, label_index) in enumerate(zip(*columns, strict=True)):
            category = categorise(label_index, verdict=verdict)
            if category is None or self.size == 0:
                continue
            name = batch.name[index]
            rank = priority(category, score, name)
            kept = self._kept[category]
            if len(kept) < self.size or (rank, name) > kept[0][:2]:
                heapq.heappush(kept, (rank, name, _example(batch, index, category)))
                if len(kept) > self.size:
                    heapq.heappop(kept)

    def examples(self) -> tuple[Example, ...]:
        """Return what was kept, category by category, first rank first."""
        ranked = (sorted(self._kept[category], key=lambda entry: entry[:2], reverse=True) for category in CATEGORIES)
        return tuple(example for kept in ranked for _, _, example in kept)


def categorise(label_index: int, *, verdict: bool) -> Category | None:
    """Name what a verdict did to a picture; None where the truth is unknown."""
    if label_index == DEFECTIVE:
        return "hit" if verdict else "miss"
    if label_index == GOOD:
        return "false_alarm" if verdict else "pass"
    return None


def priority(category: Category, score: float, name: str) -> float:
    """Rank a picture within its category; higher is shown first."""
    if category == "miss":
        return -score
    if category == "false_alarm":
        return score
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6], "big") / 2**48


def _example(batch: InspectionBatch, index: int, category: Category) -> Example:
    """Copy one picture of a batch out of it."""
    image = batch.image[index].permute(1, 2, 0).mul(255).round().byte().cpu().numpy()
    anomaly_map = batch.anomaly_map[index].float().cpu().numpy()
    has_mask = bool(batch.has_mask[index])
    return Example(
        category=category,
        name=batch.name[index],
        score=float(batch.pred_score[index]),
        image=np.ascontiguousarray(image),
        anomaly_map=anomaly_map,
        mask=batch.gt_mask[index].bool().cpu().numpy() if has_mask else None,
        predicted_mask=batch.pred_mask[index].bool().cpu().numpy(),
        kind=batch.kind[index],
    )
