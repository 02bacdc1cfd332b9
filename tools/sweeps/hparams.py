"""TensorBoard's HParams tab over all trials: what was chosen, and what came of it."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from torch.utils.tensorboard import SummaryWriter

from .leaderboard import OBJECTIVE, PLAIN, Leaderboard, value_of

if TYPE_CHECKING:
    from pathlib import Path


def write_hparams(board: Leaderboard, folder: Path) -> None:
    """Write one session per complete trial under ``folder``, in place of those that were there."""
    shutil.rmtree(folder, ignore_errors=True)
    for trial in board.trials:
        if trial.state != "complete":
            continue
        names = [OBJECTIVE, *(f"test/{name}" for name in board.metrics), *PLAIN]
        found = {name: value for name in names if (value := value_of(trial, name)) is not None}
        chosen = {key: _typed(trial.setting.get(key, "none")) for key in board.keys}
        with SummaryWriter(str(folder / trial.id)) as writer:
            writer.add_hparams(chosen, found, run_name=".")


def _typed(text: str) -> float | str:
    try:
        return float(text)
    except ValueError:
        return text
