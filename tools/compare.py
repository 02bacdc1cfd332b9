"""``loupe compare``: runs against each other, on the images that all of them tested."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import compose_config, require_values
from .errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST, MOST = 2, 8
EPILOG = """examples:
  loupe compare runs/fiber-patchcore/A runs/fiber-padim/B
  loupe compare runs/fiber-patchcore/* confidence=0.9 out=/tmp/pages
  loupe compare 'runs=[A, B, C]'
  loupe compare A B data.split_from=A       # on the test images of A alone, whatever else both have tested

Pictures are the same where their bytes are, wherever they lie. Folders that loupe test wrote are runs, too."""


def main(args: Sequence[str]) -> int:
    """Compare from folders and overrides; return the exit status."""
    return run_verb("compare", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Compare, unless the config is only to be shown."""
    config = compose_config("compare", overrides)
    if show:
        print_config(config)
        return
    require_values(config)
    if isinstance(config.runs, str) or not FEWEST <= len(config.runs) <= MOST:
        found = 1 if isinstance(config.runs, str) else len(config.runs)
        raise ConfigError(f"Expected {FEWEST} to {MOST} runs to compare, but found {found}.")
    from .runs.held_splits import held_run  # noqa: PLC0415 - as below
    from .runs.run_state import warn_of_unfinished  # noqa: PLC0415 - as below
    from .runs.trained import find_tested  # noqa: PLC0415 - shown configs need no runs

    held = held_run(config)
    folders = [find_tested(str(path)) for path in config.runs]
    for folder in folders:
        warn_of_unfinished(folder)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.comparing import compare_runs  # noqa: PLC0415

    compare_runs(config, folders, held)
