"""Checkpoints: tensors and plain values, read without running any code in them."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from lightning import Callback
from omegaconf import DictConfig, OmegaConf

from datamodules.files.fitting import OWN, PADDED
from tools.configuring.build import build
from tools.configuring.moved import with_new_names
from tools.configuring.plain_config import require_run
from tools.configuring.trust import check_trust
from tools.errors import ConfigError, UnknownKeyError
from tools.mishaps import first_line

from .reading import foreground_of

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from models.base import InspectionModel

KEY = "loupe_config"


class Checkpoint(NamedTuple):
    """What a checkpoint holds: the resolved config of its run, the state of its module, and its epoch, from 1."""

    config: DictConfig
    state: dict[str, Any]
    epoch: int


class KeepConfig(Callback):
    """Puts the resolved config into every checkpoint, so that one file is enough to use the model.

    Args:
        config: Plain values.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def on_save_checkpoint(self, trainer: Trainer, pl_module: LightningModule, checkpoint: dict[str, Any]) -> None:
        """Add the config."""
        del trainer, pl_module
        checkpoint[KEY] = self.config


def read_checkpoint(path: str | Path, *, own: bool = False) -> Checkpoint:
    """Read a checkpoint of Loupe's.

    Args:
        path: Of the file.
        own: Whether this very command made its config, so that it may name anything.

    Raises:
        ConfigError: There is none, it is damaged, another program's, or its config names what only ``trust=true`` may.
    """
    path = Path(path).expanduser()
    if not path.is_file():
        raise ConfigError(f"Expected a checkpoint at {path}, but found none; the run may have ended before its first.")
    content = load_tensors(path)
    if not _is_ours(content):
        raise ConfigError(f"Expected {path} to be a checkpoint of Loupe's, but it holds no config of a run.")
    config = with_new_names(OmegaConf.create(content[KEY]))
    if not own:
        check_trust(config, path)
    return Checkpoint(require_run(config, path), content["state_dict"], int(content.get("epoch", 0)) + 1)


def load_tensors(path: Path) -> Any:
    """Read tensors and plain values, and nothing that would have to be run to be read.

    Raises:
        ConfigError: The file is damaged, or holds anything else.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise ConfigError(
            f"Expected {path} to be a whole checkpoint of tensors and plain values, but it is damaged or holds code, "
            "which is not run; ask for it as loupe train writes it."
        ) from error
    except Exception as error:  # torch raises many kinds, and all mean that the file is of no use
        raise ConfigError(
            f"Expected {path} to be a whole checkpoint, but could not read it: {first_line(error)}"
        ) from error


def _is_ours(content: Any) -> bool:
    held = content if isinstance(content, dict) else {}
    return isinstance(held.get(KEY), dict) and isinstance(held.get("state_dict"), dict)


def restore(checkpoint: Checkpoint) -> InspectionModel:
    """Build the module of a checkpoint, calibrated; files of pre-trained weights are not needed any more.

    Raises:
        ConfigError: Another version of Loupe wrote it.
    """
    config = checkpoint.config.copy()
    forget_weights(config.model)
    try:
        module = build_module(config)
        module.load_state_dict(checkpoint.state)
    except UnknownKeyError as error:
        raise ConfigError(
            f"Expected the config of a checkpoint of this version of Loupe, but found: {error}. Another version wrote "
            "it: train again, or go on with that version (its commit stands in the run's environment.json)."
        ) from error
    except ConfigError:
        raise
    except ValueError as error:  # thresholds in the form of another version, or not finite
        raise ConfigError(str(error)) from error
    except (RuntimeError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise ConfigError(
            f"Expected the tensors of a checkpoint to fit the model of its config, but found: {first_line(error)}; "
            "restore the file, or train again."
        ) from error
    return module


def forget_weights(config: DictConfig) -> None:
    """Ask for no file of weights, at any depth: the checkpoint brings them all."""
    for key in map(str, config):
        if key == "weights" and config[key] is not None:
            config[key] = "none"
        elif isinstance(config[key], DictConfig):
            forget_weights(config[key])


def build_module(config: DictConfig) -> InspectionModel:
    """Build a model with its calibration, its tiles if there are any, and a sense of how images are brought to it.

    Raises:
        ConfigError: The model has no sense of padding or of the ground about parts, or takes no images of any size.
    """
    module: InspectionModel = build(config.model, "model")
    module.post_processor = build(config.threshold, "threshold")
    module.post_processor.nothing = module.nothing
    if tiling := config.get("tiling"):
        module.use_tiling(build(tiling, "tiling"))
    data = config.get("data", {})
    fit = data.get("fit")
    try:
        if fit in PADDED:
            module.use_padding()
        if fit == OWN:
            module.use_own_sizes()
        if foreground_of(data) is not None:
            module.use_foreground()
    except ValueError as error:
        raise ConfigError(str(error)) from error
    return module
