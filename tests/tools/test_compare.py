"""Comparing runs: the same images by their bytes, tables that agree with scikit-learn, refusals that say why."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import f1_score, roc_auc_score

from tools.cli import main

TINY = [
    "data=folder",
    "data.image_size=[48,48]",
    "data.num_workers=0",
    "data.test_share=0.5",
    "report=false",
    "backbone=resnet18",
    "backbone.weights=none",
    "callbacks.evaluation.resamples=20",
    "trainer=cpu",
]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two runs on the same 40 plates, of which one saw them in grey tones only."""
    root, out, rng = tmp_path_factory.mktemp("plates"), tmp_path_factory.mktemp("runs"), np.random.default_rng(0)
    for index in range(40):
        plate = rng.normal(110, 8, (48, 48)).clip(0, 255).astype(np.uint8)
        name = "pit" if index < 16 else "good"
        if name == "pit":
            y, x = rng.integers(4, 36, 2)
            plate[y : y + 6, x : x + 6] = 120 + 8 * index
        (root / name).mkdir(exist_ok=True)
        assert cv2.imwrite(str(root / name / f"{index}.png"), plate)
    for number, keys in enumerate((["model.num_neighbors=1"], ["model.coreset_ratio=0.01", "threshold=normal"])):
        assert main(["train", *TINY, *keys, f"data.root={root}", f"out={out}", f"id=run{number}"]) == 0
    return [out / "folder-patchcore" / "run0", out / "folder-patchcore" / "run1"]


