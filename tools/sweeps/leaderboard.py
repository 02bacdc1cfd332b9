"""The leaderboard: every trial of a sweep, ranked; and the best by any metric."""

from __future__ import annotations

import csv
import io
import itertools
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING

from datamodules.files.csv_text import LINE_END, Rows, guarded
from tools.configuring.config import nearest
from tools.errors import ConfigError

from .data_names import DATA_KEYS, Place, pick_data, place_of
from .failures import causes, reason
from .journal import ALONE, JOURNAL, Trial, read_trials
from .ranking import RULE, Ranked, rank_settings, setting_of, tie_break

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

OBJECTIVE = "calibration/objective"
PLAIN = ("milliseconds_per_picture", ALONE, "checkpoint_mib")
LOWER_IS_BETTER = frozenset({"fpr", "brier", "ece", "milliseconds", "mib", "seconds"})
"""Words in the names of metrics."""
_FEWEST_ROWS = 3  # of each of several data sets
STATES = ("complete", "pruned", "failed")


@dataclass(frozen=True)
class Leaderboard:
    """Trials in the order of their settings' mean objectives: complete ones, then pruned, then failed.

    Attributes:
        trials: Best first.
        keys: What differs between them.
        metrics: Names of what was measured on test images.
        settings: Of every data set, its settings, ranked; only those that can be.
        order: Number of every trial in the order in which they ended, from 1.
    """

    trials: tuple[Trial, ...]
    keys: tuple[str, ...]
    metrics: tuple[str, ...]
    settings: dict[str, list[Ranked]]
    order: dict[str, int]

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> Leaderboard:
        """Rank trials."""
        known = list(trials)
        order = {trial.id: number for number, trial in enumerate(known, start=1)}
        settings = rank_settings(known)
        places = _places(settings)
        ranked = sorted(
            known,
            key=lambda trial: (
                STATES.index(trial.state),
                places.get(trial.id, (len(known), 0.0, 0)),
                _descending(trial.objective),
            ),
        )
        keys = dict.fromkeys(key for trial in ranked for key in trial.setting)
        metrics = dict.fromkeys(name for trial in ranked for name in trial.result.get("metrics", {}))
        return cls(tuple(ranked), tuple(key for key in keys if _differs(ranked, key)), tuple(metrics), settings, order)

    def csv(self) -> str:
        """Write the table: one row per trial, every metric with its interval."""
        stream = io.StringIO()
        ends = [f"{name}{end}" for name in self.metrics for end in ("", "_low", "_high")]
        objectives = ["objective", "objective_low", "objective_high"]
        columns = ["rank", "id", "state", *self.keys, *objectives, "objective_mean", *ends, *PLAIN]
        writer = csv.writer(Rows(stream), lineterminator=LINE_END)
        writer.writerow([*columns, "seconds", "batch_size", "cause"])
        means = self._means()
        for rank, trial in zip(self.ranks(), self.trials, strict=True):
            found, measured = trial.result, trial.result.get("metrics", {})
            row: list[object] = [rank, trial.id, trial.state, *(trial.setting.get(key, "") for key in self.keys)]
            row += [*(found.get(name) for name in objectives), means.get(trial.id)]
            row += [measured.get(name, {}).get(part) for name in self.metrics for part in ("value", "low", "high")]
            row += [*(found.get(name) for name in PLAIN), trial.seconds, trial.batch_size]
            row.append(reason(trial) if trial.state == "failed" else "")
            writer.writerow(["" if value is None else _cell(value) for value in row])
        return stream.getvalue()

    def text(self, count: int) -> str:
        """Write the first rows for a terminal; of several data sets, the first of each, one set after the other.

        Milliseconds after ``~`` were taken while other trials ran.
        """
        shown = [name for name in ("image_auroc", "image_f1", "pixel_aupro_0.3") if name in self.metrics]
        means = self._means()
        repeated = any(len(one.trials) > 1 for ranked in self.settings.values() for one in ranked)
        head = ["", "id", "objective", *(["mean"] if repeated else []), *(f"test {name}" for name in shown), "ms"]
        places = list(zip(self.ranks(), self.trials, strict=True))
        sets = list(dict.fromkeys(map(place_of, self.trials)))
        most = count if len(sets) < 2 else max(_FEWEST_ROWS, count // len(sets))
        blocks = [[one for one in places if place_of(one[1]) == data][:most] for data in sets]
        rows = [[*head, *self.keys]]
        for rank, trial in itertools.chain(*blocks):
            row = self._row(rank, trial, shown)
            rows.append([*row[:3], *([_written(means.get(trial.id))] if repeated else []), *row[3:]])
        head = rows[0]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        for end in itertools.accumulate(map(len, blocks[:-1])):
            lines[end] += "\n"  # a blank line between data sets
        more = len(self.trials) - sum(map(len, blocks))
        return "\n".join(lines + ([f"... and {more} more in leaderboard.csv"] if more > 0 else []))

    def _row(self, rank: int, trial: Trial, metrics: Sequence[str]) -> list[str]:
        objective = "failed" if trial.state == "failed" else _written(trial.objective)
        beside, alone = value_of(trial, PLAIN[0]), trial.milliseconds_alone
        speed = "" if beside is None else f"~{beside:.1f}" if alone is None else f"{alone:.1f}"
        return [
            str(rank),
            trial.id,
            objective + (" pruned" if trial.state == "pruned" else ""),
            *(_written(value_of(trial, f"test/{name}")) for name in metrics),
            speed,
            *(trial.setting.get(key, "-") for key in self.keys),
        ]

    def ranks(self) -> list[int]:
        """Return the place of every trial's setting among those of its data set; what cannot be ranked follows."""
        last: Counter[Place] = Counter()
        groups: dict[tuple[Place, object], int] = {}
        ranked = _places(self.settings)
        ranks = []
        for trial in self.trials:
            place = place_of(trial)
            group = (place, setting_of(trial) if trial.id in ranked else trial.id)
            if group not in groups:
                last[place] += 1
                groups[group] = last[place]
            ranks.append(groups[group])
        return ranks

    def remarks(self, trial_id: str | None = None) -> list[str]:
        """Say how many settings share the first place, and by which rule one of them leads.

        Args:
            trial_id: Only where this trial leads; None: on every data set.
        """
        sentences = []
        for data, ranked in self.settings.items():
            first = ranked[0]
            if first.equals > 1 and trial_id in {None, first.shipped.id}:
                among = f"{data}: " if data else ""
                sentences.append(
                    f"{among}{first.equals} settings are equal at {_written(first.mean)}; first is {first.shipped.id}, "
                    f"by {RULE}."
                )
        return sentences

    def _means(self) -> dict[str, float]:
        settings = itertools.chain(*self.settings.values())
        return {trial.id: one.mean for one in settings for trial in one.trials}


def best_trial(trials: Sequence[Trial], metric: str = OBJECTIVE, data: str | None = None) -> Trial:
    """Find the best complete trial: of the setting with the best mean over seeds, by the rule of ``ranking``.

    Args:
        trials: Of a sweep.
        data: Name of the data set; None where there is one alone.
        metric: ``calibration/objective``, a test metric such as ``image_auroc`` (picking by one is optimistic: the test
            images then no longer judge, they choose), ``milliseconds_per_picture`` or ``checkpoint_mib``.

    Raises:
        ConfigError: No trial has this metric, or it is not said which data set is meant; names the nearest.
    """
    trials = pick_data(trials, data)
    if metric in {OBJECTIVE, "objective"} and (ranked := rank_settings(trials)):
        return next(iter(ranked.values()))[0].shipped
    known = {trial.id: value for trial in trials if (value := value_of(trial, metric)) is not None}
    found = [trial for trial in trials if trial.state == "complete" and trial.id in known]
    if not found and metric in {OBJECTIVE, "objective"}:
        raise ConfigError(_unranked(trials))
    if not found:
        names = _metrics(trials)
        near = nearest(metric.removeprefix("test/"), names)
        hint = f"did you mean {near!r}?" if near and near != metric else f"there are: {', '.join(sorted(names))}."
        raise ConfigError(f"Expected a finished trial with {metric}, but found none among {len(trials)}; {hint}")
    sign = 1 if LOWER_IS_BETTER.intersection(metric.rpartition("/")[2].split("_")) else -1
    means: dict[tuple[tuple[str, str], ...], list[float]] = defaultdict(list)
    for trial in found:
        means[setting_of(trial)].append(sign * known[trial.id])
    return min(
        found, key=lambda trial: (round(fmean(means[setting_of(trial)]), 9), sign * known[trial.id], tie_break(trial))
    )


def _metrics(trials: Sequence[Trial]) -> set[str]:
    return {name for trial in trials for name in trial.result.get("metrics", {})} | {OBJECTIVE, *PLAIN}


def _unranked(trials: Sequence[Trial]) -> str:
    """Say why none of some trials can be ranked, and what to do about it."""
    if not trials:
        return "Expected a finished trial, but found none yet."
    failed = causes(trials)
    if sum(cause.trials for cause in failed) == len(trials):
        return f"Expected a finished trial, but all {len(trials)} failed: {failed[0].sentence}"
    others = ", ".join(sorted(_metrics(trials) - {OBJECTIVE}))
    return (
        f"Expected a trial whose calibration images are good and defective, since they rank, but found none among "
        f"{len(trials)}; set data.calibration_from=test or add defective images, or choose by metric=: {others}."
    )


def best_run(folder: str | Path, metric: str = OBJECTIVE, data: str | None = None) -> Path:
    """Find the folder of the best run of a sweep; see ``best_trial``.

    Raises:
        ConfigError: There is no sweep, or no such run.
    """
    folder = existing_sweep(folder)
    trial = best_trial(list(read_trials(folder).values()), metric, data)
    return folder / "trials" / trial.id


def existing_sweep(folder: str | Path) -> Path:
    """Return the folder of a sweep, absolute.

    Raises:
        ConfigError: It is not one.
    """
    path = Path(folder).expanduser().resolve()
    if not (path / JOURNAL).is_file():
        raise ConfigError(f"Expected the folder of a sweep, with {JOURNAL}, but found none at {folder}.")
    return path


def read(folder: str | Path) -> Leaderboard:
    """Read the leaderboard of a sweep, at any moment.

    Raises:
        ConfigError: There is no sweep.
    """
    return Leaderboard.of(read_trials(existing_sweep(folder)).values())


def value_of(trial: Trial, metric: str) -> float | None:
    """Read a metric of a trial; None where it has none."""
    if metric in {OBJECTIVE, "objective"}:
        return trial.objective
    if metric in PLAIN:
        value = trial.result.get(metric)
    else:
        value = trial.result.get("metrics", {}).get(metric.removeprefix("test/"), {}).get("value")
    return None if value is None else float(value)


def _places(settings: Mapping[str, Sequence[Ranked]]) -> dict[str, tuple[int, float, int]]:
    """Say of every trial that can be ranked where it stands: its setting's place and mean, and its own within it."""
    return {
        trial.id: (place, -one.mean, index)
        for ranked in settings.values()
        for place, one in enumerate(ranked)
        for index, trial in enumerate(one.trials)
    }


def _cell(value: object) -> object:
    """Guard a text; of a setting, a number is a number, even where it stands as text."""
    try:
        float(str(value))
    except ValueError:
        return guarded(value)
    return value


def _differs(trials: Sequence[Trial], key: str) -> bool:
    """Tell whether a key tells trials apart; not where data sets that know it share one value, and others do not."""
    values = {trial.setting.get(key) for trial in trials}
    if key in DATA_KEYS or len(values - {None}) > 1:
        return len(values) > 1
    return len(values) > 1 and len({(place_of(trial), trial.setting.get(key)) for trial in trials}) > len(
        {place_of(trial) for trial in trials}
    )


def _descending(value: float | None) -> float:
    return float("inf") if value is None else -value


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
