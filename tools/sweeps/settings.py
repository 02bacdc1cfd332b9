"""From a setting to a config: keys that a chosen model does not know are left out, and only for that model."""

from __future__ import annotations

import itertools
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from tools.configuring.config import (
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


@lru_cache(maxsize=256)
def _composed(args: tuple[str, ...]) -> DictConfig:
    """Compose a config of a run; copy it before changing it."""
    return compose_config("train", args)


class Composer:
    """Composes the configs of trials.

    Args:
        axes: Of the sweep, groups first.
        base: Overrides that all trials share.
        pairs: Keys that turn together: the n-th value of one goes with the n-th of the others.

    Attributes:
        followers: Keys of pairs, each with the key whose value decides its own.

    Raises:
        ConfigError: A key is known to none of the configs that can be chosen, or a value is of the wrong kind.
    """

    def __init__(self, axes: Sequence[Axis], base: Sequence[str] = (), pairs: Sequence[Sequence[str]] = ()) -> None:
        self.axes = axes
        self.followers = followers_of(axes, pairs)
        self._by_key = {axis.key: axis for axis in axes}
        self._shared = base
        self._known = groups()
        self._keys: dict[tuple[str, ...], set[str]] = {}
        for axis in axes:
            if axis.is_group:
                for text in axis.choices:
                    check_choice(_parse(f"{axis.key}={text}"), self._known[axis.key])
        self._check_keys([axis for axis in axes if not axis.is_group and not axis.prefix])

    @property
    def deciding(self) -> list[Axis]:
        """The axes that decide which keys there are: groups, and whatever groups follow."""
        led = {leader for key, leader in self.followers.items() if self._by_key[key].is_group}
        return [axis for axis in self.axes if (axis.is_group and axis.key not in self.followers) or axis.key in led]

    def knows(self, chosen: Mapping[str, str], key: str) -> bool:
        """Tell whether the config of these groups has a key."""
        return key in self._keys_of(self._line(self._paired(chosen)))

    def has(self, chosen: Mapping[str, str], axis: Axis) -> bool:
        """Tell whether an axis has any effect once these groups are chosen."""
        return bool(axis.prefix) or self.knows(chosen, axis.key)

    def effective(self, setting: Mapping[str, str]) -> Setting:
        """Keep what the chosen groups know of a setting; keys that follow others take the value that is theirs."""
        setting = self._paired(setting)
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

    def _paired(self, setting: Mapping[str, str]) -> Mapping[str, str]:
        led = {key: leader for key, leader in self.followers.items() if leader in setting}
        places = {key: self._by_key[leader].choices.index(setting[leader]) for key, leader in led.items()}
        return {**setting, **{key: self._by_key[key].choices[place] for key, place in places.items()}}

    def _line(self, setting: Mapping[str, str]) -> tuple[str, ...]:
        return tuple(f"{axis.key}={setting[axis.key]}" for axis in self.axes if axis.is_group and axis.key in setting)

    def _base(self, line: tuple[str, ...]) -> DictConfig:
        return _composed((*self._shared, *line))

    def _keys_of(self, line: tuple[str, ...]) -> set[str]:
        if line not in self._keys:
            self._keys[line] = set(all_keys(self._base(line)))
        return self._keys[line]

    def _check_keys(self, axes: Iterable[Axis]) -> None:
        """Find, for every key, a choice of groups that knows it, and try every value there."""
        unknown = {axis.key: axis for axis in axes}
        seen: set[str] = set()
        leading = self.deciding
        for texts in itertools.product(*(axis.choices for axis in leading)):
            line = self._line(self._paired({axis.key: text for axis, text in zip(leading, texts, strict=True)}))
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


def followers_of(axes: Sequence[Axis], pairs: Sequence[Sequence[str]]) -> dict[str, str]:
    """Say which keys follow which: of every pair the first without repetitions leads, groups before others.

    Raises:
        ConfigError: A key has no list here, stands in two pairs, or has another number of values than its fellows.
    """
    by_key = {axis.key: axis for axis in axes}
    found: dict[str, str] = {}
    taken: list[str] = []
    for pair in pairs:
        for key in pair:
            if key in taken:
                raise ConfigError(f"Expected {key!r} once in sweep.pair, but found it twice.")
            if key not in by_key or by_key[key].interval is not None:
                raise ConfigError(f"Expected a list of values for {key}, since sweep.pair names it; set {key}=A,B.")
            taken.append(key)
        if len({len(by_key[key].choices) for key in pair}) > 1:
            counts = ", ".join(f"{len(by_key[key].choices)} of {key}" for key in pair)
            raise ConfigError(f"Expected as many values of every key in sweep.pair, but found {counts}.")
        distinct = [key for key in pair if len(set(by_key[key].choices)) == len(by_key[key].choices)]
        if not distinct:
            raise ConfigError(
                f"Expected one of {', '.join(pair)} to have a value of its own for every pair, but each repeats one."
            )
        leader = next((key for key in distinct if by_key[key].is_group), distinct[0])
        found |= {key: leader for key in pair if key != leader}
    return found
