"""Growing: a wider LoupeNet that begins as a narrow one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from models.features.growing import grow, solve_heads
from models.features.loupe_net import LoupeNet, shipped

HIDDEN = (16, 32, 80, 72, 130, 128, 140, 192, 300, 288, 288, 440, 432)
CHANNELS = (28, 28, 40, 40, 40, 64, 64, 64, 64, 104, 104, 104)


@pytest.fixture(scope="module")
def crops() -> Tensor:
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def grown(crops: Tensor) -> LoupeNet:
    torch.manual_seed(0)
    net = LoupeNet(HIDDEN, channels=CHANNELS)
    grow(shipped(), net, crops)
    return net.eval()


@torch.inference_mode()
def trunks(net: LoupeNet, x: Tensor) -> list[Tensor]:
    found = []
    for stage in net.stages:
        x = stage(x)
        found.append(x)
    return found


def test_old_channels_give_what_they_gave(grown: LoupeNet, crops: Tensor) -> None:
    for before, after in zip(trunks(shipped(), crops), trunks(grown, crops), strict=True):
        torch.testing.assert_close(after[:, : before.shape[1]], before, rtol=1e-4, atol=1e-4)


def test_new_channels_vary_about_as_much_as_the_old_ones(grown: LoupeNet, crops: Tensor) -> None:
    for before, after in zip(trunks(shipped(), crops), trunks(grown, crops), strict=True):
        old, new = after.std(dim=(0, 2, 3)).tensor_split([before.shape[1]])
        assert len(new) > 0
        assert 0.2 < float(new.mean() / old.mean()) < 5


def test_heads_are_the_best_there_are(grown: LoupeNet, crops: Tensor) -> None:
    """Targets that are linear in the trunk are given back; any other head is worse on others."""
    linear = [torch.randn(out, trunk.shape[1]) for out, trunk in zip((24, 32, 96), trunks(grown, crops), strict=True)]
    targets = [
        torch.einsum("bchw,dc->bdhw", trunk, some) + 1 for trunk, some in zip(trunks(grown, crops), linear, strict=True)
    ]
    solve_heads(grown, crops, targets)
    with torch.inference_mode():
        for given, wanted in list(zip(grown(crops), targets, strict=True))[:2]:  # the coarsest has too few samples
            assert float((given - wanted).square().mean() / wanted.var()) < 0.01


def test_a_network_that_would_shrink_is_refused(crops: Tensor) -> None:
    with pytest.raises(ValueError, match="nowhere narrower than the one that it grows from"):
        grow(shipped(), LoupeNet((8,) * 13), crops)
