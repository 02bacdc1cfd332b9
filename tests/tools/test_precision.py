"""Mixed precision and ``torch.compile``, through the door: the same run, and scores that stay."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest

from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

SMALL = (
    *("data.size=64", "data.image_size=[64,64]", "data.num_workers=0", "data.good=40", "data.defective=20"),
    *("backbone=resnet18", "backbone.weights=none"),  # LoupeNet keeps single precision whatever is asked for
    *("callbacks.evaluation.resamples=20", "trainer.accelerator=cpu", "report=false", "id=it"),
)


def train(out: Path, root: Path, *overrides: str) -> Path:
    assert main(["train", "data=synthetic", f"out={out}", f"data.root={root}", *SMALL, *overrides]) == 0
    (run,) = out.glob("*/it")
    return run


def scores(run: Path) -> pd.Series[float]:
    return pd.read_csv(run / "predictions.csv").set_index("name")["score"].sort_index()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("full")
    return train(out, out / "drawn")


@pytest.mark.parametrize("precision", ["bf16-mixed", "16-mixed"])
def test_half_precision_keeps_scores_and_verdicts(full: Path, tmp_path: Path, precision: str) -> None:
    """Within 2 %: features carry eight bits, their distances all 24. On a CPU, Lightning takes bfloat16 for both."""
    run = train(tmp_path, full.parents[1] / "drawn", "trainer=bf16", f"trainer.precision={precision}")
    assert f"precision: {precision}" in (run / "config.yaml").read_text()
    np.testing.assert_allclose(scores(run), scores(full), rtol=2e-2)
    assert not np.array_equal(scores(run), scores(full))
    found, wanted = (
        json.loads((folder / "metrics.json").read_text())["test"]["image_auroc"]["value"] for folder in (run, full)
    )
    assert found == pytest.approx(wanted, abs=0.03)


def test_predict_judges_in_the_precision_of_the_run(full: Path, tmp_path: Path) -> None:
    run = train(tmp_path / "run", full.parents[1] / "drawn", "trainer=bf16")
    tested = pd.read_csv(run / "predictions.csv")
    sources = ",".join(f'"{path}"' for path in tested["image_path"])
    assert main(["predict", f"run={run}", f"out={tmp_path / 'o'}", f"source=[{sources}]", "overlay=none"]) == 0
    judged = pd.read_csv(tmp_path / "o" / "predictions.csv").set_index("image_path").loc[tested["image_path"]]
    assert np.array_equal(judged["score"], tested["score"])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["patchcore", "padim", "fastflow"])
def test_a_compiled_model_gives_the_same_scores(model: str, tmp_path: Path) -> None:
    """Within a thousandth: fused kernels add in another order. FastFlow's training is compiled as well."""
    options = (f"model={model}", "trainer.max_epochs=1")
    plain = train(tmp_path / "plain", tmp_path / "drawn", *options)
    compiled = train(tmp_path / "compiled", tmp_path / "drawn", *options, "compile=true")
    np.testing.assert_allclose(scores(compiled), scores(plain), rtol=1e-3)
    assert main(["test", f"run={compiled}", f"out={tmp_path / 'again'}"]) == 0
    np.testing.assert_allclose(scores(tmp_path / "again"), scores(compiled), rtol=1e-5)
