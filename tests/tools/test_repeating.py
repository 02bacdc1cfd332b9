"""Repeated trainings: every part a run, every image tested once over the folds, finished parts kept."""

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


def test_all_folds_together_say_what_became_of_each_image(
    folds: Path, out: Path, tiny: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    pooled = json.loads((folds / "metrics.json").read_text())["pooled"]
    parts = pd.concat([pd.read_csv(folds / part / "predictions.csv") for part in ("fold-1", "fold-2")])
    rows = pd.read_csv(folds / "predictions.csv")
    assert sorted(rows["name"]) == sorted(parts["name"])
    assert set(rows["part"]) == {"fold-1", "fold-2"}
    defective, called = parts["label_index"] == 1, parts["verdict"] == "defective"
    found, alarms = int((defective & called).sum()), int((~defective & called).sum())
    assert pooled["by_seed"] == {
        "0": {"found": found, "missed": 8 - found, "false_alarms": alarms, "passed": 16 - alarms}
    }
    recall = pooled["image_recall"]
    assert recall["value"] == pytest.approx(found / 8)
    assert recall["low"] <= recall["value"] <= recall["high"]
    assert "image_auroc" not in pooled  # scores of two networks have no common order
    assert f"finds {found} of 8 defective" in (folds / "report" / "index.html").read_text(encoding="utf-8")
    (folds / "environment.json").write_text('{"state": "testing"}')
    assert main(["train", *tiny, f"out={out}", "id=cv", "folds=2"]) == 0
    assert f"All folds together: finds {found} of 8 defective" in capsys.readouterr().out


def test_two_seeds_give_no_interval_and_that_is_said(
    tiny: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["train", *tiny, f"out={tmp_path}", "id=two", "repeat=2", "report=false"]) == 0
    parent = tmp_path / "folder-patchcore" / "two"
    metrics = json.loads((parent / "metrics.json").read_text())
    for found in metrics["test"].values():
        assert (found["low"], found["high"]) == (None, None)
        assert len(found["parts"]) == 2
    assert "pooled" not in metrics
    assert "with 2 seeds, which give no interval: set repeat=3 or more" in capsys.readouterr().out
    page = (parent / "report" / "index.html").read_text(encoding="utf-8")
    assert "Two seeds give no interval" in page
    assert "<a href=" not in page  # its parts have no pages


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
        (["repeat=1000000"], "at most 1000 trainings together, but found 1000000"),
        (["repeat=400", "folds=4"], "at most 1000 trainings together, but found 1600"),
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
