"""Tells shared work what batches hold, by the files that they come from, so that nobody hashes the pictures' bits."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, cast

from lightning import Callback

from datamodules.caching.cache import content_keys
from models.base import InspectionModel
from models.sharing.shared_work import know

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import InspectionBatch


class NameBatches(Callback):
    """Names every batch by the content keys of its samples, as the cache of decoded pictures does."""

    def __init__(self) -> None:
        self._keys: dict[str, str] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Learn the keys of all samples."""
        del pl_module, stage
        datamodule: InspectionDataModule = cast("Any", trainer).datamodule
        reading = f"{type(datamodule).__qualname__} {datamodule.reading!r}"
        keys = content_keys(datamodule.samples, reading)
        self._keys = dict(zip(datamodule.samples["name"], keys, strict=True))
        self._varied = bool(datamodule.augment)

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: InspectionBatch, batch_idx: int
    ) -> None:
        """Name a batch of training pictures, unless they are varied, or cut to tiles, at random."""
        del trainer, batch_idx
        if not self._varied and isinstance(pl_module, InspectionModel) and pl_module.tiling is None:
            self._name(batch)

    def on_validation_batch_start(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        batch: InspectionBatch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Name a batch of calibration pictures."""
        del trainer, pl_module, batch_idx, dataloader_idx
        self._name(batch)

    on_test_batch_start = on_validation_batch_start

    def _name(self, batch: InspectionBatch) -> None:
        keys = [self._keys[name] for name in batch.name]
        know(batch.image, hashlib.sha256("".join(keys).encode()).hexdigest())
