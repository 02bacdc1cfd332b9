"""Images unlike those of the training: a run's test, ``predict run=`` and ``predict bundle=`` say the same."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch

from callbacks.decisions.calibration import calibration_of
from callbacks.statistics.usual import Usual
from tools.cli import main
from tools.runner import Bundle
from tools.runner.command import main as predict_py
from tools.runs.checkpoint import read_checkpoint, restore

if TYPE_CHECKING:
    from collections.abc import Callable

    from datamodules.files.images import Array

FACTS = {"height", "width", "brightness", "contrast", "sharpness", "warmth", "level"}


def predict(what: str, source: Path, out: Path) -> tuple[pd.DataFrame, dict[str, object]]:
    assert main(["predict", what, f"source={source}", f"out={out}", "overlay=none"]) == 0
    table = pd.read_csv(out / "predictions.csv", keep_default_na=False)
    return table, json.loads((out / "drift.json").read_text())


@pytest.fixture(scope="session")
def copies(run: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The run's good test images: as they are, darkened, blurred, and smaller. A pit is unusual by itself."""
    root = tmp_path_factory.mktemp("copies")
    table = pd.read_csv(run / "predictions.csv")
    tested = table["image_path"][table["label_index"] == 0]
    changes: dict[str, Callable[[Array], Array]] = {
        "same": lambda values: values,
        "dark": lambda values: (values * 0.5).astype(np.uint8),
        "blurred": lambda values: cv2.GaussianBlur(values, (0, 0), 1.5),
        "small": lambda values: values[::2, ::2],
    }
    for name, change in changes.items():
        (root / name).mkdir()
        for path in map(Path, tested):
            values = cv2.imread(str(path))
            assert values is not None
            cv2.imwrite(str(root / name / f"{path.parent.name}_{path.name}"), change(values))
    return {name: root / name for name in changes}


@pytest.mark.parametrize("how", ["same", "dark", "blurred", "small"])
def test_run_and_bundle_flag_the_same(
    how: str, run: Path, exported: Path, copies: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    of_run, drift_of_run = predict(f"run={run}", copies[how], tmp_path / "run")
    said = capsys.readouterr().out
    of_bundle, drift_of_bundle = predict(f"bundle={exported}", copies[how], tmp_path / "bundle")
    assert ((of_run["unusual"] == "") == (of_bundle["unusual"] == "")).all()
    set_of_run, set_of_bundle = drift_of_run["set"], drift_of_bundle["set"]
    assert set_of_run == set_of_bundle
    if how == "same":
        assert (of_run["unusual"] != "").sum() <= 1
        assert set_of_run["differs"] is False  # type: ignore[index]
        assert "differ from those of the training" not in said
    else:
        assert (of_run["unusual"] != "").mean() > 0.9
        assert set_of_run["differs"] is True  # type: ignore[index]
        assert "unlike those of the training" in said
        assert "As a whole, these" in said
    rows = [json.loads(line) for line in (tmp_path / "bundle" / "predictions.jsonl").read_text().splitlines()]
    assert all(set(row["facts"]) == FACTS for row in rows)


def test_the_test_of_a_run_has_the_same_column(run: Path, exported: Path) -> None:
    tested = pd.read_csv(run / "predictions.csv", keep_default_na=False)
    found = list(Bundle(exported).stream(tested["image_path"], batch_size=4))
    assert [result.unusual for result in found] == tested["unusual"].tolist()
    metrics = json.loads((run / "metrics.json").read_text())["unusual"]
    assert metrics["images"] == len(tested)
    assert metrics["unusual_images"] == (tested["unusual"] != "").sum()
    assert {row["fact"] for row in metrics["facts"]} == FACTS


def test_a_folder_that_goes_on_concludes_the_same(exported: Path, copies: dict[str, Path], tmp_path: Path) -> None:
    part = tmp_path / "part"
    part.mkdir()
    for path in sorted(copies["dark"].iterdir())[:4]:
        shutil.copy(path, part)
    predict(f"bundle={exported}", part, tmp_path / "out")
    for path in sorted(copies["dark"].iterdir())[4:]:
        shutil.copy(path, part)
    _, in_two = predict(f"bundle={exported}", part, tmp_path / "out")
    _, at_once = predict(f"bundle={exported}", part, tmp_path / "other")
    assert in_two == at_once


def test_predict_py_ends_with_1_where_something_has_no_verdict(
    exported: Path, copies: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.copytree(copies["same"], tmp_path / "in")
    (tmp_path / "in" / "phone.heic").write_bytes(b"whatever")
    cv2.imwrite(str(tmp_path / "in" / "black.png"), np.zeros((64, 64), np.uint8))
    command = [str(tmp_path / "in"), "--out", str(tmp_path / "out"), "--bundle", str(exported), "--overlay", "none"]
    assert predict_py(command) == 1
    assert "2 of" in capsys.readouterr().err
    assert predict_py([*command, "--errors", "ok"]) == 0
    table = pd.read_csv(tmp_path / "out" / "predictions.csv", keep_default_na=False).set_index("image_path")
    errors = table["error"][table["error"] != ""]
    assert [Path(name).name for name in errors.index] == ["black.png", "phone.heic"]
    assert (table.loc[errors.index, "verdict"] == "").all()


def test_what_is_usual_travels_as_plain_values(run: Path, exported: Path) -> None:
    usual = calibration_of(restore(read_checkpoint(run / "checkpoints" / "best.ckpt"))).usual
    assert usual is not None
    spec = json.loads((exported / "spec.json").read_text())["usual"]
    assert usual.to_dict() == spec
    assert Usual.from_dict(spec).to_dict() == spec


def test_a_checkpoint_that_noted_nothing_loads_and_says_so(
    run: Path, copies: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    key = "post_processor._extra_state"
    del content["state_dict"][key]["usual"]
    torch.save(content, tmp_path / "old.ckpt")
    old = tmp_path / "old.ckpt"
    assert main(["predict", f"run={old}", f"source={copies['dark']}", f"out={tmp_path / 'o'}", "overlay=none"]) == 0
    assert "notes nothing of the images that it was trained on" in capsys.readouterr().out
    assert (pd.read_csv(tmp_path / "o" / "predictions.csv", keep_default_na=False)["unusual"] == "").all()
