"""Which data set a trial had, in the fewest words that tell it from the others: nothing is compared across them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from tools.configuring.config import nearest
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from .journal import Trial

DATA_KEYS = ("data", "data.root", "data.domain", "data.kind")
"""What says which data set a trial had: figures of different images cannot be compared."""
Place = tuple[str | None, ...]


def place_of(trial: Trial) -> Place:
    """Return what a trial's setting says of its data."""
    return tuple(trial.setting.get(key) for key in DATA_KEYS)


def data_names(trials: Iterable[Trial]) -> dict[Place, str]:
    """Name every data set, in order; the one of a sweep that has no other has no name."""
    places = list(dict.fromkeys(map(place_of, trials)))
    if len(places) < 2:
        return dict.fromkeys(places, "")
    varied = [index for index in range(len(DATA_KEYS)) if len({place[index] for place in places}) > 1]
    for count in range(1, len(varied) + 1):
        for chosen in itertools.combinations(varied, count):
            for short in (True, False):
                names = [" ".join(_word(place[index], short=short) for index in chosen).strip() for place in places]
                if len(set(names)) == len(places):
                    return dict(zip(places, names, strict=True))
    return {place: f"data set {number}" for number, place in enumerate(places, start=1)}


def pick_data(trials: Sequence[Trial], name: str | None) -> list[Trial]:
    """Keep the trials of one data set.

    Args:
        trials: Of a sweep.
        name: As the leaderboard has it, or any value or last folder that only one data set has; None: there is one.

    Raises:
        ConfigError: There are several and none is named, or none is meant; lists them.
    """
    names = data_names(trials)
    listed = ", ".join(names.values()) or "no trials yet"
    if name is None:
        if len(names) > 1:
            raise ConfigError(
                f"Expected data=NAME, since this sweep has {len(names)} data sets and figures of different images "
                f"cannot be compared, but found none; there are: {listed}."
            )
        return list(trials)
    meant = [place for place, known in names.items() if known == name] or _meant(names, name)
    if len(meant) != 1:
        near = nearest(name, names.values())
        hint = f"did you mean {near!r}? There are" if near and not meant else "there are"
        found = f"{len(meant)} of that name" if meant else f"no {name!r}"
        raise ConfigError(f"Expected data to name a data set of this sweep, but found {found}; {hint}: {listed}.")
    return [trial for trial in trials if place_of(trial) == meant[0]]


def is_data_of(trials: Sequence[Trial], name: str) -> bool:
    """Tell whether a sweep has several data sets, or its only one goes by this name."""
    names = data_names(trials)
    return len(names) > 1 or bool(_meant(names, name))


def _meant(names: Mapping[Place, str], name: str) -> list[Place]:
    words = {form for short in (True, False) for form in [_word(name, short=short)]}
    return [
        place
        for place in names
        if any(_word(text, short=short) in words for text in place if text for short in (True, False))
    ]


def _word(text: str | None, *, short: bool) -> str:
    """Write a value as people say it: without quotes, and of a path its last folder."""
    plain = (text or "").strip("'\"").rstrip("/")
    return plain.rpartition("/")[2] if short else plain
