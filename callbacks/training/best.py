"""Which epoch of a training is kept: the best by calibration, and of equals the last."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from lightning.pytorch.callbacks import ModelCheckpoint

if TYPE_CHECKING:
    from lightning import Trainer
    from torch import Tensor

BEST = "best"


class BestCheckpoint(ModelCheckpoint):
    """Keeps the checkpoint with the highest monitored value; of several with that value, the last.

    Lightning keeps the first. Where a few calibration images are told apart from the first epoch on, that would be a
    network that has hardly learnt: an autoencoder that reconstructs nothing yet, for example.

    Where nothing is logged under the monitored name, as when all calibration images are good, no epoch is better than
    another, and the last is kept.

    Args:
        dirpath: Folder of ``best.ckpt``.
        monitor: Name of the value; higher is better.
    """

    def __init__(self, dirpath: str | Path, monitor: str) -> None:
        super().__init__(
            dirpath=dirpath, filename=BEST, monitor=monitor, mode="max", save_last=False, enable_version_counter=False
        )

    def check_monitor_top_k(self, trainer: Trainer, current: Tensor | None = None) -> bool:
        """Tell whether an epoch's value is as high as the best so far, or higher."""
        as_high = current is not None and self.best_model_score is not None and bool(current == self.best_model_score)
        # Every process must hear the same question, or those of several GPUs would wait for each other.
        agreed = trainer.strategy.reduce_boolean_decision(as_high)
        return super().check_monitor_top_k(trainer, current) or agreed

    def _monitor_candidates(self, trainer: Trainer) -> dict[str, Tensor]:
        """Read what was logged; an epoch without the monitored value ranks below all that have one.

        Lightning's own raises where the value is missing, and offers no other place to say what to keep then.
        """
        candidates = super()._monitor_candidates(trainer)
        candidates.setdefault(str(self.monitor), torch.tensor(float("-inf")))
        return candidates

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a state, wherever the folder lies by now: Lightning forgets the best value of one that moved."""
        path = str(Path(str(self.dirpath)) / f"{BEST}{self.FILE_EXTENSION}")
        moved = {"dirpath": self.dirpath, "best_model_path": path, "kth_best_model_path": path}
        known = dict.fromkeys([path], state_dict["best_model_score"]) if state_dict["best_k_models"] else {}
        super().load_state_dict({**state_dict, **moved, "best_k_models": known})
        self.current_score = state_dict["current_score"]
