"""Repeated trainings: seeds, folds or both as one run, whose finished parts are kept when it is killed."""

from __future__ import annotations

import shlex
import shutil
import sys
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd
from omegaconf import DictConfig, OmegaConf

from callbacks.report import facts
from callbacks.report.repeats import RepeatsContent, headline, render_repeats
from callbacks.report.wording import plural
from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.spread import Spread, spread
from datamodules.files.csv_text import csv_text
from datamodules.table import TEST, read_table
from tools.errors import ConfigError
from tools.signals import keeping_note

from .course import SECTION
from .environment import describe_command
from .ownership import owned
from .pooling import Pooled, by_rate, pool
from .reporting import subject
from .resuming import resume
from .run_files import CONFIG, ENVIRONMENT, METRICS, PREDICTIONS, REPORT, THRESHOLDS
from .run_folder import RunFolder
from .run_state import note_state, state_of
from .training import train

if TYPE_CHECKING:
    from collections.abc import Sequence

FEWEST_SEEDS = 3
TWO_SEEDS = (
    "Two seeds give no interval: two values say next to nothing of how far a third would lie; set repeat=3 or more, "
    "better 5."
)
FINISHED = (METRICS, PREDICTIONS, THRESHOLDS)
MOST_TRAININGS = 1000  # of one command: more is a slip of the finger, and each is composed before the first begins


@dataclass(frozen=True)
class Part:
    """One training of several.

    Attributes:
        name: Of its folder: ``seed-3``, ``fold-2``, or ``seed-3-fold-2``.
        config: Resolved; a run of its own.
        overrides: What sets it apart from the others.
    """

    name: str
    config: DictConfig
    overrides: tuple[str, ...]


def train_repeatedly(config: DictConfig, overrides: Sequence[str] = (), begun: RunFolder | None = None) -> RunFolder:
    """Train every part that has not been finished, then sum up.

    With ``begun``, or an ``id`` of a repeated run that was stopped, its finished parts are kept, and the others go on.

    Args:
        config: Composed, with ``repeat`` or ``folds``.
        overrides: That it was composed with.
        begun: The run to go on with, which knows its own overrides; None: that of ``config.id``, or a new one.

    Raises:
        ConfigError: A value is wrong, or the id belongs to a run with other settings.
        DataError: The data cannot be used.
    """
    _check(config)
    parent = begun or _open_or_create(config, overrides)
    if begun is not None and state_of(begun) == "finished":
        print(f"{parent.path} is finished; nothing was changed.")
        return parent
    print(f"Run {parent.path}")
    parts = parts_of(config, parent)
    try:
        with owned(parent.path), keeping_note(lambda: f"go on with: loupe train resume={parent.path}"):
            _train_parts(parent, parts)
            _sum_up(config, parent, [part.name for part in parts])
            note_state(parent, "finished")
    except ValueError:  # what the user gave: where no part of it ever ran, nothing is left
        if begun is None and not any(parent.path.glob(f"*/{CONFIG}")):
            shutil.rmtree(parent.path, ignore_errors=True)
        raise
    return parent


def _train_parts(parent: RunFolder, parts: Sequence[Part]) -> None:
    shared = parent.read_json(ENVIRONMENT).get("overrides", [])
    for number, part in enumerate(parts, 1):
        if is_finished(parent, part):
            print(f"{part.name} ({number} of {len(parts)}): finished already, kept")
            continue
        print(f"{part.name} ({number} of {len(parts)})")
        begun = RunFolder(parent.path / part.name)
        if begun.config.is_file():
            if state_of(begun) == "finished":
                note_state(begun, "testing")  # a file of it is gone
            resume(begun, begun.load_config())
        else:
            shutil.rmtree(begun.path, ignore_errors=True)  # nothing had begun
            train(part.config, overrides=[*shared, *part.overrides])


def parts_of(config: DictConfig, parent: RunFolder) -> list[Part]:
    """Return the trainings that a config with ``repeat`` and ``folds`` asks for."""
    parts = []
    for seed in range(config.seed, config.seed + config.repeat):
        for fold in range(1, (config.folds or 1) + 1):
            own = config.copy()
            own.seed = seed
            if config.folds:
                own.data.folds, own.data.fold = config.folds, fold
            OmegaConf.resolve(own)  # before out changes, since data may lie below it
            words = [f"seed-{seed}"] * (config.repeat > 1) + [f"fold-{fold}"] * bool(config.folds)
            name = "-".join(words)
            own.update({"repeat": 1, "folds": None, "name": parent.path.name, "id": name})
            own.out = str(parent.path.parent)
            apart = [f"seed={seed}"] * (config.repeat > 1) + [f"data.fold={fold}"] * bool(config.folds)
            parts.append(Part(name, own, tuple(apart)))
    return parts


def is_finished(parent: RunFolder, part: Part) -> bool:
    """Tell whether a part has all that its training would leave."""
    files = [*FINISHED, *([REPORT] if part.config.get("report", True) else [])]
    run = RunFolder(parent.path / part.name)
    return all((run.path / name).is_file() for name in files) and state_of(run) == "finished"


def _check(config: DictConfig) -> None:
    if config.repeat < 1 or (config.folds is not None and config.folds < 2):
        raise ConfigError(
            f"Expected repeat to be at least 1 and folds at least 2 or null, but found {config.repeat} and "
            f"{config.folds}."
        )
    if (trainings := config.repeat * (config.folds or 1)) > MOST_TRAININGS:
        raise ConfigError(
            f"Expected repeat and folds to ask for at most {MOST_TRAININGS} trainings together, but found {trainings}."
        )
    if config.folds and config.data.folds:
        raise ConfigError("Expected either folds or data.folds, but found both; data.folds is for a single fold.")


