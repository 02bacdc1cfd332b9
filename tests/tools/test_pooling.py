"""Folds pooled: counts by hand, by seed and together, and a sentence that holds for any of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, precision_score, recall_score

from callbacks.statistics.bootstrap import Resampling
from tools.runs.pooling import by_rate, pool
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from pathlib import Path


def write_part(root: Path, name: str, seed: int, first: int, labels: list[int]) -> tuple[str, int, RunFolder]:
    rng = np.random.default_rng(seed + first)
    score = rng.normal(size=len(labels))
    names = [f"{first + index}.png" for index in range(len(labels))]
    table = pd.DataFrame({"name": names, "label_index": labels, "score": score, "kind": "", "group": names})
    table["verdict"] = np.where(score > 0, "defective", "good")
    (root / name).mkdir(parents=True)
    table.to_csv(root / name / "predictions.csv", index=False)
    return name, seed, RunFolder(root / name)


def test_one_seed_counts_every_image_once(tmp_path: Path) -> None:
    parts = [write_part(tmp_path, f"fold-{fold}", 3, 20 * fold, [0] * 12 + [1] * 7 + [-1]) for fold in (1, 2, 3)]
    pooled = pool(parts, Resampling(200))
    rows = pooled.predictions[pooled.predictions["label_index"] >= 0]
    label, called = rows["label_index"], (rows["verdict"] == "defective").astype(int)
    for name, measure in (("recall", recall_score), ("precision", precision_score), ("f1", f1_score)):
        rate = pooled.rates[f"image_{name}"]
        assert rate.value == pytest.approx(measure(label, called))
        assert rate.low <= rate.value <= rate.high
    counts = pooled.to_dict()["by_seed"]["3"]
    assert counts["found"] + counts["missed"] == 21
    assert counts["false_alarms"] + counts["passed"] == 36
    assert pooled.sentence().startswith(f"All folds together: finds {counts['found']} of 21 defective")
    assert [name for name, _ in by_rate(pooled.rates)] == ["recall", "false-positive rate"]


def test_several_seeds_are_told_apart(tmp_path: Path) -> None:
    parts = [
        write_part(tmp_path, f"seed-{seed}-fold-{fold}", seed, 20 * fold, [0] * 12 + [1] * 8)
        for seed in (0, 1)
        for fold in (1, 2)
    ]
    pooled = pool(parts, Resampling(50))
    found = sorted(one["found"] for one in pooled.to_dict()["by_seed"].values())
    spans = {f"{found[0]} to {found[1]}", f"{found[0]}"}
    assert any(f"by seed: finds {span} of 16 defective images" in pooled.sentence() for span in spans)
    assert pooled.rates["image_recall"].value == pytest.approx(sum(found) / 32)


def test_good_images_alone_have_no_recall(tmp_path: Path) -> None:
    pooled = pool([write_part(tmp_path, "fold-1", 0, 0, [0] * 9)], Resampling(20))
    assert [name for name, _ in by_rate(pooled.rates)] == ["false-positive rate"]
    assert pooled.to_dict()["image_recall"]["value"] is None
