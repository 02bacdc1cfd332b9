"""Bundles of large banks: the runner searches between two graphs, and finds what the run finds."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pytest
import torch

from models.components import patchcore_model
from models.components.patchcore_graphs import plan_searched
from models.patchcore import PatchCore
from tools.bundles.graphs import write_forms
from tools.cli import main
from tools.runner import Bundle, BundleError
from tools.runner.composition import INPUT
from tools.runner.searching import Searching

if TYPE_CHECKING:
    from collections.abc import Iterator

DATA = (
    *("data=synthetic", "data.domain=oring", "data.size=64", "data.image_size=[64,64]", "data.num_workers=0"),
    *("data.good=60", "data.defective=40", "data.batch_size=8", "callbacks.evaluation.resamples=10"),
    *("callbacks.evaluation.atlas=0", "trainer=cpu", "model=patchcore", "model.bank_size=600", "report=false"),
)
NET = {"name": "loupe_net", "layers": [2, 3], "mean": [0.5] * 3, "std": [0.5] * 3, "weights": "bundled"}
pytestmark = pytest.mark.procedure


def exported(out: Path, monkeypatch: pytest.MonkeyPatch, *more: str) -> Path:
    """Train a run with a bank that counts as large, and export it."""
    monkeypatch.setattr(patchcore_model, "LARGE_FOR_GRAPHS", 100)
    assert main(["train", *DATA, f"data.root={out / 'drawn'}", f"out={out}", "name=a", "id=run", *more]) == 0
    run = out / "a" / "run"
    assert main(["export", f"run={run}", "pictures=16", "samples=2"]) == 0
    return run


def compare(run: Path, bundle: Bundle) -> None:
    """Hold scores of a bundle against those of the test."""
    tested = pd.read_csv(run / "predictions.csv").head(24)
    found = np.array([bundle(path).score for path in tested["image_path"]])
    np.testing.assert_allclose(found, tested["score"], rtol=1e-3)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A run without more keys, and its bundle, which nothing changes."""
    with pytest.MonkeyPatch.context() as patch:
        yield exported(tmp_path_factory.mktemp("plain"), patch)


def test_a_bundle_with_a_search_agrees_with_its_run(plain: Path) -> None:
    agrees_with_its_run(plain)


@pytest.mark.slow
@pytest.mark.parametrize(
    "more",
    [
        pytest.param(("model.scales=[1,1.5]", "model.score=top_mean"), id="sizes"),
        pytest.param(("data.fit=letterbox",), id="letterbox"),
        pytest.param(("tiling=hann", "tiling.size=32"), id="tiles"),
        pytest.param(("data.foreground=plain",), id="foreground"),
    ],
)
def test_other_bundles_with_a_search_agree_with_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, more: tuple[str, ...]
) -> None:
    agrees_with_its_run(exported(tmp_path, monkeypatch, *more))


def agrees_with_its_run(run: Path) -> None:
    """Compare the bundle of a run in each runtime, by one thread and by several."""
    folder = run / "bundle"
    spec = json.loads((folder / "spec.json").read_text())
    assert spec["composition"]["kind"] == "searched"
    assert (folder / "bank.npy").is_file()
    assert "threadpoolctl" in (folder / "requirements.txt").read_text()
    for runtime in ("onnxruntime", "openvino"):
        compare(run, Bundle(folder, runtime=runtime, threads=1))
    compare(run, Bundle(folder, threads=3))


@pytest.mark.slow
def test_smaller_precisions_share_what_follows_the_features(tmp_path: Path) -> None:
    image = torch.rand(12, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    module = PatchCore(NET, bank_size=300).eval()
    with torch.inference_mode():
        module.collect(image)
        module.fit()
    plan = plan_searched(module.model, (64, 64), None)
    given = [{INPUT: image[[row]].numpy()} for row in range(len(image))]
    forms = {(form["runtime"], form["precision"]): form["files"] for form in
             write_forms(plan.graphs, (64, 64), tmp_path, ["fp32", "fp16", "int8"], given)}  # fmt: skip
    assert forms["openvino", "int8"] == {"model": "model_int8.xml", "scores": "scores.xml"}
    assert forms["onnxruntime", "fp16"] == {"model": "model_fp16.onnx", "scores": "scores_fp16.onnx"}
    assert all((tmp_path / file).is_file() for files in forms.values() for file in files.values())


def test_a_bank_that_differs_is_refused(plain: Path, tmp_path: Path) -> None:
    bank = Path(shutil.copytree(plain / "bundle", tmp_path / "bundle")) / "bank.npy"
    bank.write_bytes(bank.read_bytes()[:-4] + b"\0\0\0\0")
    with pytest.raises(BundleError, match=r"Expected .*bank\.npy to be as it was exported, but its checksum differs"):
        Bundle(bank.parent)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    with pytest.raises(BundleError, match="Expected threadpoolctl to be installed"):
        Searching(np.zeros((5, 3), np.float32), 1)


@pytest.mark.parametrize("threads", [1, 2, None])
def test_the_runner_finds_the_nearest(threads: int | None) -> None:
    rng = np.random.default_rng(0)
    bank, patch = rng.normal(size=(3000, 40)).astype(np.float32), rng.normal(size=(3, 90, 40)).astype(np.float32)
    true = ((patch[:, :, None].astype(float) - bank) ** 2).sum(axis=3).min(axis=2)
    np.testing.assert_allclose(Searching(bank, threads)(patch), true, rtol=1e-5)
