"""From a setting to a config: keys that a chosen model does not know are left out, and only for that model."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from tools.config import (
    all_keys,
    apply_overrides,
    check_choice,
    compose_config,
    groups,
    nearest,
    parse_override,
    require_values,
)
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .space import Axis

Setting = dict[str, str]
"""Text of overrides by key."""

_parse = lru_cache(maxsize=4096)(parse_override)


class Composer:
    """Composes the configs of trials.

    Args:
        axes: Of the sweep, groups first.
        base: Overrides that all trials share.

    Raises:
        ConfigError: A key is known to none of the configs that can be chosen, or a value is of the wrong kind.
    """

    def __init__(self, axes: Sequence[Axis], base: Sequence[str] = ()) -> None:
        self.axes = axes
        self._shared = base
        self._known = groups()
        self._bases: dict[tuple[str, ...], DictConfig] = {}
        self._keys: dict[tuple[str, ...], set[str]] = {}
        for axis in axes:
            if axis.is_group:
                for text in axis.choices:
                    check_choice(_parse(f"{axis.key}={text}"), self._known[axis.key])
        self._check_keys([axis for axis in axes if not axis.is_group and not axis.prefix])

    def knows(self, chosen: Mapping[str, str], key: str) -> bool:
        """Tell whether the config of these groups has a key."""
        return key in self._keys_of(self._line(chosen))

    def effective(self, setting: Mapping[str, str]) -> Setting:
        """Keep what the chosen groups know of a setting."""
        known = self._keys_of(self._line(setting))
        return {
            axis.key: setting[axis.key]
            for axis in self.axes
            if axis.key in setting and (axis.is_group or axis.prefix or axis.key in known)
        }

    def config(self, setting: Mapping[str, str]) -> dict[str, Any]:
        """Compose and resolve the config of an effective setting.

        Raises:
            ConfigError: A value is still to be given, or refers to something that is not there.
        """
        config = self._base(self._line(setting)).copy()
        own = [
            _parse(axis.override(setting[axis.key])) for axis in self.axes if axis.key in setting and not axis.is_group
        ]
        apply_overrides(config, own, self._known)
        try:
            return cast("dict[str, Any]", OmegaConf.to_container(config, resolve=True, throw_on_missing=True))
        except MissingMandatoryValue:
            require_values(config)
            raise

    def _line(self, setting: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(f"{axis.key}={setting[axis.key]}" for axis in self.axes if axis.is_group and axis.key in setting)

    def _base(self, line: tuple[str, ...]) -> DictConfig:
        if line not in self._bases:
            self._bases[line] = compose_config("train", [*self._shared, *line])
        return self._bases[line]

    def _keys_of(self, line: tuple[str, ...]) -> set[str]:
        if line not in self._keys:
            self._keys[line] = set(all_keys(self._base(line)))
        return self._keys[line]

    def _check_keys(self, axes: Iterable[Axis]) -> None:
        """Find, for every key, a choice of groups that knows it, and try every value there."""
        unknown = {axis.key: axis for axis in axes}
        seen: set[str] = set()
        for texts in itertools.product(*(axis.choices for axis in self.axes if axis.is_group)):
            line = tuple(f"{axis.key}={text}" for axis, text in zip(self._groups, texts, strict=True))
            seen |= self._keys_of(line)
            for key in [key for key in unknown if key in self._keys_of(line)]:
                axis = unknown.pop(key)
                tried = axis.choices if axis.interval is None else (repr(axis.interval.low),)
                overrides = [_parse(axis.override(text)) for text in tried]
                for override in {
                    type(override.value()): override for override in overrides
                }.values():  # one of each kind
                    apply_overrides(self._base(line).copy(), [override])
            if not unknown:
                return
        key = next(iter(unknown))
        near = nearest(key, [*seen, *self._known])
        raise ConfigError(
            f"No key {key!r} in any config of this sweep; "
            + (f"did you mean {near!r}?" if near else "loupe train --print shows the keys of a config.")
        )

    @property
    def _groups(self) -> list[Axis]:
        return [axis for axis in self.axes if axis.is_group]
