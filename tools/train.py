"""``loupe train``: compose, check, and run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .config import compose_config, require_values
from .door import open_door, print_config

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe train data=folder data.root=PATH
  loupe train data=fiber data.root=PATH backbone=mobilenetv2 backbone.weights=FILE threshold=normal
  loupe train data=synthetic data.domain=oring data.limit=20 seed=3 out=/tmp/runs
  loupe train data=folder data.root=PATH folds=5 repeat=3 id=overnight"""


def main(args: Sequence[str]) -> int:
    """Train from overrides; return the exit status."""
    return open_door("train", args, run, EPILOG)


def run(overrides: Sequence[str], *, show: bool, verb: str = "train", greeting: str = "") -> None:
    """Compose the config of a verb, and train unless it is only to be shown."""
    config = compose_config(verb, overrides)
    if show:
        print_config(config)
        return
    require_values(config)
    if greeting:
        print(greeting)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.repeating import train_repeatedly  # noqa: PLC0415
        from .runs.training import train  # noqa: PLC0415

    if config.repeat != 1 or config.folds is not None:
        train_repeatedly(config, overrides)
    else:
        train(config, overrides=overrides)
