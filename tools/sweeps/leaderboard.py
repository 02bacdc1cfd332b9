"""The leaderboard: every trial of a sweep, ranked; and the best by any metric."""

from __future__ import annotations

import csv
import io
from collections import Counter
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

from tools.config import nearest
from tools.errors import ConfigError

from .journal import JOURNAL, Trial, read_trials

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

OBJECTIVE = "calibration/objective"
PLAIN = ("milliseconds_per_picture", "checkpoint_mib")
LOWER_IS_BETTER = frozenset({"fpr", "brier", "ece", "milliseconds", "mib", "seconds"})
"""Words in the names of metrics."""
_FEWEST_ROWS = 3  # of each of several data sets
STATES = ("complete", "pruned", "failed")
DATA_KEYS = ("data", "data.root", "data.domain", "data.kind")
"""What says which data set a trial had: figures of different pictures cannot be compared."""


@dataclass(frozen=True)
class Leaderboard:
    """Trials in the order of their objectives: complete ones, then pruned, then failed.

    Attributes:
        trials: Best first.
        keys: What differs between them.
        metrics: Names of what was measured on test pictures.
    """

    trials: tuple[Trial, ...]
    keys: tuple[str, ...]
    metrics: tuple[str, ...]

    @classmethod
    def of(cls, trials: Iterable[Trial]) -> Leaderboard:
        """Rank trials."""
        ranked = sorted(trials, key=lambda trial: (STATES.index(trial.state), _descending(trial.objective)))
        keys = dict.fromkeys(key for trial in ranked for key in trial.setting)
        metrics = dict.fromkeys(name for trial in ranked for name in trial.result.get("metrics", {}))
        return cls(tuple(ranked), tuple(key for key in keys if _differs(ranked, key)), tuple(metrics))

    def csv(self) -> str:
        """Write the table: one row per trial, every metric with its interval."""
        stream = io.StringIO()
        ends = [f"{name}{end}" for name in self.metrics for end in ("", "_low", "_high")]
        columns = ["rank", "id", "state", *self.keys, "objective", "objective_low", "objective_high", *ends, *PLAIN]
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([*columns, "seconds", "batch_size"])
        for rank, trial in zip(self._ranks(), self.trials, strict=True):
            found, measured = trial.result, trial.result.get("metrics", {})
            row: list[object] = [rank, trial.id, trial.state, *(trial.setting.get(key, "") for key in self.keys)]
            row += [found.get(name) for name in ("objective", "objective_low", "objective_high")]
            row += [measured.get(name, {}).get(part) for name in self.metrics for part in ("value", "low", "high")]
            row += [*(found.get(name) for name in PLAIN), trial.seconds, trial.batch_size]
            writer.writerow(["" if value is None else value for value in row])
        return stream.getvalue()

    def text(self, count: int) -> str:
        """Write the first rows for a terminal; of several data sets, the first of each, one set after the other."""
        shown = [name for name in ("image_auroc", "image_f1", "pixel_aupro_0.3") if name in self.metrics]
        head = ["", "id", "objective", *(f"test {name}" for name in shown), "ms", *self.keys]
        places = list(zip(self._ranks(), self.trials, strict=True))
        sets = list(dict.fromkeys(map(self._data, self.trials)))
        most = count if len(sets) < 2 else max(_FEWEST_ROWS, count // len(sets))
        blocks = [[one for one in places if self._data(one[1]) == data][:most] for data in sets]
        rows = [head, *(self._row(rank, trial, shown) for block in blocks for rank, trial in block)]
        widths = [max(len(row[column]) for row in rows) for column in range(len(head))]
        lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
        for end in accumulate(map(len, blocks[:-1])):
            lines[end] += "\n"  # a blank line between data sets
        more = len(self.trials) - sum(map(len, blocks))
        return "\n".join(lines + ([f"... and {more} more in leaderboard.csv"] if more > 0 else []))

    def _row(self, rank: int, trial: Trial, metrics: Sequence[str]) -> list[str]:
        objective = "failed" if trial.state == "failed" else _written(trial.objective)
        speed = value_of(trial, PLAIN[0])
        return [
            str(rank),
            trial.id,
            objective + (" pruned" if trial.state == "pruned" else ""),
            *(_written(value_of(trial, f"test/{name}")) for name in metrics),
            "" if speed is None else f"{speed:.1f}",
            *(trial.setting.get(key, "-") for key in self.keys),
        ]

    def _ranks(self) -> list[int]:
        """The place of every trial among those of its data set."""
        seen: Counter[tuple[str | None, ...]] = Counter()
        ranks = []
        for data in map(self._data, self.trials):
            seen[data] += 1
            ranks.append(seen[data])
        return ranks

    def _data(self, trial: Trial) -> tuple[str | None, ...]:
        return tuple(trial.setting.get(key) for key in self.keys if key in DATA_KEYS)


def best_trial(trials: Sequence[Trial], metric: str = OBJECTIVE) -> Trial:
    """Find the best complete trial.

    Args:
        trials: Of a sweep.
        metric: ``calibration/objective``, a test metric such as ``image_auroc`` (picking by one is optimistic: the test
            pictures then no longer judge, they choose), ``milliseconds_per_picture`` or ``checkpoint_mib``.

    Raises:
        ConfigError: No trial has this metric; names the nearest.
    """
    known = {trial.id: value for trial in trials if (value := value_of(trial, metric)) is not None}
    found = [trial for trial in trials if trial.state == "complete" and trial.id in known]
    if not found:
        names = {name for trial in trials for name in trial.result.get("metrics", {})} | {OBJECTIVE, *PLAIN}
        near = nearest(metric.removeprefix("test/"), names)
        hint = f"did you mean {near!r}?" if near and near != metric else f"there are: {', '.join(sorted(names))}."
        raise ConfigError(f"Expected a finished trial with {metric}, but found none among {len(trials)}; {hint}")
    sign = 1 if LOWER_IS_BETTER.intersection(metric.rpartition("/")[2].split("_")) else -1
    return min(found, key=lambda trial: sign * known[trial.id])


def best_run(folder: str | Path, metric: str = OBJECTIVE) -> Path:
    """Find the folder of the best run of a sweep; see ``best_trial``.

    Raises:
        ConfigError: There is no sweep, or no such run.
    """
    folder = existing_sweep(folder)
    trial = best_trial(list(read_trials(folder).values()), metric)
    return folder / "trials" / trial.id


def existing_sweep(folder: str | Path) -> Path:
    """Return the folder of a sweep, absolute.

    Raises:
        ConfigError: It is none.
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


def _differs(trials: Sequence[Trial], key: str) -> bool:
    return len({trial.setting.get(key) for trial in trials}) > 1


def _descending(value: float | None) -> float:
    return float("inf") if value is None else -value


def _written(value: float | None) -> str:
    return "-" if value is None else f"{value:.4f}"
