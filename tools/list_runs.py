"""``loupe runs``: what there is to predict with, to compare and to export."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .command import print_config, run_verb
from .configuring.config import compose_config
from .errors import ConfigError
from .runs.known_runs import describe_runs, known_runs

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe runs
  loupe runs /data/runs
  loupe predict latest PATH                 # the first of the list
  loupe predict folder-patchcore PATH       # the latest of that name"""


def main(args: Sequence[str]) -> int:
    """List runs; return the exit status."""
    return run_verb("runs", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """List the runs below ``out``, unless the config is only to be shown."""
    config = compose_config("runs", overrides)
    if show:
        print_config(config)
        return
    out = Path(str(config.out)).expanduser()
    if not out.is_dir():
        raise ConfigError(f"Expected runs below {out}, but there is no such folder; loupe train PATH makes the first.")
    runs = known_runs(out)
    print(describe_runs(runs) if runs else f"No run lies below {out.resolve()}; loupe train PATH makes one.")
