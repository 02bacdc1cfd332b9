"""FastFlow, STFPM, reverse distillation, DFM and Dinomaly, against anomalib's own networks with the same weights."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from anomalib.models.image.dfm.torch_model import DFMModel as TheirDFM
from anomalib.models.image.dinomaly.components import WarmCosineScheduler
from anomalib.models.image.dinomaly.torch_model import DinomalyModel as TheirDinomaly
from anomalib.models.image.fastflow.torch_model import FastflowModel as TheirFastflow
from anomalib.models.image.reverse_distillation.anomaly_map import AnomalyMapGenerationMode
from anomalib.models.image.reverse_distillation.torch_model import ReverseDistillationModel as TheirReverse
from anomalib.models.image.stfpm.anomaly_map import AnomalyMapGenerator
from anomalib.models.image.stfpm.loss import STFPMLoss
from scipy.stats import multivariate_normal
from sklearn.decomposition import PCA

from datamodules.errors import DataError
from models.components.subspace import principal_components
from models.dfm import DFM
from models.dinomaly import Dinomaly, warm_cosine
from models.errors import WeightsError
from models.fastflow import Fastflow
from models.features import backbones
from models.reverse_distillation import ReverseDistillation
from models.stfpm import STFPM
from tests.models.drawn import LOUPE, RESNET, batch, pictures

if TYPE_CHECKING:
    from pathlib import Path

    from anomalib.data import InferenceBatch
    from torch import nn

DINO = RESNET | {
    "name": "vit_small_patch14_reg4_dinov2.lvd142m",
    "layers": [2, 3, 4, 5, 6, 7, 8, 9],
    "options": {"dynamic_img_size": True},
}


def disturb(network: nn.Module) -> None:
    """Move every weight a little, so that nothing is zero or one by construction."""
    generator = torch.Generator().manual_seed(7)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(0.02 * torch.randn(parameter.shape, generator=generator))


def copy_weights(target: nn.Module, source: nn.Module) -> None:
    """Copy a network of the same architecture whose parts have other names."""
    values = [value for value in source.state_dict().values() if isinstance(value, torch.Tensor)]
    target.load_state_dict(dict(zip(target.state_dict(), values, strict=True)))


def check(ours: InferenceBatch, theirs: InferenceBatch, rtol: float = 1e-5) -> None:
    assert ours.pred_score is not None
    assert ours.anomaly_map is not None
    assert theirs.pred_score is not None
    assert theirs.anomaly_map is not None
    assert float(ours.pred_score.std()) > 0
    torch.testing.assert_close(ours.pred_score, theirs.pred_score.flatten(), atol=1e-4, rtol=rtol)
    torch.testing.assert_close(ours.anomaly_map, theirs.anomaly_map.squeeze(1), atol=1e-4, rtol=rtol)


@torch.no_grad()
@pytest.mark.parametrize("conv3x3_only", [False, True])
def test_fastflow_is_that_of_anomalib(conv3x3_only: bool) -> None:
    module = Fastflow(RESNET, (64, 96), flow_steps=3, conv3x3_only=conv3x3_only, hidden_ratio=0.5).eval()
    disturb(module.model)
    theirs = TheirFastflow(
        (64, 96), "resnet18", pre_trained=False, flow_steps=3, conv3x3_only=conv3x3_only, hidden_ratio=0.5
    )
    copy_weights(theirs.feature_extractor, module.model.backbone.network)
    copy_weights(theirs.norms, module.model.norms)
    copy_weights(theirs.fast_flow_blocks, module.model.flows)
    image = pictures(3, size=(64, 96))
    check(module.model(image), theirs.eval()(image))
    latents, jacobians = theirs.train()(image)
    module.model.train()
    loss = module.loss(*module.model.flow(image))
    torch.testing.assert_close(loss, module.loss(latents, jacobians))


def test_fastflow_leaves_its_permutations_alone() -> None:
    module = Fastflow(LOUPE, (64, 64), flow_steps=2)
    (group,) = module.configure_optimizers().param_groups
    assert all(parameter.requires_grad for parameter in group["params"])
    with pytest.raises(ValueError, match=r"64 x 64, which FastFlow was built for, but found 96 x 64"):
        module.eval().model(pictures(1, size=(96, 64)))


@torch.no_grad()
def test_stfpm_is_that_of_anomalib() -> None:
    """Their network cannot be built without a download, so their map and loss stand in for it."""
    module = STFPM(RESNET).eval()
    image = pictures(3)
    taught, learnt = (dict(enumerate(net(image))) for net in (module.model.teacher.network, module.model.student))
    anomaly_map = AnomalyMapGenerator()(teacher_features=taught, student_features=learnt, image_size=(64, 64))
    ours = module.model(image)
    assert float(ours.pred_score.min()) > 1e-3
    torch.testing.assert_close(ours.anomaly_map, anomaly_map.squeeze(1), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(ours.pred_score, anomaly_map.amax(dim=(1, 2, 3)), atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(module.loss(*module.model.features(image)), STFPMLoss()(taught, learnt))


@pytest.mark.parametrize("arguments", [RESNET, LOUPE])
def test_a_student_of_stfpm_learns_and_its_teacher_does_not(arguments: dict[str, Any]) -> None:
    torch.manual_seed(0)
    module = STFPM(arguments, learning_rate=0.1).train()
    before = [parameter.clone() for parameter in module.model.teacher.parameters()]
    optimizer = module.configure_optimizers()
    losses = []
    for _ in range(8):
        loss = module.loss(*module.model.features(pictures(4)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(a, b) for a, b in zip(before, module.model.teacher.parameters(), strict=True))


@torch.no_grad()
@pytest.mark.parametrize("mode", ["add", "multiply"])
def test_reverse_distillation_is_that_of_anomalib(mode: Any) -> None:
    module = ReverseDistillation(RESNET, mode).eval()
    theirs = TheirReverse(
        "resnet18", (64, 96), ["layer1", "layer2", "layer3"], AnomalyMapGenerationMode(mode), pre_trained=False
    )
    copy_weights(theirs.encoder.feature_extractor, module.model.encoder.network)
    theirs.bottleneck.load_state_dict(module.model.bottleneck.state_dict())
    theirs.decoder.load_state_dict(module.model.decoder.state_dict())
    image = pictures(3, size=(64, 96))
    check(module.model(image), theirs.eval()(image))


@pytest.mark.parametrize(
    ("arguments", "multiple"),
    [
        (RESNET, 32),
        (RESNET | {"layers": [2, 3]}, 32),
        (LOUPE, 32),
        (LOUPE | {"layers": [1, 2, 3]}, 32),
        (LOUPE | {"layers": [1]}, 8),
    ],
)
def test_reverse_distillation_runs_on_any_pyramid(arguments: dict[str, Any], multiple: int) -> None:
    module = ReverseDistillation(arguments)
    assert module.size_multiple == multiple
    found, rebuilt = module.model.features(pictures(2, size=(32, 64)))
    assert [feature.shape for feature in found] == [feature.shape for feature in rebuilt]
    module.loss(found, rebuilt).backward()
    learnt = module.model.decoder.parameters()
    assert all(parameter.grad is not None and float(parameter.grad.norm()) > 0 for parameter in learnt)
    with pytest.raises(ValueError, match=f"multiples of {multiple}, but found {multiple} x {multiple + 4}"):
        module(pictures(1, size=(multiple, multiple + 4)))


def test_reverse_distillation_refuses_layers_with_gaps() -> None:
    with pytest.raises(ValueError, match=r"layers to be neighbours.*\[1, 3\] of resnet18 have sides of \[32, 8\]"):
        ReverseDistillation(RESNET | {"layers": [1, 3]})


def fitted_dfm(**options: Any) -> DFM:
    torch.manual_seed(3)
    module = DFM(RESNET | {"layers": [2, 3]}, **options).eval()
    for seed in range(3):
        module.training_step(batch(pictures(5, seed=seed)), seed)
    module.on_validation_start()
    return module


def test_dfm_is_that_of_anomalib() -> None:
    module = fitted_dfm(pooling=2)
    count = module.model.component_DK.shape[1]
    assert count > 2
    theirs = TheirDFM("resnet18", "layer3", pre_trained=False, pooling_kernel_size=2, n_comps=count)
    theirs.feature_extractor.feature_extractor.load_state_dict(module.model.backbone.network.state_dict(), strict=False)
    theirs.memory_bank = [module.model.features(pictures(5, seed=seed)).flatten(1) for seed in range(3)]
    theirs.fit()
    image = pictures(3, seed=5)
    features, shape = theirs.eval().get_features(image)
    score, anomaly_map = theirs.score(features, shape)  # their forward fails at maps larger than 1 x 1
    ours = module.model(image)
    anomaly_map = torch.nn.functional.interpolate(anomaly_map, size=(64, 64), mode="bilinear")
    torch.testing.assert_close(ours.pred_score, score, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(ours.anomaly_map, anomaly_map.squeeze(1), atol=1e-4, rtol=1e-4)


def test_the_likelihood_of_dfm_is_that_of_scipy() -> None:
    """anomalib's raises, since it passes a device to ``torch.mean``."""
    module = fitted_dfm(score="nll")
    x_ND = torch.cat([module.model.features(pictures(5, seed=seed)).flatten(1) for seed in range(3)]).numpy()
    image = pictures(3, seed=5)
    component_DK = module.model.component_DK.numpy()
    codes = (x_ND - x_ND.mean(axis=0)) @ component_DK
    tested = (module.model.features(image).flatten(1).numpy() - x_ND.mean(axis=0)) @ component_DK
    density = multivariate_normal(np.zeros(codes.shape[1]), np.diag(codes.var(axis=0)))
    wanted = -2 * density.logpdf(tested) - codes.shape[1] * np.log(2 * np.pi)
    np.testing.assert_allclose(module.model(image).pred_score, wanted, rtol=2e-3)


