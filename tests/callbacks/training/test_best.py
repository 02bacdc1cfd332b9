"""Which epoch is kept, by the file that is left on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch
from lightning import Trainer
from lightning.pytorch.demos.boring_classes import BoringModel

from callbacks.training.best import BestCheckpoint
from callbacks.training.last import LastCheckpoint

if TYPE_CHECKING:
    from pathlib import Path


class Judged(BoringModel):
    """Logs a value that was decided beforehand, one per epoch; None: nothing."""

    def __init__(self, values: list[float | None]) -> None:
        super().__init__()
        self.values = values

    def validation_step(self, *args: Any) -> None:
        del args
        if (value := self.values[self.current_epoch]) is not None:
            self.log("value", torch.tensor(value))


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([0.5, 0.9, 0.8], 1),
        ([1.0, 1.0, 1.0], 2),
        ([0.2, 0.9, 0.9, 0.1], 2),
        ([0.9, 0.2, 0.9, float("nan")], 2),
        ([None, None, None], 2),  # nothing can be ranked: all calibration images are good
    ],
)
def test_the_last_of_the_best_epochs_is_kept_and_the_last_of_all_beside_it(
    values: list[float | None], kept: int, tmp_path: Path
) -> None:
    trainer = Trainer(
        accelerator="cpu",
        callbacks=[BestCheckpoint(tmp_path, "value"), LastCheckpoint(tmp_path / "last.ckpt")],
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
    last = torch.load(tmp_path / "last.ckpt", weights_only=True)
    assert last["epoch"] == len(values) - 1
    assert last["optimizer_states"][0]["param_groups"]
    assert not (tmp_path / "last.ckpt").is_symlink()
    (best,) = (state for state in last["callbacks"].values() if state.get("monitor") == "value")
    assert best["best_model_path"] == str(tmp_path / "best.ckpt")  # what a training that goes on compares with
