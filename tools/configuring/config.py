"""From overrides to a config: Hydra's groups and grammar, with errors that name the nearest right key.

Everything here is light: help, ``--print`` and errors must not wait for torch.
"""

from __future__ import annotations

import difflib
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from configs import CONFIG_DIR
from tools.errors import ConfigError

from .own_classes import names_own_class, own_class
from .places import choice_file, config_folders, own_folder
from .side_by_side import lists_choices, named_choices, side_by_side

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from hydra.core.override_parser.types import Override


MEANT = {"batch": "lot", "epochs": "trainer.max_epochs"}  # other words for keys, that are not spelt alike
PLACES = frozenset({"data.root", "source", "out"})  # to others, an empty path is the folder where one stands
SIDES = frozenset({"image_size"})  # height and width: one number means a square


def groups() -> dict[str, list[str]]:
    """List the config groups and their choices."""
    folders = sorted(path.name for path in CONFIG_DIR.iterdir() if path.is_dir() and any(path.glob("*.yaml")))
    return {
        group: sorted({path.stem for place in config_folders() for path in (place / group).glob("[!_]*.yaml")})
        for group in folders
    }


def describe(group: str, choice: str) -> str:
    """Return the first comment of a choice's file, which says what it is."""
    lines = choice_file(group, choice).read_text(encoding="utf-8").splitlines()
    comments = (line.removeprefix("#").strip() for line in lines if line.startswith("#"))
    return next((comment for comment in comments if not comment.startswith("@package")), "")


def parse_overrides(args: Sequence[str]) -> list[Override]:
    """Parse ``key=value`` by Hydra's grammar.

    Raises:
        ConfigError: One is not an override, lists several values, or names no place where it should.
    """
    overrides = []
    for arg in args:
        override = parse_override(arg)
        if override.is_sweep_override():
            raise ConfigError(
                f"Expected one value, but found several in {arg!r}; loupe sweep tries several, and if it is one, quote "
                "it: 'key=\"a,b\"'."
            )
        if override.key_or_group in PLACES:
            _require_place(override.key_or_group, override.value())
        overrides.append(override)
    return overrides


def _require_place(key: str, value: Any) -> None:
    """Refuse a place, or a list of them, that is empty."""
    if "" in (value if isinstance(value, list) else [value]):
        raise ConfigError(f"Expected {key} to be a folder, but found nothing; {key}=. is this one.")


def compose_config(name: str, args: Sequence[str]) -> DictConfig:
    """Compose the config ``name`` with overrides, and check every key, choice and kind of value.

    The choices of all groups are noted under ``choices``.

    Raises:
        ConfigError: Something is misspelt or of the wrong kind; names the nearest right one.
    """
    overrides = own_images(parse_overrides(args))
    own = OmegaConf.load(CONFIG_DIR / f"{name}.yaml")
    known = {group: choices for group, choices in groups().items() if group not in list(own)}  # plain keys go first
    grouped = [override for override in overrides if override.key_or_group in known]
    spelt = [override for override in grouped if names_own_class(override) or lists_choices(override)]
    choosing = [override for override in grouped if override not in spelt]
    for override in grouped:
        if not names_own_class(override):
            check_choice(override, known[override.key_or_group])
    config, choices = _compose(name, choosing)
    for override in spelt:
        config[override.key_or_group], choices[override.key_or_group] = _spelt_out(name, override)
    apply_overrides(config, [override for override in overrides if override not in grouped], known)
    follow_model(config, {override.key_or_group for override in overrides})
    config.choices = choices
    return config


def _spelt_out(name: str, override: Override) -> tuple[DictConfig, str]:
    """Return the keys of a group that no file holds as they are, and what its choice is called."""
    if names_own_class(override):
        return own_class(override)
    group = override.key_or_group
    return side_by_side(override, lambda choice: _compose(name, [parse_override(f"{group}={choice}")])[0][group])


