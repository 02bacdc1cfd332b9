"""The run that ``loupe extend`` and ``loupe forget`` work on, found without torch."""

from __future__ import annotations

import getpass
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig, OmegaConf

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
    keys, folder, key = trained.config, trained.tested, WHAT[verb]
    if OmegaConf.is_missing(keys, key) or isinstance(keys[key], DictConfig):  # the run's own data has the same name
        raise ConfigError(f"Expected a value for {key}, but found none; set {key}=PATH.")
    require_one_model(trained, verb)
    if folder is None:
        raise ConfigError("Expected run to be the folder of a run, since its table of thresholds is written, too.")
    if not is_finished(folder):
        raise ConfigError(f"{unfinished(folder)}.")
    who = str(keys.by or getpass.getuser())
    return Growing(folder, folder.load_config(), as_list(keys[key]), who, str(keys.note), bool(keys.dry))
