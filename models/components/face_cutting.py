"""End faces judged about their axis by any model that gives maps: unwrapped to rows of equal distance, or as a disc.

What lies beyond the rings that are asked for is neither learned from nor judged: a mask of zones, without the edge that
a black background would draw. Unwrapped, the borders of core and cladding are straight lines at the same rows always.

Letters: B images, S side of a cut, H and W height and width of an image, all in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import torch
from anomalib.data import InferenceBatch
from torchvision.tv_tensors import Image, Mask

from datamodules.samples.batch import InspectionBatch
from datamodules.table import DEFECTIVE

from .face_cuts import Cut, How, Shape, cut_face
from .tiled import tile_labels

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from datamodules.samples.detections import Detections

    Predict = Callable[[Tensor], tuple[InferenceBatch, list[Detections] | None]]


@dataclass(frozen=True)
class FaceCutting:
    """How end faces are cut out, judged, and laid back; ``InspectionModel.use_tiling`` gives it to a model.

    The cladding is found on every image by itself. An image's score is that of its cut.

    Args:
        shape: ``polar``: unwrapped about the axis; ``disc``: upright, in square pixels.
        size: Side of the cuts.
        inner: In radii of the cladding: what lies nearer to the axis is not judged.
        reach: The same: what lies farther away is not.
        batch: Cuts that are judged at a time.

    Raises:
        ValueError: An argument is out of range.
    """

    joins_instances: ClassVar[bool] = False
    keeps_values: ClassVar[bool] = False

    shape: Shape = "polar"
    size: int = 256
    inner: float = 0.0
    reach: float = 2.0
    batch: int = 16

    def __post_init__(self) -> None:
        """Refuse what cuts nothing out."""
        if not 0 <= self.inner < self.reach or not math.isfinite(self.reach):
            raise ValueError(
                "Expected tiling.inner, in radii of the cladding, to be at least 0 and less than tiling.reach, but "
                f"found {self.inner} and {self.reach}."
            )
        if min(self.size, self.batch) < 1:
            raise ValueError(
                f"Expected tiling.size and tiling.batch to be at least 1, but found {self.size} and {self.batch}."
            )

    @property
    def how(self) -> How:
        """How faces are cut, in plain values."""
        return How(self.shape, self.size, self.inner, self.reach)

    def to_plain(self, size: tuple[int, int]) -> dict[str, Any]:
        """Say how a runner cuts faces out of images of any size."""
        del size
        return {"face": self.shape, "inner": self.inner, "reach": self.reach, "size": self.size} | {
            "rows": [0],
            "columns": [0],
        }

    def judge(self, predict: Predict, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections] | None]:
        """Judge images by their faces.

        Args:
            predict: Judges cuts (B, 3, S, S): raw scores and maps.
            image_B3HW: Of any size.
        """
        images = image_B3HW.detach().float().cpu().numpy()
        cuts = [cut_face(image, self.how) for image in images]
        seen = np.stack([cut.image(image) for cut, image in zip(cuts, images, strict=True)])
        scores, maps = [], []
        for part in torch.split(torch.from_numpy(seen), self.batch):
            prediction, _ = predict(part.to(image_B3HW.device))
            if prediction.pred_score is None or prediction.anomaly_map is None:
                raise TypeError("Expected raw scores and maps of cuts, but the model returned none.")
            scores.append(prediction.pred_score.reshape(-1))
            maps.append(prediction.anomaly_map.reshape(-1, self.size, self.size).float().cpu())
        laid = [cut.back(map_SS.numpy()) for cut, map_SS in zip(cuts, torch.cat(maps), strict=True)]
        map_BHW = torch.from_numpy(np.stack(laid)).to(image_B3HW.device)
        return InferenceBatch(pred_score=torch.cat(scores), anomaly_map=map_BHW), None

    def cut_batch(self, batch: InspectionBatch) -> InspectionBatch:
        """Turn training images into their faces, with everything that has a place.

        A defective image whose mask lies beyond what is judged becomes a good one.
        """
        images = batch.image.as_subclass(torch.Tensor).float().cpu().numpy()
        cuts = [cut_face(image, self.how) for image in images]
        mask_BSS = _ids(cuts, batch.gt_mask).bool()
        label_B = tile_labels(batch.label_index, batch.has_mask, mask_BSS)
        device = batch.image.device
        seen = np.stack([cut.image(image) for cut, image in zip(cuts, images, strict=True)])
        return InspectionBatch(
            image=Image(torch.from_numpy(seen).to(device)),
            image_path=batch.image_path,
            gt_label=label_B == DEFECTIVE,
            gt_mask=Mask(mask_BSS.to(device)),
            name=batch.name,
            label_index=label_B,
            has_mask=batch.has_mask,
            group=batch.group,
            kind=batch.kind,
            zones=None if batch.zones is None else _ids(cuts, batch.zones).to(device),
        )


def _ids(cuts: list[Cut], ids_BHW: Tensor) -> Tensor:
    """Cut masks or zones out, (B, S, S)."""
    planes = ids_BHW.as_subclass(torch.Tensor).to(torch.uint8).cpu().numpy()
    return torch.from_numpy(np.stack([cut.ids(plane) for cut, plane in zip(cuts, planes, strict=True)]))
