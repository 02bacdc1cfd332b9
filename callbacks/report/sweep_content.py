"""What the page of a sweep shows: its trials, and the settings that they add up to."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Span = tuple[float, float | None, float | None]


@dataclass(frozen=True)
class SweptTrial:
    """A trial as the page shows it.

    Attributes:
        id: Of the trial.
        state: ``complete``, ``pruned`` or ``failed``.
        data: Name of its data set; empty where there is one alone.
        seed: Its seed and fold, where several were tried: ``0``, ``fold 2`` or ``0, fold 2``; empty otherwise.
        setting: What else was chosen for it, by key.
        calibration: AUROC on calibration images with the ends of its interval, which are None where there is no
            interval; None where there is no figure.
        test: The same on test images.
        milliseconds: Of the model per image, beside whatever else ran; None where unknown.
        size_mib: Of the checkpoint; None where unknown.
        seconds: Of the whole trial.
        page: Address of its own report, relative; empty where it has none.
        alone: Milliseconds of the model per image, measured when nothing else ran; None where it never was.
        rank: The place of its setting among those of its data set, from 1; None: as the means of settings have it.
        number: In the order in which trials ended, from 1; 0 where unknown.
    """

    id: str
    state: str
    data: str
    seed: str
    setting: Mapping[str, str]
    calibration: Span | None
    test: Span | None
    milliseconds: float | None
    size_mib: float | None
    seconds: float
    page: str = ""
    alone: float | None = None
    rank: int | None = None
    number: int = 0

    @property
    def ranked(self) -> bool:
        """Tell whether calibration images could judge it, to its end."""
        return self.state == "complete" and self.calibration is not None

    @property
    def name(self) -> str:
        """The setting on one line; what chooses a whole config, such as a model, needs no key beside it."""
        words = [text if "." not in key else f"{key.rpartition('.')[2]} {text}" for key, text in self.setting.items()]
        return ", ".join(words) or "as configured"

    @property
    def repetition(self) -> str:
        """Which seed and fold it had, in words."""
        return f"seed {self.seed}" if self.seed[:1].isdigit() else self.seed


@dataclass(frozen=True)
class SweepContent:
    """Everything that the page shows.

    Attributes:
        title: Name of the sweep.
        trials: Best first.
        axes: Values of every key that differs, in order.
        importances: Key and its share of the objective's spread, largest first.
        about: Name and value of facts about the sweep.
        command: That goes on with it.
        warnings: Sentences that a reader must not miss.
        remarks: Sentences about the choice: which settings are equal, and what decided between them; how it ended.
        failures: Why trials failed: a sentence, how many, and the address of the first one's log.
        silence: Why nothing is said about what mattered; empty where something is.
        refresh_s: After how many seconds a browser reads the page again; None: the sweep has ended.
    """

    title: str
    trials: Sequence[SweptTrial]
    axes: Mapping[str, Sequence[str]]
    importances: Sequence[tuple[str, float]]
    about: Sequence[tuple[str, str]]
    command: str
    warnings: Sequence[str] = ()
    remarks: Sequence[str] = ()
    failures: Sequence[tuple[str, int, str]] = ()
    silence: str = ""
    refresh_s: int | None = None

    @property
    def ranked(self) -> list[SweptTrial]:
        """The trials that can be ranked, best first."""
        return [trial for trial in self.trials if trial.ranked]

    @property
    def data(self) -> list[str]:
        """The names of all data sets, of those that cannot be ranked, too."""
        return list(dict.fromkeys(trial.data for trial in self.trials))


@dataclass(frozen=True)
class Merged:
    """A setting over all data sets and seeds on which it was tried.

    Attributes:
        name: The setting on one line.
        trials: How many.
        by_data: Mean AUROC over seeds, on calibration and on test images, by data set.
        ranks: Its place, by data set.
        milliseconds: Of the model per image, measured when nothing else ran, by data set; only where it was.
        size_mib: Mean over seeds, by data set; only where known.
    """

    name: str
    trials: int
    by_data: Mapping[str, tuple[float, float | None]]
    ranks: Mapping[str, float]
    milliseconds: Mapping[str, float]
    size_mib: Mapping[str, float]


def merge(trials: Sequence[SweptTrial]) -> list[Merged]:
    """Merge trials that differ in data, seed and fold alone.

    Those on more data sets first, then by their places on the data sets in order: nothing is averaged over data sets.
    """
    groups: dict[tuple[tuple[str, str], ...], list[SweptTrial]] = defaultdict(list)
    for trial in trials:
        groups[tuple(trial.setting.items())].append(trial)
    data = list(dict.fromkeys(trial.data for trial in trials))
    merged = [_merged(group) for group in groups.values()]
    return sorted(merged, key=lambda one: (-len(one.by_data), [one.ranks.get(name, float("inf")) for name in data]))


def best_of(merged: Sequence[Merged], data: str) -> Merged | None:
    """Return the first setting on a data set; None where none could be ranked there."""
    return min((one for one in merged if data in one.ranks), key=lambda one: one.ranks[data], default=None)


def _merged(group: Sequence[SweptTrial]) -> Merged:
    by_data = {name: [trial for trial in group if trial.data == name] for name in _names(group)}
    figures = {
        name: (
            fmean(trial.calibration[0] for trial in own if trial.calibration is not None),
            mean([trial.test and trial.test[0] for trial in own]),
        )
        for name, own in by_data.items()
    }
    ranks = {name: min((one.rank for one in own if one.rank), default=None) for name, own in by_data.items()}
    return Merged(
        name=group[0].name,
        trials=len(group),
        by_data=figures,
        ranks={name: -figures[name][0] if rank is None else float(rank) for name, rank in ranks.items()},
        milliseconds=_known({name: mean([trial.alone for trial in own]) for name, own in by_data.items()}),
        size_mib=_known({name: mean([trial.size_mib for trial in own]) for name, own in by_data.items()}),
    )


def _names(trials: Sequence[SweptTrial]) -> list[str]:
    return list(dict.fromkeys(trial.data for trial in trials))


def _known(values: Mapping[str, float | None]) -> dict[str, float]:
    return {name: value for name, value in values.items() if value}


def mean(values: Sequence[float | None]) -> float | None:
    """Return the mean of the values that are known; None where none is."""
    known = [value for value in values if value is not None]
    return fmean(known) if known else None
