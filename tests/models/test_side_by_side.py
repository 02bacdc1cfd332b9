"""Models on two feature networks side by side, trained as ``loupe train`` does: what was standardised stays so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import torch

from models.features.joined_backbone import JoinedBackbone
from tests.models.test_contract import compose, fit, look
from tools.cli import main
from tools.runs.checkpoint import read_checkpoint, restore

if TYPE_CHECKING:
    from pathlib import Path

    from models.base import InspectionModel

PAIR = ("backbone=[loupe,resnet18]", "backbone.networks.resnet18.weights=none")
OTHERS = ("padim", "dfm", "fastflow", "reverse_distillation", "patch_classifier", "mask_rcnn", "hybrid")
MODELS = ["patchcore", *(pytest.param(name, marks=pytest.mark.procedure) for name in OTHERS)]


def joined(module: InspectionModel) -> list[JoinedBackbone]:
    return [part for part in module.modules() if isinstance(part, JoinedBackbone)]


@pytest.mark.parametrize("model", MODELS)
def test_a_model_takes_two_networks_for_one(model: str, tmp_path: Path) -> None:
    fitted = fit(compose(model, tmp_path / "drawn", *PAIR, f"out={tmp_path}"))
    backbones = joined(fitted.module)
    assert backbones
    assert all(backbone.known for backbone in backbones)
    assert all(len(set(backbone.scale_N.tolist())) == 2 for backbone in backbones)
    again = restore(read_checkpoint(fitted.folder.best_checkpoint)).eval()
    assert all(map(torch.equal, look(again, fitted.batch.image), fitted.seen))
    assert fitted.module.origin().keys() >= {"name", "loupe_sha256", "resnet18_weights"}


def test_scales_survive_learning_more_and_less(tmp_path: Path) -> None:
    fitted = fit(compose("patchcore", tmp_path / "drawn", *PAIR, f"out={tmp_path}"))
    module: Any = restore(read_checkpoint(fitted.folder.best_checkpoint)).eval()
    scale_N, bank_MD, learnt = joined(module)[0].scale_N.clone(), module.model.bank_MD, list(module.learnt)
    assert learnt
    with torch.no_grad():
        module.resume()
        module.collect_batch(fitted.batch)
        module.extend()
        assert len(module.model.bank_MD) > len(bank_MD)
        module.forget(fitted.batch.image_path, lambda _: torch.empty(0))
    assert module.learnt == learnt
    assert torch.equal(module.model.bank_MD, bank_MD)
    assert torch.equal(joined(module)[0].scale_N, scale_N)


def test_a_training_that_is_begun_again_learns_the_same_scales(tmp_path: Path) -> None:
    tiles = ("tiling=hann", "tiling.size=48", "tiling.crops=2")
    runs = [fit(compose("patchcore", tmp_path / "drawn", *PAIR, *tiles, f"out={tmp_path / name}")) for name in "ab"]
    one, other = (joined(run.module)[0].scale_N for run in runs)
    assert torch.equal(one, other)
    assert all(map(torch.equal, runs[0].seen, runs[1].seen))


@pytest.mark.procedure
def test_trials_compare_several_networks_with_one(tmp_path: Path) -> None:
    tiny = ("data=synthetic", "data.size=64", "data.image_size=[64,64]", "data.good=24", "data.defective=12")
    run = ("trainer=cpu", "data.num_workers=0", "callbacks.evaluation.resamples=10", "report=false")
    sweep = ("sweep.workers=0", "sweep.cpus=1", "sweep.report=none", f"out={tmp_path}", f"data.root={tmp_path / 'd'}")
    asked = ("backbone=loupe,[loupe,efficientnet_lite0]", "backbone.networks.efficientnet_lite0.weights=none")
    found = {}
    for name, gib in (("alone", 0), ("shared", 1)):
        assert main(["sweep", *tiny, *run, *sweep, *asked, f"name={name}", f"sweep.share_gib={gib}"]) == 0
        trials = sorted((tmp_path / name / "trials").iterdir())
        found[name] = {trial.name: (trial / "predictions.csv").read_bytes() for trial in trials}
    assert len(set(found["alone"].values())) == 2
    assert found["alone"] == found["shared"]
