"""Self-reference against an obvious re-implementation, and its one promise: no region is judged by itself."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.distance import mahalanobis

from models.self_reference import KINDS, QUANTUM, SelfReference, SelfReferenceModel

SMALL: dict[str, Any] = {"patch_size": 3, "block_size": 12, "step": 1}


def texture(height: int = 60, width: int = 64, seed: int = 0) -> torch.Tensor:
    """Vertical stripes of seven pixels and some noise, (1, 3, H, W)."""
    noise = 0.03 * torch.randn(1, 1, height, width, generator=torch.Generator().manual_seed(seed))
    stripes = 0.5 + 0.2 * torch.sin(torch.arange(width) * 2 * torch.pi / 7)
    return (stripes + noise).clamp(0, 1).repeat(1, 3, 1, 1)


def network(**options: Any) -> SelfReferenceModel:
    return SelfReference(**(SMALL | options)).model.eval()


def obvious_map(image_HW: np.ndarray[Any, np.dtype[np.float64]], patch: int, block: int, ridge: float) -> Any:
    """One pixel after another, by scipy, with the patches that share no pixel with any patch of its kind of block."""
    height, width = image_HW.shape
    radius = patch // 2
    padded = np.pad(image_HW, radius, mode="reflect")
    patches = {(y, x): padded[y : y + patch, x : x + patch].ravel() for y in range(height) for x in range(width)}
    result = np.zeros((height, width))
    for kind in KINDS:
        judged = [(y, x) for y, x in patches if ((y // block) % 2, (x // block) % 2) == kind]
        seen = np.zeros((height + 2 * radius, width + 2 * radius), dtype=bool)
        for y, x in judged:
            seen[y : y + patch, x : x + patch] = True
        others = [patches[y, x] for y, x in patches if not seen[y : y + patch, x : x + patch].any()]
        covariance = np.cov(np.array(others).T, bias=True)
        covariance += (ridge * covariance.diagonal().mean() + QUANTUM) * np.eye(len(covariance))
        inverse, mean = np.linalg.inv(covariance), np.mean(others, axis=0)
        for y, x in judged:
            result[y, x] = mahalanobis(patches[y, x], mean, inverse) / patch
    return result


def test_maps_are_those_of_an_obvious_implementation() -> None:
    image = texture(37, 41)
    found = network(block_size=9)(image).anomaly_map[0].numpy()
    grey = (image[0, 0]).numpy().astype(np.float64)
    np.testing.assert_allclose(found, obvious_map(grey, 3, 9, 0.01), rtol=2e-3)


def test_no_region_is_judged_by_itself() -> None:
    model = network()
    image = texture()
    changed = image.clone()
    changed[..., 12:24, 12:24] = torch.rand(
        12, 12, generator=torch.Generator().manual_seed(1)
    )  # a block of kind (1, 1)
    before, after = model(image).anomaly_map[0], model(changed).anomaly_map[0]
    # The other blocks of that kind share its model: not one of their values moves, beside those whose patches reach in.
    for top, left in ((36, 12), (12, 36), (36, 36)):
        assert torch.equal(before[top : top + 12, left : left + 12], after[top : top + 12, left : left + 12])
    assert after[12:24, 12:24].mean() > 2 * before[12:24, 12:24].mean()
    assert not torch.equal(before[:12, :12], after[:12, :12])  # blocks of other kinds learn from it


def test_it_finds_what_is_unlike_the_rest() -> None:
    model = network()
    good = model(texture()).pred_score
    image = texture()
    image[..., 20:24, 30:34] = 0.95
    prediction = model(image)
    assert prediction.pred_score[0] > 2 * good[0]
    y, x = divmod(int(prediction.anomaly_map[0].argmax()), 64)
    assert 18 <= y < 26
    assert 28 <= x < 36
    usual = float(model(texture()).anomaly_map.median())
    assert 0.7 < usual < 1.3


@pytest.mark.parametrize("channels", [1, 3])
def test_pictures_are_judged_alone(channels: int) -> None:
    model = network(channels=channels)
    image = torch.cat([texture(seed=seed) for seed in range(4)])
    many, alone = model(image), model(image[2:3])
    assert torch.equal(many.anomaly_map[2:3], alone.anomaly_map)
    assert torch.equal(many.pred_score[2:3], alone.pred_score)


def test_a_constant_picture_is_usual_everywhere() -> None:
    prediction = network()(torch.full((1, 3, 60, 60), 0.5))
    assert prediction.anomaly_map.max() < 0.01


def test_pictures_that_are_too_small_are_refused() -> None:
    with pytest.raises(
        ValueError, match=r"at least 81 patches .* one of 32 x 32 leaves 0; set data\.image_size higher"
    ):
        SelfReference().model(torch.rand(1, 3, 32, 32))
    assert SelfReference().model(torch.rand(1, 3, 64, 64)).anomaly_map.shape == (1, 64, 64)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"patch_size": 4}, r"model\.patch_size to be odd, but found 4"),
        ({"ridge": 0.0}, r"model\.ridge above 0"),
        ({"step": 0}, r"model\.step to be at least 1"),
        ({"top_share": 0.0}, r"model\.top_share"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SelfReference(**options)
