"""From a config to objects: ``_target_`` and its arguments, checked against annotations before anything is built."""

from __future__ import annotations

import inspect
import sys
import typing
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hydra.errors import InstantiationException
from hydra.utils import get_class, instantiate
from omegaconf import DictConfig, ListConfig, OmegaConf
from typeguard import TypeCheckError, check_type

from tools.errors import ConfigError, UnknownKeyError
from tools.mishaps import first_line

from .annotations import annotations_of, in_words, items_of, takes_words
from .config import nearest


def build(config: DictConfig, name: str) -> Any:
    """Build what a config describes, the innermost first.

    Args:
        config: With ``_target_``; every other entry is an argument of that constructor.
        name: Its key, for errors.

    Raises:
        ConfigError: An argument is unknown, missing, or of the wrong type.
    """
    check_arguments(config, name)
    try:
        return instantiate(_with_words(config), _convert_="all")
    except InstantiationException as error:
        cause = error.__cause__
        if type(cause) is ValueError:  # a constructor refused a value
            raise ConfigError(str(cause)) from error
        if cause is None:  # Hydra itself will not call it
            raise ConfigError(f"Expected {name} to name what can be built, but: {first_line(error)}") from error
        raise cause from error  # data or weights, which have errors of their own, or what nobody foresaw


def check_arguments(config: DictConfig, name: str) -> None:
    """Compare a config, and those nested in it, with the constructors that it names.

    Raises:
        ConfigError: As ``build``.
    """
    target = _class_of(config, name)
    nested = [key for key in map(str, config) if _holds_target(config[key])]
    for key in map(str, config):
        _check_nested(config[key], f"{name}.{key}")
    parameters = inspect.signature(target).parameters
    annotations = _annotations(target)
    values = OmegaConf.to_container(config, resolve=True)
    given = {str(key): value for key, value in typing.cast("dict[str, Any]", values).items() if key != "_target_"}
    for key, value in given.items():
        if key not in parameters:
            near = nearest(key, parameters)
            hint = f"did you mean '{name}.{near}'?" if near else f"there are: {', '.join(parameters)}"
            raise UnknownKeyError(f"No key '{name}.{key}'; {hint}")
        if key not in nested and key in annotations:
            _check_value(f"{name}.{key}", _as_words(value, annotations[key]), annotations[key])
    for key, parameter in parameters.items():
        if parameter.default is parameter.empty and key not in given:
            raise ConfigError(f"Expected a value for {name}.{key}, but found none; set {name}.{key}=VALUE.")


def _with_words(config: DictConfig) -> DictConfig:
    """Return a config whose numbers are words where words are asked for, those nested in it included."""
    annotations = _annotations(_class_of(config, ""))
    changed = {}
    for key in map(str, config):
        value = config[key]
        if _is_target(value):
            changed[key] = _with_words(value)
        elif key in annotations:
            plain = OmegaConf.to_container(value, resolve=True) if isinstance(value, ListConfig) else value
            if (written := _as_words(plain, annotations[key])) != plain:
                changed[key] = written
    if not changed:
        return config
    words = config.copy()
    words.update(changed)
    return words


def _class_of(config: DictConfig, name: str) -> Any:
    """Find the class that a config names.

    Raises:
        ConfigError: There is none.
    """
    target = config.get("_target_") if isinstance(config, DictConfig) else None
    if not isinstance(target, str):
        raise ConfigError(f"Expected {name} to be keys beside a _target_ that names a class, but found {config!r}.")
    _find_package(target, name)
    try:
        return get_class(target)
    except Exception as error:  # to look for a class imports its module, which may fail in any way
        raise ConfigError(f"Expected {name}._target_ to name a class, but {target!r}: {first_line(error)}") from error


def _find_package(target: str, name: str) -> None:
    """Let packages of the folder that the command is called from be found, after all that are installed.

    Raises:
        ConfigError: There is no such package.
    """
    package, here = target.partition(".")[0], str(Path.cwd())
    if not package.isidentifier() or package in sys.modules or find_spec(package) is not None:
        return
    if here not in sys.path:
        sys.path.append(here)  # Python itself puts it first, but not for installed commands
    if find_spec(package) is None:
        raise ConfigError(
            f"Expected {name}._target_ to name a class, but {target!r}: there is no package {package!r} in {here} or "
            "among what is installed; call loupe in the folder that holds it, or add that to PYTHONPATH."
        )


def _check_nested(value: Any, name: str) -> None:
    """Check what lies in an argument: another target, or one in a list or a group of keys."""
    if _is_target(value):
        check_arguments(value, name)
    else:
        for key, entry in _entries(value):
            _check_nested(entry, f"{name}.{key}")


def _entries(value: Any) -> list[tuple[Any, Any]]:
    """Give what lies in a list or a group of keys, but for what is still to be given; nothing of any other value."""
    if not isinstance(value, DictConfig | ListConfig):
        return []
    keys: list[Any] = list(range(len(value)) if isinstance(value, ListConfig) else value)
    return [(key, value[key]) for key in keys if not OmegaConf.is_missing(value, key)]


def _check_value(key: str, value: Any, annotation: Any) -> None:
    """Check one value; a list will do for a tuple, since YAML has no tuples."""
    forms = [value, tuple(value)] if isinstance(value, list) else [value]
    for form in forms:
        try:
            check_type(form, annotation)
        except TypeCheckError:
            continue
        return
    raise ConfigError(f"Expected {key} to be {in_words(annotation)}, but found {value!r}.")


def _annotations(target: type) -> dict[str, Any]:
    """Read the annotations of a constructor; of other people's, only what can be read."""
    try:
        return annotations_of(target)
    except (NameError, ImportError, AttributeError):
        return {}


def _as_words(value: Any, annotation: Any) -> Any:
    """Write numbers as words where words are asked for: a folder may be called 0."""
    if isinstance(value, int | float) and not isinstance(value, bool) and takes_words(annotation):
        return str(value)
    if isinstance(value, list) and takes_words(items_of(annotation)):
        return [_as_words(item, str) for item in value]
    return value


def _holds_target(value: Any) -> bool:
    """Tell whether there is something to build in a value: it is compared when it is built, and no value before."""
    return _is_target(value) or any(_holds_target(entry) for _, entry in _entries(value))


def _is_target(value: Any) -> bool:
    return isinstance(value, DictConfig) and "_target_" in value
