"""What is said about images: by a model, raw; and in the end, decided."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from callbacks.statistics.examined import plain
from datamodules.files.fitting import place
from datamodules.samples.detections import class_of, counted

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy.typing as npt

    from callbacks.acceptance.facts import Facts
    from callbacks.acceptance.judgement import Judgement
    from callbacks.defects.measured import Defect
    from datamodules.files.fitting import Placement
    from datamodules.layer_places import LayerPlace
    from datamodules.samples.detections import Detections, Instance

    from .network import Array


class Prediction(NamedTuple):
    """Raw scores (B,) and maps (B, H, W), both float32; per image what an instance model found, or None.

    Boxes and masks of detections are in pixels of the model's image. ``distance_B`` says how far out the embedding of
    each image lies, where whatever judges knows that; ``embedding_BD`` are the embeddings that a graph gives.
    """

    score_B: Array
    map_BHW: Array
    detections: list[Detections] | None = None
    distance_B: list[float] | None = None
    embedding_BD: Array | None = None


class Region(NamedTuple):
    """A connected region that is called defective.

    Attributes:
        box: Left, top, right, bottom (both last ones excluded), in pixels of the image as it was read.
        area: Share of the image that it covers, in (0, 1].
        peak: Highest map value in it.
    """

    box: tuple[float, float, float, float]
    area: float
    peak: float


@dataclass(frozen=True)
class Result:
    """The verdict on one image, or why there is none.

    Attributes:
        name: Its path, or what the caller named it.
        place: Where its overlay goes, below the folder of overlays.
        score: Raw, higher is worse; NaN where the image could not be read.
        threshold: Defective where ``score >= threshold``.
        defective: The verdict.
        probability: Of being defective, where it could be fitted honestly.
        rank_among_good: The share of good calibration images with a lower score; None where none are known.
        kind: The sub-population whose threshold was used; empty: all.
        size: Height and width as read, in pixels.
        input_3HW: What the model saw, RGB in [0, 1].
        anomaly_map: (H, W) raw map values at the model's size.
        mask: (H, W) True where the map reaches the threshold for pixels, whatever the verdict on the image.
        map_range: Raw map values of the darkest and the brightest colour, as the model that judged has them.
        regions: Connected regions of the mask, the worst first; see ``marks``.
        detections: Defects that an instance model found, the surest first: ``box`` (left, top, right, bottom in pixels
            of the image as read), ``label``, ``score``, and ``mask``, its part of the model's image, at ``region``.
        unusual: Which of its facts no image of the training had, and what is usual; empty where all are usual.
        facts: Of the file, and the level of its map; empty where the model noted nothing of its training images.
        type: That the model tells of an image that it calls defective; empty where it tells none.
        searched: Whether an instance model looked: then its instances are the defects, and the mask is theirs.
        classes: Names of the labels of detections, from label 1; an empty one is no defect.
        zones_HW: (H, W) zone ids at the model's size; None where there are none.
        um_per_pixel: Along y, as the image itself or its kind tells; None where neither does.
        defects: As defects.csv lists them; None where nobody has measured them yet.
        acceptance: What the rules say of the part; None where there are no rules.
        known: The facts that they went by; None where there are no rules, or nothing is known.
        placement: How the image lies in what the model saw; None where it could not be read.
        read: Reads it once more, as it is shown: (H, W, 3) RGB uint8 in its own size; None where nobody can.
        shown: What a page shows of it, (h, w, 3) RGB uint8; None where there is no page.
        layer: Machine, job, build and number of a layer of a print; None where the image is none.
        error: Why there is no verdict; empty if there is one.
    """

    name: str
    place: PurePosixPath = field(default_factory=PurePosixPath)
    score: float = float("nan")
    threshold: float = float("nan")
    defective: bool = False
    probability: float | None = None
    rank_among_good: float | None = None
    kind: str = ""
    size: tuple[int, int] = (0, 0)
    input_3HW: npt.NDArray[np.float32] | None = None
    anomaly_map: npt.NDArray[np.float32] | None = None
    mask: npt.NDArray[np.bool_] | None = None
    map_range: tuple[float, float] = (0.0, 1.0)
    regions: tuple[Region, ...] = ()
    detections: tuple[Instance, ...] = ()
    unusual: str = ""
    facts: Mapping[str, float] = field(default_factory=dict)
    type: str = ""
    searched: bool = False
    classes: tuple[str, ...] = ()
    zones_HW: npt.NDArray[np.uint8] | None = None
    um_per_pixel: float | None = None
    defects: tuple[Defect, ...] | None = None
    acceptance: Judgement | None = None
    known: Facts | None = None
    placement: Placement | None = None
    read: Callable[[], npt.NDArray[np.uint8]] | None = None
    shown: npt.NDArray[np.uint8] | None = None
    layer: LayerPlace | None = None
    error: str = ""

    @property
    def placed(self) -> Placement:
        """How the image lies in what the model saw; squashed, where nobody said."""
        if self.placement is not None:
            return self.placement
        seen = self.size if self.mask is None else (self.mask.shape[0], self.mask.shape[1])
        return place(self.size, seen)

    @property
    def marks(self) -> bool:
        """Tell whether the regions of the mask are defects: listed, outlined and counted.

        They are where the image is called defective, and wherever rules judge a part by its defects; on an image
        that is called good, and that no rules judge, nothing is one.
        """
        return self.defective or self.acceptance is not None

    @property
    def counted(self) -> list[Instance]:
        """The instances that are defects: their score reaches the threshold."""
        return counted(self.detections, self.threshold)

    @property
    def image(self) -> npt.NDArray[np.uint8] | None:
        """What the model saw, (H, W, 3) RGB in 8 bits."""
        if self.input_3HW is None:
            return None
        return np.rint(self.input_3HW.transpose(1, 2, 0) * 255).astype(np.uint8)

    @property
    def verdict(self) -> str:
        """``good`` or ``defective``; empty where the image could not be read."""
        if self.error:
            return ""
        return "defective" if self.defective else "good"

    @property
    def accepted(self) -> str:
        """``accepted``, ``rework``, ``rejected`` or ``unknown``; empty where there are no rules."""
        return "" if self.acceptance is None else self.acceptance.state

    @property
    def reasons(self) -> str:
        """Why it is accepted or not, in words; empty where there are no rules."""
        return "" if self.acceptance is None else self.acceptance.text

    def row(self) -> dict[str, Any]:
        """Plain values for one line of JSON."""
        judged: dict[str, Any] = {}
        placed = {} if self.layer is None else self.layer._asdict()
        if self.acceptance is not None:
            judged = {"accepted": self.accepted, "reasons": self.reasons, "acceptance": self.acceptance.row()}
        if self.error:
            return {"image_path": self.name, **placed, **judged, "error": self.error}
        return {
            "image_path": self.name,
            **placed,
            "score": self.score,
            "threshold": self.threshold,
            "verdict": self.verdict,
            **judged,
            "predicted_type": self.type,
            "probability": self.probability,
            "rank_among_good": self.rank_among_good,
            "kind": self.kind,
            "unusual": self.unusual,
            "facts": {name: plain(value) for name, value in self.facts.items()},
            "regions": [region._asdict() for region in self.regions if self.marks],
            "detections": [self._detection(one) for one in self.detections],
        }

    def _detection(self, one: Instance) -> dict[str, Any]:
        found = {"box": one.box, "label": one.label, "score": one.score}
        return found | ({"type": class_of(one.label, self.classes)} if self.classes else {})
