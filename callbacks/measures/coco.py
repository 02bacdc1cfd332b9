"""Average precision of instances, in boxes and in masks and by size, as COCO defines it.

A detection counts as right where its overlap with a defect that no surer detection took exceeds a limit; AP is the mean
over ten limits from 0.5 to 0.95, AP50 and AP75 those of one. Sizes are areas in pixels of the image that models see.

Letters: H and W pixels, I images, D detections of an image, L limits, B resamples, G groups.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
import numpy.typing as npt
import torch
from faster_coco_eval import COCO, COCOeval_faster
from faster_coco_eval import mask as rle
from lightning import Callback

from callbacks.statistics.average_precision import Ranking, average_precision, match
from callbacks.statistics.bootstrap import Estimate, Resampling, group_weights, interval
from datamodules.outlines.classes import PART
from datamodules.samples.detections import Instance, Region, run_lengths

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from lightning import LightningModule, Trainer
    from torch import Tensor

    from callbacks.statistics.curves import FloatArray
    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.detections import Detections

Kind = Literal["bbox", "segm"]
KINDS: Mapping[Kind, str] = {"bbox": "box", "segm": "mask"}
STATISTICS: Mapping[str, int] = {  # where COCO's summary has them
    "ap": 0,
    "ap50": 1,
    "ap75": 2,
    "ap_small": 3,  # area below 32 x 32 pixels
    "ap_medium": 4,
    "ap_large": 5,  # above 96 x 96
    "ar": 8,  # recall, the mean over the limits, of at most 100 detections per image
}
RESAMPLED: Mapping[str, slice] = {"ap": slice(0, 10), "ap50": slice(0, 1), "ap75": slice(5, 6)}  # of the limits
MONITOR = "calibration/mask_ap"


@dataclass
class Instances:
    """True and detected instances of the images whose instances are known, as COCO writes them.

    Attributes:
        images: One entry per image.
        truths: One annotation per true defect; the part itself is not one.
        boxes: One result per detection, with its box.
        masks: The same detections, with their masks.
        groups: The group of every image.
    """

    images: list[dict[str, Any]] = field(default_factory=list)
    truths: list[dict[str, Any]] = field(default_factory=list)
    boxes: list[dict[str, Any]] = field(default_factory=list)
    masks: list[dict[str, Any]] = field(default_factory=list)
    groups: list[str] = field(default_factory=list)

    def update(self, batch: InspectionBatch, detections: Sequence[Detections]) -> None:
        """See a batch and what was detected in it; images without a target are passed over."""
        for target, found, group in zip(batch.target or [], detections, batch.group, strict=False):
            if target is not None:
                self.add(target, found, group)

    def add(self, target: Mapping[str, Tensor], found: Detections, group: str) -> None:
        """See one image: its true instances, and what was detected."""
        image_id = len(self.images) + 1
        height, width = target["masks"].shape[1:]
        self.images.append({"id": image_id, "height": height, "width": width})
        self.groups.append(group)
        for label, box, segmentation in _entries(target):
            about = {"id": len(self.truths) + 1, "image_id": image_id, "category_id": label, "iscrowd": 0}
            area = float(rle.area(segmentation))
            self.truths.append(about | {"bbox": box, "segmentation": segmentation, "area": area})
        for one in found:
            if one.label == PART:
                continue
            scored: dict[str, Any] = {"image_id": image_id, "category_id": one.label, "score": one.score}
            x1, y1, x2, y2 = one.box
            self.boxes.append(scored | {"bbox": [x1, y1, x2 - x1, y2 - y1]})
            self.masks.append(scored | {"segmentation": run_length_code(one, (height, width))})

    def truth(self) -> dict[str, Any]:
        """Return the true instances in COCO's form."""
        labels = sorted({truth["category_id"] for truth in self.truths})
        return {
            "images": self.images,
            "annotations": self.truths,
            "categories": [{"id": label, "name": str(label)} for label in labels],
        }


def run_length_code(instance: Instance, size: tuple[int, int]) -> dict[str, Any]:
    """Compress the mask of a detection as COCO does, without laying it onto its image."""
    code: dict[str, Any] = rle.frPyObjects({"size": [*size], "counts": run_lengths(instance, size)}, *size)
    return code


def _entries(instances: Mapping[str, Tensor]) -> Iterator[tuple[int, list[float], dict[str, Any]]]:
    """Give label, box (x, y, width, height) and run-length code of all true instances but parts."""
    defects = instances["labels"] != PART
    boxes = instances["boxes"][defects].float().cpu()
    boxes[:, 2:] -= boxes[:, :2]
    masks_HWD = instances["masks"][defects].permute(1, 2, 0).to("cpu", torch.uint8).numpy()
    codes = rle.encode(np.asfortranarray(masks_HWD)) if len(boxes) else []
    return zip(instances["labels"][defects].tolist(), boxes.tolist(), codes, strict=True)


def instance_estimates(instances: Instances, resampling: Resampling | None = None) -> dict[str, Estimate]:
    """Judge detections by COCO's metrics.

    Args:
        instances: What was seen.
        resampling: How to draw the intervals of AP, AP50 and AP75, by whole groups; None: none.

    Returns:
        ``box_ap``, ``mask_ap50`` and so on, NaN where undefined; empty where no true instance was seen.
    """
    if not instances.truths:
        return {}
    estimates = {}
    for kind, name in KINDS.items():
        evaluator = evaluate(instances, kind)
        values = {key: float(evaluator.stats[index]) for key, index in STATISTICS.items()}
        for key, value in values.items():
            undefined = Estimate(float("nan") if value < 0 else value, float("nan"), float("nan"))
            estimates[f"{name}_{key}"] = undefined
        if resampling is not None:
            intervals = _intervals(instances, evaluator, values, resampling)
            estimates |= {f"{name}_{key}": estimate for key, estimate in intervals.items()}
    return estimates


