"""What every model of Loupe is: an anomalib module that hands out raw scores and leaves decisions to others."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, cast, runtime_checkable

import torch
from anomalib import LearningType
from anomalib.models.components.base import AnomalibModule
from torch.nn import functional as F

from datamodules.samples.detections import type_of

from .account import Account
from .components.graph_search import BankGraph
from .components.padding import SeesPadding, grounded, marked, opened
from .components.standardising import even_batches, standardise
from .export_plan import Explains, Exports, plan_single
from .features.joined_backbone import JoinedBackbone
from .features.last_seen import LastSeen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    import pandas as pd
    from anomalib.data import InferenceBatch
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch
    from datamodules.samples.detections import Detections
    from datamodules.samples.supervision import Supervision

    from .components.tiled import Cutting
    from .export_plan import ExportPlan


@runtime_checkable
class Detects(Protocol):
    """A network that finds instances, too."""

    def detect(self, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections]]:
        """Score images, and return the detections of each."""


@runtime_checkable
class Decides(Protocol):
    """A post-processor that knows more of an image than its score and map, such as its kind and zones."""

    def decide(self, batch: InspectionBatch) -> InspectionBatch:
        """Decide a scored batch, in place."""


class InspectionModel(AnomalibModule):
    """Base of all models, and their contract.

    * ``self.model`` is a plain ``nn.Module``. In evaluation mode it maps images (B, 3, H, W) in [0, 1] to an anomalib
      ``InferenceBatch`` with raw ``pred_score`` (B,) and ``anomaly_map`` (B, H, W): higher is worse, unbounded, never
      thresholded. It does its own normalisation; resizing is the datamodule's.
    * ``post_processor`` decides (see ``callbacks.Calibration``). Calibration images therefore meet ``self.model``
      alone, test images and exports the whole ``forward``.
    * The constructor takes plain values only, so that a checkpoint needs no pickled objects.

    Attributes:
        supervision: What the training images must bring: ``good`` (good or unlabelled ones suffice), ``labels``,
            ``masks`` or ``instances``.
        trainer_arguments: What the method dictates to the trainer, such as a single epoch.
        monitor: The logged value, higher is better, that chooses the checkpoint: how calibration images were judged.
        patience: Epochs without a better value after which training stops; None: never.
        size_multiple: Both sides of an image must be a multiple of this; 1 where any size will do.
        not_exportable: Why the network cannot become a graph of its own; empty where it can.
        sees_ground: Whether it can leave the ground about a part out of what it learns and of scores.
        not_padded: Why it cannot tell images from their padding, and what to do instead; empty where it can.
        takes_any_size: Whether it judges every image at its own size; most networks are of one.
        own_sizes: Whether images come at their own sizes; see ``use_own_sizes``.
        tiling: How parts are cut out of images and put together; None: they are judged whole.
        pads: Whether padding and ground are kept out of what it learns and of scores; see ``use_padding``.
        classes: Names of the labels of detections, from label 1; an empty one is no defect. Empty: no types are told.
            A model that says a type of a whole image detects one instance that is as large as the image.
        nothing: Score and map value where an instance model found nothing, which is never defective;
            None: the model finds no instances, or types of whole images.
    """

    supervision: ClassVar[Supervision] = "good"
    trainer_arguments: ClassVar[dict[str, Any]] = {}
    monitor: ClassVar[str] = "calibration/objective"
    patience: int | None = None
    size_multiple: int = 1
    not_exportable: ClassVar[str] = ""
    sees_ground: ClassVar[bool] = False
    not_padded: ClassVar[str] = ""
    takes_any_size: ClassVar[bool] = False
    own_sizes: bool = False
    tiling: Cutting | None = None
    pads: bool = False
    classes: tuple[str, ...] = ()
    nothing: ClassVar[float | None] = None
    learning_type = LearningType.ONE_CLASS  # anomalib knows no supervised type; what counts here is ``supervision``

    def __init__(self) -> None:
        # Resizing, decisions, metrics and images have rooms of their own: none of anomalib's components are used.
        super().__init__(pre_processor=False, post_processor=False, evaluator=False, visualizer=False)
        self._embedded: LastSeen[Tensor | None] = LastSeen()  # several measures ask for the same

    def origin(self) -> dict[str, str]:
        """Say where pre-trained weights came from, if there are any: ``name``, ``weights``, ``sha256``."""
        return {}

    def embedding(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe images (B, 3, H, W) in [0, 1] by one vector each (B, D), for maps of a data set.

        None where the method has no natural one.
        """
        del image_B3HW
        return None

    def describer(self) -> Callable[[Tensor], Tensor] | None:
        """Return ``embedding`` for a graph; None where the method has none."""
        if type(self).embedding is InspectionModel.embedding:
            return None
        return self._embed_opened if self.pads else cast("Callable[[Tensor], Tensor]", self.embedding)

    def _embed_opened(self, image_B3HW: Tensor) -> Tensor:
        """Describe images whose padding may be marked, as if it were not."""
        return cast("Tensor", self.embedding(opened(image_B3HW)[0]))

    def embed_whole(self, image_B3HW: Tensor) -> Tensor | None:
        """Describe images by ``embedding``; where they are judged tile by tile, scaled down to a single tile."""
        return self._embedded(image_B3HW, lambda: self._embed_whole(image_B3HW))

    def _embed_whole(self, image_B3HW: Tensor) -> Tensor | None:
        image_B3HW = opened(image_B3HW)[0] if self.pads else image_B3HW
        if self.tiling is None:
            return self.embedding(image_B3HW)
        size = (self.tiling.size, self.tiling.size)
        return self.embedding(F.interpolate(image_B3HW, size, mode="bilinear", antialias=True))

    def bottleneck(self, image_B3HW: Tensor) -> Tensor | None:
        """Return what a network keeps of images (B, 3, H, W) in its middle, to look at: (B, Z, h, w).

        None where the method has nothing of the kind.
        """
        del image_B3HW
        return None

    def views(self, image_B3HW: Tensor) -> dict[str, Tensor]:
        """Return what the network went by, by name, to look at: ``reconstruction`` and ``bottleneck``, say.

        Empty where the method has nothing of the kind, or judges tiles.
        """
        if self.tiling is not None or not isinstance(self.model, Explains):
            return {}
        return self.model.explain(image_B3HW)[1]

    def account(self, predictions: pd.DataFrame) -> Account:
        """Say what the model did in a test, beside what every model does.

        Args:
            predictions: Of the test, with ``label_index``, ``score`` and ``verdict``.
        """
        del predictions
        return Account()

    def own_thresholds(self) -> dict[str, Any]:
        """Return thresholds of the model's own, in plain values for calibration.json, beside those of all models."""
        return {}

    def take_parts(self, trained: Mapping[str, InspectionModel]) -> None:
        """Take the tensors of trained models that this one is made of, by their keys; most are made of none."""

    def array_factors(self) -> list[float] | None:
        """Return by what limits of meta-atom arrays are multiplied; None for a model that judges no cells by arrays."""
        return None

    @property
    def has_epochs(self) -> bool:
        """Tell whether it learns in epochs, and not in a single pass."""
        return self.trainer_arguments.get("max_epochs") != 1

    def export_plan(self, size: tuple[int, int]) -> ExportPlan | None:
        """Say which graphs hold the network, and how their answers are put together; None where no graph can.

        Args:
            size: Height and width of the images that a bundle will judge.
        """
        del size
        if isinstance(self.model, Exports):
            return self.model.export_plan()
        return None if self.not_exportable else plan_single(self.model, self.describer())

    def use_tiling(self, tiling: Cutting) -> None:
        """Judge images tile by tile from now on, and learn from tiles.

        Raises:
            ValueError: The network cannot take tiles of this size, or finds instances that nobody could join.
        """
        if self.nothing is not None and not tiling.joins_instances:
            raise ValueError(
                f"Expected a model that gives maps for tiling={type(tiling).__name__}, but {type(self).__name__} finds "
                "instances; use tiling=hann."
            )
        if tiling.size % self.size_multiple:
            raise ValueError(
                f"Expected tiling.size to be a multiple of {self.size_multiple} for this model, but found "
                f"{tiling.size}."
            )
        self.tiling = tiling

    def use_padding(self) -> None:
        """Tell images from their padding from now on: it teaches nothing, and counts in no score.

        Raises:
            ValueError: The method cannot, or its network was never told how.
        """
        parts = [part for part in self.model.modules() if isinstance(part, SeesPadding)]
        if why := self.not_padded or ("" if parts else "its network does not tell an image from its padding"):
            raise ValueError(
                f"Expected data.fit to be squash or crop for {type(self).__name__}, but found one that pads: {why}."
            )
        self.pads = True
        for part in parts:
            part.pads = True

    def use_foreground(self) -> None:
        """Tell parts from the ground about them from now on: it teaches nothing, and counts in no score.

        Raises:
            ValueError: The method cannot, or judges faces that are cut out already.
        """
        cut_out = self.tiling is not None and not self.tiling.keeps_values
        if cut_out or not self.sees_ground:
            found = f"tiling={type(self.tiling).__name__}, which cuts the part out" if cut_out else type(self).__name__
            raise ValueError(
                f"Expected data.foreground=null for {found}; patchcore, padim, dfm, stfpm, reverse_distillation, "
                "dinomaly, efficient_ad and conv_ae leave the ground out, with tiling=none or hann."
            )
        self.use_padding()

    @contextmanager
    def as_exported(self) -> Iterator[None]:
        """Judge as a bundle does, for a moment: without searches that no bundle has."""
        graphs = [part for part in self.modules() if isinstance(part, BankGraph)]
        try:
            for graph in graphs:
                graph.resting = True
            yield
        finally:
            for graph in graphs:
                graph.resting = False

    def use_own_sizes(self) -> None:
        """Judge every image at its own size from now on.

        Raises:
            ValueError: The method cannot, or judges tiles of images of one size.
        """
        if not self.takes_any_size or self.tiling is not None:
            found = "tiling" if self.takes_any_size else "a network for images of one size"
            raise ValueError(
                f"Expected data.fit to be squash, letterbox, crop or keep for {type(self).__name__} with {found}, but "
                "found own, by which every image comes at its own size; set data.fit=keep, and data.image_size as "
                "large as the images."
            )
        self.own_sizes = True

    def images_of(self, batch: InspectionBatch) -> Tensor:
        """Return the images of a batch, with padding and ground marked where the model tells them from the part."""
        image_B3HW: Tensor = batch.image
        if self.pads and batch.unpadded is not None:
            image_B3HW = marked(image_B3HW, batch.unpadded)
        return grounded(image_B3HW, batch.foreground) if self.pads and batch.foreground is not None else image_B3HW

    def log_loss(self, loss: Tensor, batch: InspectionBatch) -> None:
        """Log the loss of a batch; charts and ``history.csv`` show the mean over the images of an epoch."""
        self.log("train/loss", loss.detach(), on_step=False, on_epoch=True, batch_size=len(batch))

    def summed(self, losses: Mapping[str, Tensor], count: int) -> Tensor:
        """Sum several losses of a batch of ``count`` images; log each by its name, and the sum as the loss."""
        total = torch.stack(list(losses.values())).sum()
        shown = {f"train/{name}": value for name, value in losses.items()} | {"train/loss": total}
        self.log_dict(shown, on_step=False, on_epoch=True, batch_size=count)
        return total

    def predict(self, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections] | None]:
        """Judge images whole or tile by tile, raw; with their detections, if the network makes any."""
        if self.tiling is None:
            return self._predict(image_B3HW)
        seen_B3HW = opened(image_B3HW)[0] if self.pads and not self.tiling.keeps_values else image_B3HW
        return self.tiling.judge(self._predict, seen_B3HW)

    def _predict(self, image_B3HW: Tensor) -> tuple[InferenceBatch, list[Detections] | None]:
        prediction, detections = (
            self.model.detect(image_B3HW) if isinstance(self.model, Detects) else (self.model(image_B3HW), None)
        )
        # In mixed precision a last layer may answer in half; thresholds and histograms are float32.
        full = [value.float() if value is not None and value.is_floating_point() else value for value in prediction]
        return type(prediction)(*full), detections

    def on_after_batch_transfer(self, batch: InspectionBatch, dataloader_idx: int) -> InspectionBatch:
        """Cut training images to tiles, where the model works on tiles."""
        del dataloader_idx
        return batch if self.tiling is None or not self.trainer.training else self.tiling.cut_batch(batch)

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Score and decide: this is the graph that is exported."""
        self.check_images(image_B3HW)
        return self._decided(self.predict(image_B3HW)[0])

    def check_images(self, image_B3HW: Tensor) -> None:
        """Refuse images that the network would fail at, or worse, take for something else.

        Raises:
            ValueError: They have not three channels, or sides that are no multiple of ``size_multiple``.
        """
        shape, multiple = tuple(image_B3HW.shape), self.size_multiple if self.tiling is None else 1
        if len(shape) != 4 or shape[1] != 3:
            raise ValueError(f"Expected pictures (B, 3, H, W), but found {shape}; repeat grey ones to three channels.")
        if shape[2] % multiple or shape[3] % multiple:
            raise ValueError(
                f"Expected pictures with sides that are multiples of {multiple}, but found {shape[2]} x {shape[3]}."
            )

    def on_train_start(self) -> None:
        """Standardise networks side by side, where there are any that no checkpoint has standardised."""
        if joined := [part for part in self.modules() if isinstance(part, JoinedBackbone) and not part.known]:
            with torch.random.fork_rng(devices=[]):  # crops may be drawn
                for backbone in joined:
                    standardise(backbone, self._even_images(self.trainer.train_dataloader))

    def _even_images(self, loader: Any) -> Iterator[tuple[Tensor, Tensor | None]]:
        """Read some good training images, the same in every attempt: opened, and where they are no padding."""
        for read in even_batches(loader):
            batch = self.on_after_batch_transfer(self.transfer_batch_to_device(read, self.device, 0), 0)
            image_B3HW = self.images_of(batch)
            yield opened(image_B3HW) if self.pads else (image_B3HW, None)

    def on_train_batch_start(self, batch: InspectionBatch, batch_idx: int) -> None:
        """Check training images as all others are."""
        del batch_idx
        self.check_images(batch.image)

    def validation_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score calibration images, raw."""
        del args
        self.check_images(batch.image)
        prediction, batch.detections = self.predict(self.images_of(batch))
        return self._update(batch, prediction)

    def test_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score and decide as ``forward`` does; kinds, zones and regions have the last word."""
        del args
        self.check_images(batch.image)
        prediction, batch.detections = self.predict(self.images_of(batch))
        return self._name(self._decide(self._update(batch, self._decided(prediction))))

    def predict_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score and decide, as the test does."""
        return self.test_step(batch, *args)

    def _decided(self, prediction: InferenceBatch) -> InferenceBatch:
        """Add what a post-processor decides by scores and maps alone."""
        decided: InferenceBatch = self.post_processor(prediction) if self.post_processor else prediction
        return decided

    def _decide(self, batch: InspectionBatch) -> InspectionBatch:
        """Let a post-processor that knows more than scores and maps have the last word."""
        return self.post_processor.decide(batch) if isinstance(self.post_processor, Decides) else batch

    def _name(self, batch: InspectionBatch) -> InspectionBatch:
        """Tell the type of each image that was called defective, in place."""
        batch.classes = self.classes
        found = batch.detections or [[] for _ in batch.name]
        defective = [False] * len(found) if batch.pred_label is None else batch.pred_label.tolist()
        batch.pred_type = [
            type_of(one, self.classes) if called else "" for one, called in zip(found, defective, strict=True)
        ]
        return batch

    @staticmethod
    def _update(batch: InspectionBatch, prediction: InferenceBatch) -> InspectionBatch:
        """Write a prediction into its batch, in place: callbacks read the very object that the loader made."""
        for name, value in prediction._asdict().items():
            setattr(batch, name, value)
        return batch
