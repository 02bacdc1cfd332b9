"""Growing: a wider or deeper LoupeNet that begins as a smaller one."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.features.growing import grow, solve_heads
from models.features.loupe_net import LoupeNet

HIDDEN = (16, 32, 80, 72, 130, 128, 140, 192, 300, 288, 288, 440, 432)
CHANNELS = (28, 28, 40, 40, 40, 64, 64, 64, 64, 104, 104, 104)


@pytest.fixture(scope="module")
def crops() -> Tensor:
    return torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)) * 2 - 1


@pytest.fixture(scope="module")
def small() -> LoupeNet:
    torch.manual_seed(1)
    return LoupeNet().eval()


@pytest.fixture(scope="module")
def grown(small: LoupeNet, crops: Tensor) -> LoupeNet:
    torch.manual_seed(0)
    net = LoupeNet(HIDDEN, channels=CHANNELS)
    grow(small, net, crops)
    return net.eval()


@torch.inference_mode()
def trunks(net: LoupeNet, x: Tensor) -> list[Tensor]:
    found = []
    for stage in net.stages:
        x = stage(x)
        found.append(x)
    return found


def test_old_channels_give_what_they_gave(small: LoupeNet, grown: LoupeNet, crops: Tensor) -> None:
    for before, after in zip(trunks(small, crops), trunks(grown, crops), strict=True):
        torch.testing.assert_close(after[:, : before.shape[1]], before, rtol=1e-4, atol=1e-4)


def test_new_channels_vary_about_as_much_as_the_old_ones(small: LoupeNet, grown: LoupeNet, crops: Tensor) -> None:
    for before, after in zip(trunks(small, crops), trunks(grown, crops), strict=True):
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


DEEPER_CHANNELS = (24, 24, 32, 32, 32, 32, 32, 64, 64, 64, 64, 96)


def test_blocks_that_are_added_change_nothing_at_first(small: LoupeNet, crops: Tensor) -> None:
    """Two more at stride 8; at stride 16 the last two are left out."""
    torch.manual_seed(0)
    deeper = LoupeNet(
        (*small.shape["hidden"][:6], 128, 128, *small.shape["hidden"][6:11]), (24, 32, 64), DEEPER_CHANNELS, (1, 6)
    )
    grow(small, deeper, crops)
    for before, after in zip(trunks(small, crops)[:2], trunks(deeper.eval(), crops)[:2], strict=True):
        torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4)
    kept, added = small.parts()[2][: len(deeper.parts()[2])], deeper.parts()[1][len(small.parts()[1]) :]
    with torch.no_grad():
        entering = trunks(small, crops)[1].clone()
        given = [block(entering) for block in added]
        wanted = nn.Sequential(*kept)(entering)
    torch.testing.assert_close(trunks(deeper, crops)[2], wanted, rtol=1e-4, atol=1e-4)
    assert len(given) == 2
    assert all(torch.equal(one, entering) for one in given)


@pytest.mark.parametrize("seed", range(3))
def test_added_blocks_are_neither_dead_nor_cut_off(small: LoupeNet, crops: Tensor, seed: int) -> None:
    torch.manual_seed(seed)
    deeper = LoupeNet(
        (*small.shape["hidden"][:6], 128, 128, *small.shape["hidden"][6:11]), (24, 32, 64), DEEPER_CHANNELS, (1, 6)
    )
    grow(small, deeper, crops)
    hidden: list[Tensor] = []
    for block in deeper.parts()[1][len(small.parts()[1]) :]:
        for unit in block.modules():
            if isinstance(unit, nn.ReLU6):
                unit.register_forward_hook(lambda _, __, given: hidden.append(given.clone()))
    trunks(deeper, crops)
    assert len(hidden) == 4
    for given in hidden:
        assert 0.3 < float(given.mean()) < 1.5
        assert float((given == 6).float().mean()) < 0.01


def test_a_network_that_would_shrink_is_refused(small: LoupeNet, crops: Tensor) -> None:
    with pytest.raises(ValueError, match="nowhere narrower than the one that it grows from"):
        grow(small, LoupeNet((8,) * 13), crops)


def test_an_added_block_that_would_change_something_is_refused(small: LoupeNet, crops: Tensor) -> None:
    channels = (24, 24, 32, 32, 32, 32, 40, 64, 64, 64, 64, 96)
    hidden = (*small.shape["hidden"][:6], 128, 128, *small.shape["hidden"][6:11])
    with pytest.raises(ValueError, match="keep the number of channels"):
        grow(small, LoupeNet(hidden, (24, 32, 64), channels, (1, 6)), crops)
