"""The run that ``loupe extend`` and ``loupe forget`` work on, found without torch."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig, OmegaConf

from tools.configuring.positions import quoted
from tools.errors import ConfigError

from .options import as_list
from .run_state import is_finished, unfinished
from .trained import find_trained, require_one_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .run_folder import RunFolder
    from .trained import Trained

WHAT = {"extend": "data", "forget": "pictures"}


class Growing(NamedTuple):
    """What is asked of a run.

    Attributes:
        folder: Of the run.
        config: Of the run, as it was trained.
        what: Images, as they were named.
        who: Answers for them.
        why: As they say; may be empty.
        dry: Say what would change, and change nothing.
    """

    folder: RunFolder
    config: DictConfig
    what: list[str]
    who: str
    why: str
    dry: bool


def find_growing(verb: str, overrides: Sequence[str]) -> Trained:
    """Find the run that a verb names, with the verb's keys.

    Raises:
        ConfigError: There is no such run, or an override is wrong.
    """
    return find_trained(verb, overrides, changeable=())


def asked_of(verb: str, trained: Trained) -> Growing:
    """Return what is asked of a run.

    Raises:
        ConfigError: A value is missing, or the run is at work, holds several models, or is a checkpoint alone.
    """
    keys, key = trained.config, WHAT[verb]
    if OmegaConf.is_missing(keys, key) or isinstance(keys[key], DictConfig):  # the run's own data has the same name
        raise ConfigError(f"Expected a value for {key}, but found none; set {key}=PATH.")
    folder = _folder_of(verb, trained)
    who = str(keys.by or getpass.getuser())
    return Growing(folder, folder.load_config(), as_list(keys[key]), who, str(keys.note), bool(keys.dry))


def growing_folder(run: str) -> RunFolder:
    """Return the folder of a run that may learn more.

    Raises:
        ConfigError: There is none, or it is at work, holds several models, or is a checkpoint alone.
    """
    return _folder_of("extend", find_growing("extend", [f"run={quoted(run)}"]))


def _folder_of(verb: str, trained: Trained) -> RunFolder:
    require_one_model(trained, verb)
    if trained.tested is None:
        raise ConfigError("Expected run to be the folder of a run, since its table of thresholds is written, too.")
    if not is_finished(trained.tested):
        raise ConfigError(f"{unfinished(trained.tested)}.")
    return trained.tested
