"""Going on with a run that was ended before it was finished: the heavy half of ``loupe train resume=RUN``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from lightning import seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from omegaconf import DictConfig, OmegaConf

from callbacks.training.last import PROGRESS, rewind_events
from datamodules.errors import DataError
from datamodules.files.csv_text import bare, map_texts
from datamodules.table import read_table
from tools.configuring.build import build, check_arguments
from tools.errors import ConfigError

from .checkpoint import KEY, build_module, forget_weights, load_tensors
from .environment import describe_command
from .ownership import owned
from .run_files import CONFIG, ENVIRONMENT, EXCLUDED
from .run_state import is_finished
from .training import Begun, agree, complete, prepare, write_start

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datamodules.base import InspectionDataModule

    from .run_folder import RunFolder


LENGTH = ("max_epochs", "max_steps")


class Reached(NamedTuple):
    """Where a training is.

    Attributes:
        epochs: Whole ones.
        over: Whether nothing is left to train.
        events: Length of TensorBoard's files by then.
    """

    epochs: int
    over: bool
    events: dict[str, int]


def resume(folder: RunFolder, config: DictConfig) -> RunFolder:
    """Go on with a run: with its training after its last whole epoch, or with its test.

    Args:
        folder: Of the run.
        config: Of the run, with what may change.

    Raises:
        ConfigError: The run cannot go on, or another process is at work on it.
        DataError: Its images have changed.
    """
    if is_finished(folder):
        print(f"{folder.path} is finished; nothing was changed.")
        return folder
    with owned(folder.path):
        return _go_on(folder, config)


def _go_on(folder: RunFolder, config: DictConfig) -> RunFolder:
    reached = read_progress(folder, config)
    if reached is None:
        return _begin_anew(folder, config)
    check_arguments(config.trainer, "trainer")
    seed_everything(config.seed, workers=True, verbose=False)
    bare = config.copy()
    forget_weights(bare.model)  # the checkpoint brings them all
    module = build_module(bare)
    agree(config, module)
    datamodule = saved_data(folder, config)
    datamodule.first_epoch = reached.epochs
    print(f"Run {folder.path}\n{_say(reached, config)}")
    rewind_events(folder.tensorboard, reached.events)
    folder.write_text(CONFIG, OmegaConf.to_yaml(config, resolve=True))
    environment = _note_part(folder, folder.read_json(ENVIRONMENT))
    run = Begun(folder, config, module, datamodule, environment)
    return complete(run, trained=reached.over, last=folder.last_checkpoint)


def read_progress(folder: RunFolder, config: DictConfig) -> Reached | None:
    """Read how far the training of a run is; None where no epoch of it was whole.

    Raises:
        ConfigError: The checkpoint is damaged, or another version of Loupe wrote it.
    """
    path = folder.last_checkpoint
    if not path.is_file():
        return None
    content = load_tensors(path)
    if not isinstance(content, dict) or not {PROGRESS, KEY} <= set(content):
        raise ConfigError(
            f"Expected {path} to say how far the training is, but another version of Loupe wrote it; train again."
        )
    progress: dict[str, Any] = content[PROGRESS]
    over = progress["stopped"] and (lost_patience(content) or not is_longer(config.trainer, content[KEY]["trainer"]))
    return Reached(progress["epochs"], over, progress["events"])


def lost_patience(content: Mapping[str, Any]) -> bool:
    """Tell whether early stopping ended the training of a checkpoint."""
    states = (state for name, state in content["callbacks"].items() if name.startswith(EarlyStopping.__name__))
    return any(state["stopped_epoch"] > 0 for state in states)


def is_longer(trainer: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Tell whether a training may take more epochs or steps than it was to take before; -1 is without end."""
    return any(trainer[key] != before[key] and (trainer[key] < 0 or trainer[key] > before[key] >= 0) for key in LENGTH)


def saved_data(folder: RunFolder, config: DictConfig) -> InspectionDataModule:
    """Build the data of a run from its own sample table.

    Raises:
        DataError: An image has changed or vanished since: the training would go on with other data.
    """
    datamodule: InspectionDataModule = build(config.data, "data")
    table = read_table(folder.samples)
    datamodule.use_samples(table)
    if gone := len(datamodule.excluded):
        first = datamodule.excluded.iloc[0]
        raise DataError(
            f"Expected the {len(table)} images of {folder.path} as they were, but {gone} of them changed or vanished, "
            f"for example {first['path']}: {first['problem']}; restore them, or train anew."
        )
    excluded = pd.read_csv(folder.path / EXCLUDED, dtype="str", keep_default_na=False)
    datamodule.excluded = map_texts(excluded, bare)
    return datamodule


def _begin_anew(folder: RunFolder, config: DictConfig) -> RunFolder:
    """Train from the beginning, in the same folder and on the same samples."""
    rewind_events(folder.tensorboard, {})
    known = folder.samples.is_file() and (folder.path / ENVIRONMENT).is_file()
    module, datamodule = prepare(config, saved_data(folder, config) if known else None)
    how = "going on with what was collected" if folder.collected.is_file() else "beginning anew"
    print(f"Run {folder.path}\nNo epoch of it was whole: {how}")
    overrides = folder.read_json(ENVIRONMENT).get("overrides", [])
    environment = _note_part(folder, write_start(folder, config, datamodule, module, overrides))
    return complete(Begun(folder, config, module, datamodule, environment))


def _note_part(folder: RunFolder, environment: dict[str, Any]) -> dict[str, Any]:
    """Note that a run went on, when, and by which command."""
    environment = environment | {"resumed": [*environment.get("resumed", []), describe_command()]}
    folder.write_json(ENVIRONMENT, environment)
    return environment


def _say(reached: Reached, config: DictConfig) -> str:
    if reached.over:
        return f"Its training is over after {reached.epochs} epochs: going on with its test"
    return f"Going on after epoch {reached.epochs} of {config.trainer.max_epochs}"