def follow_model(config: DictConfig, asked: set[str]) -> None:
    """Bring images to a model as it wants them (``model.fit``), unless ``data.fit`` is among the keys ``asked`` for."""
    parts = [config.get(name) or {} for name in ("model", "data")]
    if all("fit" in part for part in parts) and "data.fit" not in asked:
        config.data.fit = config.model.fit


def own_images(overrides: list[Override]) -> list[Override]:
    """Read ``data.root=PATH`` alone as images sorted into folders: nobody means to draw images into their own."""
    keys = {override.key_or_group for override in overrides}
    if "data.root" not in keys or keys & {"data", "experiment"}:
        return overrides
    return [parse_override("data=folder"), *overrides]


def recompose(config: DictConfig, args: Sequence[str], own: DictConfig, changeable: Sequence[str]) -> DictConfig:
    """Change the config of a finished run for a later verb.

    Args:
        config: Of the run; only the groups in ``changeable`` may change, by choice or by key.
        args: Overrides.
        own: The verb's own keys; they are added to the result.
        changeable: Names of groups.

    Raises:
        ConfigError: Something is misspelt, of the wrong kind, or fixed by the run.
    """
    known = groups()
    config = config.copy()
    for override in parse_overrides(args):
        key = override.key_or_group
        group = key.split(".", 1)[0]
        if key in list(own):  # "in" alone overlooks values still to be given
            apply_overrides(own, [override])
        elif group in config and group not in changeable:
            raise ConfigError(
                f"Expected {group} to stay as the run has it; only {', '.join(changeable)} can change here."
            )
        elif key in known and names_own_class(override):
            config[key], config.choices[key] = own_class(override)
        elif key in known:
            check_choice(override, known[key])
            fresh, _ = _compose("train", [override])
            config[key] = fresh[key]
            config.choices[key] = override.value()
        else:
            apply_overrides(config, [override], [*map(str, own), *changeable])
    for key in map(str, own):  # a value of the verb's own takes the place of a group of that name
        if key in config and not OmegaConf.is_missing(own, key) and not isinstance(own[key], DictConfig):
            del config[key]
    return OmegaConf.merge(config, own)  # type: ignore[return-value]  # two dictionaries merge to one


def apply_overrides(config: DictConfig, overrides: Iterable[Override], known: Iterable[str] = ()) -> None:
    """Set values, in place; refuse keys that ``config`` lacks, and values of another kind than those they replace.

    Args:
        config: What to change.
        overrides: Parsed; ``+key=value`` adds a key and ``~key`` deletes one, both unchecked.
        known: Names of groups, to suggest.

    Raises:
        ConfigError: Names the nearest right key, or the kind of value expected.
    """
    for override in overrides:
        key = override.key_or_group
        parent, _, leaf = key.rpartition(".")
        node = OmegaConf.select(config, parent) if parent else config
        if override.is_add():
            OmegaConf.update(config, key, override.value(), force_add=True)
            continue
        if not isinstance(node, DictConfig) or leaf not in list(node):
            more = "" if override.is_delete() else f" A key that no config has yet is added as +{key}=..."
            raise ConfigError(f"No key {key!r}; {_nearest(key, [*all_keys(config), *known])}{more}")
        if override.is_delete():
            node.pop(leaf)
            continue
        current = None if OmegaConf.is_missing(node, leaf) else node[leaf]
        value = override.value()
        if leaf in SIDES and isinstance(value, int) and not isinstance(value, bool):
            value = [value, value]
        _check_kind(key, current, value)
        node[leaf] = value


def require_values(config: DictConfig) -> None:
    """Refuse a config in which a value is still to be given.

    Raises:
        ConfigError: Names the first such key.
    """
    if missing := sorted(OmegaConf.missing_keys(config)):
        raise ConfigError(f"Expected a value for {missing[0]}, but found none; set {missing[0]}=VALUE.")