@pytest.fixture(scope="module")
def compared(runs: list[Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("pages")
    assert main(["compare", str(runs[0]), str(runs[1]), f"out={out}", "id=pair", "resamples=50"]) == 0
    return out / "compare" / "pair"


def test_the_tables_agree_with_scikit_learn(compared: Path, runs: list[Path]) -> None:
    values = json.loads((compared / "compare.json").read_text())
    aurocs = []
    for run, found in zip(runs, values["runs"], strict=True):
        table = pd.read_csv(run / "predictions.csv")
        aurocs.append(roc_auc_score(table["label_index"], table["score"]))
        assert found["auroc"]["value"] == pytest.approx(aurocs[-1])
        assert found["f1"]["value"] == pytest.approx(f1_score(table["label_index"], table["verdict"] == "defective"))
    (pair,) = values["pairs"]
    assert pair["differences"]["auroc"]["value"] == pytest.approx(aurocs[0] - aurocs[1])
    assert pair["auroc_delong"]["difference"] == pytest.approx(aurocs[0] - aurocs[1])
    assert sum(pair["agreement"].values()) == values["pictures"]
    table = pd.read_csv(compared / "compare.csv", keep_default_na=False)
    assert set(table["metric"]) >= {"auroc", "f1", "recall", "fpr"}
    assert (table["less"] != "").sum() == len(pair["differences"])


def test_the_page_shows_both_maps_of_a_disagreement(compared: Path, runs: list[Path]) -> None:
    page = (compared / "report" / "index.html").read_text(encoding="utf-8")
    tables = [pd.read_csv(run / "predictions.csv").set_index("name") for run in runs]
    disputed = (tables[0]["verdict"] != tables[1]["verdict"]).sum()
    assert disputed
    assert page.count('class="dispute"') == min(12, disputed)
    assert page.count("overlay of run A") == page.count("overlay of run B") == min(12, disputed)
    assert "coreset_ratio" in page
    assert "No maps of" not in page


def test_renamed_and_moved_pictures_are_the_same_pictures(runs: list[Path], tmp_path: Path) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(runs[1], moved)
    for name in ("predictions.csv", "samples.csv"):
        table = pd.read_csv(moved / name, keep_default_na=False)
        table["name"] = "z" + table["name"]
        table["image_path"] = "/elsewhere/" + table["name"]
        table.sample(frac=1, random_state=0).to_csv(moved / name, index=False)
    assert main(["compare", str(runs[0]), str(moved), f"out={tmp_path}", "id=x", "resamples=20"]) == 0
    values = json.loads((tmp_path / "compare" / "x" / "compare.json").read_text())
    assert values["pictures"] == len(pd.read_csv(runs[0] / "predictions.csv"))
    assert any("No maps of moved" in note for note in values["notes"])


def test_what_is_not_common_is_left_out_and_said(runs: list[Path], tmp_path: Path) -> None:
    part = tmp_path / "part"
    shutil.copytree(runs[1], part)
    table = pd.read_csv(part / "predictions.csv").iloc[3:]
    table.loc[table.index[0], "label_index"] = 1 - table.loc[table.index[0], "label_index"]
    table.to_csv(part / "predictions.csv", index=False)
    assert main(["compare", str(runs[0]), str(part), f"out={tmp_path}", "id=x", "resamples=20", "examples=0"]) == 0
    values = json.loads((tmp_path / "compare" / "x" / "compare.json").read_text())
    assert values["pictures"] == len(table) - 1
    assert any(note.startswith("3 of") for note in values["notes"])
    assert any("different labels" in note for note in values["notes"])


def test_runs_without_a_common_picture_are_refused(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "other"
    shutil.copytree(runs[1], other)
    table = pd.read_csv(other / "samples.csv")
    table["sha256"] = table["sha256"].str[::-1]
    table.to_csv(other / "samples.csv", index=False)
    assert main(["compare", str(runs[0]), str(other), f"out={tmp_path}"]) == 1
    assert "share, byte by byte, but found none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ([], "Expected a value for runs"),
        (["runs=one"], "Expected 2 to 8 runs to compare, but found 1"),
        (["/no/such", "/nor/this"], "found none at /no/such"),
        (["a", "b", "resmaples=3"], "did you mean 'resamples'"),
    ],
)
def test_mistakes_are_named(args: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", *args]) == 2
    assert message in capsys.readouterr().err


def test_a_run_on_grown_data_is_compared_on_the_old_test(
    runs: list[Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Images were added: with data.split_from the test stays, so that both runs are judged on the same images."""
    first = pd.read_csv(runs[0] / "samples.csv")
    shutil.copytree(Path(str(first["image_path"][0])).parents[1], tmp_path / "plates")
    rng = np.random.default_rng(5)
    for index in range(6):
        plate = rng.normal(110, 8, (48, 48)).clip(0, 255).astype(np.uint8)
        assert cv2.imwrite(str(tmp_path / "plates" / "good" / f"new{index}.png"), plate)
    grown = [f"data.root={tmp_path / 'plates'}", f"out={runs[0].parents[1]}", "report=false", "seed=7"]
    assert main(["train", *TINY, *grown, "id=held", f"data.split_from={runs[0]}"]) == 0
    assert "6 new images go to training" in capsys.readouterr().out
    held = runs[0].parent / "held"
    table = pd.read_csv(held / "samples.csv").set_index("sha256")["split"]
    assert (table[first["sha256"]].to_numpy() == first["split"].to_numpy()).all()
    assert (table.drop(first["sha256"]) == "train").all()
    assert main(["train", *TINY, *grown, "id=free"]) == 0
    free = held.with_name("free")
    tested = int((first["split"] == "test").sum())
    for second, shared in ((held, tested), (free, None)):
        words = ["compare", str(runs[0]), str(second), f"out={tmp_path}", f"id={second.name}", "resamples=20"]
        assert main([*words, f"data.split_from={runs[0]}"]) == 0
        values = json.loads((tmp_path / "compare" / second.name / "compare.json").read_text())
        told = [note for note in values["notes"] if "test images of" in note]
        if shared is not None:
            assert (values["pictures"], told) == (shared, [])
        else:  # another seed: it tested some of them, and was trained on others
            assert values["pictures"] < tested
            assert told == [f"free tested {values['pictures']} of the {tested} test images of run0."]
    assert main(["compare", str(runs[0]), str(held), "data.split_from=nowhere"]) == 2
    assert "nowhere" in capsys.readouterr().err
