"""``loupe forget``: take images out of what a model has learnt in one pass."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .runs.growing_run import asked_of, find_growing

if TYPE_CHECKING:
    from collections.abc import Sequence

EPILOG = """examples:
  loupe forget latest train/good/017.png by=Ada note='has a scratch'
  loupe forget run=RUN pictures='[a.png,b.png]' dry=true   # what would change

PatchCore's bank loses the patches of these images; patches of other images that they stood in for do not come back, so
after forgetting images of the training it may be sparser than one that never saw them. Images that loupe extend added
leave the bank as it was. DFM and PaDiM fit to all other images anew; PaDiM has to read what it forgets, and so has DFM
once it has learnt more images than one of them has features.
Thresholds follow as in loupe extend."""


def main(args: Sequence[str]) -> int:
    """Take images out; return the exit status."""
    return run_verb("forget", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run and take images out of it, unless the config is only to be shown."""
    trained = find_growing("forget", overrides)
    if show:
        print_config(trained.config)
        return
    asked = asked_of("forget", trained)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.growing import forget  # noqa: PLC0415

    print(forget(asked))