@pytest.mark.parametrize("level", [0.3, 0.9, 0.999])
def test_components_are_those_of_scikit_learn(level: float) -> None:
    x_ND = torch.randn(40, 12, generator=torch.Generator().manual_seed(0)) * torch.arange(1, 13) + 5
    found = principal_components(x_ND, level)
    wanted = PCA(level, svd_solver="full").fit(x_ND.double().numpy())
    assert found.component_DK.shape[1] == wanted.n_components_
    cosines = np.abs((found.component_DK.T.numpy() * wanted.components_).sum(axis=1))
    np.testing.assert_allclose(cosines, 1, rtol=1e-6)
    np.testing.assert_allclose(found.spread_K**2 * 40 / 39, wanted.explained_variance_, rtol=1e-9)


def test_all_of_the_variance_is_all_components() -> None:
    assert principal_components(
        torch.randn(9, 4, generator=torch.Generator().manual_seed(0)), 1.0
    ).component_DK.shape == (4, 4)


def test_what_dfm_cannot_do_is_named() -> None:
    with pytest.raises(ValueError, match="size that DFM was trained on, with 256 features, but found 512"):
        fitted_dfm().model(pictures(1, size=(64, 128)))
    module = DFM(RESNET)
    with pytest.raises(RuntimeError, match="DFM to be fitted to good pictures, but it is empty; train first"):
        module.model(pictures(1))
    module.training_step(batch(pictures(1)), 0)
    with pytest.raises(DataError, match="at least 2 training pictures"):
        module.fit()
    with pytest.raises(ValueError, match=r"model\.level to be above 0 and at most 1, but found 4 and 1.5"):
        DFM(RESNET, level=1.5)


