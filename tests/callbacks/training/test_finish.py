"""A training that ends by its number of steps ends with a validation, as one that ends by its epochs does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from lightning import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from callbacks.training.finish import FinishWithCalibration

if TYPE_CHECKING:
    from pathlib import Path


class Watched(BoringModel):
    """Notes after how many steps it is validated; its epochs have 64 batches."""

    def __init__(self) -> None:
        super().__init__()
        self.validated: list[int] = []

    def on_validation_start(self) -> None:
        self.validated.append(self.trainer.global_step)


@pytest.mark.parametrize(
    ("max_steps", "every", "validated"),
    [(3, 1, [3]), (64, 1, [64]), (70, 1, [64, 70]), (70, 5, [70])],
)
def test_the_last_step_is_validated_wherever_it_falls(
    max_steps: int, every: int, validated: list[int], tmp_path: Path
) -> None:
    module = Watched()
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[FinishWithCalibration()],
        check_val_every_n_epoch=every,
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        enable_model_summary=False,
        enable_progress_bar=False,
        logger=False,
        max_epochs=-1,
        max_steps=max_steps,
        num_sanity_val_steps=0,
    )
    trainer.fit(module)
    assert module.validated == validated
    assert trainer.global_step == max_steps
