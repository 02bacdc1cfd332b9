"""``loupe calibrate``: the thresholds of a run, chosen anew from labels that people gave since; nothing is trained."""

from __future__ import annotations

import getpass
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .configuring.config import require_values
from .errors import ConfigError
from .runs.run_files import BUNDLE
from .runs.run_state import is_finished, unfinished
from .runs.trained import find_trained

SPEC = "spec.json"  # by which a bundle is known

if TYPE_CHECKING:
    from collections.abc import Sequence

USES = ("auto", "weighted", "all", "random")
EPILOG = """examples:
  loupe calibrate latest labels=labels.csv dry=true            # what would change
  loupe calibrate latest labels=labels.csv by=Ada note='new ferrules'
  loupe calibrate RUN journal=RUN/labels/journal.jsonl         # what was said on the page of loupe label
  loupe calibrate RUN labels=labels.csv threshold=recall       # by another policy
  loupe calibrate RUN labels=labels.csv into_bundle=true       # and into RUN/bundle: a new spec.json, no new graph
  loupe calibrate RUN labels=labels.csv pool=false use=random  # for another camera, by labels picked at random
  loupe threshold RUN undo=true                                # as it was

Images that were picked because their scores lie near the threshold are not like those to come: thresholds that rest
on them promise too little or too much. Label some at random, and say so in a column picked; loupe label does, and says
in a column weight for how many images each stands."""


def main(args: Sequence[str]) -> int:
    """Choose thresholds anew; return the exit status."""
    return run_verb("calibrate", args, run, EPILOG, shown=("threshold",))


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run and choose its thresholds from labels, unless the config is only to be shown."""
    trained = find_trained("calibrate", overrides, changeable=("threshold",))
    config = trained.config
    if show:
        print_config(config)
        return
    config.data.root = "."  # the run's own images play no part
    require_values(config)
    if (config.labels is None) == (config.journal is None):
        raise ConfigError("Expected labels= or journal=, one of both; loupe calibrate --help shows how.")
    if config.use not in USES:
        raise ConfigError(f"Expected use to be one of {', '.join(USES)}, but found {config.use!r}.")
    if trained.tested is None:
        raise ConfigError("Expected run to be the folder of a run, since its table of thresholds is written, too.")
    if not is_finished(trained.tested):
        raise ConfigError(f"{unfinished(trained.tested)}.")
    if config.journal is not None:
        from .labelling.images_file import labels_of_journal  # noqa: PLC0415 - pandas takes a while

        config.labels = str(labels_of_journal(Path(str(config.journal)).expanduser()))
    bundle = trained.tested.path / BUNDLE
    if config.into_bundle and not (bundle / SPEC).is_file():
        raise ConfigError(f"Expected a bundle at {bundle}, but found none; run: loupe export run={trained.tested.path}")
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.calibrating import calibrate  # noqa: PLC0415

    print(calibrate(trained, trained.tested, str(config.by or getpass.getuser())))
    if config.into_bundle and not config.dry:
        from .bundles.recalibrating import take_thresholds  # noqa: PLC0415 - as above

        print(take_thresholds(bundle, trained.tested))
