"""The space of a sweep: what each key may be, in Hydra's own grammar of overrides."""

from __future__ import annotations

import json
import random
import re
from dataclasses import dataclass, replace
from math import exp, log
from typing import TYPE_CHECKING, Any

from hydra.core.override_parser.types import Glob, IntervalSweep
from omegaconf import DictConfig, ListConfig

from tools.configuring.config import groups, parse_override
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence


_FUNCTION = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag|int|float|str|bool)\(")


@dataclass(frozen=True)
class Interval:
    """A range of numbers to search in; ``log`` searches it by factors, ``whole`` by whole numbers."""

    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Axis:
    """What one key may be.

    Attributes:
        key: Of the config, or a group.
        choices: Values as text of overrides, in order; empty for an interval.
        interval: Or None.
        prefix: ``+`` or ``~`` where the override adds or deletes its key.
        is_group: It chooses files of a config group.
    """

    key: str
    choices: tuple[str, ...] = ()
    interval: Interval | None = None
    prefix: str = ""
    is_group: bool = False

    @property
    def fixed(self) -> bool:
        """Tell whether there is but one choice."""
        return self.interval is None and len(self.choices) == 1

    @property
    def size(self) -> int | None:
        """How many values there are; None for a range of numbers that are not whole."""
        if self.interval is None:
            return len(self.choices)
        return int(self.interval.high) - int(self.interval.low) + 1 if self.interval.whole else None

    def override(self, text: str) -> str:
        """Write a choice as an override."""
        return f"{self.prefix}{self.key}" + (f"={text}" if text or not self.prefix else "")

    def texts(self) -> Iterable[str]:
        """List the values of an axis that has a size, in order."""
        if self.interval is None:
            return self.choices
        return map(str, range(int(self.interval.low), int(self.interval.high) + 1))

    def draw(self, rng: random.Random) -> str:
        """Draw a value, by factors where the range is searched so."""
        if self.interval is None:
            return rng.choice(self.choices)
        low, high = self.interval.low, self.interval.high
        if self.interval.log:
            drawn = min(high, max(low, exp(rng.uniform(log(low), log(high)))))
            return str(round(drawn)) if self.interval.whole else repr(drawn)
        return str(rng.randint(int(low), int(high))) if self.interval.whole else repr(rng.uniform(low, high))

    def value(self, text: str) -> str | int | float | None:
        """Read a recorded text as Optuna has it; None where it does not lie on the axis."""
        span = self.interval
        if span is None:
            return text if text in self.choices else None
        try:
            number = int(text) if span.whole else float(text)
        except ValueError:
            return None
        return number if span.low <= number <= span.high else None


def read_space(args: Sequence[str], space: Mapping[str, Any], seed: int, paired: Collection[str] = ()) -> list[Axis]:
    """Read the axes of a sweep, groups first, since they decide which other keys there are.

    Args:
        args: Overrides of the command line; they go before ``space``.
        space: Values by key, as text in the grammar of overrides, or as lists.
        seed: Of ``shuffle(...)``.
        paired: Keys whose values are given one for each pair; of other keys, a value that comes again is dropped.

    Raises:
        ConfigError: A value is none of the grammar's, or a pattern matches nothing.
    """
    own = [_axis(arg, seed) for arg in args]
    known = {axis.key for axis in own}
    filed = [_axis(f"{key}={_text(value)}", seed) for key, value in space.items() if key not in known]
    axes = _part_by_part({axis.key: axis for axis in (*filed, *own)})  # of a key given twice, the last counts
    known_groups = groups()
    marked = [
        replace(
            axis,
            is_group=axis.key in known_groups,
            choices=axis.choices if axis.key in paired else tuple(dict.fromkeys(axis.choices)),
        )
        for axis in axes.values()
    ]
    return sorted(marked, key=lambda axis: not axis.is_group)


def _part_by_part(axes: Mapping[str, Axis]) -> dict[str, Axis]:
    """Make every part of a repeated run a trial of its own: ``repeat`` becomes seeds, ``folds`` a fold for each trial.

    Raises:
        ConfigError: It is not clear how often, or there are several seeds already.
    """
    found = {key: axis for key, axis in axes.items() if key not in {"repeat", "folds"}}
    repeat, folds = _times(axes, "repeat"), _times(axes, "folds")
    if repeat > 1:
        seed = axes.get("seed", Axis("seed", ("0",)))
        if not (seed.fixed and seed.choices[0].isdigit()):
            raise ConfigError("Expected repeat or several seeds, but found both; list all of them: seed=0,1,2.")
        first = int(seed.choices[0])
        found["seed"] = Axis("seed", tuple(map(str, range(first, first + repeat))))
    if folds > 1:
        found["data.folds"] = Axis("data.folds", (str(folds),))
        found["data.fold"] = Axis("data.fold", tuple(map(str, range(1, folds + 1))))
    return found


def _times(axes: Mapping[str, Axis], key: str) -> int:
    """Read how many trials a run with ``repeat`` or ``folds`` becomes; 1 where it is not asked for."""
    if key not in axes or axes[key].choices in {("1",), ("null",)}:
        return 1
    axis = axes[key]
    if not (axis.fixed and axis.choices[0].isdigit() and int(axis.choices[0]) > 0):
        raise ConfigError(f"Expected {key} to be one whole number above 0, but found {', '.join(axis.choices)}.")
    return int(axis.choices[0])


def _text(value: Any) -> str:
    """Write a value of a file as the grammar has it; a list becomes a list of choices.

    Raises:
        ConfigError: It is a group of keys.
    """
    if isinstance(value, DictConfig):
        raise ConfigError(f"Expected each key of sweep.space to have choices, but found the keys {', '.join(value)}.")
    if isinstance(value, ListConfig):
        return ",".join(str(list(entry)) if isinstance(entry, ListConfig) else _text(entry) for entry in value)
    return value if isinstance(value, str) else json.dumps(value)  # true, null and numbers are written alike


def _axis(arg: str, seed: int) -> Axis:
    override = parse_override(arg)
    key = override.key_or_group
    if _FUNCTION.match(arg.partition("=")[2]) and isinstance(
        override.value(), str
    ):  # taken for a text, as a path may be
        raise ConfigError(
            f"Expected {arg!r} to follow Hydra's grammar, but it does not; loupe sweep --help has examples."
        )
    prefix = "+" if override.is_add() else "~" if override.is_delete() else ""
    line = str(override.input_line)
    value: Any = override._value  # noqa: SLF001 - Hydra's sweepers read it so, and it has no other name
    if isinstance(value, IntervalSweep):
        span = _interval(key, value)
        one = span.low == span.high
        return Axis(key, (repr(span.low),), prefix=prefix) if one else Axis(key, interval=span, prefix=prefix)
    if isinstance(value, Glob):
        return Axis(key, _matching(key, value, line), prefix=prefix)
    if not override.is_sweep_override():
        return Axis(key, (line.partition("=")[2],), prefix=prefix)
    if getattr(value, "shuffle", False):
        value.shuffle = False  # Hydra's shuffle knows no seed
        texts = list(override.sweep_string_iterator())
        random.Random(seed).shuffle(texts)  # noqa: S311 - an order, no secret
    else:
        texts = list(override.sweep_string_iterator())
    plain = [text.lower() if text in {"True", "False"} else text for text in texts]  # as YAML has them
    return Axis(key, tuple(plain), prefix=prefix)


def _interval(key: str, value: IntervalSweep) -> Interval:
    low, high, factors = value.start, value.end, "log" in value.tags
    if low is None or high is None or not low <= high or (factors and low <= 0):
        above = " and above 0, for a search by factors" if factors else ""
        raise ConfigError(f"Expected {key}=interval(low, high) with low below high{above}, but found {low} and {high}.")
    return Interval(low, high, factors, whole=isinstance(low, int))


def _matching(key: str, glob: Glob, line: str) -> tuple[str, ...]:
    """Expand a pattern to the choices of a group."""
    known = groups()
    if key not in known:
        raise ConfigError(f"Expected glob(...) for a group, but found {line!r}; groups are: {', '.join(known)}.")
    found = tuple(glob.filter(known[key]))
    if not found:
        raise ConfigError(f"Expected {line!r} to match something, but there are: {', '.join(known[key])}.")
    return found
