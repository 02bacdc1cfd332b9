"""The autoencoder against a slow one in plain NumPy, and its scores against outside oracles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from skimage.metrics import structural_similarity

from datamodules.samples.batch import Sample, collate
from models.components.pooling import top_mean
from models.components.reconstruction import LUMA, distance_map, error_over_scales, ssim_map
from models.conv_ae import ConvAutoencoder

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

Array = npt.NDArray[np.float64]
SMALL: dict[str, Any] = {"widths": (16, 32), "kernel_size": 3, "upsampling": "transposed"}


def pictures(count: int, height: int = 32, width: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


def batch(image_B3HW: torch.Tensor) -> InspectionBatch:
    return collate([Sample(image, f"{index}.png", f"/{index}.png", 0) for index, image in enumerate(image_B3HW)])


def build(**options: Any) -> ConvAutoencoder:
    torch.manual_seed(5)
    return ConvAutoencoder(**options).eval()


def convolve(values_CHW: Array, weight: Array, bias: Array) -> Array:
    """Keras's Conv2D with padding="same", one tap at a time."""
    radius = weight.shape[-1] // 2
    height, width = values_CHW.shape[1:]
    padded = np.pad(values_CHW, ((0, 0), (radius, radius), (radius, radius)))
    result = np.zeros((weight.shape[0], height, width)) + bias[:, None, None]
    for y, x in np.ndindex(weight.shape[2:]):
        result += np.einsum("oc,chw->ohw", weight[:, :, y, x], padded[:, y : y + height, x : x + width])
    return result


