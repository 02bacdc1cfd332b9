"""A small, complete report that tests can bend."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from callbacks.measures.atlas import Atlas
from callbacks.measures.examples import Category, Example
from callbacks.measures.figures import DefectFigures, Examples
from callbacks.report.content import ReportContent
from callbacks.report.embeddings import embedding_maps
from callbacks.statistics.threshold_table import precision_recall_f1

THRESHOLD = 3.0


def example(category: Category, name: str, seed: int, *, marked: bool = True) -> Example:
    rng = np.random.default_rng(seed)
    mask = np.zeros((48, 64), dtype=bool)
    mask[10:20, 30:45] = True
    return Example(
        category=category,
        name=name,
        score=float(rng.uniform(0, 6)),
        image=rng.integers(0, 255, (48, 64, 3), dtype=np.uint8),
        anomaly_map=rng.uniform(0, 6, (48, 64)).astype(np.float32),
        mask=mask if marked else None,
        predicted_mask=mask[::-1] if marked else None,
        kind="M6",
        defect="scratch" if marked else "",
    )


def predictions_of(good: int, defective: int, unknown: int = 0) -> pd.DataFrame:
    rng = np.random.default_rng(good + defective)
    label = np.repeat([0, 1, -1], [good, defective, unknown])
    score = rng.normal(np.where(label == 1, 4, 2), 1).astype(np.float32).astype(np.float64)
    return pd.DataFrame(
        {
            "name": [f"test/{index:04}.png" for index in range(label.size)],
            "image_path": "",
            "label_index": label,
            "score": score,
            "verdict": np.where(score >= THRESHOLD, "defective", "good"),
            "kind": np.where(np.arange(label.size) % 2, "M4", "M6"),
            "group": "",
            "defect": np.where(label == 1, np.where(np.arange(label.size) % 3, "scratch", "dent"), ""),
        }
    )


class Contents:
    """Builds contents; a class only because fixtures hand out one thing."""

    example = staticmethod(example)
    predictions = staticmethod(predictions_of)

    @staticmethod
    def build(good: int = 22, defective: int = 9, unknown: int = 0) -> ReportContent:
        predictions = predictions_of(good, defective, unknown)
        estimate = {"value": 0.9, "low": 0.8, "high": 0.95}
        names = ("image_auroc", "image_ap", "image_f1", "image_recall", "image_fpr", "pixel_auroc", "pixel_aupro_0.3")
        return ReportContent(
            title="screw, PatchCore",
            metrics={"test": dict.fromkeys(names, estimate), "baseline": {"separability": estimate}},
            predictions=predictions,
            tables={"sweep": precision_recall_f1(predictions["score"], predictions["label_index"])},
            calibration={
                level: {
                    "value": THRESHOLD,
                    "policy": "F1(beta=1.0)",
                    "promise": "It gives the best F1.",
                    "n_good": 30,
                    "n_defective": 4,
                    "fallback": False,
                }
                for level in ("image", "pixel")
            },
            calibration_scores=predictions_of(30, 4)[["score", "label_index"]],
            counts=pd.DataFrame({"good": [30, 22], "defective": [4, 9]}, index=["calibration", "test"]),
            excluded=pd.DataFrame([["a.png", "is empty", "copy it again"]], columns=["path", "problem", "remedy"]),
            environment={
                "started": "2025-01-31T12:34:56+00:00",
                "command": "loupe train data=screw",
                "weights": {"name": "mobilenet", "sha256": "ab12"},
                "packages": {"torch": "2.10"},
            },
            config="seed: 0\n",
            map_range=(0.0, 6.0),
            warnings=("The features are untrained.",),
            figures=[
                Examples((example("miss", "test/0001.png", 1), example("pass", "test/0002.png", 2, marked=False)))
            ],
        )

    @staticmethod
    def with_atlas(content: ReportContent) -> ReportContent:
        """Thumbnails of noise in the colour of the label, and maps of embeddings that follow the score."""
        rng = np.random.default_rng(0)
        rows = content.predictions
        noise = rng.integers(0, 90, (len(rows), 24, 32, 3), dtype=np.uint8)
        noise[..., 0] += (80 * (rows["label_index"].to_numpy() == 1)).astype(np.uint8)[:, None, None]
        embedding = (rows["score"].to_numpy()[:, None] + rng.normal(0, 1, (len(rows), 8))).astype(np.float32)
        atlas = Atlas(tuple(rows["name"]), noise, embedding)
        return replace(content, figures=[*content.figures, atlas], maps=embedding_maps(embedding))

    @staticmethod
    def with_defects(content: ReportContent) -> ReportContent:
        """Marked defects of many sizes, the larger ones found, and a heat map."""
        rng = np.random.default_rng(0)
        side = np.exp(rng.uniform(1, 5, 60))
        marked = pd.DataFrame({"side": side, "found": rng.uniform(0, 60, 60) < side})
        heat = np.zeros((48, 64), dtype=np.int64)
        heat[10:20, 30:45] = 7
        return replace(content, figures=[*content.figures, DefectFigures(marked, heat)])


@pytest.fixture
def contents() -> type[Contents]:
    return Contents
