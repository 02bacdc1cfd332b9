"""``loupe advise``: what labels would bring a run, in four ways, cross-validated within them; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.progress import working

from .command import print_config, run_verb
from .errors import ConfigError
from .runs.run_state import is_finished, unfinished
from .runs.trained import find_trained, require_one_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

WAYS = ("threshold", "swap", "head", "classifier")
SWAPS = ("patchcore", "padim", "dfm")
EPILOG = """examples:
  loupe advise latest                             # by what was labelled on its page, or by its test images
  loupe advise RUN labels=labels.csv
  loupe advise RUN journal=RUN/labels/journal.jsonl next=20
  loupe advise RUN ways=[threshold,head]          # seconds: no classifier is trained
  loupe advise RUN swap=dfm folds=3
  loupe advise RUN source=NEW_IMAGES              # which of these to label next

threshold: the run's own scores, and a threshold chosen anew by its policy. swap: another model, learnt from the run's
good training images, and a threshold of its own. head: a logistic regression on what the run's network sees of an
image, and on its score. classifier: a network that learns good from defective. Each image is judged by what was
learnt without it and its group. Minutes are those of this machine, for one training on all labels."""


def main(args: Sequence[str]) -> int:
    """Advise; return the exit status."""
    return run_verb("advise", args, run, EPILOG, shown=())


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Find the run, and compare what labels would bring it, unless the config is only to be shown."""
    trained = find_trained("advise", overrides, changeable=())
    if show:
        print_config(trained.config)
        return
    check(trained.config)
    require_one_model(trained, "advise on")
    if trained.tested is None:
        raise ConfigError("Expected run to be the folder of a run, but found a checkpoint alone.")
    if not is_finished(trained.tested):
        raise ConfigError(f"{unfinished(trained.tested)}.")
    from .labelling.candidates import find_candidates  # noqa: PLC0415 - pandas takes a while

    found = find_candidates(trained.config, trained.tested)
    with working("loading torch and anomalib"):  # here, since help and errors must not wait for it
        from .runs.advising import advise  # noqa: PLC0415

    print(advise(trained, trained.tested, found))


def check(config: DictConfig) -> None:
    """Refuse values that mean nothing.

    Raises:
        ConfigError: Names the key.
    """
    unknown = [way for way in config.ways if way not in WAYS]
    if unknown or not config.ways:
        raise ConfigError(f"Expected ways to be some of {', '.join(WAYS)}, but found {unknown or 'none'}.")
    if config.swap is not None and config.swap not in SWAPS:
        raise ConfigError(f"Expected swap to be one of {', '.join(SWAPS)}, or null, but found {config.swap!r}.")
    if config.labels is not None and config.journal is not None:
        raise ConfigError("Expected labels= or journal=, but found both; give the one that counts.")
    for key, minimum in (("folds", 2), ("epochs", 1), ("next", 0)):
        if not isinstance(config[key], int) or config[key] < minimum:
            raise ConfigError(f"Expected {key} to be a whole number of at least {minimum}, but found {config[key]!r}.")
