"""Repeated trainings: every part a run, every picture tested once over the folds, finished parts kept."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

TINY = [
    "data=folder",
    "data.image_size=[48,48]",
    "data.num_workers=0",
    "callbacks.evaluation.examples=1",
    "backbone=resnet18",
    "backbone.weights=none",
    "callbacks.evaluation.resamples=20",
    "trainer=cpu",
]


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("runs")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Keys of a training on 24 noisy plates, 8 of them with a pit."""
    root, rng = tmp_path_factory.mktemp("plates"), np.random.default_rng(0)
    for index in range(24):
        plate = rng.normal(110, 8, (48, 48)).clip(0, 255).astype(np.uint8)
        name = "pit" if index < 8 else "good"
        if name == "pit":
            y, x = rng.integers(4, 36, 2)
            plate[y : y + 6, x : x + 6] = 180 + 8 * index
        (root / name).mkdir(exist_ok=True)
        assert cv2.imwrite(str(root / name / f"{index}.png"), plate)
    return [*TINY, f"data.root={root}"]


@pytest.fixture(scope="module")
def folds(out: Path, tiny: list[str]) -> Path:
    assert main(["train", *tiny, f"out={out}", "id=cv", "folds=2"]) == 0
    return out / "folder-patchcore" / "cv"


def test_every_part_is_a_run_and_every_picture_is_tested_once(folds: Path) -> None:
    tested = []
    for part in ("fold-1", "fold-2"):
        assert (folds / part / "report" / "index.html").is_file()
        assert (folds / part / "checkpoints" / "best.ckpt").is_file()
        samples = pd.read_csv(folds / part / "samples.csv")
        assert len(samples[["group", "split"]].drop_duplicates()) == samples["group"].nunique()
        tested += pd.read_csv(folds / part / "predictions.csv")["name"].tolist()
    assert len(tested) == len(set(tested)) == 24


def test_the_parent_has_mean_spread_and_interval(folds: Path) -> None:
    metrics = json.loads((folds / "metrics.json").read_text())
    parts = [json.loads((folds / part / "metrics.json").read_text())["test"] for part in metrics["parts"]]
    found = metrics["test"]["image_auroc"]
    values = [part["image_auroc"]["value"] for part in parts]
    assert found["parts"] == values
    assert found["value"] == pytest.approx(np.mean(values))
    assert found["std"] == pytest.approx(np.std(values, ddof=1))
    assert 0 <= found["low"] <= found["value"] <= found["high"] <= 1
    table = pd.read_csv(folds / "summary.csv").set_index("metric")
    assert table.loc["image_auroc", "fold-2"] == pytest.approx(values[1])


def test_the_page_links_to_reports_that_are_there(folds: Path) -> None:
    page = (folds / "report" / "index.html").read_text(encoding="utf-8")
    links = re.findall(r'<a href="([^"#]+)"', page)
    assert len(links) == 2
    assert all((folds / "report" / link).is_file() for link in links)
    assert "over 2 folds" in page


def test_a_stopped_run_goes_on_where_it_was(
    folds: Path, out: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    kept = (folds / "fold-1" / "metrics.json").stat().st_mtime_ns
    before = (folds / "metrics.json").read_bytes()
    (folds / "fold-2" / "sweep.csv").unlink()  # as if killed while the second part was tested
    best = (folds / "fold-2" / "checkpoints" / "best.ckpt").stat().st_mtime_ns
    assert main(["train", *tiny, f"out={out}", "id=cv", "folds=2"]) == 0
    assert "fold-1 (1 of 2): finished already, kept" in capsys.readouterr().out
    assert (folds / "fold-1" / "metrics.json").stat().st_mtime_ns == kept
    assert (folds / "fold-2" / "sweep.csv").is_file()
    assert (folds / "fold-2" / "checkpoints" / "best.ckpt").stat().st_mtime_ns == best  # it was trained already
    assert (folds / "metrics.json").read_bytes() == before


def test_an_id_with_other_settings_is_refused(
    folds: Path, out: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    del folds
    assert main(["train", *tiny, f"out={out}", "id=cv", "folds=3"]) == 2
    assert "to go on with it, but found others" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (["repeat=0"], "Expected repeat to be at least 1"),
        (["folds=1"], "folds at least 2 or null"),
        (["folds=2", "data.folds=2"], "either folds or data.folds"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(
    keys: list[str], message: str, tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *tiny, f"out={tmp_path}", *keys]) == 2
    assert message in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_seeds_and_folds_together(tiny: list[str], tmp_path: Path) -> None:
    assert main(["train", *tiny, f"out={tmp_path}", "id=both", "folds=2", "repeat=2", "seed=5"]) == 0
    parent = tmp_path / "folder-patchcore" / "both"
    names = json.loads((parent / "metrics.json").read_text())["parts"]
    assert names == ["seed-5-fold-1", "seed-5-fold-2", "seed-6-fold-1", "seed-6-fold-2"]
