"""Lightning's trainer, as the config describes it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning import Trainer
from lightning.pytorch.callbacks import ProgressBar
from omegaconf import DictConfig, OmegaConf

from callbacks.training.progress import progress_callback
from tools.configuring.build import check_arguments

from .checkpoint_io import WholeCheckpointIO

if TYPE_CHECKING:
    from lightning import Callback
    from lightning.pytorch.loggers import Logger


def build_trainer(config: DictConfig, callbacks: list[Callback], logger: list[Logger] | None = None) -> Trainer:
    """Build a plain Lightning trainer: the config's arguments, our callbacks, no surprises."""
    check_arguments(config.trainer, "trainer")
    options: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]  # str keys
    options.pop("_target_")
    progress = progress_callback()
    return Trainer(
        **options,
        callbacks=[*callbacks, progress],
        logger=logger or False,
        enable_progress_bar=isinstance(progress, ProgressBar),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        plugins=[WholeCheckpointIO()],
    )