@torch.no_grad()
def test_dinomaly_is_that_of_anomalib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("anomalib.models.image.dinomaly.torch_model.TimmFeatureExtractor", offline_extractor)
    torch.manual_seed(0)
    module = Dinomaly(DINO).eval()
    theirs = TheirDinomaly("vit_small_patch14_reg4_dinov2").eval()
    network: Any = module.model.backbone.network
    theirs.encoder.feature_extractor.load_state_dict(
        network.model.state_dict(), strict=False
    )  # they keep the blocks behind the last
    copy_weights(theirs.bottleneck, module.model.bottleneck)
    copy_weights(theirs.decoder, module.model.decoder)
    image = pictures(2, size=(56, 70))
    check(module.model(image), theirs(image))
    with pytest.raises(ValueError, match="multiples of 14, but found 64 x 64"):
        module(pictures(1))
    with pytest.raises(ValueError, match=r"found backbone\.mirrored=true; set it to false"):
        Dinomaly(DINO | {"mirrored": True})


@pytest.mark.parametrize(("total", "warmup"), [(40, 10), (7, 3), (5, 0), (300, 100)])
def test_the_rate_of_dinomaly_is_that_of_anomalib(total: int, warmup: int) -> None:
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=2e-3)
    theirs = WarmCosineScheduler(optimizer, 2e-3, 2e-4, total, warmup).schedule
    ours = [2e-3 * warm_cosine(step, total, warmup, 0.1) for step in range(total)]
    np.testing.assert_allclose(ours, theirs, rtol=1e-12)
    assert warm_cosine(total + 5, total, warmup, 0.1) == pytest.approx(0.1)


def offline_extractor(**options: Any) -> nn.Module:
    """Build anomalib's extractor without the download that it insists on."""
    from anomalib.models.components.feature_extractors import TimmFeatureExtractor  # noqa: PLC0415 - the real one

    return TimmFeatureExtractor(**options | {"pre_trained": False})


def test_dinomaly_says_what_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ValueError, match="loupe_net has none; set backbone=dinov2_small or backbone=dinov2_base"):
        Dinomaly(LOUPE)
    monkeypatch.setattr(backbones, "_hub_answers", lambda: False)
    with pytest.raises(
        WeightsError, match=r"model\.safetensors of timm/vit_small_patch14_reg4_dinov2\.lvd142m; give a file"
    ):
        Dinomaly(DINO | {"weights": "hub"})


def test_a_file_of_a_transformer_is_read(tmp_path: Path) -> None:
    network: Any = backbones.Backbone(**DINO).network
    torch.save(network.model.state_dict(), tmp_path / "dino.pth")
    again = backbones.Backbone(**DINO | {"weights": str(tmp_path / "dino.pth")})
    read: Any = again.network
    assert torch.equal(read.model.pos_embed, network.model.pos_embed)
    assert again.origin["sha256"]
