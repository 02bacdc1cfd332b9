"""The last epoch on disk, with all that a training needs to go on as if nothing had happened."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from lightning import Callback
from lightning.pytorch.loggers import TensorBoardLogger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lightning import LightningModule, Trainer

PROGRESS = "loupe_progress"


class Progress(NamedTuple):
    """How far a training is, beside what Lightning keeps itself.

    Attributes:
        epochs: Finished ones.
        stopped: Whether the training is over: its epochs are done, or it stopped early.
        seconds: That it has taken so far.
        draws: The state of everything that draws at random, see ``draws``.
        events: Length of every file of TensorBoard's events, in bytes, by name.
    """

    epochs: int
    stopped: bool
    seconds: float
    draws: dict[str, Any]
    events: dict[str, int]


class LastCheckpoint(Callback):
    """Writes a checkpoint when an epoch is over, whatever it is worth.

    Lightning's own checkpoints are written within an epoch, before its last logs and before learning rates change. This
    one is written when the next epoch begins, and when training ends: nothing is left of the epoch to be done. Stands
    before ``BestCheckpoint``, whose state of an epoch is complete by then.

    Args:
        path: Of the file, such as ``last.ckpt``.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._before = 0.0
        self._started = time.perf_counter()
        self._entered: dict[str, Any] | None = None
        self._ended: bool | None = None

    @property
    def seconds(self) -> float:
        """How long the training has taken so far, over all of its parts."""
        return self._before + time.perf_counter() - self._started

    def on_train_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Begin at the beginning of an epoch: Lightning would look for the rest of one."""
        del pl_module
        self._started = time.perf_counter()
        trainer.fit_loop.restarting = False

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the epoch before this; or, where training has just gone on, draw as it would have drawn."""
        del pl_module
        if self._entered is not None:
            draw_from(self._entered)
            self._entered = None
        elif trainer.current_epoch > 0:
            self._save(trainer, stopped=False)

    def on_train_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Keep the last epoch of all."""
        del pl_module
        self._save(trainer, stopped=True)

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add what Lightning does not know, to ``last.ckpt`` alone."""
        del pl_module
        if self._ended is None:
            return
        progress = Progress(trainer.current_epoch, self._ended, self.seconds, draws(), events_of(trainer))
        checkpoint[PROGRESS] = progress._asdict()
        checkpoint["epoch"] = trainer.current_epoch - 1  # the one that is kept, as everywhere else
        for counts in checkpoint["loops"]["fit_loop"]["epoch_progress"].values():
            counts["ready"] = counts["started"]  # the epoch that is about to begin has not

    def on_load_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Take up where a training was."""
        del trainer, pl_module
        if PROGRESS in checkpoint:
            self._before = float(checkpoint[PROGRESS]["seconds"])
            self._entered = checkpoint[PROGRESS]["draws"]

    def _save(self, trainer: Trainer, *, stopped: bool) -> None:
        self._ended = stopped
        trainer.save_checkpoint(self.path, weights_only=False)
        self._ended = None


def draws() -> dict[str, Any]:
    """Return the state of everything that draws at random, in tensors and plain values."""
    name, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)  # noqa: NPY002 - libraries draw from it
    return {
        "python": random.getstate(),
        "numpy": (name, torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def draw_from(state: Mapping[str, Any]) -> None:
    """Let everything draw on from a state that ``draws`` returned; GPUs only where there are as many as then."""
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002 - as above
    torch.set_rng_state(state["torch"].cpu())
    if state["cuda"] and torch.cuda.device_count() == len(state["cuda"]):
        torch.cuda.set_rng_state_all([one.cpu() for one in state["cuda"]])


def events_of(trainer: Trainer) -> dict[str, int]:
    """Measure the files of TensorBoard's events, once all that was logged is in them."""
    sizes: dict[str, int] = {}
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.flush()
            sizes |= {path.name: path.stat().st_size for path in Path(logger.log_dir).glob("events.*")}
    return sizes


def rewind_events(folder: Path, sizes: Mapping[str, int]) -> None:
    """Cut files of TensorBoard's events back to what they held, and delete those that were not there yet.

    Whatever an epoch logged that has to be trained again would stand there twice.
    """
    for path in folder.glob("events.*"):
        if path.name not in sizes:
            path.unlink()
        elif path.stat().st_size > sizes[path.name]:
            with path.open("r+b") as file:
                file.truncate(sizes[path.name])