def pool(values_CHW: Array) -> Array:
    """Keras's MaxPooling2D((2, 2), padding="same"): odd sizes are rounded up."""
    channels, height, width = values_CHW.shape
    padded = np.pad(values_CHW, ((0, 0), (0, height % 2), (0, width % 2)), constant_values=-np.inf)
    pooled: Array = padded.reshape(channels, -(-height // 2), 2, -(-width // 2), 2).max(axis=(2, 4))
    return pooled


def double(values_CHW: Array) -> Array:
    """Keras's UpSampling2D((2, 2))."""
    return values_CHW.repeat(2, axis=1).repeat(2, axis=2)


def transpose_convolve(values_CHW: Array, weight: Array, bias: Array) -> Array:
    """A transposed convolution of 2 x 2 with a stride of 2: every pixel paints its own square."""
    channels, height, width = weight.shape[1], *values_CHW.shape[1:]
    result = np.zeros((channels, 2 * height, 2 * width))
    for y, x in np.ndindex(2, 2):
        result[:, y::2, x::2] = np.einsum("co,chw->ohw", weight[:, :, y, x], values_CHW)
    return result + bias[:, None, None]


def numpy_distance(module: ConvAutoencoder, image_3HW: Array) -> tuple[float, Array]:
    """The seed's score: the norm of the difference on the scale of 0 to 255, and the bottleneck."""
    grey = np.tensordot(np.array(LUMA), image_3HW, axes=1)[None]
    values = grey
    parameters = [value.detach().numpy().astype(np.float64) for value in module.parameters()]
    pairs = list(zip(parameters[::2], parameters[1::2], strict=True))
    levels = sum(isinstance(layer, torch.nn.MaxPool2d) for layer in module.model.encoder)
    for weight, bias in pairs[:levels]:
        values = pool(np.maximum(convolve(values, weight, bias), 0))
    bottleneck = values
    for index, (weight, bias) in enumerate(pairs[levels:]):
        last = index == len(pairs) - levels - 1
        if any(isinstance(layer, torch.nn.ConvTranspose2d) for layer in module.model.decoder):
            values = transpose_convolve(values, weight, bias)
            values = values if last else np.maximum(values, 0)
        else:
            values = convolve(values, weight, bias)
            values = values if last else double(np.maximum(values, 0))
    decoded = 1 / (1 + np.exp(-values))[:, : grey.shape[1], : grey.shape[2]]
    return float(np.linalg.norm(grey * 255.0 - decoded * 255.0)), bottleneck


@pytest.mark.parametrize("options", [{}, SMALL])
@pytest.mark.parametrize("size", [(32, 40), (37, 30)])
def test_the_distance_is_that_of_the_seed(options: dict[str, Any], size: tuple[int, int]) -> None:
    module = build(**options)
    with torch.no_grad():  # biases are zero at first, and would not be tested
        for value in module.parameters():
            value.add_(0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(1)))
    image = pictures(2, *size)
    with torch.inference_mode():
        prediction, bottleneck = module.model(image), module.bottleneck(image)
    assert prediction.anomaly_map.shape == (2, *size)
    for index in range(2):
        distance, maps = numpy_distance(module, image[index].numpy().astype(np.float64))
        assert prediction.pred_score[index].item() == pytest.approx(distance, rel=1e-6, abs=1e-4)
        np.testing.assert_allclose(bottleneck[index].numpy(), maps, atol=1e-5)


def test_the_networks_have_the_seeds_shapes() -> None:
    image = pictures(1, 256, 256)
    assert build().bottleneck(image).shape == (1, 16, 32, 32)
    assert [tuple(value.shape) for value in build().parameters() if value.ndim == 4] == [
        (32, 1, 5, 5), (32, 32, 5, 5), (16, 32, 5, 5), (16, 16, 5, 5), (32, 16, 5, 5), (32, 32, 5, 5), (1, 32, 5, 5)
    ]  # fmt: skip
    small = build(**SMALL)
    assert small.bottleneck(image).shape == (1, 32, 64, 64)
    assert [tuple(value.shape) for value in small.parameters() if value.ndim == 4] == [
        (16, 1, 3, 3), (32, 16, 3, 3), (32, 16, 2, 2), (16, 1, 2, 2)
    ]  # fmt: skip
    assert build().embedding(image).shape == (1, 16)


def test_ssim_is_that_of_scikit_image() -> None:
    first, second = pictures(1)[:, :1], 0.7 * pictures(1)[:, :1] + 0.3 * pictures(1, seed=1)[:, :1]
    _, wanted = structural_similarity(  # type: ignore[no-untyped-call]  # scikit-image has no annotations
        first[0, 0].numpy(), second[0, 0].numpy(), full=True, data_range=1.0, gaussian_weights=True, sigma=1.5,
        use_sample_covariance=False,
    )  # fmt: skip
    inner = slice(5, -5)  # borders are continued differently
    np.testing.assert_allclose(ssim_map(first, second)[0, inner, inner].numpy(), 1 - wanted[inner, inner], atol=2e-5)
    assert ssim_map(first, first).abs().max() < 1e-6


def test_more_scales_find_what_is_faint_and_wide() -> None:
    clean = torch.zeros(1, 1, 64, 64)
    noise = 0.05 * torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    noise[..., 16:32, 16:32] += 0.02
    contrast = []
    for scales in (1, 4):
        map_HW = error_over_scales(distance_map, clean + noise, clean, scales)[0]
        contrast.append(float(map_HW[16:32, 16:32].mean() / map_HW.mean()))
    assert contrast[1] > contrast[0] + 0.05
    assert torch.equal(error_over_scales(distance_map, clean + noise, clean, 1), distance_map(clean + noise, clean))


def test_the_worst_share_of_pixels_sees_a_small_defect() -> None:
    noisy, pit = torch.full((64, 64), 6.0), torch.full((64, 64), 5.0)
    pit[10:12, 10:12] = 60.0
    maps = torch.stack([noisy, pit])
    norms = maps.flatten(1).norm(dim=1)
    assert norms[0] > norms[1]  # the seed's score takes the pit for the better image
    tops = top_mean(maps, 0.001)
    assert tops[1] > tops[0]
    assert tops[1].item() == pytest.approx(60.0)
    assert top_mean(maps, 1.0).tolist() == pytest.approx(maps.flatten(1).mean(dim=1).tolist())


@pytest.mark.parametrize(
    "options",
    [{}, {"channels": 3, "dropout": 0.5, "noise": 0.1}, {**SMALL, "error": "ssim", "scales": 3, "top_share": 0.01}],
)
def test_it_learns_to_reconstruct(options: dict[str, Any]) -> None:
    module = build(**options).train()
    optimizer = module.configure_optimizers()
    image = torch.nn.functional.interpolate(pictures(4, 4, 4), size=(24, 24), mode="bilinear")
    losses = []
    for index in range(60):
        loss = module.training_step(batch(image), index)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        optimizer.step()
        losses.append(loss.item())
    assert sum(losses[-5:]) < 0.7 * sum(losses[:5])
    module.eval()
    with torch.inference_mode():
        many, alone = module.model(image), module.model(image[1:2])
    torch.testing.assert_close(many.pred_score[1:2], alone.pred_score, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(many.anomaly_map[1:2], alone.anomaly_map, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": []}, r"model\.widths to list at least one"),
        ({"kernel_size": 4}, r"model\.kernel_size to be odd, but found 4"),
        ({"scales": 0}, r"model\.scales to be at least 1"),
        ({"dropout": 1.0}, r"model\.dropout"),
        ({"top_share": 0.0}, r"model\.top_share to be above 0"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ConvAutoencoder(**options)


def test_it_exports_with_any_batch() -> None:
    module = build(**SMALL, top_share=0.01)
    image = pictures(3)
    program = torch.export.export(module, (image,), dynamic_shapes={"image_B3HW": {0: torch.export.Dim.AUTO}})
    with torch.inference_mode():
        for count in (1, 4):
            wanted, found = module(image[:1].repeat(count, 1, 1, 1)), program.module()(image[:1].repeat(count, 1, 1, 1))
            torch.testing.assert_close(found.pred_score, wanted.pred_score)
            torch.testing.assert_close(found.anomaly_map, wanted.anomaly_map)
