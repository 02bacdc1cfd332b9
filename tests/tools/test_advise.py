"""``loupe advise``: what labels would bring a run, told with intervals; nothing of the run is changed."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from callbacks.statistics.crossed import Judged, gain, make_folds, measure
from tests.conftest import draw_plate
from tools.cli import main
from tools.runner.specification import hash_file
from tools.train import main as train

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

COUNT = 24


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("advise")
    for index in range(26):
        kind = "pit" if index >= 20 else "good"
        (folder / "plates" / kind).mkdir(parents=True, exist_ok=True)
        assert cv2.imwrite(str(folder / "plates" / kind / f"{index:03}.png"), draw_plate(index, pit=index >= 20)[0])
    words = [f"data.root={folder / 'plates'}", "data.image_size=[64,64]", "model=patchcore", "trainer=cpu"]
    words += ["data.num_workers=0", "report=false", f"out={folder}", "name=plates", "id=one"]
    assert train(words) == 0
    assert main(["threshold", str(folder / "plates" / "one"), "image=0.001"]) == 0  # wrong: it calls all defective
    return folder / "plates" / "one"


@pytest.fixture(scope="module")
def labels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Plates that the run has not seen, every other one with a pit; four more have no label."""
    folder = tmp_path_factory.mktemp("labels")
    lines = ["image,label"]
    for index in range(COUNT + 4):
        values, _ = draw_plate(500 + index, pit=index % 2 == 1)
        assert cv2.imwrite(str(folder / f"n{index:02}.png"), values)
        if index < COUNT:
            lines.append(f"n{index:02}.png,{'defective' if index % 2 else 'good'}")
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "labels.csv"


def test_every_way_is_measured_and_the_run_stays_as_it_is(
    run: Path, labels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = hash_file(run / "checkpoints" / "best.ckpt")
    words = [str(run), str(labels), "folds=3", "epochs=1", "next=3", f"out={tmp_path}"]
    words.append(f"source=[{labels.parent},{run.parents[1] / 'plates'}]")  # the run's own images are labelled, too
    assert main(["advise", *words]) == 0
    said = capsys.readouterr().out
    assert "12 good and 12 defective labels" in said
    advice = json.loads((tmp_path / "advice.json").read_text(encoding="utf-8"))
    ways = {way["way"]: way for way in advice["ways"]}
    assert list(ways) == ["as it is", "threshold", "swap", "head", "classifier"]
    assert all(way["auroc_low"] <= way["auroc"] <= way["auroc_high"] for way in ways.values())
    assert ways["as it is"]["alarms"] == 1.0
    assert ways["threshold"]["errors"] < ways["as it is"]["errors"]
    assert all(ways[name]["minutes"] > 0 for name in ("swap", "head", "classifier"))
    assert advice["take"] in ways
    unlabelled = {str(labels.parent / f"n{index}.png") for index in range(COUNT, COUNT + 4)}
    assert len(advice["next"]) == 3
    assert {one["image"] for one in advice["next"]} <= unlabelled
    assert len(pd.read_csv(tmp_path / "advice.csv")) == COUNT
    assert hash_file(run / "checkpoints" / "best.ckpt") == before


def test_without_labels_the_test_images_advise_and_that_is_said(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["advise", str(run), "ways=[threshold,head]"]) == 0
    assert "they cannot test any more" in capsys.readouterr().out
    assert (run / "advice" / "advice.json").is_file()


@pytest.mark.parametrize(
    ("words", "status", "why"),
    [
        (["ways=[magic]"], 2, "Expected ways to be some of"),
        (["swap=unet"], 2, "Expected swap to be one of patchcore, padim, dfm"),
        (["folds=1"], 2, "at least 2"),
        (["labels=none.csv"], 1, "none.csv"),
    ],
)
def test_what_means_nothing_is_refused(
    run: Path, capsys: pytest.CaptureFixture[str], words: list[str], status: int, why: str
) -> None:
    assert main(["advise", str(run), *words]) == status
    assert why in capsys.readouterr().err


def test_labels_of_one_class_are_too_few(run: Path, labels: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = labels.with_name("good.csv")
    path.write_text("image,label\nn00.png,good\nn02.png,good\n", encoding="utf-8")
    assert main(["advise", str(run), str(path)]) == 1
    assert "at least 2 groups each, but found 2 and 0" in capsys.readouterr().err


def test_no_group_is_learnt_from_and_judged() -> None:
    label_N, group_N = np.arange(40) % 2, [f"g{place // 4}" for place in range(40)]
    folds = make_folds(label_N, group_N, 5, 0)
    judged = np.concatenate([fold.judge for fold in folds])
    assert sorted(judged.tolist()) == list(range(40))
    for fold in folds:
        assert not {group_N[place] for place in fold.learn} & {group_N[place] for place in fold.judge}


def test_a_way_that_errs_nowhere_gains_what_the_other_errs() -> None:
    label_N, group_N = np.arange(40) % 2, [str(place) for place in range(40)]
    right = Judged(label_N.astype(float), label_N == 1)
    wrong = Judged(label_N.astype(float), np.ones(40, dtype=bool))
    assert measure(right, label_N, group_N).errors.value == 0
    assert measure(wrong, label_N, group_N).alarms.value == 1
    found = gain(wrong, right, label_N, group_N)
    assert found.value == 0.5
    assert 0.35 < found.low < 0.5 <= found.high < 0.6  # twenty images of a class say no more
    assert gain(right, right, label_N, group_N).high == 0


def few_images(seed: int, miss: float, alarm: float) -> tuple[Judged, npt.NDArray[np.int_], list[str]]:
    """Judge 4 defective and 20 good images wrongly with given chances."""
    rng = np.random.default_rng(seed)
    label_N = np.array([1] * 4 + [0] * 20)
    wrong_N = rng.random(24) < np.where(label_N == 1, miss, alarm)
    return Judged(rng.normal(size=24), (label_N == 1) ^ wrong_N), label_N, [str(place) for place in range(24)]


@pytest.mark.parametrize(("miss", "alarm"), [(0.05, 0.02), (0.2, 0.1), (0.5, 0.05)])
def test_intervals_of_few_images_cover_what_is_true(miss: float, alarm: float) -> None:
    held = []
    for seed in range(300):
        judged, label_N, group_N = few_images(seed, miss, alarm)
        errors = measure(judged, label_N, group_N).errors
        held.append(errors.low <= (miss + alarm) / 2 <= errors.high)
    assert np.mean(held) > 0.93


def test_ways_that_err_alike_are_seldom_distinguished_by_few_images() -> None:
    apart = []
    for seed in range(300):
        one, label_N, group_N = few_images(seed, 0.3, 0.1)
        other, _, _ = few_images(1000 + seed, 0.3, 0.1)
        found = gain(one, other, label_N, group_N)
        apart.append(found.low > 0 or found.high < 0)
    assert np.mean(apart) < 0.07
