"""Calibration: thresholds in raw score units, chosen on calibration images alone, and the decisions made with them.

Letters: N images of a batch, H and W pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from anomalib.data import InferenceBatch
from lightning import Callback
from torch import nn

from callbacks.policies.f1 import of_pixels
from callbacks.statistics.cloud import Cloud
from callbacks.statistics.curves import best_f_score, count_scores, roc_auc
from callbacks.statistics.probability import Choice, Probability
from callbacks.statistics.usual import Usual
from datamodules.samples.detections import counted, union
from datamodules.table import DEFECTIVE, GOOD

from .choosing import Seen, choose_image_thresholds, choose_pixel_thresholds
from .described import describe
from .evidence import PixelEvidence
from .familiarity import learn_cloud, learn_usual, map_medians
from .meaning import fit_seen, good_scores
from .region_rules import RegionRules
from .scales import learn_scales
from .scopes import Scope, Scoped, check_scopes, require_finite

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd
    from lightning import LightningModule, Trainer
    from torch import Tensor

    from callbacks.policies.base import Policy
    from datamodules.samples.batch import InspectionBatch

OBJECTIVE = "calibration/objective"
PIXEL_OBJECTIVE = "calibration/pixel_objective"
FORM = 2  # of what is kept in checkpoints


class Calibration(nn.Module):
    """The post-processor of every model: ``pred_label = pred_score >= threshold``, likewise for pixels.

    Thresholds travel in checkpoints as plain values with what they promise. ``forward`` decides by the thresholds of
    all images, with tensors only, so that it can stand in a graph; ``decide`` knows kinds, zones and regions too, and
    has the last word in tests and predictions.

    Args:
        policy: Chooses the threshold of images.
        fallback: Takes over where a policy needs defects and there are none; also for pixels.
        pixel_policy: Chooses the threshold of pixels; None: as ``policy``.
        scopes: Which parts get thresholds of their own: ``kind`` (sub-populations, for images and pixels) and
            ``zone`` (for pixels, before their image's kind). Each takes 24 MiB while it is calibrated.
        min_images: Calibration images of each class that its policy needs, below which a kind or a zone shares the
            threshold of all.
        regions: What becomes of a map before its regions are shown and counted.
        probability: How scores become probabilities; ``auto``: wherever enough is known; None: they do not.
        prior: Share of defective images that ``policy`` was told to assume; None: none.

    Attributes:
        image: Thresholds for images; None until calibrated.
        pixel: Thresholds for pixels; None until calibrated.
        map_range: Raw map values that the darkest and the brightest colour stand for; the first is the usual value.
        to_probability: Fitted; None where not asked for, or not possible (``probability_note`` says why).
        scores: What was seen of every calibration image.
        nothing: Score of an image on which an instance model found nothing, above which all thresholds lie and whose
            instances decide on pixels; None: no model of instances. Whoever builds the model sets it.
        usual: What the images of the run are like, so that others can be told from them; None where nobody noted it.
        scales: Micrometres per pixel that were usual, by kind and image size; see ``scales.py``.
        cloud: Where their embeddings lie; None where the model has none, or too few were seen.
    """

    image_threshold: Tensor
    pixel_threshold: Tensor

    def __init__(
        self,
        policy: Policy,
        fallback: Policy,
        pixel_policy: Policy | None = None,
        scopes: Sequence[str] = (),
        min_images: int = 10,
        regions: RegionRules | None = None,
        probability: Choice | None = None,
        prior: float | None = None,
    ) -> None:
        super().__init__()
        if prior is not None and not hasattr(policy, "prior"):
            raise ValueError(f"Expected threshold.prior with f1 or cost, but {policy!r} assumes no share of defects.")
        if min_images < 1:
            raise ValueError(f"Expected threshold.min_images to be at least 1 picture, but found {min_images}.")
        self.policy = policy
        self.fallback = fallback
        self.pixel_policy = of_pixels(pixel_policy or policy, policy)
        self.scopes = check_scopes(scopes)
        self.min_images = min_images
        self.regions = regions or RegionRules()
        self.probability = probability
        self.image: Scoped | None = None
        self.pixel: Scoped | None = None
        self.map_range = (0.0, 1.0)
        self.to_probability: Probability | None = None
        self.probability_note = ""
        self.scores: list[Seen] = []
        self.nothing: float | None = None
        self.usual: Usual | None = None
        self.scales: dict[str, float] = {}
        self.cloud: Cloud | None = None
        self._median_of: dict[str, float] = {}
        self._embedding_of: dict[str, npt.NDArray[np.float32]] = {}
        self._device: torch.device | str = "cpu"
        self._everything = PixelEvidence()
        self._parts: dict[tuple[Scope, str], PixelEvidence] = {}
        self.register_buffer("image_threshold", torch.tensor(float("nan")))
        self.register_buffer("pixel_threshold", torch.tensor(float("nan")))

    def forward(self, prediction: InferenceBatch) -> InferenceBatch:
        """Add decisions by the thresholds of all images to raw predictions; tensors only."""
        score_N, map_NHW = prediction.pred_score, prediction.anomaly_map
        if score_N is None or map_NHW is None:
            raise TypeError("Expected raw scores and maps to decide by, but the model returned none.")
        return InferenceBatch(
            pred_score=score_N,
            pred_label=score_N >= self.image_threshold,
            anomaly_map=map_NHW,
            pred_mask=map_NHW >= self.pixel_threshold,
        )

    def decide(self, batch: InspectionBatch) -> InspectionBatch:
        """Decide a scored batch by the threshold of each image's kind and each pixel's zone, in place."""
        image, pixel = self._thresholds()
        batch.pred_label = batch.pred_score >= image.of_kinds(batch.kind, batch.pred_score.device)
        threshold_NHW = pixel.of_pixels(batch.kind, batch.zones, batch.anomaly_map.device)
        about = (batch.zones, batch.inside)
        batch.pred_mask = self.regions.masks(batch.anomaly_map, threshold_NHW, self.map_range[0], *about)
        if self.nothing is not None and batch.detections is not None:
            batch.pred_mask = self._instance_masks(batch)
        return batch

    def _instance_masks(self, batch: InspectionBatch) -> Tensor:
        """Unite the instances that are defects, (N, H, W): those whose score reaches the threshold of their image."""
        thresholds, size = self.image_thresholds(batch.kind), tuple(batch.anomaly_map.shape[-2:])
        masks = [
            union(counted(found, threshold), size)
            for found, threshold in zip(batch.detections, thresholds, strict=True)
        ]
        united = torch.from_numpy(np.stack(masks)).to(batch.anomaly_map.device)
        return united if (inside := batch.inside) is None else united & inside

    @property
    def calibrated(self) -> bool:
        """Tell whether there are thresholds to decide by."""
        return self.image is not None and self.pixel is not None

    @property
    def decides_plainly(self) -> bool:
        """Tell whether one pixel threshold and nothing else makes the masks."""
        return self._thresholds()[1].plain and self.regions.plain

    def image_thresholds(self, kind_N: Sequence[str]) -> list[float]:
        """The threshold that each image's score is compared with."""
        return [self._thresholds()[0].of_kind(kind) for kind in kind_N]

    def good_peaks(self) -> list[float]:
        """The highest map value of each good calibration image."""
        return [seen.map_max for seen in self.scores if seen.label_index == GOOD]

    def reset(self, device: torch.device | str = "cpu") -> None:
        """Forget what was seen; keep the thresholds until new ones are chosen."""
        self.scores = []
        self._median_of = {}
        self._embedding_of = {}
        self._device = device
        self._everything = PixelEvidence(device)
        self._parts = {}

    def update(self, batch: InspectionBatch) -> None:
        """See scored calibration images."""
        known_N = batch.has_mask & (batch.label_index >= GOOD)
        judged = self.regions.judged(batch.zones, batch.inside)
        judged_map = batch.anomaly_map if judged is None else batch.anomaly_map.masked_fill(~judged, float("-inf"))
        peak_N = judged_map.flatten(1).amax(dim=1)
        columns = (batch.pred_score.tolist(), batch.label_index.tolist(), peak_N.tolist(), batch.kind)
        self.scores += [Seen(*row) for row in zip(*columns, strict=True)]
        self._median_of |= dict(zip(batch.name, map_medians(batch.anomaly_map, batch.inside), strict=True))
        pixels = (batch.anomaly_map, batch.gt_mask.bool(), known_N, batch.label_index)
        self._everything.update(*pixels, judged)
        for scope, name, inside in self._inside(batch):
            if (scope, name) not in self._parts:
                self._parts[scope, name] = PixelEvidence(self._device)
            self._parts[scope, name].update(*pixels, inside if judged is None else inside & judged)

    def _inside(self, batch: InspectionBatch) -> Iterator[tuple[Scope, str, Tensor]]:
        """Each kind and zone of a batch that may get thresholds of its own, and where its pixels are, (N, H, W)."""
        if "kind" in self.scopes:
            for kind in sorted(set(batch.kind) - {""}):
                of_kind = torch.tensor([other == kind for other in batch.kind], device=batch.anomaly_map.device)
                yield "kind", kind, of_kind[:, None, None].expand_as(batch.anomaly_map)
        if "zone" in self.scopes and batch.zones is not None:
            for zone in batch.zones.unique().tolist():
                if zone > 0:
                    yield "zone", str(zone), batch.zones == zone

    def choose(self) -> None:
        """Choose thresholds from all that was seen since ``reset``.

        Raises:
            ValueError: No image was labelled, or scores are not finite.
        """
        by_kind = "kind" in self.scopes
        self.image = choose_image_thresholds(
            self.policy, self.fallback, self.scores, self.min_images, by_kind=by_kind, nothing=self.nothing
        )
        self.pixel = choose_pixel_thresholds(
            self.pixel_policy, self.fallback, self._everything, self._parts, self.min_images, self.nothing
        )
        self.image_threshold.fill_(self.image.all.value)
        self.pixel_threshold.fill_(self.pixel.all.value)
        self.map_range = self._display_range(self.pixel.all.value)
        self._fit_probability()

    def note_embeddings(self, name_N: Sequence[str], embedding_ND: npt.NDArray[np.float32]) -> None:
        """See embeddings of good calibration images."""
        self._embedding_of |= dict(zip(name_N, embedding_ND, strict=True))

    def note_images(self, samples: pd.DataFrame) -> None:
        """Note what the images of the run are like, once thresholds are chosen."""
        span = (self.map_range[0], self._thresholds()[1].all.value)
        self.cloud, distance_of = learn_cloud(samples, self._embedding_of)
        self.usual = learn_usual(samples, self._median_of, span, distance_of)
        self.scales = learn_scales(samples)

    def objective(self) -> float | None:
        """Score the calibration itself, for choosing a checkpoint: AUROC; None where only one class was seen."""
        counts = count_scores([seen.score for seen in self.scores], [seen.label_index for seen in self.scores])
        value = float(roc_auc(counts.negative, counts.positive))
        return None if np.isnan(value) else value

    def pixel_objective(self) -> float | None:
        """Score the calibration's maps, for models that mark pixels: the best F1; None where no pixel is marked."""
        counts = self._everything.histogram.counts()
        value = float(best_f_score(counts.negative, counts.positive)) if counts.positive.any() else np.nan
        return None if np.isnan(value) else value

    def pixel_chance(self) -> float | None:
        """Say what calling every pixel defective would reach as ``pixel_objective``; None where no pixel is marked."""
        counts = self._everything.histogram.counts()
        defects, all_pixels = float(counts.positive.sum()), float(counts.positive.sum() + counts.negative.sum())
        return 2 * defects / (defects + all_pixels) if defects else None

    def summary(self) -> dict[str, Any]:
        """Say what was decided and what it rests on, in plain values: the content of calibration.json."""
        image, pixel = self._thresholds()
        labels = [seen.label_index for seen in self.scores]
        return {
            "image": image.to_dict(),
            "pixel": pixel.to_dict(),
            "regions": self.regions.to_dict() | {"usual": self.map_range[0]},
            "probability": None if self.to_probability is None else self.to_probability.to_dict(),
            "probability_note": self.probability_note,
            "good_scores": good_scores(self.scores, [name for name, one in image.kind.items() if not one.shared]),
            "map_range": list(self.map_range),
            "pictures": {"good": labels.count(GOOD), "defective": labels.count(DEFECTIVE)},
        }

    def get_extra_state(self) -> dict[str, Any]:
        """Send thresholds, their promises and the scores they rest on, in plain values."""
        return {
            "form": FORM,
            "image": None if self.image is None else self.image.to_dict(),
            "pixel": None if self.pixel is None else self.pixel.to_dict(),
            "regions": self.regions.to_dict(),
            "probability": None if self.to_probability is None else self.to_probability.to_dict(),
            "probability_note": self.probability_note,
            "map_range": list(self.map_range),
            "scores": [list(seen) for seen in self.scores],
            "usual": None if self.usual is None else self.usual.to_dict(),
            "cloud": None if self.cloud is None else self.cloud.to_dict(),
            "scales": self.scales,
        }

    def set_extra_state(self, state: Mapping[str, Any]) -> None:
        """Take thresholds from a checkpoint.

        Raises:
            ValueError: Another version of Loupe wrote it.
        """
        if state.get("form") != FORM:
            raise ValueError(
                f"Expected thresholds in form {FORM}, but found form {state.get('form', 1)}: another version of Loupe "
                "wrote this checkpoint; train again, or use that version."
            )
        self.image = None if state["image"] is None else Scoped.from_dict(state["image"])
        self.pixel = None if state["pixel"] is None else Scoped.from_dict(state["pixel"])
        self.regions = RegionRules(**state["regions"])
        self.to_probability = None if state["probability"] is None else Probability.from_dict(state["probability"])
        self.probability_note = state["probability_note"]
        self.map_range = (state["map_range"][0], state["map_range"][1])
        self.scores = [Seen(*row) for row in state["scores"]]
        require_finite({"image": self.image, "pixel": self.pixel}, self.map_range)
        usual, cloud = state.get("usual"), state.get("cloud")  # checkpoints of earlier versions know nothing of them
        self.usual = None if usual is None else Usual.from_dict(usual)
        self.cloud = None if cloud is None else Cloud.from_dict(cloud)
        self.scales = dict(state.get("scales", {}))

    def _thresholds(self) -> tuple[Scoped, Scoped]:
        if self.image is None or self.pixel is None:
            raise ValueError("Expected a calibrated model, but no threshold has been chosen; train it first.")
        return self.image, self.pixel

    def _fit_probability(self) -> None:
        self.to_probability, self.probability_note = None, ""
        if self.probability is None:
            return
        fitted = fit_seen(self.probability, self.policy, self.scores)
        if isinstance(fitted, str):
            self.probability_note = fitted
        else:
            self.to_probability = fitted

    def _display_range(self, threshold: float) -> tuple[float, float]:
        """From what is usual to well above the threshold, so that a defect differs from what barely passes."""
        median = self._everything.median()
        highest = max(seen.map_max for seen in self.scores)
        return median, max(highest, threshold + (threshold - median) / 2, median + 1e-6)


class Calibrate(Callback):
    """Runs a module's ``Calibration`` over the calibration images, whenever Lightning validates."""

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start afresh: scores of an earlier epoch belong to another model."""
        del trainer
        calibration_of(pl_module).reset(pl_module.device)

    def on_validation_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """Collect the scores and maps of a calibration batch."""
        del trainer, args
        calibration = calibration_of(pl_module)
        calibration.update(outputs)
        good = (outputs.label_index == GOOD).nonzero().flatten().tolist()
        described_ND = describe(pl_module, outputs.image) if good else None  # the very tensor that was judged
        if described_ND is not None:
            calibration.note_embeddings([outputs.name[index] for index in good], described_ND[good])

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Choose thresholds, and log how well good and defective calibration images separate.

        With one class alone nothing can be said about that, and nothing is logged.
        """
        calibration = calibration_of(pl_module)
        calibration.choose()
        samples = getattr(getattr(trainer, "datamodule", None), "samples", None)
        if samples is not None and not samples.empty:
            calibration.note_images(samples)
        for name, objective in (
            (OBJECTIVE, calibration.objective()),
            (PIXEL_OBJECTIVE, calibration.pixel_objective()),
        ):
            if objective is not None:
                pl_module.log(name, objective)
        pl_module.log("calibration/image_threshold", float(calibration.image_threshold))
        pl_module.log("calibration/pixel_threshold", float(calibration.pixel_threshold))

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Refuse to decide without thresholds."""
        del trainer
        if not calibration_of(pl_module).calibrated:
            raise ValueError(
                "Expected a calibrated model, but its calibration never ran: training ended within the first epoch; "
                "train again, for a whole epoch at least."
            )

    on_predict_start = on_test_start


def calibration_of(module: LightningModule) -> Calibration:
    """Return the calibration of a module.

    Raises:
        TypeError: It has none.
    """
    calibration = getattr(module, "post_processor", None)
    if not isinstance(calibration, Calibration):
        raise TypeError(f"Expected post_processor to be a Calibration, but got {type(calibration).__name__}.")
    return calibration
