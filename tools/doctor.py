"""``loupe doctor``: examine a data set before anyone trains on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .command import print_config, run_verb
from .configuring.config import compose_config, require_values
from .runs.held_splits import settle_borrowed, settle_split_from
from .signals import keeping_note

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe doctor PATH
  loupe doctor data=fiber data.root=PATH out=/tmp/runs
  loupe doctor data=folder data.root=PATH data.limit=500
  loupe doctor PATH features=all

Finding problems is not a failure: the exit status is 0 unless the data cannot be read at all."""


def main(args: Sequence[str]) -> int:
    """Examine data from overrides; return the exit status."""
    return run_verb("doctor", args, run, EPILOG, shown=["data"])


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Compose the config, and examine the data unless it is only to be shown."""
    config = compose_config("doctor", overrides)
    if show:
        print_config(config)
        return
    require_values(config)
    settle_split_from(config)
    settle_borrowed(config)
    from .checks.examining import doctor  # noqa: PLC0415 - torch and anomalib take seconds to import; errors must not wait

    with keeping_note(lambda: "nothing was changed; run the command again"):
        doctor(config, overrides)
