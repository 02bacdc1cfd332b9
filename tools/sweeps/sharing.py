"""Lets the network of a trial read what other trials computed, and tells the shared work what batches hold.

Batches are named by the files that they come from, so that nobody hashes the bits of images.
"""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, cast

from lightning import Callback

from datamodules.caching.cache import content_keys
from models.base import InspectionModel
from models.sharing.steps import sharing

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import InspectionBatch
    from models.sharing.shared_work import SharedWork


class ShareWork(Callback):
    """Shares the work of a network while it is trained or tested, and names every batch as the cache of images does.

    Args:
        work: To read from and write to.
    """

    def __init__(self, work: SharedWork) -> None:
        self._work = work
        self._shared = ExitStack()
        self._keys: dict[str, str] = {}

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Wrap the network, and learn the keys of all samples."""
        del stage
        datamodule: InspectionDataModule = cast("Any", trainer).datamodule
        reading = f"{type(datamodule).__qualname__} {datamodule.reading!r}"
        keys = content_keys(datamodule.samples, reading)
        self._keys = dict(zip(datamodule.samples["name"], keys, strict=True))
        self._varied = bool(datamodule.augment)
        self._shared.enter_context(sharing(pl_module, self._work))

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Leave the network as it was."""
        del trainer, pl_module, stage
        self._shared.close()

    def on_train_batch_start(
        self, trainer: Trainer, pl_module: LightningModule, batch: InspectionBatch, batch_idx: int
    ) -> None:
        """Name a batch of training images, unless they are varied, or cut to tiles, at random."""
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
        """Name a batch of calibration images."""
        del trainer, pl_module, batch_idx, dataloader_idx
        self._name(batch)

    on_test_batch_start = on_validation_batch_start

    def _name(self, batch: InspectionBatch) -> None:
        keys = [self._keys[name] for name in batch.name]
        self._work.know(batch.image, hashlib.sha256("".join(keys).encode()).hexdigest())
