"""Models that leave the ground about parts out: a run and its bundle find the same parts, and judge alike."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from datamodules.zones.foreground import Foreground
from tests.models.test_foreground import SEEING
from tests.tools.bundles.test_models import export
from tools.cli import main
from tools.runner.bundle import Bundle
from tools.runner.specification import BundleError

if TYPE_CHECKING:
    from pathlib import Path

FEW = ("data.good=56", "data.defective=28", "trainer.max_steps=4", "report=false")
MODELS = [
    pytest.param(name, marks=pytest.mark.procedure if name == "patchcore" else pytest.mark.slow) for name in SEEING
]


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def judged(by: str, source: Path, out: Path) -> pd.DataFrame:
    """Judge images by a run or a bundle; return their table."""
    assert main(["predict", *by.split(), f"source={source}", f"out={out}", "page=0"]) == 0
    return pd.read_csv(out / "predictions.csv", keep_default_na=False)


@pytest.mark.parametrize("model", MODELS)
def test_a_run_that_leaves_the_ground_out_and_its_bundle_judge_alike(model: str, drawn: Path, tmp_path: Path) -> None:
    run = export(model, drawn, tmp_path, "data.foreground=plain", *FEW)
    parity = json.loads((run / "bundle" / "parity.json").read_text())
    assert parity["passed"]
    assert not any(form["flips"] for form in parity["forms"])
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert spec["input"]["foreground"] == Foreground().to_dict()
    tested = pd.read_csv(run / "predictions.csv")
    source = drawn / next(iter(drawn.iterdir())).name / "images"
    expected = judged(f"run={run}", source, tmp_path / "by_run")
    scores = expected.set_index("image_path")["score"]
    np.testing.assert_allclose(scores[tested["image_path"]], tested["score"], rtol=1e-4, atol=1e-5)
    for form in spec["forms"]:
        found = judged(f"bundle={run / 'bundle'} runtime={form['runtime']}", source, tmp_path / form["runtime"])
        spread = np.ptp(expected["score"])
        clear = (expected["score"] - expected["threshold"]).abs() > 1e-4 * spread  # not the one that set the threshold
        assert clear.mean() > 0.9
        assert found["verdict"][clear].tolist() == expected["verdict"][clear].tolist()
        np.testing.assert_allclose(found["score"], expected["score"], atol=1e-4 * spread, rtol=1e-4)
    if model == "patchcore":
        check_edits(run / "bundle", spec)


def check_edits(folder: Path, spec: dict[str, object]) -> None:
    """Refuse a bundle whose way to find parts somebody made meaningless."""
    (folder / "spec.json").write_text(json.dumps(spec).replace('"margin": 0.02', '"margin": 2'))
    with pytest.raises(BundleError, match=r"input\.foreground .* to say how a part is found"):
        Bundle(folder)
