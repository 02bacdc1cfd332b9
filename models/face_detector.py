"""What the untrained detectors of fiber end faces share: they judge every image by itself, zone by zone.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import numpy as np
import torch
from anomalib.data import InferenceBatch

from datamodules.zones.finding import find_zones

from .components.padding import SeesPadding, frame_of
from .components.reconstruction import WHITE, to_grey
from .faces.marks import Scoring, score_of
from .faces.view import FaceView, Plane, view_face
from .one_pass import OnePassModel

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

Where: TypeAlias = Literal["find", "none"]


class FaceNetwork(SeesPadding):
    """Judges images by a function of one face.

    Args:
        judge: Grey levels of 0 to 255, (H, W), to a score and a map (H, W).
    """

    def __init__(self, judge: Callable[[Plane], tuple[float, Plane]]) -> None:
        super().__init__()
        self.judge = judge

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score images: raw ``pred_score`` (B,), and ``anomaly_map`` (B, H, W) in robust standard deviations."""
        image_B3HW, inside_BHW = self.open(image_B3HW)
        grey_BHW = (WHITE * to_grey(image_B3HW.float())[:, 0]).cpu().numpy()
        insides = [None] * len(grey_BHW) if inside_BHW is None else list(inside_BHW)
        judged = [self._judge_inside(grey_HW, inside_HW) for grey_HW, inside_HW in zip(grey_BHW, insides, strict=True)]
        device = image_B3HW.device
        score_B = torch.tensor([score for score, _ in judged], device=device)
        map_BHW = torch.from_numpy(np.stack([map_HW for _, map_HW in judged])).to(device)
        return InferenceBatch(pred_score=score_B, anomaly_map=map_BHW)

    def _judge_inside(self, grey_HW: Plane, inside_HW: Tensor | None) -> tuple[float, Plane]:
        """Judge an image without its padding, where the map is 0."""
        rows, columns = frame_of(inside_HW, grey_HW.shape)
        score, inner_hw = self.judge(np.ascontiguousarray(grey_HW[rows, columns]))
        map_HW = np.zeros_like(grey_HW)
        map_HW[rows, columns] = inner_hw
        return score, map_HW


class FaceDetector(OnePassModel):
    """A subclass says how a face responds; there is nothing to train.

    The score is the area that stands out, and how far, in areas of the cladding (see ``faces.marks.score_of``).

    Args:
        border: Of the cladding's radius, on both sides of where zones meet, that is not judged.
        zones: Whether to find zones on every image.
        scored: Zones whose pixels count for the score (1 core, 2 cladding, 3 ferrule); the map has all.
        floor: Standard deviations from which a pixel counts for the score.
        cap: Standard deviations beyond the floor, from which a pixel counts no more.
        inner: Weight of core and cladding in the score against the ferrule's 1.

    Raises:
        ValueError: An argument is out of range.
    """

    not_exportable: ClassVar[str] = "it finds the zones of every image that it judges, and no graph can do that"
    trainer_arguments: ClassVar[dict[str, Any]] = OnePassModel.trainer_arguments

    def __init__(
        self, border: float, zones: Where, scored: tuple[int, ...], floor: float, cap: float, inner: float
    ) -> None:
        super().__init__()
        if not scored or not set(scored) <= {1, 2, 3}:
            raise ValueError(f"Expected model.scored to be a list of zones 1, 2 and 3, but found {list(scored)}.")
        if not 0 <= border < 0.5:
            raise ValueError(f"Expected model.border to be at least 0 and below 0.5, but found {border}.")
        if zones not in ("find", "none"):
            raise ValueError(f"Expected model.zones to be find or none, but found {zones}.")
        for name, value in (("floor", floor), ("inner", inner)):
            if not 0 <= value < math.inf:
                raise ValueError(f"Expected model.{name} to be 0 or more, but found {value}.")
        if not 0 < cap < math.inf:
            raise ValueError(f"Expected model.cap to be above 0, but found {cap}.")
        self.border = border
        self.zones: Where = zones
        self.scoring = Scoring(floor, cap, inner, tuple(scored))
        self.model: FaceNetwork = FaceNetwork(self.judge)

    def judge(self, grey_HW: Plane) -> tuple[float, Plane]:
        """Judge one image in grey levels of 0 to 255: its score, and its map (H, W)."""
        face = self.view(grey_HW)
        map_HW, counted_HW = self.respond(face)
        return score_of(face, counted_HW, self.scoring), np.where(face.inner_HW, map_HW, np.float32(0))

    def view(self, grey_HW: Plane) -> FaceView:
        """Look at an image in grey levels of 0 to 255, with its zones where they are to be found."""
        if self.zones == "none":
            return view_face(grey_HW, None, None, self.border)
        found = find_zones(np.clip(grey_HW, 0, 255).astype(np.uint8))
        return view_face(grey_HW, found.cladding, found.core, self.border)

    @abstractmethod
    def respond(self, face: FaceView) -> tuple[Plane, Plane]:
        """Return the map of a face (H, W), and what counts for its score: robust standard deviations of its zones."""

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep nothing: every image is judged by itself."""

    def fit(self) -> None:
        """Do nothing: there is nothing to fit."""

    @staticmethod
    def length(share: float, name: str) -> float:
        """Return a length in radii.

        Raises:
            ValueError: It is not one.
        """
        if not 0 < share <= 1:
            raise ValueError(f"Expected {name} to be above 0 and at most 1 radius of the cladding, but found {share}.")
        return share
