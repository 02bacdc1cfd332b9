"""Thinning: a LoupeNet cut out of MobileNetV2, or out of a larger LoupeNet, before any training.

Each block of MobileNetV2 widens its input to hidden channels, filters each by itself, and projects them back. Of the
hidden channels only those are kept which together explain the block's output best, and the projection is solved anew
by least squares, as channel pruning does (He et al., ICCV 2017, arXiv 1707.06168). Blocks follow each other: a block
is solved on what the thinned blocks before it give, against what the whole teacher gives, so it mends their error too.

Letters: N samples (pixels), C hidden channels, K of them kept, D output channels of a block, B batch, H and W sides.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from datamodules.progress import track

from .loupe_net import LoupeNet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from .decorrelation import Decorrelation
    from .loupe_net import Block as LoupeBlock

SILENT = 1e-9  # variance of channels that give next to nothing
_BATCH = 16
_PIXELS = 400  # of each crop that a block is solved on


class Layer(NamedTuple):
    """A convolution with its batch norm folded in, and whether a ReLU6 follows."""

    weight: Tensor
    bias: Tensor
    stride: int = 1
    groups: int = 1
    bounded: bool = True

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """Convolve; what a stride of 2 leaves over is padded at the right and the bottom, as TensorFlow does."""
        size = self.weight.shape[-1]
        pad = (0, 1, 0, 1) if self.stride == 2 else (size // 2,) * 4
        y_BCHW = F.conv2d(F.pad(x_BCHW, pad), self.weight, self.bias, self.stride, groups=self.groups)
        return F.relu6(y_BCHW) if self.bounded else y_BCHW


class Block(NamedTuple):
    """Widen, filter each channel by itself, project; the input is added where ``skip``."""

    widen: Layer
    filter: Layer
    project: Layer
    skip: bool

    def hidden(self, x_BCHW: Tensor) -> Tensor:
        """Give what the projection sees."""
        return self.filter(self.widen(x_BCHW))

    def __call__(self, x_BCHW: Tensor) -> Tensor:
        """Run the block."""
        y_BCHW = self.project(self.hidden(x_BCHW))
        return x_BCHW + y_BCHW if self.skip else y_BCHW


@torch.inference_mode()
def thin(
    teacher: nn.Module, crops_B3HW: Tensor, hidden: Sequence[int], bases: Sequence[Decorrelation], seed: int = 0
) -> LoupeNet:
    """Cut a LoupeNet out of a MobileNetV2.

    Args:
        teacher: timm's ``mobilenetv2_100`` with ``features_only=True``, in evaluation mode.
        crops_B3HW: Some hundred crops, normalised as the teacher takes them.
        hidden: Hidden channels to keep in each of the 13 blocks.
        bases: Of the maps at strides 4, 8 and 16: in what basis they are given.
        seed: Decides on which pixels a block is solved.

    Returns:
        A network whose maps come close to the teacher's, decorrelated: a good start for a distillation.
    """
    generator = torch.Generator().manual_seed(seed)
    thinned: list[Block] = []
    ours = theirs = crops_B3HW
    for block, count in zip(track(list(blocks_of(teacher)), "thinning"), hidden, strict=True):
        theirs_next = _run(block, theirs)
        wanted = theirs_next - ours if block.skip else theirs_next
        hidden_NC, wanted_ND = _sample(_run(block.hidden, ours), wanted, generator)
        thinned.append(_thin_block(block, hidden_NC, wanted_ND, count))
        ours, theirs = _run(thinned[-1], ours), theirs_next
    return _assemble(thinned, bases, hidden)


@torch.no_grad()
def shrink(net: LoupeNet, shape: Mapping[str, Sequence[int]], x_B3HW: Tensor, seed: int = 0) -> LoupeNet:
    """Cut a LoupeNet out of a larger one: fewer hidden channels, and fewer blocks at strides 8 and 16.

    Of blocks that are too many, those go that add the least to what passes through them.

    Args:
        net: Folded, as networks without batch norm are.
        shape: Of the one that is wanted: as many channels between blocks, and after the first convolution, nowhere more
            hidden ones, and blocks that may be left out only where they keep the number of channels.
        x_B3HW: Some hundred crops, normalised.
        seed: Decides on which pixels a block is solved.

    Returns:
        A network whose maps come close to those of ``net``, but for its heads, which are untrained.

    Raises:
        ValueError: It cannot be cut out.
    """
    wanted = LoupeNet(shape["hidden"], shape["out_channels"], shape["channels"], shape["halving"]).eval()
    (stem, *blocks), *later = net.parts()
    lead, begin, widen, filter_, project = map(_read, stem.children())
    firsts = [Block(widen, filter_, project, skip=False), *map(_block, blocks)]
    stages = [firsts, *([_block(block) for block in stage] for stage in later)]
    counts = [len(stage) for stage in wanted.parts()]
    generator = torch.Generator().manual_seed(seed)
    hidden, layers = list(shape["hidden"][1:]), [lead, begin]
    ours = theirs = _run(begin, _run(lead, x_B3HW))
    for stage, count in zip(stages, counts, strict=True):
        spare = _spare(stage, theirs, len(stage) - count)
        for place, block in enumerate(stage):
            theirs_next = _run(block, theirs)
            if place not in spare and hidden:
                aim = theirs_next - ours if block.skip else theirs_next
                hidden_NC, aim_ND = _sample(_run(block.hidden, ours), aim, generator)
                thinner = _thin_block(block, hidden_NC, aim_ND, min(hidden.pop(0), len(block.widen.weight)))
                layers += [thinner.widen, thinner.filter, thinner.project]
                ours = _run(thinner, ours)
            theirs = theirs_next
    _write(wanted, layers, net.shape)
    return wanted


def _spare(stage: Sequence[Block], x_BCHW: Tensor, count: int) -> set[int]:
    """Choose the blocks of a stage that add the least to what passes through them."""
    added = {}
    for place, block in enumerate(stage):
        y_BCHW = _run(block, x_BCHW)
        if block.skip:
            added[place] = float((y_BCHW - x_BCHW).square().mean() / y_BCHW.square().mean())
        x_BCHW = y_BCHW
    return set(sorted(added, key=added.__getitem__)[: max(0, count)])


def _read(unit: nn.Module) -> Layer:
    """Read a unit of a LoupeNet."""
    (conv,) = (module for module in unit.children() if isinstance(module, nn.Conv2d))
    bounded = any(isinstance(module, nn.ReLU6) for module in unit.children())
    bias = torch.zeros(conv.out_channels) if conv.bias is None else conv.bias
    return Layer(conv.weight, bias, conv.stride[0], conv.groups, bounded)


def _block(block: nn.Module) -> Block:
    """Read a block of a LoupeNet."""
    whole = cast("LoupeBlock", block)
    widen, filter_, project = map(_read, whole.body.children())
    return Block(widen, filter_, project, whole.skip)


def blocks_of(teacher: nn.Module) -> Iterator[Block]:
    """Read the blocks of a MobileNetV2 up to stride 16, batch norms folded in; the stem counts as widening."""
    network: dict[str, nn.Module] = dict(teacher.named_modules())
    yield Block(
        _fold(network["conv_stem"], network["bn1"]),
        _fold(network["blocks.0.0.conv_dw"], network["blocks.0.0.bn1"]),
        _fold(network["blocks.0.0.conv_pw"], network["blocks.0.0.bn2"], bounded=False),
        skip=False,
    )
    for stage, count in zip(range(1, 5), (2, 3, 4, 3), strict=True):
        for position in range(count):
            name = f"blocks.{stage}.{position}"
            yield Block(
                _fold(network[f"{name}.conv_pw"], network[f"{name}.bn1"]),
                _fold(network[f"{name}.conv_dw"], network[f"{name}.bn2"]),
                _fold(network[f"{name}.conv_pwl"], network[f"{name}.bn3"], bounded=False),
                skip=position > 0,
            )


def choose_channels(covariance_CC: Tensor, cross_CD: Tensor, count: int) -> list[int]:
    """Choose the channels whose best linear combination explains the most, greedily.

    Simultaneous orthogonal matching pursuit (Tropp et al., Signal Processing 86(3), 2006) on covariances.

    Args:
        covariance_CC: Of the channels.
        cross_CD: Covariance of channels and outputs.
        count: K.

    Returns:
        K channels, ascending. Where the rest add nothing, the first of them fill the places that are left.
    """
    rest_CC, cross_CD = covariance_CC.clone(), cross_CD.clone()
    floor_C = 1e-4 * covariance_CC.diagonal()  # below, a channel is a combination of those chosen
    chosen: list[int] = []
    for _ in range(count):
        variance_C = rest_CC.diagonal()
        gain_C = cross_CD.square().sum(dim=1) / variance_C.clamp_min(1e-12)
        gain_C[variance_C <= floor_C] = -1
        gain_C[chosen] = -1
        best = int(gain_C.argmax())
        if gain_C[best] < 0:
            left = [channel for channel in range(len(gain_C)) if channel not in chosen]
            return sorted([*chosen, *left[: count - len(chosen)]])
        chosen.append(best)
        share_C = rest_CC[:, best] / rest_CC[best, best]
        cross_CD -= torch.outer(share_C, cross_CD[best])
        rest_CC -= torch.outer(share_C, rest_CC[best].clone())
    return sorted(chosen)


def _thin_block(block: Block, hidden_NC: Tensor, wanted_ND: Tensor, count: int) -> Block:
    """Keep ``count`` hidden channels of a block and solve its projection anew."""
    hidden_NC, wanted_ND = hidden_NC.double(), wanted_ND.double()
    hidden_mean, wanted_mean = hidden_NC.mean(dim=0), wanted_ND.mean(dim=0)
    covariance_CC = torch.cov(hidden_NC.T, correction=0)
    cross_CD = (hidden_NC - hidden_mean).T @ (wanted_ND - wanted_mean) / len(hidden_NC)
    chosen = choose_channels(covariance_CC, cross_CD @ _quiet_axes(wanted_ND), count)
    chosen_KK = covariance_CC[chosen][:, chosen]
    ridge_KK = 1e-5 * chosen_KK.diagonal().mean().clamp_min(SILENT) * torch.eye(len(chosen), dtype=torch.float64)
    weight_KD = torch.linalg.solve(chosen_KK + ridge_KK, cross_CD[chosen])
    bias_D = wanted_mean - hidden_mean[chosen] @ weight_KD
    widen, filter_ = block.widen, block.filter
    return Block(
        widen._replace(weight=widen.weight[chosen], bias=widen.bias[chosen]),
        filter_._replace(weight=filter_.weight[chosen], bias=filter_.bias[chosen], groups=len(chosen)),
        Layer(weight_KD.T[:, :, None, None].float(), bias_D.float(), bounded=False),
        block.skip,
    )


def _quiet_axes(wanted_ND: Tensor) -> Tensor:
    """Principal axes with variances drawn together, so that quiet directions count when channels are chosen."""
    variance, axes = torch.linalg.eigh(torch.cov(wanted_ND.T, correction=0))
    quiet_DD: Tensor = axes * variance.clamp_min(1e-4 * variance[-1]).pow(-0.25)
    return quiet_DD


def _assemble(blocks: Sequence[Block], bases: Sequence[Decorrelation], hidden: Sequence[int]) -> LoupeNet:
    """Write thinned blocks into a LoupeNet, which knows no projection between its first two widenings."""
    net = LoupeNet(hidden)
    first, second = blocks[0], blocks[1]
    joined_weight = second.widen.weight[:, :, 0, 0] @ first.project.weight[:, :, 0, 0]
    joined_bias = second.widen.weight[:, :, 0, 0] @ first.project.bias + second.widen.bias
    joined = Layer(joined_weight[:, :, None, None], joined_bias)
    layers = [first.widen, first.filter, joined, second.filter, second.project]
    layers += [layer for block in blocks[2:] for layer in (block.widen, block.filter, block.project)]
    _write(net, layers)
    for head, basis in zip(net.heads, bases, strict=True):
        head.load_state_dict({"weight": basis.matrix.T[:, :, None, None], "bias": -(basis.mean @ basis.matrix)})
    return net.eval()


def _write(net: LoupeNet, layers: Sequence[Layer], source: object = "the teacher") -> None:
    """Write layers into the convolutions of a LoupeNet.

    Raises:
        ValueError: They are others, or of another size.
    """
    convolutions = [module for module in net.stages.modules() if isinstance(module, nn.Conv2d)]
    shapes = [[tuple(one.weight.shape) for one in some] for some in (convolutions, layers)]
    if shapes[0] != shapes[1]:
        raise ValueError(
            f"Expected a network that can be cut out of {source}, with as many channels between blocks and nowhere "
            f"more inside, but found {net.shape}."
        )
    for convolution, layer in zip(convolutions, layers, strict=True):
        convolution.load_state_dict({"weight": layer.weight, "bias": layer.bias})


def _fold(convolution: nn.Module, norm: nn.Module, *, bounded: bool = True) -> Layer:
    """Fold a batch norm into the convolution before it."""
    conv, batch_norm = cast("nn.Conv2d", convolution), cast("nn.BatchNorm2d", norm)
    seen = batch_norm.state_dict()
    gain = seen["weight"] / (seen["running_var"] + batch_norm.eps).sqrt()
    bias = seen["bias"] - seen["running_mean"] * gain
    return Layer(conv.weight * gain[:, None, None, None], bias, conv.stride[0], conv.groups, bounded)


def _run(part: Block | Layer | Callable[[Tensor], Tensor], x_BCHW: Tensor) -> Tensor:
    return torch.cat([part(some) for some in torch.split(x_BCHW, _BATCH)])


def _sample(hidden_BCHW: Tensor, wanted_BDHW: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Take the same pixels of both, as rows."""
    pixels = hidden_BCHW[0, 0].numel()
    picks = torch.randperm(pixels, generator=generator)[:_PIXELS]
    rows = [x.flatten(2)[:, :, picks].transpose(1, 2).flatten(0, 1) for x in (hidden_BCHW, wanted_BDHW)]
    return rows[0], rows[1]
