"""Thinning: a LoupeNet cut out of a MobileNetV2, or out of a larger LoupeNet."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import timm
import torch
from torch import Tensor, nn

from models.features.decorrelation import Decorrelation
from models.features.growing import solve_heads
from models.features.loupe_net import LoupeNet, read_loupe_net
from models.features.thinning import blocks_of, choose_channels, shrink, thin

WHOLE = (32, 96, 144, 144, 192, 192, 192, 384, 384, 384, 384, 576, 576)  # hidden channels of MobileNetV2


@pytest.fixture(scope="module")
def crops() -> Tensor:
    return torch.randn(24, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def teacher(crops: Tensor) -> nn.Module:
    """A MobileNetV2 of random weights, whose batch norms know what passes through."""
    torch.manual_seed(0)
    net: nn.Module = timm.create_model(
        "mobilenetv2_100", pretrained=False, pad_type="same", features_only=True, out_indices=(1, 2, 3)
    )
    with torch.no_grad():
        for _ in range(40):
            net.train()(crops)
    return net.eval()


@pytest.fixture(scope="module")
def bases(teacher: nn.Module, crops: Tensor) -> list[Decorrelation]:
    with torch.inference_mode():
        maps = teacher(crops)
    fitted = [Decorrelation(level.shape[1]) for level in maps]
    for basis, level in zip(fitted, maps, strict=True):
        basis.fit(level.permute(0, 2, 3, 1).flatten(0, 2), 0.5)
    return fitted


@torch.inference_mode()
def unexplained(net: nn.Module, teacher: nn.Module, bases: list[Decorrelation], x: Tensor) -> list[float]:
    wanted = [basis(level) for basis, level in zip(bases, teacher(x), strict=True)]
    return [float((a - b).square().mean() / b.square().mean()) for a, b in zip(net(x), wanted, strict=True)]


def test_the_blocks_are_the_teacher(teacher: nn.Module, crops: Tensor) -> None:
    x, seen = crops[:4], []
    with torch.inference_mode():
        for block in blocks_of(teacher):
            x = block(x)
            seen.append(x)
        for index, level in zip((2, 5, 12), teacher(crops[:4]), strict=True):
            torch.testing.assert_close(seen[index], level, rtol=1e-3, atol=1e-4)


def test_with_all_channels_kept_it_is_the_teacher_in_another_basis(
    teacher: nn.Module, crops: Tensor, bases: list[Decorrelation]
) -> None:
    net = thin(teacher, crops, WHOLE, bases)
    assert max(unexplained(net, teacher, bases, crops)) < 0.01


def test_fewer_channels_explain_less_and_of_the_coarsest_map_still_most(
    teacher: nn.Module, crops: Tensor, bases: list[Decorrelation]
) -> None:
    half = unexplained(thin(teacher, crops, [count // 2 for count in WHOLE], bases), teacher, bases, crops)
    tenth = unexplained(thin(teacher, crops, [count // 10 for count in WHOLE], bases), teacher, bases, crops)
    assert all(less < more < 1 for less, more in zip(half, tenth, strict=True))
    assert half[2] < 0.1  # random weights leave little to choose from above


def test_a_channel_is_chosen_as_least_squares_would() -> None:
    """Every greedy step takes the channel that leaves the least unexplained, found here by trying all."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal((500, 6)) @ rng.standard_normal((6, 6))
    y = x @ rng.standard_normal((6, 3)) + rng.standard_normal((500, 3))
    x, y = x - x.mean(axis=0), y - y.mean(axis=0)

    def left(columns: tuple[int, ...]) -> float:
        return float(np.linalg.lstsq(x[:, columns], y, rcond=None)[1].sum())

    greedy: tuple[int, ...] = ()
    for count in range(1, 5):
        greedy = min((c for c in combinations(range(6), count) if set(greedy) < set(c)), key=left)
        covariance, cross = (torch.from_numpy(x.T @ some / len(x)) for some in (x, y))
        assert choose_channels(covariance, cross, count) == sorted(greedy)


