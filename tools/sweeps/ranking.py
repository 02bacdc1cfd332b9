"""Which setting is best: by its mean over seeds and folds, on one data set at a time, and by a fixed rule among equals.

The rule: a higher mean of the objective, which calibration images decide; then fewer milliseconds per image, measured
when nothing else ran (up to a fifth more, or what rounds of the fastest differ by, counts as equal); then the smaller
checkpoint; then the lower seed; then the lower id, so that there is always one. Test images never decide.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean
from typing import TYPE_CHECKING

from .data_names import DATA_KEYS, data_names, place_of
from .journal import MIDDLE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .journal import Trial

SEED, FOLD = "seed", "data.fold"
REPEATED = (SEED, FOLD)
RULE = "fewer milliseconds measured alone, then the smaller checkpoint, then the lower seed"
_DIGITS = 9  # to which means are compared: sums of the same numbers in another order differ in the last
_AS_FAST = 1.2  # times the least milliseconds: measured anew, the order of such would be another
_MOST_TIMED = 8  # equals that are measured: of more, the smallest checkpoints


@dataclass(frozen=True)
class Ranked:
    """A setting on one data set, with its complete trials that have an objective, the best first.

    Attributes:
        data: Name of the data set; empty where there is one alone.
        trials: One for each seed and fold.
        equals: How many settings of this data set share its mean, itself among them.
    """

    data: str
    trials: tuple[Trial, ...]
    equals: int = 1

    @property
    def shipped(self) -> Trial:
        """The trial that stands for the setting: of its seeds and folds the one with the highest objective."""
        return self.trials[0]

    @cached_property
    def mean(self) -> float:
        """The mean objective over seeds and folds."""
        return round(fmean(trial.objective for trial in self.trials if trial.objective is not None), _DIGITS)


def rank_settings(trials: Iterable[Trial]) -> dict[str, list[Ranked]]:
    """Rank the settings of every data set, best first, by the rule above.

    A setting with half as many trials as another, or fewer, ranks after those with more: its mean may be one lucky
    seed. Trials that were pruned, failed, or have no objective are left out.
    """
    known = list(trials)
    names = data_names(known)
    groups: dict[tuple[str, tuple[tuple[str, str], ...]], list[Trial]] = defaultdict(list)
    for trial in known:
        if trial.state == "complete" and trial.objective is not None:
            groups[names[place_of(trial)], setting_of(trial)].append(trial)
    by_data: dict[str, list[Ranked]] = {name: [] for name in names.values()}
    for (name, _), group in groups.items():
        by_data[name].append(Ranked(name, tuple(sorted(group, key=_within))))
    return {name: _ordered(ranked) for name, ranked in by_data.items() if ranked}


def winners(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trial to ship of every data set that could be ranked."""
    return [ranked[0].shipped for ranked in rank_settings(trials).values()]


def finalists(trials: Iterable[Trial]) -> list[Trial]:
    """Return the trials among which milliseconds decide, and those on the front of quality and time, for measuring."""
    found: list[Trial] = []
    for ranked in rank_settings(trials).values():
        best = _leading(ranked)
        if len(best) > 1:
            found += [one.shipped for one in sorted(best, key=_small)[:_MOST_TIMED]]
        found += [one.shipped for one in _front(ranked)[:_MOST_TIMED]]
    return list({trial.id: trial for trial in found}.values())


def setting_of(trial: Trial) -> tuple[tuple[str, str], ...]:
    """Return a trial's setting without data set, seed and fold."""
    return tuple(sorted((key, text) for key, text in trial.setting.items() if key not in (*DATA_KEYS, *REPEATED)))


def _leading(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Take those that share the first place but for the rule among equals."""
    return [one for one in ranked[: ranked[0].equals] if one.mean == ranked[0].mean]


def _ordered(ranked: Sequence[Ranked]) -> list[Ranked]:
    most = max(len(one.trials) for one in ranked)
    enough = [one for one in ranked if 2 * len(one.trials) > most]
    return [*_by_mean(enough), *_by_mean([one for one in ranked if one not in enough])]


def _by_mean(ranked: Sequence[Ranked]) -> list[Ranked]:
    found = []
    for mean in sorted({one.mean for one in ranked}, reverse=True):
        equal = [one for one in ranked if one.mean == mean]
        found += [Ranked(one.data, one.trials, len(equal)) for one in among_equals(equal)]
    return found


def among_equals(equal: Sequence[Ranked]) -> list[Ranked]:
    """Order settings of one mean: as fast as the fastest first, then smaller, then of the lower seed."""
    left, found = list(equal), []
    while left:
        times = [one.shipped.milliseconds_alone for one in left]
        limit = _as_fast(one.shipped for one in left)
        fast = [one for one, time in zip(left, times, strict=True) if _reaches(time, limit)]
        found += sorted(fast, key=_small)
        left = [one for one in left if one not in fast]
    return found


def tie_break(trial: Trial) -> tuple[float, float, int, str]:
    """Order trials that are alike in a metric of their own: by the rule above, milliseconds as they stand."""
    alone = trial.milliseconds_alone
    return (float("inf") if alone is None else alone, *_small(Ranked("", (trial,))))


def _as_fast(trials: Iterable[Trial]) -> float | None:
    """Return the milliseconds up to which a model counts as fast as the fastest; None where none was measured."""
    known = [(time, trial) for trial in trials if (time := trial.milliseconds_alone) is not None]
    if not known:
        return None
    fewest_ms, fastest = min(known, key=lambda entry: entry[0])
    return max(_AS_FAST * fewest_ms, float(fastest.result.get(MIDDLE, 0.0)))


def _reaches(time: float | None, limit: float | None) -> bool:
    return limit is None or (time is not None and time <= limit)


def _small(one: Ranked) -> tuple[float, int, str]:
    size = one.shipped.result.get("checkpoint_mib")
    return (float("inf") if size is None else float(size), _seed(one.shipped), one.shipped.id)


def _within(trial: Trial) -> tuple[float, int, int, str]:
    fold = trial.setting.get(FOLD, "0")
    return (-(trial.objective or 0.0), _seed(trial), int(fold) if fold.isdigit() else 0, trial.id)


def _seed(trial: Trial) -> int:
    text = trial.setting.get(SEED, "0")
    return int(text) if text.isdigit() else 0


def _front(ranked: Sequence[Ranked]) -> list[Ranked]:
    """Take what no other beats in both, mean and milliseconds, as far as trials that ran side by side can tell."""
    timed = [one for one in ranked if one.shipped.result.get("milliseconds_per_picture")]
    shortest, found = float("inf"), []
    for one in sorted(timed, key=lambda one: (-one.mean, one.shipped.result["milliseconds_per_picture"])):
        if one.shipped.result["milliseconds_per_picture"] < shortest:
            shortest = one.shipped.result["milliseconds_per_picture"]
            found.append(one)
    return found if len(found) > 1 else []
