"""Values that no trial can run with, found before any trial runs."""

from __future__ import annotations

import itertools
import random
from typing import TYPE_CHECKING, Any

from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from .journal import Trial
    from .settings import Composer, Setting
    from .space import Axis

    Check = Callable[[Sequence[dict[str, Any]]], list[str]]

ANY_WHOLE = ("seed", "data.seed", "data.fold")  # one value is as good as another
_MOST_BRANCHES, _MOST_VALUES = 32, 64
_OTHERS = 6  # settings tried with a value before it is called impossible: another key may be the one at fault

Value = tuple[str, str]


def compose_branches(composer: Composer) -> None:
    """Compose one config for each choice of groups: a value may be of the wrong kind for one data set alone.

    Raises:
        ConfigError: One cannot be composed.
    """
    for group in itertools.groupby(
        _covering(composer), key=lambda setting: [setting.get(key) for key in _keys(composer)]
    ):
        composer.config(next(group[1]))


def _keys(composer: Composer) -> list[str]:
    return [axis.key for axis in composer.deciding]


def refuse_impossible(composer: Composer, known: Iterable[Trial], check: Check) -> None:
    """Try every value of every key with which no trial has run yet, building all but the data.

    A value is refused where it fails in every setting that was tried with it; a combination that fails, of values that
    are good in others, is left to its own trial.

    Args:
        composer: Of the space.
        known: Trials of earlier commands.
        check: Says of every config why no trial can run with it; empty where one can.

    Raises:
        ConfigError: A value is impossible; says which values would do.
    """
    good = {value for trial in known if trial.state != "failed" for value in trial.setting.items()}
    settings = [setting for setting in _covering(composer) if set(_checked(setting)) - good]
    if not settings:
        return
    objections = check([composer.config(setting) for setting in settings])
    for setting, objection in zip(settings, objections, strict=True):
        if not objection:
            good |= set(setting.items())
    for setting, objection in zip(settings, objections, strict=True):
        for value in _checked(setting):
            if objection and value not in good and all(check(_others(composer, setting, value))):
                raise ConfigError(objection)


def _checked(setting: Mapping[str, str]) -> list[Value]:
    return [value for value in setting.items() if value[0] not in ANY_WHOLE]


def _covering(composer: Composer) -> Iterator[Setting]:
    """Yield few settings that hold every value of every key, and the ends of every range."""
    leading = [axis for axis in composer.axes if axis.key not in composer.followers]
    deciding = composer.deciding
    branches = itertools.product(*(axis.choices for axis in deciding))
    for texts in itertools.islice(branches, _MOST_BRANCHES):
        chosen = {axis.key: text for axis, text in zip(deciding, texts, strict=True)}
        rest = [axis for axis in leading if axis not in deciding and composer.has(chosen, axis)]
        most = min(_MOST_VALUES, max((len(_values(axis)) for axis in rest), default=1))
        for place in range(most):
            picked = {axis.key: _values(axis)[min(place, len(_values(axis)) - 1)] for axis in rest}
            yield composer.effective({**chosen, **picked})


def _values(axis: Axis) -> Sequence[str]:
    if axis.interval is not None:
        ends = (axis.interval.low, axis.interval.high)
        return [str(int(end)) if axis.interval.whole else repr(end) for end in ends]
    return axis.choices[:1] if axis.key in ANY_WHOLE else axis.choices


def _others(composer: Composer, setting: Mapping[str, str], value: Value) -> list[dict[str, Any]]:
    """Compose settings with this value in which all else is drawn anew; those of the same choices among them."""
    rng = random.Random(str(value))  # noqa: S311 - no secret
    leading = [axis for axis in composer.axes if axis.key not in composer.followers]
    key = composer.followers.get(value[0], value[0])
    drawn = [{axis.key: axis.draw(rng) for axis in leading} | {key: setting[key]} for _ in range(_OTHERS)]
    meant = [one for one in map(composer.effective, [setting, *drawn]) if one.get(value[0]) == value[1]]
    return [composer.config(one) for one in meant]