def _open_or_create(config: DictConfig, overrides: Sequence[str]) -> RunFolder:
    """Go on with the repeated run of this id, or make a new one."""
    settings = OmegaConf.to_yaml(config, resolve=True)
    if config.id:
        asked = RunFolder.at(config)
        if asked.config.is_file():
            if asked.config.read_text(encoding="utf-8") != settings:
                raise ConfigError(
                    f"Expected the settings of {asked.path} to go on with it, but found others; its {CONFIG} has "
                    "them. For a new run, choose another id=."
                )
            return asked
    parent = RunFolder.create(config)
    parent.write_text(CONFIG, settings)
    parent.write_json(ENVIRONMENT, {"state": "training", **describe_command(), "overrides": [*overrides]})
    return parent


def _sum_up(config: DictConfig, parent: RunFolder, names: Sequence[str]) -> None:
    """Write metrics.json, summary.csv and the page of all parts."""
    runs = [RunFolder(parent.path / name) for name in names]
    metrics = [run.read_json(METRICS)["test"] for run in runs]
    confidence = float(config.callbacks.evaluation.confidence)
    share = tested_share([read_table(run.samples) for run in runs])
    keys = dict.fromkeys(key for one in metrics for key in one)
    values = {key: [(one.get(key) or {}).get("value") for one in metrics] for key in keys}
    minimum = 2 if config.folds else FEWEST_SEEDS
    spreads = {key: spread(found, share, confidence, minimum=minimum) for key, found in values.items()}
    pooled = _pool(config, names, runs) if config.folds else None
    summed = {"test": {key: one.to_dict() for key, one in spreads.items()}, "parts": [*names]}
    parent.write_json(METRICS, summed | ({} if pooled is None else {"pooled": pooled.to_dict()}))
    parent.write_text("summary.csv", csv_text(summary(spreads, names)))
    if pooled is not None:
        parent.write_text(PREDICTIONS, csv_text(pooled.predictions))
    content = RepeatsContent(
        title=f"{config.choices.model} on {subject(config)}",
        what=_what(config),
        spreads=spreads,
        parts=[(run.path.name, _address(run)) for run in runs],
        verdicts=[facts.verdict(facts.confusion(pd.read_csv(run.path / PREDICTIONS))) for run in runs],
        notes=_notes(config, runs),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=shlex.join(["loupe", *sys.argv[1:]]),
        confidence=confidence,
        pooled="" if pooled is None else pooled.sentence(),
        rates=() if pooled is None else tuple(by_rate(pooled.rates)),
    )
    path = parent.write_text(REPORT, render_repeats(content))
    for sentence in (*_doubts(runs), headline(content), content.pooled):
        if sentence:
            print(sentence)
    print(f"Report {path}")


def _pool(config: DictConfig, names: Sequence[str], runs: Sequence[RunFolder]) -> Pooled:
    seeds = [int(run.load_config().seed) for run in runs]
    evaluation = config.callbacks.evaluation
    resampling = Resampling(evaluation.resamples, float(evaluation.confidence), config.seed)
    return pool(list(zip(names, seeds, runs, strict=True)), resampling)


def _address(run: RunFolder) -> str:
    """Tell where the page of a part is, seen from the page of all; empty where there is none."""
    there = (run.path / REPORT).is_file()
    return f"../{run.path.name}/{REPORT}" if there else ""


def tested_share(samples: Sequence[pd.DataFrame]) -> float:
    """Test images for each image that was not tested, over all parts."""
    tested = sum(int((table["split"] == TEST).sum()) for table in samples)
    return tested / max(1, sum(len(table) for table in samples) - tested)


def summary(spreads: dict[str, Spread], names: Sequence[str]) -> pd.DataFrame:
    """Return one row for each figure: mean, deviation, interval, and the value of every part."""
    rows: list[dict[str, Any]] = []
    for key, found in spreads.items():
        row = {"metric": key, "mean": found.value, "std": found.std, "low": found.low, "high": found.high}
        rows.append(row | dict(zip(names, found.parts, strict=True)))
    return pd.DataFrame(rows)


def _what(config: DictConfig) -> str:
    seeds, folds = plural(config.repeat, "seed"), plural(config.folds or 1, "fold")
    return f"{seeds} of {folds}" if config.repeat > 1 and config.folds else folds if config.folds else seeds


def _notes(config: DictConfig, runs: Sequence[RunFolder]) -> list[str]:
    """Say what the spread is of."""
    notes = _doubts(runs)
    if config.repeat == 2 and not config.folds:
        notes.append(TWO_SEEDS)
    hashes = {tuple(read_table(run.samples).query("split == 'test'")["sha256"]) for run in runs}
    if len(runs) > 1 and len(hashes) == 1:
        notes.append(
            "All parts were tested on the same pictures, since the data brings its own test split: the spread is that "
            "of training alone, and says nothing about other pictures."
        )
    if config.folds:
        notes.append("Folds divide all pictures anew, groups whole; splits that the data brings play no part.")
    return notes


def _doubts(runs: Sequence[RunFolder]) -> list[str]:
    """Name the parts whose networks show signs that they did not learn."""
    stuck = [run.path.name for run in runs if run.read_json(METRICS).get(SECTION, {}).get("learned") is False]
    if not stuck:
        return []
    parts = f"{len(stuck)} of {len(runs)} parts: {', '.join(stuck)}"
    return [f"THE NETWORK DID NOT LEARN, or no more than brightness, in {parts}; their {METRICS} says why."]