def nearest(name: str, candidates: Iterable[str]) -> str | None:
    """Return the candidate that ``name`` most likely meant, if any is close."""
    close = difflib.get_close_matches(name, list(candidates), n=1, cutoff=0.5)
    return close[0] if close else None


def parse_override(arg: str) -> Override:
    """Parse one override; a value beyond the grammar, such as a path with brackets, is taken as it stands."""
    parser = OverridesParser.create()
    try:
        return parser.parse_override(arg)
    except HydraException as error:
        key, equals, value = arg.partition("=")
        if equals and re.fullmatch(r"[\w.]+", key) and value[:1] not in {"[", "{", "'", '"'}:
            quoted = value.replace("\\", "\\\\").replace("'", "\\'")
            return parser.parse_override(f"{key}='{quoted}'")
        raise ConfigError(f"Expected key=value, but found {arg!r}; --help shows how.") from error


def _compose(name: str, overrides: Sequence[Override]) -> tuple[DictConfig, dict[str, str | None]]:
    """Compose with Hydra; return the config, and the choice of every group."""
    lines = [override.input_line for override in overrides if override.input_line]
    if (own := own_folder()) is not None:
        escaped = str(own).replace("\\", "\\\\").replace("'", "\\'")
        lines.append(f"hydra.searchpath=['file://{escaped}']")
    config, choices = _composed(name, tuple(lines))
    return config.copy(), dict(choices)


@lru_cache(maxsize=64)
def _composed(name: str, lines: tuple[str, ...]) -> tuple[DictConfig, dict[str, str | None]]:
    """Compose once in a process: a sweep asks for the same config for each of its trials."""
    try:
        with initialize_config_dir(str(CONFIG_DIR), version_base="1.3"):
            config = compose(name, list(lines), return_hydra_config=True)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(" ".join(str(error).split())) from error
    choices = {key: value for key, value in config.hydra.runtime.choices.items() if not key.startswith("hydra/")}
    OmegaConf.set_struct(config, value=False)
    return OmegaConf.masked_copy(config, [str(key) for key in config if key != "hydra"]), choices


def check_choice(override: Override, choices: Sequence[str]) -> None:
    """Refuse a choice that its group lacks.

    Raises:
        ConfigError: Names the nearest right one.
    """
    for value in named_choices(override):
        if value not in choices and not (override.key_or_group == "experiment" and override.value() is None):
            group = override.key_or_group
            raise ConfigError(
                f"No {group} named {value!r}; {_nearest(value, choices)} There are: {', '.join(choices)}."
            )


def _check_kind(key: str, current: Any, value: Any) -> None:
    """Compare the kind of a value with that of the default that it replaces; a null default tells nothing."""
    if current is None or value is None:
        return
    kinds: dict[type, tuple[tuple[type, ...], str]] = {
        bool: ((bool,), "true or false"),
        int: ((int,), "a whole number"),
        float: ((int, float), "a number"),
        ListConfig: ((list,), "a list, such as [a,b]"),
        DictConfig: ((dict,), "a group of keys, each set by its own name"),
        str: ((str, int, float, bool), "text"),
    }
    allowed, expected = kinds.get(type(current), ((object,), "anything"))
    if not isinstance(value, allowed) or (isinstance(value, bool) and bool not in allowed and object not in allowed):
        raise ConfigError(f"Expected {key} to be {expected}, but found {value!r}.")


def all_keys(config: DictConfig, prefix: str = "") -> list[str]:
    """List every key at every depth, dotted."""
    keys = []
    for key in map(str, config):
        name = f"{prefix}{key}"
        keys.append(name)
        if not OmegaConf.is_missing(config, key) and isinstance(config[key], DictConfig):
            keys += all_keys(config[key], f"{name}.")
    return keys


def _nearest(name: str, candidates: Sequence[str]) -> str:
    meant = MEANT.get(name)
    found = meant if meant in candidates else nearest(name, candidates)
    return f"did you mean {found!r}?" if found else "--help lists what there is."
