"""``loupe train``: compose, check, and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import compose_config, require_values
from .configuring.values import check_run
from .resuming import resumed
from .runs.held_splits import settle_borrowed, settle_split_from
from .runs.run_files import ENVIRONMENT

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from omegaconf import DictConfig

    from .runs.run_folder import RunFolder

EPILOG = """examples:
  loupe train PATH
  loupe train data=fiber data.root=PATH backbone=mobilenetv2 backbone.weights=FILE threshold=normal
  loupe train data=synthetic data.domain=oring data.limit=20 seed=3 out=/tmp/runs
  loupe train PATH data.split_from=latest   # images were added: test on those that the latest run was tested on
  loupe train data=folder data.root=PATH folds=5 repeat=3 id=overnight
  loupe train data=print3d data.root=PATH data.layer_groups=3 by_kind=true   # a model for each group of layers
  loupe train resume=runs/folder-patchcore/overnight   # go on with a run that was ended, as if nothing had happened

Ended by Ctrl-C, by a signal or by the power, a run keeps its last whole epoch. With resume=, settings stay as they are,
but for trainer.max_epochs, which may be larger, and for where and how images are loaded."""


def main(args: Sequence[str]) -> int:
    """Train from overrides; return the exit status."""
    return run_verb("train", args, run, EPILOG)


def run(overrides: Sequence[str], *, show: bool, verb: str = "train", greeting: str = "") -> Path | None:
    """Compose the config of a verb, or take that of a run to go on with, and train unless it is only to be shown.

    Returns:
        The folder of the run; None where nothing was trained.
    """
    if (going_on := resumed(overrides)) is not None:
        return _resume(*going_on, show=show)
    config = compose_config(verb, overrides)
    if show:
        print_config(config)
        return None
    require_values(config)
    check_run(config)
    settle_split_from(config)
    if config.repeat == 1:  # others draw by other seeds
        settle_borrowed(config)
    if greeting:
        print(greeting)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.by_kind import train_by_kind  # noqa: PLC0415
        from .runs.repeating import train_repeatedly  # noqa: PLC0415
        from .runs.training import train  # noqa: PLC0415

    if config.by_kind:
        return train_by_kind(config, overrides).path
    if config.repeat != 1 or config.folds is not None:
        return train_repeatedly(config, overrides).path
    return train(config, overrides=overrides).path


def _resume(folder: RunFolder, config: DictConfig, *, show: bool) -> Path | None:
    if show:
        print_config(config)
        return None
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.by_kind import train_by_kind  # noqa: PLC0415
        from .runs.repeating import train_repeatedly  # noqa: PLC0415
        from .runs.resuming import resume  # noqa: PLC0415

    if config.get("by_kind"):
        train_by_kind(config, folder.read_json(ENVIRONMENT).get("overrides", []), folder)
    elif config.repeat != 1 or config.folds is not None:
        train_repeatedly(config, begun=folder)
    else:
        resume(folder, config)
    return folder.path
