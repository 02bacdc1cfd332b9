"""Rules that turn a map into regions: two lines instead of one, no specks, and no judging where zones meet.

Shape letters: N images of a batch, H and W pixels. A region is a connected component with 8 neighbours.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch

from callbacks.statistics.regions import regions_of

if TYPE_CHECKING:
    import numpy.typing as npt
    from torch import Tensor


@dataclass(frozen=True)
class RegionRules:
    """What becomes of an anomaly map before its regions are shown and counted.

    Verdicts on whole images rest on their scores; these rules shape the predicted masks alone.

    Attributes:
        min_area: Regions of fewer pixels are dropped; pixels of the model's image.
        low: Hysteresis: a region reaches down to a lower threshold, if some pixel of it reaches the threshold itself
            (Canny, 1986). The lower one lies this share of the way from the map's usual value (the median on
            calibration images) up to the threshold, in [0, 1); None: there is none.
        erode: Pixels this near to the border between two zones are not judged, since the border itself looks like a
            defect; in pixels of the model's image, both ways. Images without zones are not affected.
    """

    min_area: int = 0
    low: float | None = None
    erode: int = 0

    def __post_init__(self) -> None:
        """Refuse rules that mean nothing."""
        if self.min_area < 0 or self.erode < 0:
            raise ValueError(
                f"Expected min_area and erode of threshold.regions to be 0 or more pixels, but found {self.min_area} "
                f"and {self.erode}."
            )
        if self.low is not None and not 0 <= self.low < 1:
            raise ValueError(
                f"Expected threshold.regions.low to be null, or a share of the way up to the threshold in [0, 1), but "
                f"found {self.low}; 0.5 is half of it."
            )

    @property
    def plain(self) -> bool:
        """Tell whether a mask is just where the map reaches the threshold."""
        return self.min_area <= 1 and self.low is None and not self.erode

    def to_dict(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)

    def judged(self, zones_NHW: Tensor | None, inside_NHW: Tensor | None = None) -> Tensor | None:
        """Tell where pixels are judged, (N, H, W) bool; None where all are. Padding never is."""
        if not self.erode or zones_NHW is None:
            return inside_NHW
        away = [away_from_borders(zones_HW, self.erode) for zones_HW in zones_NHW.cpu().numpy()]
        away_NHW = torch.from_numpy(np.stack(away)).to(zones_NHW.device)
        return away_NHW if inside_NHW is None else away_NHW & inside_NHW

    def masks(
        self,
        map_NHW: Tensor,
        threshold_NHW: Tensor,
        usual: float,
        zones_NHW: Tensor | None = None,
        inside_NHW: Tensor | None = None,
    ) -> Tensor:
        """Predicted masks by these rules.

        Args:
            map_NHW: Raw anomaly maps.
            threshold_NHW: The threshold of each pixel, of a shape that broadcasts to the maps'.
            usual: The map's median on calibration images, raw.
            zones_NHW: Zone ids, or None.
            inside_NHW: What is no padding; None: nothing is padded.

        Returns:
            (N, H, W) bool, on the maps' device.
        """
        strong = map_NHW >= threshold_NHW
        if self.plain:
            return strong if inside_NHW is None else strong & inside_NHW
        weak = strong if self.low is None else strong | (map_NHW >= usual + self.low * (threshold_NHW - usual))
        if (judged := self.judged(zones_NHW, inside_NHW)) is not None:
            strong, weak = strong & judged, weak & judged
        pairs = zip(weak.cpu().numpy(), strong.cpu().numpy(), strict=True)
        return torch.from_numpy(np.stack([self._keep(*pair) for pair in pairs])).to(map_NHW.device)

    def _keep(self, weak_HW: npt.NDArray[np.bool_], strong_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Keep the regions that hold a strong pixel and are large enough."""
        number, region_HW = regions_of(weak_HW)
        area = np.bincount(region_HW.ravel(), minlength=number)
        passes_R = np.zeros(number, dtype=bool)
        passes_R[region_HW[strong_HW]] = True
        passes_R &= area >= self.min_area
        passes_R[0] = False  # the ground
        chosen: npt.NDArray[np.bool_] = passes_R[region_HW]
        return chosen


def away_from_borders(zones_HW: npt.NDArray[np.uint8], distance: int) -> npt.NDArray[np.bool_]:
    """Tell where all pixels at most ``distance`` away, along rows and columns, belong to the same zone.

    The image's own border is none between zones.
    """
    square = np.ones((2 * distance + 1, 2 * distance + 1), np.uint8)
    same: npt.NDArray[np.bool_] = cv2.dilate(zones_HW, square) == cv2.erode(zones_HW, square)
    return same
