"""``loupe threshold``: the thresholds of a run, moved by a person who answers for it."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import compose_config, require_values
from .errors import ConfigError
from .predict import LARGEST
from .runs.known_runs import find_run
from .runs.run_folder import RunFolder
from .runs.run_state import is_finished, unfinished

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

EPILOG = """examples:
  loupe threshold latest                                  # what they are, and what they were
  loupe threshold latest image=13.3 by=Ada note='too many rejects since Monday'
  loupe threshold RUN image=13.3 kind=model1
  loupe threshold RUN undo=true

Predictions and exports from then on decide by the new threshold; nothing is trained. The figures of the run's report
stay those of the threshold that it was tested with: loupe test RUN gives those of the new one."""


def main(args: Sequence[str]) -> int:
    """Show or move thresholds; return the exit status."""
    return run_verb("threshold", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Show the thresholds of a run, or move them."""
    config = compose_config("threshold", overrides)
    if show:
        print_config(config)
        return
    require_values(config)
    check(config)
    folder = RunFolder.open(find_run(str(config.run)))
    if not is_finished(folder):
        raise ConfigError(f"{unfinished(folder)}.")
    with working("loading torch"):  # here, since help and errors must not wait for it
        from .runs.thresholds import Move, describe, move, undo  # noqa: PLC0415

    who = str(config.by or getpass.getuser())
    if config.undo:
        print(undo(folder, who, str(config.note)))
    elif config.image is not None or config.pixel is not None:
        print(move(folder, Move(config.image, config.pixel, str(config.kind), who, str(config.note))))
    else:
        print(describe(folder))


def check(config: DictConfig) -> None:
    """Refuse values that mean nothing.

    Raises:
        ConfigError: Says what is expected.
    """
    for key in ("image", "pixel"):
        value = config[key]
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if value is not None and not (number and abs(value) <= LARGEST):
            raise ConfigError(f"Expected {key} to be a finite number, with a point and no comma, but found {value!r}.")
    if config.undo and (config.image is not None or config.pixel is not None):
        raise ConfigError("Expected undo or a new threshold, but found both; leave one out.")
