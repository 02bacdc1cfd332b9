"""What the untrained detectors of fiber end faces share: they judge every image by itself, zone by zone.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from anomalib.data import InferenceBatch
from torch import nn

from datamodules.zones.finding import find_zones

from .components.pooling import check_share, top_mean
from .components.reconstruction import WHITE, to_grey
from .faces.view import FaceView, Mask, Plane, view_face
from .one_pass import OnePassModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Where: TypeAlias = Literal["find", "none"]


class FaceNetwork(nn.Module):
    """Judges images by a function of one face.

    Args:
        judge: Grey levels of 0 to 255, (H, W), to a map (H, W), and which of its pixels count for the score (H, W).
        top_share: Share of the pixels that count whose mean is the score.
    """

    def __init__(self, judge: Callable[[Plane], tuple[Plane, Mask]], top_share: float) -> None:
        super().__init__()
        self.judge = judge
        self.top_share = top_share

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W), in robust standard deviations."""
        grey_BHW = WHITE * to_grey(image_B3HW.float())[:, 0]
        judged = [self.judge(grey_HW) for grey_HW in grey_BHW.cpu().numpy()]
        map_BHW = torch.from_numpy(np.stack([map_HW for map_HW, _ in judged]))
        score_B = [
            top_mean(map_HW[torch.from_numpy(counts_HW)][None], self.top_share)
            for map_HW, (_, counts_HW) in zip(map_BHW, judged, strict=True)
        ]
        device = image_B3HW.device
        return InferenceBatch(pred_score=torch.cat(score_B).to(device), anomaly_map=map_BHW.to(device))


class FaceDetector(OnePassModel):
    """A subclass says how a face responds; there is nothing to train.

    Args:
        border: Of the cladding's radius, on both sides of where zones meet, that is not judged.
        zones: Whether to find zones on every image.
        scored: Zones whose pixels count for the score (1 core, 2 cladding, 3 ferrule); the map has all.
        top_share: Share of those pixels, the worst ones, whose mean is the score.

    Raises:
        ValueError: An argument is out of range.
    """

    not_exportable: ClassVar[str] = "it finds the zones of every image that it judges, and no graph can do that"
    trainer_arguments: ClassVar[dict[str, Any]] = OnePassModel.trainer_arguments

    def __init__(self, border: float, zones: Where, scored: tuple[int, ...], top_share: float) -> None:
        super().__init__()
        if not scored or not set(scored) <= {1, 2, 3}:
            raise ValueError(f"Expected model.scored to be a list of zones 1, 2 and 3, but found {list(scored)}.")
        if not 0 <= border < 0.5:
            raise ValueError(f"Expected model.border to be at least 0 and below 0.5, but found {border}.")
        if zones not in ("find", "none"):
            raise ValueError(f"Expected model.zones to be find or none, but found {zones}.")
        check_share(top_share, "model.top_share")
        self.border = border
        self.scored = tuple(scored)
        self.zones: Where = zones
        self.model: FaceNetwork = FaceNetwork(self.judge, top_share)

    def judge(self, grey_HW: Plane) -> tuple[Plane, Mask]:
        """Judge one image in grey levels of 0 to 255: its map (H, W), and which pixels count for its score."""
        face = self.view(grey_HW)
        map_HW = self.respond(face)
        counts_HW = np.isin(face.zone_HW, self.scored)
        return np.where(face.inner_HW, map_HW, np.float32(0)), counts_HW if counts_HW.any() else np.ones_like(counts_HW)

    def view(self, grey_HW: Plane) -> FaceView:
        """Look at an image in grey levels of 0 to 255, with its zones where they are to be found."""
        if self.zones == "none":
            return view_face(grey_HW, None, None, self.border)
        found = find_zones(np.clip(grey_HW, 0, 255).astype(np.uint8))
        return view_face(grey_HW, found.cladding, found.core, self.border)

    @abstractmethod
    def respond(self, face: FaceView) -> Plane:
        """Return the response (H, W) of a face, in robust standard deviations of its zones."""

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep nothing: every image is judged by itself."""

    def fit(self) -> None:
        """Fit to nothing."""

    @staticmethod
    def length(share: float, name: str) -> float:
        """Return a length in radii.

        Raises:
            ValueError: It is none.
        """
        if not 0 < share <= 1:
            raise ValueError(f"Expected {name} to be above 0 and at most 1 radius of the cladding, but found {share}.")
        return share
