"""PaDiM, against anomalib's and against NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from anomalib.models.image.padim.torch_model import PadimModel as TheirModel

from datamodules.errors import DataError
from models.padim import RIDGE, Moments, Padim, whitening
from tests.models.drawn import LOUPE, RESNET, batch, pictures

if TYPE_CHECKING:
    from collections.abc import Iterator


def fitted(arguments: dict[str, Any], n_features: int = 40, seed: int = 0, sizes: tuple[int, ...] = (5, 3)) -> Padim:
    torch.manual_seed(3)
    module = Padim(arguments, n_features, seed).eval()
    for number, count in enumerate(sizes):
        module.training_step(batch(pictures(count, seed=number)), number)
    module.on_validation_start()
    return module


@pytest.fixture
def double() -> Iterator[None]:
    """Make tensors float64 where nobody says otherwise."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@torch.inference_mode()
def test_scores_and_maps_are_those_of_anomalib(request: pytest.FixtureRequest) -> None:
    """Theirs in float64: in float32 their inverse covariances alone are off by more than the tolerance."""
    module = fitted(RESNET)
    theirs = TheirModel("resnet18", ["layer1", "layer2", "layer3"], pre_trained=False, n_features=40)
    theirs.feature_extractor.feature_extractor.load_state_dict(module.model.backbone.network.state_dict())
    theirs.idx = module.model.index_D
    image = pictures(3, seed=5)
    batches = [pictures(count, seed=number) for number, count in enumerate((5, 3))]
    prediction = module.model(image)
    request.getfixturevalue("double")
    theirs = theirs.double().train()
    for image_B3HW in batches:
        theirs(image_B3HW.double())
    theirs.fit()
    wanted = theirs.eval()(image.double())
    assert float(prediction.pred_score.min()) > 1
    torch.testing.assert_close(prediction.pred_score.double(), wanted.pred_score.squeeze(1), atol=1e-4, rtol=0)
    torch.testing.assert_close(prediction.anomaly_map.double(), wanted.anomaly_map.squeeze(1), atol=1e-4, rtol=0)


def test_moments_are_those_of_numpy_whatever_the_batches() -> None:
    x_NDP = torch.randn(11, 4, 3, generator=torch.Generator().manual_seed(0)) + 1000
    moments = Moments(x_NDP[:2])
    for part in torch.split(x_NDP, [2, 5, 4]):
        moments.add(part)
    for place in range(3):
        values = x_NDP[:, :, place].double().numpy()
        np.testing.assert_allclose(moments.mean()[place], values.mean(axis=0), rtol=1e-12)
        np.testing.assert_allclose(moments.covariance()[place], np.cov(values, rowvar=False), atol=1e-9)


def test_whitening_is_a_root_of_the_inverse() -> None:
    root = torch.randn(3, 5, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    covariance = root @ root.mT
    found = whitening(covariance)
    wanted = torch.linalg.inv(covariance + RIDGE * torch.eye(5))
    torch.testing.assert_close(found @ found.mT, wanted)


def test_channels_are_drawn_by_the_seed_and_no_more_than_there_are() -> None:
    first, same, other = (fitted(LOUPE, seed=seed).model.index_D for seed in (0, 0, 1))
    assert torch.equal(first, same)
    assert not torch.equal(first, other)
    assert len(set(first.tolist())) == 40
    everything = fitted(LOUPE, n_features=1000).model.index_D
    assert sorted(everything.tolist()) == list(range(128))


def test_a_defect_scores_higher_and_where_it_is() -> None:
    module = fitted(LOUPE, n_features=60, sizes=(12, 12))
    bad = pictures(2, seed=0)
    good = module.model(bad)
    bad[:, :, 40:52, 8:20] = torch.tensor([1.0, 0.0, 1.0]).view(3, 1, 1)
    found = module.model(bad)
    assert float(found.pred_score.min()) > float(good.pred_score.max())
    row, column = divmod(int(found.anomaly_map[0].argmax()), 64)
    assert 34 <= row < 58
    assert 2 <= column < 26


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="with 64 places, but found 80"):
        fitted(LOUPE).model(pictures(1, size=(64, 80)))


def test_what_cannot_be_fitted_is_named() -> None:
    with pytest.raises(DataError, match="at least 2 training pictures"):
        fitted(LOUPE, sizes=(1,))
    with pytest.raises(RuntimeError, match="PaDiM to be fitted to good pictures, but it is empty"):
        Padim(LOUPE).model(pictures(1))
    with pytest.raises(ValueError, match=r"model\.n_features to be at least 1, but found 0"):
        Padim(LOUPE, 0)
