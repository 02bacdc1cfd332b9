"""Configs that lie in a folder: read as plain keys and values, or refused in a sentence."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import yaml
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from datamodules.files.regular_files import read_regular
from tools.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

LARGEST = 4 << 20  # bytes; a run's config has a few thousand
LARGEST_JSON = 256 << 20  # bytes; tables of thresholds may be long
MOST_EVENTS = 200_000


def read_config(path: Path) -> DictConfig:
    """Read a YAML file of keys and values.

    Raises:
        ConfigError: It is missing, no text, no YAML, no mapping, or grows beyond all measure when it is expanded.
    """
    try:
        text = read_regular(path, LARGEST).decode("utf-8-sig")
        _check_aliases(text, path)
        config = OmegaConf.create(text)  # by OmegaConf's own safe loader, which knows 1e-3 for a number
    except OSError as error:
        raise ConfigError(f"Expected to read {path}, but: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"Expected {path} to be YAML, but it is not text; restore it from a copy.") from error
    except (yaml.YAMLError, OmegaConfBaseException, ValueError, TypeError, RecursionError) as error:
        if isinstance(error, ConfigError):
            raise
        found = " ".join(str(error).split())[:200]
        raise ConfigError(f"Expected {path} to be YAML, but: {found}; restore it from a copy.") from error
    if not isinstance(config, DictConfig) or not len(config):
        found = "nothing" if not len(config) else "a list"
        raise ConfigError(f"Expected {path} to hold keys and values, but found {found}; restore it from a copy.")
    return config


def read_json_object(path: Path) -> dict[str, Any]:
    """Read a JSON file of keys and values.

    Raises:
        ConfigError: It is missing, no JSON, no mapping, or holds a number that is not finite.
    """
    try:
        found = json.loads(read_regular(path, LARGEST_JSON).decode("utf-8-sig"), parse_constant=_refuse_constant)
    except OSError as error:
        raise ConfigError(f"Expected to read {path}, but: {error.strerror}.") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"Expected {path} to be JSON, but: {error}; restore it from a copy.") from error
    if not isinstance(found, dict):
        raise ConfigError(f"Expected {path} to hold keys and values, but found a {type(found).__name__}.")
    return found


def require_run(config: DictConfig, path: str | Path) -> DictConfig:
    """Return the config of a run.

    Raises:
        ConfigError: It is that of something else: names what it lacks.
    """
    for key in ("data", "model", "threshold", "callbacks", "trainer", "choices"):
        if OmegaConf.is_missing(config, key) or not isinstance(config._get_node(key), DictConfig):  # noqa: SLF001 - unresolved
            raise ConfigError(
                f"Expected {path} to be the config of a run, but it has no keys under {key}; give the folder that "
                "loupe train printed."
            )
    return config


def _check_aliases(text: str, path: Path) -> None:
    """Refuse references within YAML, which none of ours has: a few lines of them expand to more than any memory."""
    for number, event in enumerate(yaml.parse(text, Loader=yaml.SafeLoader)):
        if isinstance(event, yaml.AliasEvent) or number > MOST_EVENTS:
            raise ConfigError(f"Expected {path} to be plain keys and values, but it refers to its own parts.")


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"it holds {name}, which is not a number of JSON's")
