"""Decisions: thresholds in raw units, ``>=`` is defective; they lie beside the graph, so that a line can be moved.

The same rules as a run's own calibration has, for arrays instead of tensors; the parity gate compares both.

Letters: H and W height and width of the model's images.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt

from callbacks.statistics.rank import GoodScores

from .result import Region
from .spec_check import require_finite

if TYPE_CHECKING:
    from datamodules.files.fitting import Placement

    from .network import Array

ALL = "all"
Mask = npt.NDArray[np.bool_]


class Decision:
    """The thresholds of a bundle, one per scope; a scope without one of its own falls back on all.

    Args:
        thresholds: As ``calibration.json`` holds them.
        image: In place of every threshold for images.
        pixel: In place of every threshold for pixels.

    Attributes:
        image: Thresholds for images: ``all``, and ``kind NAME`` where kinds have their own.
        pixel: Thresholds for pixels: the same, and ``zone ID``.
        kinds: Sub-populations that have thresholds of their own.
        map_range: Raw map values of the darkest and the brightest colour.
        promise: What the threshold for images promises, in words.

    Raises:
        BundleError: A threshold that was given is not finite.
    """

    def __init__(self, thresholds: dict[str, Any], image: float | None = None, pixel: float | None = None) -> None:
        self.image = _by_scope(thresholds["image"], require_finite(image, "image_threshold"))
        self.pixel = _by_scope(thresholds["pixel"], require_finite(pixel, "pixel_threshold"))
        self.kinds = sorted({*thresholds["image"].get("kind", {}), *thresholds["pixel"].get("kind", {})})
        self.map_range = (float(thresholds["map_range"][0]), float(thresholds["map_range"][1]))
        given = "It was given by hand and promises nothing."
        self.promise: str = thresholds["image"][ALL].get("promise", "") if image is None else given
        own = {} if image is not None else thresholds["image"].get("kind", {})
        self._promises = {kind: str(entry.get("promise", "")) for kind, entry in own.items()}
        self._rules = thresholds["regions"]
        self._probability = thresholds["probability"]
        self._good = GoodScores(thresholds.get("good_scores", {}))  # bundles of earlier versions hold none

    def threshold(self, kind: str = "") -> np.float32:
        """Return the threshold for images of a kind."""
        return self.image.get(f"kind {kind}", self.image[ALL])

    def tells(self, kind: str) -> bool:
        """Say whether images of a kind have a threshold of their own."""
        return f"kind {kind}" in self.image

    def promise_of(self, kind: str) -> str:
        """Say what the threshold for images of a kind promises."""
        return self._promises.get(kind, self.promise)

    def is_defective(self, score: np.float32, kind: str = "") -> bool:
        """Decide on an image, in float32, as it was calibrated."""
        return bool(np.float32(score) >= self.threshold(kind))

    def probability(self, score: np.float32) -> float | None:
        """Return the probability of a defect, in [0, 1], where it was calibrated."""
        if self._probability is None:
            return None
        if self._probability["method"] == "platt":
            logit = self._probability["slope"] * float(score) + self._probability["offset"]
            return 0.5 * (1 + math.tanh(logit / 2))  # never overflows
        return float(np.interp(float(score), self._probability["scores"], self._probability["probabilities"]))

    def rank_among_good(self, score: np.float32, kind: str = "") -> float | None:
        """Return the share of good calibration images with a lower score, in [0, 1]; None where none are known."""
        return self._good.rank(float(score), kind)

    def mask(self, map_HW: Array, kind: str = "", zones_HW: Array | None = None, inside_HW: Mask | None = None) -> Mask:
        """Decide on pixels (H, W) by the threshold of their zone, kind, or of all; then by the rules for regions.

        ``inside_HW`` tells what is no padding, which is never called defective; None: nothing is padded.
        """
        threshold_HW = self._thresholds(kind, zones_HW)
        strong_HW: Mask = map_HW >= threshold_HW
        weak_HW, low = strong_HW, self._rules["low"]
        if low is not None:
            usual = self._rules["usual"]
            weak_HW = strong_HW | (map_HW >= usual + low * (threshold_HW - usual))
        if self._rules["erode"] and zones_HW is not None:
            away_HW = _away_from_borders(zones_HW, self._rules["erode"])
            strong_HW, weak_HW = strong_HW & away_HW, weak_HW & away_HW
        if inside_HW is not None:
            strong_HW, weak_HW = strong_HW & inside_HW, weak_HW & inside_HW
        if low is None and self._rules["min_area"] <= 1:
            return strong_HW
        return _keep_regions(weak_HW, strong_HW, self._rules["min_area"])

    def regions(self, map_HW: Array, mask_HW: Mask, placement: Placement) -> tuple[Region, ...]:
        """List connected regions (8 neighbours), the worst first; boxes in pixels of the image on disk."""
        count, found_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
        label_HW = np.asarray(found_HW, np.intp)
        peak_R = np.full(count, -np.inf, dtype=np.float32)
        np.maximum.at(peak_R, label_HW[mask_HW], map_HW[mask_HW])
        seen = placement.share * placement.frame.area
        found = []
        for region in range(1, count):
            left, top, width, height, area = (int(value) for value in statistics[region])
            box = placement.box((left, top, left + width, top + height))
            found.append(Region(box, area / seen, float(peak_R[region])))
        return tuple(sorted(found, key=lambda region: -region.peak))

    def _thresholds(self, kind: str, zones_HW: Array | None) -> Array:
        """Return the threshold of every pixel, (H, W), or (1, 1) where one holds for all."""
        threshold_HW = np.full((1, 1), self.pixel.get(f"kind {kind}", self.pixel[ALL]), dtype=np.float32)
        own = {scope: value for scope, value in self.pixel.items() if scope.startswith("zone ")}
        if not own or zones_HW is None:
            return threshold_HW
        threshold_HW = np.tile(threshold_HW, zones_HW.shape)
        for scope, value in own.items():
            threshold_HW[zones_HW == int(scope.removeprefix("zone "))] = value
        return threshold_HW


def _by_scope(scopes: dict[str, Any], instead: float | None) -> dict[str, np.float32]:
    """Flatten thresholds by scope to ``all``, ``kind NAME`` and ``zone ID``."""
    if instead is not None:
        return {ALL: np.float32(instead)}
    values = {ALL: np.float32(scopes[ALL]["value"])}
    for scope in ("kind", "zone"):
        values |= {f"{scope} {name}": np.float32(entry["value"]) for name, entry in scopes.get(scope, {}).items()}
    return values


def _keep_regions(weak_HW: Mask, strong_HW: Mask, min_area: int) -> Mask:
    """Keep the regions of a mask that hold a strong pixel and are large enough."""
    count, region_HW = cv2.connectedComponents(weak_HW.astype(np.uint8), connectivity=8)
    passes_R = np.zeros(count, dtype=bool)
    passes_R[region_HW[strong_HW]] = True
    passes_R &= np.bincount(region_HW.ravel(), minlength=count) >= min_area
    passes_R[0] = False  # the ground
    passes_HW: Mask = passes_R[region_HW]
    return passes_HW


def _away_from_borders(zones_HW: Array, distance: int) -> Mask:
    """Tell where all pixels at most ``distance`` away, along rows and columns, belong to the same zone."""
    square = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    same_HW: Mask = cv2.dilate(zones_HW, square) == cv2.erode(zones_HW, square)
    return same_HW
