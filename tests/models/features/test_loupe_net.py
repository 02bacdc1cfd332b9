from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from models.errors import WeightsError
from models.features.backbones import Backbone, load_weights
from models.features.loupe_net import (
    WEIGHTS,
    ConvUnit,
    LoupeNet,
    fold_batch_norm,
    read_loupe_net,
    save_loupe_net,
    shape_of,
)
from models.features.weight_files import read_facts
from tools.configuring.config import compose_config

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ((4,) * 13, (4, 5, 6))


@pytest.fixture(scope="module")
def trained_like() -> LoupeNet:
    """A network whose batch norms have seen something."""
    torch.manual_seed(0)
    net = LoupeNet(*SMALL, batch_norm=True)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.uniform_(module.bias, -0.5, 0.5)
    for _ in range(20):
        net(torch.randn(4, 3, 32, 32))
    return net.eval()


def relative_error(one: Tensor, other: Tensor) -> float:
    return float((one - other).norm() / one.norm())


@pytest.mark.parametrize(("height", "width"), [(256, 256), (96, 160), (250, 70)])
def test_maps_have_strides_4_8_16(height: int, width: int) -> None:
    net = LoupeNet(out_channels=(24, 32, 96))
    shapes = [tuple(some.shape) for some in net(torch.zeros(2, 3, height, width))]
    assert shapes == [(2, c, height // s, width // s) for c, s in zip((24, 32, 96), LoupeNet.STRIDES, strict=True)]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_cell_sees_as_far_as_stated_around_the_stated_middle(level: int) -> None:
    """What reaches a cell is centred on the last pixel of its square: (stride - 1) / 2 from the square's middle."""
    net = LoupeNet(*SMALL)
    for parameter in net.parameters():
        nn.init.constant_(parameter, 0.02)  # no path cancels another, and none is cut off at 6
    x = torch.ones(1, 3, 512, 512, requires_grad=True)
    stride = LoupeNet.STRIDES[level]
    cell = 256 // stride
    net(x)[level][0, 0, cell, cell].backward()
    assert x.grad is not None
    reached = x.grad[0, 0].abs().sum(dim=0).nonzero().flatten()
    assert float(reached.min() + reached.max()) / 2 == cell * stride + stride - 1
    assert float(reached.max() - reached.min()) > stride


def test_no_map_is_computed_that_nobody_asks_for() -> None:
    asked: list[str] = []
    backbone = Backbone("loupe_net", [2, 1], [0.5] * 3, [0.5] * 3, "bundled")
    network = backbone.network
    assert isinstance(network, LoupeNet)
    for name, part in network.named_modules():
        if name.startswith(("heads.", "stages.2.1.")):
            part.register_forward_hook(lambda *_, name=name: asked.append(name))
    image = torch.rand(1, 3, 64, 64)
    with torch.no_grad():
        middle, fine = backbone(image)
        whole = read_loupe_net()((image - 0.5) / 0.5)
    assert asked == ["heads.0", "heads.1"]
    torch.testing.assert_close(fine, whole[0])
    torch.testing.assert_close(middle, whole[1])


def test_a_shifted_picture_gives_shifted_maps(trained_like: LoupeNet) -> None:
    x = torch.randn(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        here, there = trained_like(x)[0], trained_like(x.roll(16, dims=3))[0]
    torch.testing.assert_close(here[..., 16:40, 16:40], there[..., 16:40, 20:44], rtol=1e-3, atol=1e-4)


def test_folded_is_the_same_function(trained_like: LoupeNet) -> None:
    before = {key: value.clone() for key, value in trained_like.state_dict().items()}
    folded = LoupeNet(*SMALL).eval()
    folded.load_state_dict(fold_batch_norm(trained_like))
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        for one, other in zip(trained_like(x), folded(x), strict=True):
            torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    assert all(torch.equal(before[key], value) for key, value in trained_like.state_dict().items())


def test_what_is_saved_is_what_is_loaded(trained_like: LoupeNet, tmp_path: Path) -> None:
    save_loupe_net(trained_like, tmp_path / "net.safetensors", {"seed": "0"})
    loaded = LoupeNet(*SMALL).eval()
    load_weights(loaded, tmp_path / "net.safetensors")
    assert read_facts(tmp_path / "net.safetensors")["seed"] == "0"
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        for one, other in zip(trained_like(x), loaded(x), strict=True):
            assert relative_error(one, other) < 2e-3  # half precision


def test_the_same_network_gives_the_same_file(trained_like: LoupeNet, tmp_path: Path) -> None:
    facts = {f"fact {number}": "the same" for number in range(12)}
    for name in ("one", "other"):
        save_loupe_net(trained_like, tmp_path / name, facts)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "other").read_bytes()


def test_other_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="one number of hidden channels more than of channels"):
        LoupeNet(hidden=(8, 8))


@pytest.mark.parametrize("halving", [(0, 4), (4, 4), (5, 2), (1, 11), (1,)])
def test_other_places_to_halve_are_refused(halving: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="halving to name two of the blocks 1 to 10, in their order"):
        LoupeNet(*SMALL, halving=halving)


@pytest.mark.parametrize("seed", range(6))
def test_a_shape_is_read_off_its_weights(seed: int) -> None:
    rng = np.random.default_rng(seed)
    blocks = int(rng.integers(3, 40))
    hidden, out, channels = (rng.integers(1, 9, count).tolist() for count in (blocks + 2, 3, blocks + 1))
    halving = sorted((rng.choice(blocks - 1, 2, replace=False) + 1).tolist())
    net = LoupeNet(hidden, out, channels, halving)
    assert shape_of(net.state_dict()) == net.shape
    same = LoupeNet(**shape_of(net.state_dict()), batch_norm=False)
    same.load_state_dict(net.state_dict())


def test_a_shape_is_read_off_nothing_else(trained_like: LoupeNet) -> None:
    pyramid = nn.ModuleDict({"backbone": nn.ModuleDict({"body": nn.ModuleDict({"conv1": nn.Conv2d(1, 1, 1)})})})
    for other in (nn.Linear(2, 2), nn.Sequential(nn.Conv2d(1, 1, 1)), pyramid, trained_like):
        with pytest.raises(ValueError, match="the weights of a LoupeNet without batch norm"):
            shape_of(other.state_dict())


def test_the_shape_of_the_weights_that_ship_is_what_is_taught() -> None:
    distilled = compose_config("distill", [])
    for key, value in shape_of(load_file(WEIGHTS)).items():
        assert list(distilled[key]) == value


SHALLOW = LoupeNet((16, 40, *[8] * 9), channels=(24, 24, 24, *[32] * 7), halving=(1, 5))
WIDE = LoupeNet(out_channels=(24, 40, 96))


@pytest.mark.parametrize("options", [{}, {"hidden": SHALLOW.shape["hidden"]}, SHALLOW.shape])
def test_weights_of_another_shape_are_taken_as_they_are(tmp_path: Path, options: dict[str, list[int]]) -> None:
    path, image = tmp_path / "net.safetensors", torch.rand(1, 3, 64, 64)
    save_loupe_net(SHALLOW, path)
    if len(options) == 1:  # one that does not go with what is left unnamed
        options |= {"channels": SHALLOW.shape["channels"]}
    made = Backbone("loupe_net", [2, 3], [0.5] * 3, [0.5] * 3, str(path), options)
    for given, wanted in zip(made(image), SHALLOW.half().float()((image - 0.5) / 0.5)[1:], strict=True):
        torch.testing.assert_close(given, wanted, atol=1e-3, rtol=1e-2)
    assert not any(weight.requires_grad for weight in made.parameters())
    first = next(made.network.parameters())
    assert first.is_contiguous(memory_format=torch.channels_last), "as fast as the usual shape, and to the same bits"


@pytest.mark.parametrize(
    ("net", "options", "message"),
    [
        (WIDE, {}, r"\{out_channels: \[24, 40, 96\]\}"),
        (SHALLOW, {"hidden": [8] * 13}, r"\{hidden: \[16, 40, 8,.*\]\}"),
        (SHALLOW, {"halving": [1, 4]}, r"\{halving: \[1, 5\]\}"),
    ],
)
def test_weights_that_are_not_as_described_say_how_they_are(
    tmp_path: Path, net: LoupeNet, options: dict[str, list[int]], message: str
) -> None:
    save_loupe_net(net, tmp_path / "net.safetensors")
    with pytest.raises(WeightsError, match=f"set 'backbone.options={message}'"):
        Backbone("loupe_net", [2, 3], [0.5] * 3, [0.5] * 3, str(tmp_path / "net.safetensors"), options)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("bounded", [True, False])
@pytest.mark.parametrize("normed", [True, False])
def test_a_unit_is_its_layers_one_after_the_other(stride: int, bounded: bool, normed: bool) -> None:
    unit = ConvUnit(8, 8, 3, stride=stride, groups=4, bounded=bounded, batch_norm=normed).eval()
    x = torch.randn(2, 8, 12, 10)
    nn.init.constant_(next(child for child in unit.children() if isinstance(child, nn.Conv2d)).weight, 2.0)
    wanted = x
    for layer in unit.children():
        wanted = layer(wanted)
    assert torch.equal(unit(x), wanted)
    assert torch.equal(unit.train()(x), wanted) != normed
    assert wanted.shape == (2, 8, 12 // stride, 10 // stride)
    assert (float(wanted.max()) <= 6) == bounded


def test_weights_that_change_are_seen_however_they_do() -> None:
    """Kernels that are padded are remembered: by an optimizer, by another state, by another precision and back."""
    net, x = LoupeNet(*SMALL).eval().requires_grad_(False), torch.rand(1, 3, 32, 32)
    other = LoupeNet(*SMALL).eval()

    def plain() -> list[Tensor]:
        return [level.detach() for level in net.train()(x)]

    @torch.no_grad()
    def seen() -> list[Tensor]:
        maps: list[Tensor] = net.eval()(x)
        return maps

    def doubled() -> None:
        for weight in net.parameters():
            weight.mul_(2)

    seen()
    for change in (
        doubled,
        lambda: net.load_state_dict(other.state_dict()),
        net.half,
        net.float,
        net.double,
        net.float,
    ):
        change()
        x = x.to(next(net.parameters()).dtype)
        assert all(map(torch.equal, seen(), plain()))


def test_a_state_of_another_shape_is_taken_where_it_is_nested() -> None:
    """As older checkpoints hold it."""
    old, new, image = (
        nn.ModuleDict({"eyes": SHALLOW}),
        nn.ModuleDict({"eyes": LoupeNet(*SMALL)}),
        torch.rand(1, 3, 48, 48),
    )
    new.load_state_dict(old.state_dict())
    assert new["eyes"].shape == SHALLOW.shape
    assert all(map(torch.equal, new["eyes"](image), SHALLOW(image)))
    learning = LoupeNet(*SMALL, batch_norm=True)
    with pytest.raises(RuntimeError, match=r"Missing key"):
        learning.load_state_dict(SHALLOW.state_dict())


def test_shipped_weights_are_small_and_those_of_the_card() -> None:
    net = read_loupe_net()
    assert sum(parameter.numel() for parameter in net.parameters()) <= 3_000_000
    assert WEIGHTS.stat().st_size <= 6_000_000
    card = WEIGHTS.with_suffix(".md").read_text(encoding="utf-8")
    assert hashlib.sha256(WEIGHTS.read_bytes()).hexdigest() in card
    assert {"recipe", "teacher_sha256"} <= read_facts(WEIGHTS).keys()


def texture_accuracy(net: LoupeNet) -> float:
    """Share of patches of drawn waves whose nearest patch, under another light and noise, is of the same wave.

    No wave is the mirror image of another: those look alike to features that were learnt from mirrored ones.
    """
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:128, :128]
    waves = [np.sin(x * np.cos(a) * f + y * np.sin(a) * f) for f in (0.4, 0.8, 1.6) for a in (0.0, 0.5, 1.0, 1.5)]

    def features(gain: float) -> Tensor:
        noisy = [0.5 + gain * wave + 0.05 * rng.standard_normal(wave.shape) for wave in waves]
        pictures = torch.from_numpy(np.stack(noisy)).float()[:, None].expand(-1, 3, -1, -1)
        with torch.inference_mode():
            maps: list[Tensor] = net((pictures - 0.5) / 0.5)
        return maps[1][:, :, 4:12, 4:12].flatten(2).transpose(1, 2)

    known, asked = features(0.25), features(0.18)
    nearest = torch.cdist(asked.flatten(0, 1), known.flatten(0, 1)).argmin(dim=1) // known.shape[1]
    return float((nearest == torch.arange(len(waves)).repeat_interleave(known.shape[1])).float().mean())


def test_shipped_features_tell_textures_apart_better_than_untrained_ones() -> None:
    torch.manual_seed(0)
    trained, untrained = texture_accuracy(read_loupe_net()), texture_accuracy(LoupeNet().eval())
    assert trained > 0.9
    assert trained > untrained