def evaluate(instances: Instances, kind: Kind) -> COCOeval_faster:
    """Run COCO's evaluation, ``bbox`` or ``segm``."""
    truth = COCO(instances.truth(), use_deepcopy=True)
    found = truth.loadRes([dict(entry) for entry in (instances.boxes if kind == "bbox" else instances.masks)])
    evaluator = COCOeval_faster(truth, found, iouType=kind, print_function=_silent)
    evaluator.run()
    return evaluator


def _silent(*args: object) -> None:
    del args


def rank(instances: Instances, evaluator: COCOeval_faster) -> tuple[list[Ranking], npt.NDArray[np.bool_]]:
    """Match detections with true instances, class by class.

    Returns:
        A ranking per class, and whether each group holds a true instance.
    """
    names, group_I = np.unique(np.array(instances.groups), return_inverse=True)
    truths = Counter((truth["image_id"], truth["category_id"]) for truth in instances.truths)
    scores: defaultdict[tuple[int, int], list[float]] = defaultdict(list)
    for entry in evaluator.cocoDt.dataset["annotations"]:
        scores[entry["image_id"], entry["category_id"]].append(entry["score"])
    rankings = []
    for label in evaluator.params.catIds:
        truth_G = np.zeros(len(names))
        parts = []
        for image, group in enumerate(group_I.tolist(), start=1):
            count = truths[image, label]
            truth_G[group] += count
            score_D = -np.sort(-np.array(scores[image, label]))[: evaluator.params.maxDets[-1]]
            iou = evaluator.ious[image, label] if count and len(score_D) else np.zeros((len(score_D), 1))
            parts.append((score_D, np.full(len(score_D), group), match(np.asarray(iou, dtype=np.float64))))
        rankings.append(merge(parts, truth_G))
    return rankings, np.sum([ranking.truth_G for ranking in rankings], axis=0) > 0


def merge(
    parts: Sequence[tuple[FloatArray, npt.NDArray[np.intp], npt.NDArray[np.bool_]]], truth_G: FloatArray
) -> Ranking:
    """Rank the detections of all images: their scores (D,), groups (D,) and matches (L, D)."""
    order = np.argsort(-np.concatenate([score_D for score_D, _, _ in parts]), kind="stable")
    group_D = np.concatenate([group_D for _, group_D, _ in parts])
    right_LD = np.concatenate([right_LD for _, _, right_LD in parts], axis=1)
    return Ranking(group_D[order], right_LD[:, order], truth_G)


def _intervals(
    instances: Instances, evaluator: COCOeval_faster, values: Mapping[str, float], resampling: Resampling
) -> dict[str, Estimate]:
    rankings, holding_G = rank(instances, evaluator)
    parts = []
    for weight_BG in group_weights(holding_G, resampling, chunk=100):
        by_class = np.stack([average_precision(ranking, weight_BG) for ranking in rankings])
        parts.append(np.nanmean(by_class, axis=0))
    resampled_BL = np.concatenate(parts)
    return {
        name: interval(values[name], resampled_BL[:, limits].mean(axis=1), int(holding_G.sum()), resampling.confidence)
        for name, limits in RESAMPLED.items()
    }


def detections_of(batch: InspectionBatch) -> list[Detections]:
    """Return a decided batch's detections; of a model that finds none, what is connected in its predicted masks."""
    if batch.detections is not None:
        found: list[Detections] = batch.detections
        return found
    pairs = zip(batch.pred_mask, batch.anomaly_map, strict=True)
    return [map_detections(mask.bool().cpu().numpy(), values.float().cpu().numpy()) for mask, values in pairs]


def map_detections(mask_HW: npt.NDArray[np.bool_], map_HW: npt.NDArray[np.float32]) -> Detections:
    """Take what is connected in a predicted mask, diagonals included, for detections.

    Each scores the highest value of the map on it; the hundred highest are kept, since COCO looks at no more.
    """
    count, component_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    score_D = np.full(count, -np.inf, dtype=np.float32)
    np.maximum.at(score_D, component_HW.ravel().astype(np.intp), map_HW.ravel())
    chosen: npt.NDArray[np.intp] = 1 + np.argsort(-score_D[1:], kind="stable")[:100]
    whole = Region(0, 0, *mask_HW.shape)
    found = []
    for index in chosen.tolist():
        x, y, width, height = statistics[index, : cv2.CC_STAT_AREA].tolist()
        region = Region(y, x, y + height, x + width)
        box = (float(x), float(y), float(x + width), float(y + height))
        mask = component_HW[region.slices] == index
        found.append(Instance(box, 1, float(score_D[index]), region, mask, whole))
    return found


class InstanceCalibration(Callback):
    """Logs how well instances of calibration images were detected: what chooses an instance model's checkpoint.

    Where no calibration image has known instances nothing can be said, and nothing is logged.
    """

    def on_validation_epoch_start(self, *args: Any) -> None:
        """Start afresh."""
        del args
        self._instances: Instances | None = None

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """See a batch, if the model detects instances."""
        del trainer, pl_module, args
        if outputs.detections is not None:
            self._instances = self._instances or Instances()
            self._instances.update(outputs, outputs.detections)

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Log average precision."""
        del trainer
        estimates = {} if self._instances is None else instance_estimates(self._instances)
        if estimates:
            pl_module.log(MONITOR, estimates["mask_ap"].value)
            pl_module.log("calibration/box_ap", estimates["box_ap"].value)
