"""Which images to show: the worst mistakes, a fair draw of the rest, both ends and the middle of the scores.

Memory is bounded: of each category only so many are kept while batches pass by.

Letters: N images of a batch, H and W pixels.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
import torch

from datamodules.table import DEFECTIVE, GOOD

from .atlas import name_rank

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from datamodules.samples.batch import InspectionBatch

Category = Literal["miss", "false_alarm", "hit", "pass", "highest", "nearest", "lowest"]

JUDGED: tuple[Category, ...] = ("miss", "false_alarm", "hit", "pass")
RANKED: tuple[Category, ...] = ("highest", "nearest", "lowest")
DIMMED = 0.4  # of its brightness that ground is shown with


@dataclass(frozen=True)
class Example:
    """One image that shows how the detector decides.

    Attributes:
        category: ``miss`` (defective, called good), ``false_alarm`` (good, called defective), ``hit`` or ``pass``; or,
            whatever its label, of the ``highest`` or ``lowest`` scores, or ``nearest`` to the threshold.
        name: Stable name of the image in the sample table.
        score: Raw, higher is worse.
        image: (H, W, 3) uint8, as the model saw it, darker where it does not count, in that size, or in its file's
            proportions: see ``in_proportion``.
        anomaly_map: (H, W) float32, raw.
        mask: (H, W) bool, the marked defect; None where nobody marked it.
        predicted_mask: (H, W) bool, what is called defective: the map at or above the pixel threshold, on an image that
            is called defective; None without one.
        kind: Sub-population, or empty.
        defect: Type of defect, or empty.
    """

    category: Category
    name: str
    score: float
    image: npt.NDArray[np.uint8]
    anomaly_map: npt.NDArray[np.float32]
    mask: npt.NDArray[np.bool_] | None = None
    predicted_mask: npt.NDArray[np.bool_] | None = None
    kind: str = ""
    defect: str = ""


class ExampleGallery:
    """Keeps the best ``size`` examples of every category while batches pass by.

    Misses with the lowest and false alarms with the highest scores rank first. Hits and passes rank by a hash of their
    name: a draw that neither favours good looks nor depends on the order of the images. Whatever their labels, the
    images with the highest and the lowest scores and those nearest to the threshold are kept as well.

    Args:
        size: How many to keep per category; 0 keeps none.
        categories: Which ones to keep; all by default.
        on_good: Outline what reaches the pixel threshold on images that are called good, too.
    """

    def __init__(self, size: int, categories: Sequence[str] = (*JUDGED, *RANKED), *, on_good: bool = False) -> None:
        self.size = size
        self.on_good = on_good
        self._heaps: dict[Category, list[tuple[float, str, Example]]] = {
            category: [] for category in (*JUDGED, *RANKED) if category in categories
        }

    def update(self, batch: InspectionBatch, threshold_N: Sequence[float]) -> None:
        """See a batch of decided images.

        Args:
            batch: With decisions.
            threshold_N: The threshold that each image was judged by.
        """
        columns = (batch.pred_score.tolist(), batch.pred_label.tolist(), batch.label_index.tolist(), threshold_N)
        for index, (score, verdict, label_index, threshold) in enumerate(zip(*columns, strict=True)):
            judged = categorise(label_index, verdict=verdict)
            for category in RANKED if judged is None else (judged, *RANKED):
                self._keep(category, priority(category, score, batch.name[index], threshold), batch, index)

    def _keep(self, category: Category, rank: float, batch: InspectionBatch, index: int) -> None:
        if category not in self._heaps:
            return
        name, heap = batch.name[index], self._heaps[category]
        if len(heap) < self.size:
            heapq.heappush(heap, (rank, name, example_of(batch, index, category, on_good=self.on_good)))
        elif heap and (rank, name) > heap[0][:2]:
            heapq.heapreplace(heap, (rank, name, example_of(batch, index, category, on_good=self.on_good)))

    def examples(self) -> tuple[Example, ...]:
        """Return what was kept, category by category, first rank first."""
        ranked = (sorted(heap, key=lambda entry: entry[:2], reverse=True) for heap in self._heaps.values())
        return tuple(example for heap in ranked for _, _, example in heap)


def categorise(label_index: int, *, verdict: bool) -> Category | None:
    """Name what a verdict did to an image; None where the truth is unknown."""
    if label_index == DEFECTIVE:
        return "hit" if verdict else "miss"
    if label_index == GOOD:
        return "false_alarm" if verdict else "pass"
    return None


def priority(category: Category, score: float, name: str, threshold: float) -> float:
    """Rank an image within its category; higher is shown first."""
    ranks: dict[Category, float] = {
        "miss": -score,
        "false_alarm": score,
        "highest": score,
        "nearest": -abs(score - threshold),
        "lowest": -score,
    }
    return ranks.get(category, name_rank(name))


def example_of(batch: InspectionBatch, index: int, category: Category, *, on_good: bool = False) -> Example:
    """Copy one image of a batch out of it, the ground about a part darker where it does not count.

    On one that is called good, nothing is called defective.
    """
    shown_3HW = batch.image[index]
    if batch.foreground is not None:
        shown_3HW = torch.where(batch.foreground[index], shown_3HW, DIMMED * shown_3HW)
    image = shown_3HW.permute(1, 2, 0).mul(255).round().byte().cpu().numpy()
    anomaly_map = batch.anomaly_map[index].float().cpu().numpy()
    has_mask = bool(batch.has_mask[index])
    return Example(
        category=category,
        name=batch.name[index],
        score=float(batch.pred_score[index]),
        image=np.ascontiguousarray(image),
        anomaly_map=anomaly_map,
        mask=batch.gt_mask[index].bool().cpu().numpy() if has_mask else None,
        predicted_mask=None
        if batch.pred_mask is None
        else (batch.pred_mask[index].bool() & (on_good or bool(batch.pred_label[index]))).cpu().numpy(),
        kind=batch.kind[index],
    )