def test_places_that_nothing_can_use_are_filled() -> None:
    covariance = torch.diag(torch.tensor([1.0, 0.0, 0.0]))
    assert choose_channels(covariance, torch.tensor([[1.0], [0.0], [0.0]]), 2) == [0, 1]


LARGE = {
    "hidden": [16, 32, 24, 40, 48, 48, 48, 48],
    "out_channels": [24, 32, 96],
    "channels": [24, 24, 32, 32, 32, 32, 32],
    "halving": [1, 3],
}
SHORT = {"hidden": [16, 32, 24, 40, 48, 48, 48], "channels": [24, 24, 32, 32, 32, 32], "halving": [1, 3]}


def apart(net: LoupeNet, other: LoupeNet, x: Tensor) -> list[float]:
    with torch.inference_mode():
        pairs = zip(net(x), other(x), strict=True)
        return [float((a - b).square().mean() / b.var()) for a, b in pairs]


def test_shrunk_to_its_own_shape_it_is_the_same(crops: Tensor) -> None:
    net = read_loupe_net()
    same = shrink(net, net.shape, crops)
    solve_heads(same, crops, net(crops))
    assert max(apart(same, net, crops)) < 0.01


def test_the_block_that_adds_nothing_is_left_out(crops: Tensor) -> None:
    torch.manual_seed(0)
    net = LoupeNet(**LARGE).eval()  # type: ignore[arg-type]  # lists, each under its name
    for stage, block in ((1, 1), (2, 1)):
        silent = net.stages[stage][block].body[2][0]  # type: ignore[index]  # of a block
        nn.init.zeros_(silent.weight)
        nn.init.zeros_(silent.bias)
    for shape in (SHORT, SHORT | {"halving": [1, 2]}):  # one of the last stage, one of the middle
        small = shrink(net, LARGE | shape, crops)
        solve_heads(small, crops, net(crops))
        assert [len(stage) for stage in small.parts()] != [len(stage) for stage in net.parts()]
        assert max(apart(small, net, crops)) < 0.01


def test_fewer_hidden_channels_cost_little_where_they_hardly_differ(crops: Tensor) -> None:
    net = read_loupe_net()
    hidden = [net.shape["hidden"][0], *(count * 3 // 4 for count in net.shape["hidden"][1:])]
    losses = []
    for width in (hidden, [hidden[0], *(count // 3 for count in hidden[1:])]):
        small = shrink(net, net.shape | {"hidden": width}, crops)
        solve_heads(small, crops, net(crops))
        losses.append(apart(small, net, crops))
    assert all(less < more < 1 for less, more in zip(*losses, strict=True))
    assert max(losses[0]) < 0.5


def test_a_block_that_gives_nothing_spoils_nothing(crops: Tensor) -> None:
    net = LoupeNet(**LARGE).eval()  # type: ignore[arg-type]  # as above
    with torch.no_grad():
        for unit in net.stages[1][1].body:  # type: ignore[index]  # of a block
            unit[0].weight.zero_()
            unit[0].bias.zero_()
    small = shrink(net, LARGE | {"hidden": [16, 32, 24, 40, 40, 48, 48, 48]}, crops)
    assert all(bool(level.isfinite().all()) for level in small(crops))


@pytest.mark.parametrize(
    "change",
    [
        {"hidden": [16, 32, 24, 40, 48, 48, 48, 49]},
        {"hidden": [12, 32, 24, 40, 48, 48, 48, 48]},
        {"channels": [24, 24, 32, 32, 32, 32, 24]},
        {"channels": [24, 24, 32, 32, 32, 32, 32, 32], "hidden": [16, 32, 24, 40, 48, 48, 48, 48, 48]},
        {"channels": [24, 32, 32, 32, 32, 32], "hidden": [16, 32, 40, 48, 48, 48, 48], "halving": [1, 2]},
    ],
)
def test_what_is_not_in_a_network_cannot_be_cut_out(change: dict[str, list[int]], crops: Tensor) -> None:
    net = LoupeNet(**LARGE).eval()  # type: ignore[arg-type]  # as above
    with pytest.raises(ValueError, match="Expected a network that can be cut out of"):
        shrink(net, LARGE | change, crops)
