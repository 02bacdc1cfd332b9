"""Object level: which marked defects were found, by size and type, and how many false objects there are per image.

A marked defect is a connected region (8 neighbours) of a ground-truth mask. It counts as found where defects that were
predicted cover at least a share ``overlap`` of its pixels. A predicted defect is false where it touches none that is
marked.

Shape letters: G groups, C classes of defects, B resamples.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.stats import chi2

from callbacks.statistics.bootstrap import Estimate, Resampling, group_weights, interval
from callbacks.statistics.curves import ratio
from callbacks.statistics.regions import regions_of

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from callbacks.statistics.curves import FloatArray

    from .image_scale import ImageScale

MARKED_COLUMNS = ("name", "group", "kind", "area", "side", "zone", "covered", "found", "type")
IMAGE_COLUMNS = ("name", "group", "good", "false_objects")


def marked_objects(
    mask_HW: npt.NDArray[np.bool_],
    label_HW: npt.NDArray[np.int32],
    scale: ImageScale,
    zones_HW: npt.NDArray[np.uint8] | None,
    overlap: float,
) -> list[dict[str, Any]]:
    """Measure every marked defect of an image, and tell whether it was found.

    Args:
        mask_HW: Ground truth.
        label_HW: Numbers of the predicted defects, 0 elsewhere.
        scale: From these pixels to those on disk.
        zones_HW: Zone ids, or None.
        overlap: Share of its pixels that has to be covered.

    Returns:
        For each: ``area`` (square pixels on disk), ``side`` (of a square of that area), ``zone`` (that holds most of
        it), ``covered`` (share) and ``found``.
    """
    number, region_HW = regions_of(mask_HW)
    area_R = np.bincount(region_HW.ravel(), minlength=number)
    covered_R = np.bincount(region_HW[label_HW > 0], minlength=number) / np.maximum(area_R, 1)
    rows = []
    for region in range(1, number):
        area = float(area_R[region] * scale.x * scale.y)
        zone = 0 if zones_HW is None else int(np.bincount(zones_HW[region_HW == region]).argmax())
        covered = float(covered_R[region])
        rows.append({"area": area, "side": area**0.5, "zone": zone, "covered": covered, "found": covered >= overlap})
    return rows


def touched(mask_HW: npt.NDArray[np.bool_], label_HW: npt.NDArray[np.int32]) -> set[int]:
    """Return numbers of the predicted defects that touch a marked one."""
    return {int(number) for number in np.unique(label_HW[mask_HW])} - {0}


def object_metrics(
    marked: pd.DataFrame, images: pd.DataFrame, overlap: float, resampling: Resampling
) -> dict[str, Any]:
    """Recall of marked defects and false objects per image, with intervals from resampled groups.

    Args:
        marked: One row per marked defect, with ``MARKED_COLUMNS``.
        images: One row per image whose truth is known, with ``IMAGE_COLUMNS``.
        overlap: As in ``marked_objects``; only repeated here.
        resampling: Number of resamples, confidence and seed.

    Returns:
        Plain values: ``overlap``; ``recall`` of all marked defects, ``by_size`` (classes of ``side``, each twice as
        long as the one before), ``by_type`` and ``by_zone``; ``false_per_picture`` and ``false_per_good_picture``.
        Every recall and rate with ``value``, ``low``, ``high`` (None where undefined) and what it counts.
    """
    marked, images = marked.assign(one=1), images.assign(one=1)
    groups = _Groups(marked, images)
    weight_BG = groups.weights(resampling)
    recalls: dict[str, list[dict[str, Any]]] = {"all": [], "by_size": [], "by_type": [], "by_zone": []}
    for table, about, rows in _classes(marked):
        found_G, total_G = (groups.sums(marked[column][rows], marked["group"][rows]) for column in ("found", "one"))
        estimate = interval(
            float(ratio(found_G.sum(), total_G.sum())),
            ratio(weight_BG @ found_G, weight_BG @ total_G),
            int((total_G > 0).sum()),
            resampling.confidence,
        )
        counted = {"defects": int(total_G.sum()), "found": int(found_G.sum()), "groups": int((total_G > 0).sum())}
        recalls[table].append(about | counted | {"recall": _plain(estimate)})
    rates = {}
    for name, among in (("false_per_picture", images), ("false_per_good_picture", images[images["good"]])):
        false_G, total_G = (groups.sums(among[column], among["group"]) for column in ("false_objects", "one"))
        rate = false_rate(false_G, total_G, weight_BG, resampling.confidence)
        counted = {"objects": int(false_G.sum()), "pictures": int(total_G.sum())}
        rates[name] = _plain(rate) | counted
    (everything,) = recalls.pop("all")
    return {"overlap": overlap, **everything, **recalls, **rates}


def false_rate(false_G: FloatArray, total_G: FloatArray, weight_BG: FloatArray, confidence: float) -> Estimate:
    """False objects per image, with the percentiles of the resampled rates.

    Where all resamples agree, as where there is no false object at all, Poisson's exact interval is given, taken for
    counts on as many images as there are groups, which is conservative (Garwood, Biometrika 28, 1936).
    """
    if not total_G.sum():
        return Estimate(float("nan"), float("nan"), float("nan"))
    value = float(false_G.sum() / total_G.sum())
    resampled_B = ratio(weight_BG @ false_G, weight_BG @ total_G)
    resampled_B = resampled_B[~np.isnan(resampled_B)]
    groups = int((total_G > 0).sum())
    if groups < 2 or np.ptp(resampled_B) < 1e-12:
        events = value * groups
        low = chi2.ppf((1 - confidence) / 2, 2 * events) / 2 / groups if events else 0.0
        high = chi2.ppf((1 + confidence) / 2, 2 * events + 2) / 2 / groups
    else:
        low, high = np.quantile(resampled_B, [(1 - confidence) / 2, (1 + confidence) / 2])
    return Estimate(value, float(min(low, value)), float(max(high, value)))


class _Groups:
    """Groups in an order that depends on what they hold, not on their names."""

    def __init__(self, marked: pd.DataFrame, images: pd.DataFrame) -> None:
        held: dict[str, list[tuple[Any, ...]]] = {str(name): [] for name in images["group"].unique()}
        for group, *about in zip(*(marked[name] for name in ("group", "area", "covered", "zone", "type")), strict=True):
            held[str(group)].append((1, *about))
        for group, *about in zip(*(images[name] for name in ("group", "false_objects", "good")), strict=True):
            held[str(group)].append((0, *about))
        self.names = sorted(held, key=lambda name: sorted(held[name]))
        self.defective = np.isin(self.names, marked["group"].unique())

    def weights(self, resampling: Resampling) -> FloatArray:
        """Tell how often each group is drawn in each resample, (B, G)."""
        return np.concatenate(list(group_weights(self.defective, resampling, resampling.resamples)))

    def sums(self, value: pd.Series, group: pd.Series) -> FloatArray:
        """Return the sum of a column over each group, (G,)."""
        summed = value.astype(float).groupby(group).sum().reindex(self.names, fill_value=0.0)
        return np.asarray(summed, dtype=np.float64)


def _classes(marked: pd.DataFrame) -> list[tuple[str, dict[str, Any], npt.NDArray[np.bool_]]]:
    """Tell which defects each recall is about: the table that it belongs to, what it says of itself, and the rows."""
    every = np.ones(len(marked), dtype=bool)
    classes: list[tuple[str, dict[str, Any], npt.NDArray[np.bool_]]] = [("all", {}, every)]
    octave = np.floor(np.log2(marked["side"].to_numpy(np.float64))) if len(marked) else np.zeros(0)
    for exponent in np.unique(octave):
        about = {"from": float(2**exponent), "below": float(2 ** (exponent + 1))}
        classes.append(("by_size", about, octave == exponent))
    for column in ("type", "zone"):
        names = sorted(name for name in set(marked[column].tolist()) if name not in {"", 0})
        classes += [(f"by_{column}", {column: name}, (marked[column] == name).to_numpy()) for name in names]
    return classes


def _plain(estimate: Estimate) -> dict[str, float | None]:
    return {name: None if np.isnan(value) else value for name, value in estimate.to_dict().items()}
