"""All folds as one test: what became of each image, and the rates of these verdicts with their intervals.

Scores of different folds come from different networks and cannot be ranked together, so there is no pooled AUROC; each
verdict rests on its own fold's threshold, and verdicts can be counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from callbacks.measures.images import RATES, image_estimates
from callbacks.measures.plain import plain
from callbacks.report.facts import Confusion, confusion, verdict
from datamodules.files.csv_text import bare, map_texts

from .run_files import PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from callbacks.statistics.bootstrap import Estimate, Resampling

    from .run_folder import RunFolder

PART, SEED = "part", "seed"


class Pooled(NamedTuple):
    """All folds of all seeds.

    Attributes:
        predictions: As in the parts' predictions.csv, with ``part`` and ``seed``; of one seed, each image once.
        by_seed: What became of the images with each seed.
        rates: ``image_recall`` and so on, over all seeds, from whole groups.
    """

    predictions: pd.DataFrame
    by_seed: dict[int, Confusion]
    rates: dict[str, Estimate]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as in metrics.json."""
        counts = {
            str(seed): {"found": one.tp, "missed": one.fn, "false_alarms": one.fp, "passed": one.tn}
            for seed, one in self.by_seed.items()
        }
        return {"by_seed": counts, **{name: plain(rate) for name, rate in self.rates.items()}}

    def sentence(self) -> str:
        """Say what became of all images."""
        counts = list(self.by_seed.values())
        if len(counts) == 1:
            return f"All folds together: {_lowered(verdict(counts[0]))}"
        worst, best = min(counts, key=lambda one: one.tp), max(counts, key=lambda one: one.tp)
        fewest, most = min(one.fp for one in counts), max(one.fp for one in counts)
        found = _span(worst.tp, best.tp)
        return (
            f"All folds together, by seed: finds {found} of {best.defective:,} defective images and raises "
            f"{_span(fewest, most)} false alarms among {best.good:,} good ones."
        )


def pool(parts: Sequence[tuple[str, int, RunFolder]], resampling: Resampling) -> Pooled:
    """Pool the folds of one or several seeds.

    Args:
        parts: Name, seed and run of each.
        resampling: How to draw the intervals; whole groups, in which an image of several seeds stays one.
    """
    predictions = pd.concat([_read(*part) for part in parts], ignore_index=True)
    by_seed = {int(str(seed)): confusion(rows) for seed, rows in predictions.groupby(SEED)}
    estimates = image_estimates(predictions.astype({"score": float}), resampling)
    return Pooled(predictions, by_seed, {f"image_{name}": estimates[f"image_{name}"] for name in RATES})


def _read(name: str, seed: int, run: RunFolder) -> pd.DataFrame:
    table = read_predictions(run.path / PREDICTIONS)
    table.insert(0, PART, name)
    table.insert(1, SEED, seed)
    return table


def read_predictions(path: Path) -> pd.DataFrame:
    """Read predictions.csv; names, groups and kinds are words."""
    table = pd.read_csv(path, dtype={"group": str, "kind": str, "name": str})
    return map_texts(table.fillna({"group": "", "kind": ""}), bare)


def by_rate(rates: Mapping[str, Estimate]) -> list[tuple[str, Estimate]]:
    """Recall and false-positive rate, as a page shows them, where they are defined."""
    named = (("recall", rates["image_recall"]), ("false-positive rate", rates["image_fpr"]))
    return [(name, rate) for name, rate in named if rate.value == rate.value]


def _span(low: int, high: int) -> str:
    return f"{low:,}" if low == high else f"{low:,} to {high:,}"


def _lowered(sentence: str) -> str:
    return f"{sentence[:1].lower()}{sentence[1:]}"
