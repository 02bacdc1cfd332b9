"""``loupe label``: say what images are, by keyboard, so that nothing is lost and others can read it."""

from __future__ import annotations

import getpass
import importlib.util
from typing import TYPE_CHECKING

from .command import print_config, run_verb
from .configuring.config import compose_config, require_values
from .errors import ConfigError
from .serve import check_address

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

SHOWN = ("queue", "agreement", "history", "counts")
EXPORTS = ("csv", "data", "coco", "labelme")
NEEDED = ("fastapi", "uvicorn", "python_multipart")
EPILOG = """examples:
  loupe label latest                                  # its test images, the nearest to the threshold first
  loupe label RUN source=NEW_IMAGES by=Ada            # judge them once, then label
  loupe label source=PREDICTIONS                      # what loupe predict wrote; no model is needed
  loupe label data=fiber data.root=PATH               # without scores: in an order that is drawn
  loupe label data=fiber data.root=PATH run=RUN       # the same by a run's scores
  loupe label source=PREDICTIONS show=queue           # the order, and nothing else; agreement, history, counts
  loupe label data=fiber data.root=PATH export=data   # labels.csv and masks into PATH, for the next training
  loupe label RUN host=0.0.0.0 token=LONG_SECRET      # for others in the house: each types a name

On the page: G good, D defective, 1 to 9 defective of a type, R rework, U unsure; Z takes back, Y says again;
M map, B brush, C a good image beside it, ? all keys. Every verdict is on the disk before the next image shows.
Then: loupe calibrate RUN journal=RUN/labels/journal.jsonl. docs/inspector.md walks through it."""


def main(args: Sequence[str]) -> int:
    """Label from overrides; return the exit status."""
    return run_verb("label", args, run, EPILOG, shown=["data"])


def run(overrides: Sequence[str], *, show: bool) -> None:
    """Compose the config, and open the page unless it is only to be shown."""
    config = compose_config("label", overrides)
    config.setdefault("data", None)  # which Hydra leaves out where nobody chose any
    check(config)
    if show:
        print_config(config)
        return
    require_values(config)
    missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ConfigError(
            f"Expected {missing[0]} to be installed, but found none; run: pip install 'loupe-inspect[serve]'"
        )
    from .labelling.starting import start  # noqa: PLC0415 - help and errors must not wait for it

    start(config, str(config.by or getpass.getuser()))


def check(config: DictConfig) -> None:
    """Refuse values with which nothing could be labelled, or strangers could come in.

    Raises:
        ConfigError: Names the key.
    """
    if config.data is None and config.run is None and config.source is None:
        raise ConfigError(
            "Expected data=, run= or source=, but found none of them; loupe label --help shows what each of them means."
        )
    if config.run is not None and config.bundle is not None:
        raise ConfigError("Expected run= or bundle=, but found both; give the one whose scores you want.")
    if not 0 <= config.random <= 1:
        raise ConfigError(f"Expected random to be a share from 0 to 1, but found {config.random}.")
    for key, choices in (("show", SHOWN), ("export", EXPORTS)):
        if config[key] is not None and config[key] not in choices:
            raise ConfigError(f"Expected {key} to be {', '.join(choices)} or null, but found {config[key]!r}.")
    check_address(config)
