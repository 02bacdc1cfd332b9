"""What a test finds, as objects: every predicted defect, every marked one, and where on the images they fall."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from datamodules.files.fitting import SQUASH, Fit, place
from datamodules.files.images import resize_mask
from datamodules.samples.detections import counted
from datamodules.table import DEFECTIVE, GOOD

from .from_instances import find_instances
from .image_scale import SAME_SCALE, ImageScale
from .measured import MEASURES, DefectRules, FoundDefects, find_defects
from .naming import name_defects
from .objects import IMAGE_COLUMNS, MARKED_COLUMNS, marked_objects, object_metrics, touched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from callbacks.decisions.calibration import Calibration
    from callbacks.statistics.bootstrap import Resampling
    from datamodules.samples.batch import InspectionBatch

ABOUT = ("name", "image_path", "kind", "group")
COLUMNS = (*ABOUT, "type", "true", *MEASURES)


class ObjectResults(NamedTuple):
    """What was found, as tables.

    Attributes:
        defects: One row per predicted defect, sorted by image and number: the content of defects.csv. ``true`` says
            whether it touches a marked one (empty where nobody knows), ``type`` the type of that.
        marked: One row per marked defect: the content of marked_defects.csv.
        metrics: See ``object_metrics``; None where no image's truth is known for every pixel.
        heat_map: (H, W) int64, in how many images a defect was found at each pixel; of the size of the first, where
            images have several; None where there are none.
    """

    defects: pd.DataFrame
    marked: pd.DataFrame
    metrics: dict[str, Any] | None
    heat_map: npt.NDArray[np.int64] | None


class Findings:
    """Collects the objects of decided batches.

    Args:
        rules: What counts as a defect, and how severe it is.
        overlap: Share of a marked defect that has to be covered for it to count as found, in (0, 1].
    """

    def __init__(self, rules: DefectRules, overlap: float) -> None:
        self.rules = rules
        self.overlap = overlap
        self._defects: list[dict[str, Any]] = []
        self._marked: list[dict[str, Any]] = []
        self._images: list[dict[str, Any]] = []
        self._heat_map: npt.NDArray[np.int64] | None = None

    def update(
        self,
        batch: InspectionBatch,
        calibration: Calibration,
        scales: Mapping[str, ImageScale],
        *,
        on_good: bool = False,
    ) -> None:
        """See a decided batch.

        Args:
            batch: With decisions.
            calibration: That made them.
            scales: By the names of images; those that are missing are measured in pixels of the model's image.
            on_good: List regions on images that are called good, too, as rules of acceptance need them.
        """
        found_N = find_in_batch(batch, calibration, self.rules, scales, on_good=on_good)
        rows = []
        for index, found in enumerate(found_N):
            true = self._judge(batch, index, found.label_HW, scales.get(batch.name[index], SAME_SCALE))
            rows += [
                row | {"true": None if true is None else row["defect"] in true} for row in rows_of(batch, index, found)
            ]
            self._heat(found.label_HW > 0)
        self._defects += rows

    def _heat(self, found_HW: npt.NDArray[np.bool_]) -> None:
        """Count an image where a defect was found."""
        if self._heat_map is None:
            self._heat_map = np.zeros(found_HW.shape, np.int64)
        self._heat_map += resize_mask(found_HW, *self._heat_map.shape)

    def _judge(
        self, batch: InspectionBatch, index: int, label_HW: npt.NDArray[np.int32], scale: ImageScale
    ) -> set[int] | None:
        """Compare with what is marked; return the true defects, or None where nobody knows."""
        label_index = int(batch.label_index[index])
        if not bool(batch.has_mask[index]) or label_index not in {GOOD, DEFECTIVE}:
            return None
        mask_HW = batch.gt_mask[index].bool().cpu().numpy()
        about = {column: getattr(batch, column)[index] for column in ("name", "group", "kind")}
        marked = marked_objects(mask_HW, label_HW, scale, zones_of(batch, index), self.overlap)
        self._marked += [about | row | {"type": ""} for row in marked]
        true = touched(mask_HW, label_HW)
        false = int(label_HW.max()) - len(true)
        about = {column: about[column] for column in ("name", "group")}
        self._images.append(about | {"good": label_index == GOOD, "false_objects": false})
        return true

    def results(self, types: Mapping[str, str], resampling: Resampling) -> ObjectResults:
        """Make tables and figures of everything seen.

        Args:
            types: The type of defect by the name of the image, where known.
            resampling: Of the intervals.
        """
        defects = pd.DataFrame(self._defects, columns=list(COLUMNS))
        marked = pd.DataFrame(self._marked, columns=list(MARKED_COLUMNS))
        images = pd.DataFrame(self._images, columns=list(IMAGE_COLUMNS))
        defects["type"] = [
            types.get(name, "") if true else "" for name, true in zip(defects["name"], defects["true"], strict=True)
        ]
        marked["type"] = [types.get(name, "") for name in marked["name"]]
        metrics = None if images.empty else object_metrics(marked, images, self.overlap, resampling)
        return ObjectResults(
            defects=defects.sort_values(["name", "defect"], ignore_index=True),
            marked=marked.sort_values(["name", "area", "covered"], ignore_index=True),
            metrics=metrics,
            heat_map=self._heat_map,
        )


def find_in_batch(
    batch: InspectionBatch,
    calibration: Calibration,
    rules: DefectRules,
    scales: Mapping[str, ImageScale],
    *,
    on_good: bool = False,
) -> list[FoundDefects]:
    """Find the defects of every image of a decided batch; arguments as in ``Findings``.

    The verdict on an image goes before those on its pixels: on one that is called good, nothing is a defect.
    """
    good_peaks = sorted(calibration.good_peaks())
    if calibration.nothing is not None and batch.detections is not None:
        found_N = _instances_in(batch, calibration, rules, scales, good_peaks)
    else:
        found_N = _regions_in(batch, rules, scales, good_peaks)
    if not on_good:
        found_N = [
            found if called else FoundDefects([], np.zeros_like(found.label_HW))
            for found, called in zip(found_N, batch.pred_label.tolist(), strict=True)
        ]
    detections_N = batch.detections or [[] for _ in found_N]
    return [
        name_defects(found, detections, batch.classes) for found, detections in zip(found_N, detections_N, strict=True)
    ]


def _instances_in(
    batch: InspectionBatch,
    calibration: Calibration,
    rules: DefectRules,
    scales: Mapping[str, ImageScale],
    good_peaks: Sequence[float],
) -> list[FoundDefects]:
    """Take the instances that count for the defects."""
    thresholds = calibration.image_thresholds(batch.kind)
    counted_N = [counted(found, threshold) for found, threshold in zip(batch.detections, thresholds, strict=True)]
    known_N = _known(batch, rules, scales, good_peaks)
    return [find_instances(instances, *known) for instances, known in zip(counted_N, known_N, strict=True)]


def _regions_in(
    batch: InspectionBatch, rules: DefectRules, scales: Mapping[str, ImageScale], good_peaks: Sequence[float]
) -> list[FoundDefects]:
    """Take the regions of the mask for the defects."""
    masks_NHW, known_N = batch.pred_mask.bool().cpu().numpy(), _known(batch, rules, scales, good_peaks)
    return [find_defects(mask_HW, *known) for mask_HW, known in zip(masks_NHW, known_N, strict=True)]


def _known(
    batch: InspectionBatch, rules: DefectRules, scales: Mapping[str, ImageScale], good_peaks: Sequence[float]
) -> list[tuple[Any, DefectRules, ImageScale, Any, str, Sequence[float]]]:
    """Gather what measuring takes beside what was found: map, rules, scale, zones, kind, and peaks of good images."""
    maps_NHW = batch.anomaly_map.float().cpu().numpy()
    return [
        (maps_NHW[index], rules, scales.get(name, SAME_SCALE), zones_of(batch, index), batch.kind[index], good_peaks)
        for index, name in enumerate(batch.name)
    ]


def rows_of(batch: InspectionBatch, index: int, found: FoundDefects) -> list[dict[str, Any]]:
    """Turn the defects of one image of a batch into rows of defects.csv; ``true`` and ``type`` are left open."""
    about = {column: getattr(batch, column)[index] for column in ABOUT} | {"type": "", "true": None}
    return [about | defect.to_dict() for defect in found.defects]


def zones_of(batch: InspectionBatch, index: int) -> npt.NDArray[np.uint8] | None:
    """Zone ids of one image, (H, W), or None."""
    return None if batch.zones is None else batch.zones[index].cpu().numpy()


def image_scales(samples: pd.DataFrame, height: int, width: int, fit: Fit = SQUASH) -> dict[str, ImageScale]:
    """The scale of every image of a surveyed sample table, by name.

    Args:
        samples: With ``height`` and ``width`` of the images on disk; ``um_per_pixel`` where known.
        height: Of the model's image.
        width: The same.
        fit: How the images were brought to that size.
    """
    if samples.empty or not {"name", "height", "width"} <= set(samples.columns):
        return {}
    known = samples.get("um_per_pixel", pd.Series(np.nan, index=samples.index))
    um = pd.to_numeric(known, errors="coerce")
    columns = zip(samples["name"], samples["height"], samples["width"], um, strict=True)
    return {
        str(name): ImageScale.of(
            place((int(h), int(w)), (height, width), fit), None if pd.isna(scale) else float(scale)
        )
        for name, h, w, scale in columns
    }
