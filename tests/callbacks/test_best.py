"""Which epoch is kept, by the file that is left on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from callbacks.best import BestCheckpoint

if TYPE_CHECKING:
    from pathlib import Path


class Judged(BoringModel):
    """Logs a value that was decided beforehand, one per epoch."""

    def __init__(self, values: list[float]) -> None:
        super().__init__()
        self.values = values

    def validation_step(self, *args: Any) -> None:
        del args
        self.log("value", torch.tensor(self.values[self.current_epoch]))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.5, 0.9, 0.8], 1),
        ([1.0, 1.0, 1.0], 2),
        ([0.2, 0.9, 0.9, 0.1], 2),
        ([0.9, 0.2, 0.9, float("nan")], 2),
    ],
)
def test_the_last_of_the_best_epochs_is_kept(values: list[float], kept: int, tmp_path: Path) -> None:
    best = BestCheckpoint(
        dirpath=tmp_path, filename="best", monitor="value", mode="max", enable_version_counter=False, save_last="link"
    )
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[best],
        enable_model_summary=False,
        enable_progress_bar=False,
        limit_train_batches=1,
        limit_val_batches=1,
        logger=False,
        max_epochs=len(values),
        num_sanity_val_steps=0,
    )
    trainer.fit(Judged(values))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["best.ckpt", "last.ckpt"]
    assert torch.load(tmp_path / "best.ckpt", weights_only=True)["epoch"] == kept
