"""The heavy half of ``loupe compare``."""

from __future__ import annotations

import shlex
import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from omegaconf import OmegaConf

from callbacks.measures.plain import plain
from callbacks.report.compare import CompareContent, Contender, render_comparison, verdict
from callbacks.report.facts import threshold_of
from callbacks.report.wording import plural
from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.comparison import Comparison, compare
from datamodules.files.csv_text import csv_text
from datamodules.progress import working
from datamodules.samples.held import read_earlier
from datamodules.table import DEFECTIVE, GOOD, TRAIN

from .disputes import disputed_rows, predict_again
from .matching import common_images, differing_settings, on_test_images, read_run, trained_on_tests
from .reporting import subject
from .run_files import CONFIG, REPORT
from .run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

    from .matching import TestedRun

IGNORED = ("out", "name", "id", "run", "choices")
"""Settings that say where a run lies, not what it is."""


def compare_runs(config: DictConfig, folders: Sequence[RunFolder], held: Path | None = None) -> RunFolder:
    """Compare tested runs on the images that they share; write a page and tables.

    Args:
        config: Of the comparison.
        folders: Of the runs.
        held: Of a run on whose test images alone they are compared; None: on all that they share.

    Raises:
        ConfigError: A value is wrong.
        DataError: The runs have no labelled test image in common.
    """
    runs = [read_run(folder) for folder in folders]
    held_notes: list[str] = []
    if held is not None:
        runs, held_notes = on_test_images(runs, read_earlier(str(held)), held.name)
    images, judged, notes = common_images(runs)
    notes += held_notes
    notes += trained_on_tests(runs)
    label_N = images["label_index"].to_numpy(np.int64)
    defective, good = int((label_N == DEFECTIVE).sum()), int((label_N == GOOD).sum())
    if min(defective, good) < 30:
        notes.append(f"Only {defective} defective and {good} good pictures in common: read the intervals.")
    resampling = Resampling(config.resamples, config.confidence, config.seed)
    with working("comparing"):
        comparison = compare(judged, label_N, images["group"].to_numpy(str), resampling)
    disputed = disputed_rows(judged, label_N)
    disputes, more = predict_again(runs, images, judged, disputed[: config.examples].tolist())
    names = _short_names(folders)
    content = CompareContent(
        contenders=[_contender(index, run, names[index]) for index, run in enumerate(runs)],
        judged=judged,
        label_N=label_N,
        comparison=comparison,
        disputes=disputes,
        disputed=len(disputed),
        settings=differing_settings([_plain(run.config) for run in runs], IGNORED),
        warnings=[*notes, *more],
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=shlex.join(["loupe", *sys.argv[1:]]),
        confidence=config.confidence,
    )
    folder = RunFolder.create(config)
    folder.write_text(CONFIG, OmegaConf.to_yaml(config))
    folder.write_json("compare.json", as_values(comparison, names, len(images), content.warnings))
    folder.write_text("compare.csv", csv_text(as_table(comparison, names)))
    with working("writing the page"):
        path = folder.write_text(REPORT, render_comparison(content))
    for note in notes:
        print(note)
    print(f"{plural(len(images), 'common test picture')}. {verdict(content)}")
    print(f"Report {path}")
    return folder


def as_values(comparison: Comparison, names: Sequence[str], images: int, notes: Sequence[str]) -> dict[str, Any]:
    """Everything as plain values, for compare.json; null where undefined."""
    runs = [
        {"run": name, **{metric: plain(estimate) for metric, estimate in estimates.items()}}
        for name, estimates in zip(names, comparison.estimates, strict=True)
    ]
    pairs = [
        {
            "first": names[pair.first],
            "second": names[pair.second],
            "differences": {metric: plain(estimate) for metric, estimate in pair.differences.items()},
            "auroc_delong": {name: _number(value) for name, value in vars(pair.auroc).items()},
            "p_adjusted": _number(pair.p_adjusted),
            "agreement": vars(pair.agreement),
        }
        for pair in comparison.pairs
    ]
    return {"pictures": images, "notes": list(notes), "runs": runs, "pairs": pairs}


def as_table(comparison: Comparison, names: Sequence[str]) -> pd.DataFrame:
    """Return one row for each figure: of a run, or of the difference of two."""
    rows: list[dict[str, Any]] = []
    for name, estimates in zip(names, comparison.estimates, strict=True):
        rows += [{"run": name, "less": "", "metric": metric, **vars(one)} for metric, one in estimates.items()]
    for pair in comparison.pairs:
        for metric, one in pair.differences.items():
            row = {"run": names[pair.first], "less": names[pair.second], "metric": metric, **vars(one)}
            ranked = {"p": pair.auroc.p_value, "p_adjusted": pair.p_adjusted} if metric == "auroc" else {}
            rows.append(row | ranked)
    return pd.DataFrame(rows, columns=["run", "less", "metric", "value", "low", "high", "p", "p_adjusted"])


def _contender(index: int, run: TestedRun, name: str) -> Contender:
    threshold = threshold_of(run.calibration, "image")
    milliseconds = run.environment.get("milliseconds_per_picture")
    facts = {
        "trained on": str(int((run.samples["split"] == TRAIN).sum())),
        "threshold": "\N{EN DASH}" if threshold is None else f"{threshold['value']:.4g}",
        "by": "\N{EN DASH}" if threshold is None else str(threshold.get("policy", "")),
        "ms per picture": "\N{EN DASH}" if milliseconds is None else f"{milliseconds:g}",
    }
    return Contender(chr(ord("A") + index), f"{run.config.choices.model} on {subject(run.config)}", name, facts)


def _short_names(folders: Sequence[RunFolder]) -> list[str]:
    """Return paths of the runs without the part that all of them share."""
    paths = [folder.path for folder in folders]
    if len(set(paths)) < len(paths):
        return [f"{path.name} ({number})" for number, path in enumerate(paths, 1)]
    shared = Path(
        *[part for part, *others in zip(*(path.parts for path in paths), strict=False) if set(others) <= {part}]
    )
    short = [str(path.relative_to(shared)) if path.is_relative_to(shared) else str(path) for path in paths]
    return short if all(name != "." for name in short) else [path.name for path in paths]


def _plain(config: DictConfig) -> dict[str, Any]:
    values: dict[str, Any] = OmegaConf.to_container(config, resolve=False)  # type: ignore[assignment]  # keys are text
    return values


def _number(value: float) -> float | None:
    return None if np.isnan(value) else value
