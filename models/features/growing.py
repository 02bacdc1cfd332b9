"""Growing: a wider or deeper LoupeNet that begins as a smaller one, so that what that one knows is not learnt anew.

The narrow network's weights stand among the wider one's. What is new reads all that there is, and nothing old reads
what is new: old channels give what they gave (as in Net2Net, Chen et al., ICLR 2016, arXiv 1511.05641, but with new
random channels instead of copies). Where a stage has more blocks, those behind the old ones add nothing at first; where
it has fewer, the last of the old ones are left out. The heads are solved by least squares on the targets, which may be
other ones.

Letters: B batch, H and W height and width, N samples (pixels), C channels of a map, D outputs of a head.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .loupe_net import Block, LoupeNet

if TYPE_CHECKING:
    from collections.abc import Sequence


_BATCH = 16
_RIDGE = 1e-4  # of the mean variance


@torch.no_grad()
def grow(narrow: LoupeNet, wide: LoupeNet, x_B3HW: Tensor) -> None:
    """Write the weights of ``narrow`` into ``wide``, whose weights are random; its heads are left alone.

    Args:
        narrow: Folded, as networks without batch norm are.
        wide: Without batch norm, and nowhere narrower.
        x_B3HW: Some crops, normalised: on them, new channels vary about as much as the old ones beside them.

    Raises:
        ValueError: Somewhere it is narrower.
    """
    pairs, added = _pairs(narrow, wide)
    for before, after in pairs:
        out, into = before.weight.shape[:2]
        if out > after.weight.shape[0] or into > after.weight.shape[1]:
            raise ValueError(
                f"Expected a network nowhere narrower than the one that it grows from, {narrow.shape}, but found "
                f"{wide.shape}."
            )
        nn.init.kaiming_normal_(after.weight, nonlinearity="relu")
        nn.init.zeros_(_bias(after))
        after.weight[:out, into:] = 0  # nothing old reads what is new
        after.weight[:out, :into] = before.weight
        _bias(after)[:out] = _bias(before)
    hooks = [after.register_forward_hook(partial(_level, old=len(before.weight))) for before, after in pairs]
    for block in added:
        *units, last = _convolutions(block)
        hooks += [unit.register_forward_hook(_settle) for unit in units]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(_bias(last))
    wide(x_B3HW)
    for hook in hooks:
        hook.remove()


def _level(convolution: nn.Conv2d, _: object, given_BCHW: Tensor, *, old: int) -> Tensor:
    """Bring what the new channels give to the level and the spread of the old ones, in weights and in what follows."""
    mean_C, std_C = given_BCHW.mean(dim=(0, 2, 3)), given_BCHW.std(dim=(0, 2, 3)).clamp_min(1e-6)
    gain_C = torch.cat([torch.ones(old), std_C[:old].mean() / std_C[old:]])
    shift_C = torch.cat([torch.zeros(old), mean_C[:old].mean() - mean_C[old:] * gain_C[old:]])
    convolution.weight.mul_(gain_C[:, None, None, None])
    _bias(convolution).mul_(gain_C).add_(shift_C)
    return given_BCHW * gain_C[:, None, None] + shift_C[:, None, None]


@torch.no_grad()
def solve_heads(net: LoupeNet, x_B3HW: Tensor, targets: Sequence[Tensor]) -> None:
    """Set the heads to those that give ``targets`` (B, D, h, w) best, by least squares.

    Args:
        net: Its trunk stays as it is.
        x_B3HW: Crops, normalised.
        targets: One for each of its maps, on the same grid.
    """
    for stage, head, target in zip(net.stages, net.heads, targets, strict=True):
        x_B3HW = torch.cat([stage(some) for some in torch.split(x_B3HW, _BATCH)])
        given_NC, wanted_ND = (some.permute(0, 2, 3, 1).flatten(0, 2).double() for some in (x_B3HW, target))
        mean_C, mean_D = given_NC.mean(dim=0), wanted_ND.mean(dim=0)
        covariance_CC = torch.cov(given_NC.T, correction=0)
        ridge_CC = _RIDGE * covariance_CC.diagonal().mean() * torch.eye(len(covariance_CC), dtype=torch.float64)
        cross_CD = (given_NC - mean_C).T @ (wanted_ND - mean_D) / len(given_NC)
        weight_CD = torch.linalg.solve(covariance_CC + ridge_CC, cross_CD)
        head.load_state_dict({"weight": weight_CD.T[:, :, None, None], "bias": mean_D - mean_C @ weight_CD})


def _pairs(narrow: LoupeNet, wide: LoupeNet) -> tuple[list[tuple[nn.Conv2d, nn.Conv2d]], list[nn.Module]]:
    """Pair the convolutions of two networks, block by block within every stage; return the blocks that are added, too.

    Raises:
        ValueError: An added block could not add nothing: it changes the number of channels.
    """
    pairs, added = [], []
    for before, after in zip(narrow.parts(), wide.parts(), strict=True):
        for old, new in zip(before, after, strict=False):
            pairs += list(zip(_convolutions(old), _convolutions(new), strict=True))
        added += after[len(before) :]
    if any(isinstance(block, Block) and not block.skip for block in added):
        raise ValueError(
            f"Expected blocks beyond those of {narrow.shape} to keep the number of channels, but found {wide.shape}."
        )
    return pairs, added


def _convolutions(part: nn.Module) -> list[nn.Conv2d]:
    return [module for module in part.modules() if isinstance(module, nn.Conv2d)]


def _settle(convolution: nn.Conv2d, _: object, given_BCHW: Tensor) -> Tensor:
    """Bring all channels to a mean of 0.5 and a spread of 1, which ReLU6 leaves room for."""
    mean_C, std_C = given_BCHW.mean(dim=(0, 2, 3)), given_BCHW.std(dim=(0, 2, 3)).clamp_min(1e-6)
    convolution.weight.div_(std_C[:, None, None, None])
    _bias(convolution).sub_(mean_C).div_(std_C).add_(0.5)
    return (given_BCHW - mean_C[:, None, None]) / std_C[:, None, None] + 0.5


def _bias(convolution: nn.Conv2d) -> Tensor:
    if convolution.bias is None:
        raise ValueError("Expected convolutions with biases, but found one without; fold the batch norm first.")
    return convolution.bias
