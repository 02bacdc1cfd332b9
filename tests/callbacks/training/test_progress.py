"""The bar of a training counts epochs from 1, as everything else does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lightning import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from callbacks.training.progress import Bar

if TYPE_CHECKING:
    from pathlib import Path

    import pytest


def test_epochs_of_the_bar_count_from_1(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[Bar()],
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_model_summary=False,
        limit_train_batches=1,
        limit_val_batches=0,
        logger=False,
        max_epochs=2,
    )
    trainer.fit(BoringModel())
    shown = capsys.readouterr()
    assert "epoch 1 of 2" in shown.out + shown.err
    assert "epoch 2 of 2" in shown.out + shown.err
    assert "Epoch 0" not in shown.out + shown.err
