"""LoupeNet: the small feature network that ships with Loupe, so that it works well with no download.

Three maps, at strides 4, 8 and 16, that imitate the features of a larger teacher along their principal axes (see
``distillation``). Its blocks are MobileNetV2's (Sandler et al., CVPR 2018, arXiv 1801.04381), with few hidden channels
where images are large: a LoupeNet can be cut out of a MobileNetV2 (see ``thinning``), and then only has to mend what
the cut cost.

As MobileNetV2, it pads at the right and the bottom where it halves an image, so that what a cell sees is centred
1.5, 3.5 and 7.5 pixels to the lower right of the middle of the square it stands for, at strides 4, 8 and 16.

Shape letters: B batch, H and W image height and width, C channels of one map.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.fusion import fuse_conv_bn_eval

from .last_seen import grows_a_graph, version
from .precision import full_precision
from .weight_files import write_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEIGHTS = Path(__file__).with_name("loupe_net.safetensors")

# As a LoupeNet is cut out of a MobileNetV2; the one that ships has less of each, which its file says.
CHANNELS = (24, 24, 32, 32, 32, 64, 64, 64, 64, 96, 96, 96)  # between blocks; the first follows the stem
OUT_CHANNELS = (24, 32, 96)
HALVING = (1, 4)  # the blocks that halve the image
HIDDEN = (16, 32, 72, 72, 128, 128, 128, 192, 288, 288, 288, 432, 432)
STEM_UNITS = 5  # convolutions before the first block
BLOCK_KEY = 7  # parts of the name of a weight in a block
PAD = (0, 1, 0, 1)  # what strided convolutions see beyond the image: a column at the right, a row at the bottom


class LoupeNet(nn.Module):
    """Features at strides 4, 8 and 16.

    Weights of another shape without batch norm, which an older checkpoint may hold, change it into a network of theirs.

    Args:
        hidden: Hidden channels of the stem's two convolutions, and of each block after it.
        out_channels: Channels of the three maps: those of the teacher.
        channels: Channels between blocks; the first follows the stem, the last the last block.
        halving: Which of the blocks halve the image, to strides 8 and 16.
        batch_norm: True to learn from random weights; False for the folded network, which is what ships.
    """

    MEAN = 0.5  # what inputs in [0, 1] are normalised by, the same for every channel
    STD = 0.5
    STRIDES = (4, 8, 16)

    def __init__(
        self,
        hidden: Sequence[int] = HIDDEN,
        out_channels: Sequence[int] = OUT_CHANNELS,
        channels: Sequence[int] = CHANNELS,
        halving: Sequence[int] = HALVING,
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if len(out_channels) != len(self.STRIDES):
            raise ValueError(f"Expected {len(self.STRIDES)} numbers of out_channels, but got {tuple(out_channels)}.")
        if len(hidden) != len(channels) + 1:
            raise ValueError(
                f"Expected one number of hidden channels more than of channels, since the stem takes two, but got "
                f"{len(hidden)} and {len(channels)}: {tuple(hidden)} and {tuple(channels)}."
            )
        if len(halving) != len(HALVING) or not 0 < halving[0] < halving[1] < len(channels) - 1:
            raise ValueError(
                f"Expected halving to name two of the blocks 1 to {len(channels) - 2}, in their order, but got "
                f"{tuple(halving)}."
            )
        self.batch_norm = batch_norm
        self.shape = {
            "hidden": list(hidden),
            "out_channels": list(out_channels),
            "channels": list(channels),
            "halving": list(halving),
        }
        self.widest = math.ceil(
            max(max(hidden[:2]) / 2**2, max(hidden[2:4]) / 4**2)
        )  # numbers a pixel, in the largest map
        stem = Units(
            ConvUnit(3, hidden[0], 3, stride=2, batch_norm=batch_norm),
            ConvUnit(hidden[0], hidden[0], 3, groups=hidden[0], batch_norm=batch_norm),
            ConvUnit(hidden[0], hidden[1], 1, batch_norm=batch_norm),
            ConvUnit(hidden[1], hidden[1], 3, stride=2, groups=hidden[1], batch_norm=batch_norm),
            ConvUnit(hidden[1], channels[0], 1, bounded=False, batch_norm=batch_norm),
        )
        blocks = [
            Block(wide, width, out, 2 if index in halving else 1, batch_norm)
            for index, (width, (wide, out)) in enumerate(zip(hidden[2:], pairwise(channels), strict=True))
        ]
        cuts = (0, *halving, len(blocks))
        stages = [blocks[start:end] for start, end in pairwise(cuts)]
        self.stages = nn.ModuleList([nn.Sequential(stem, *stages[0]), *(nn.Sequential(*stage) for stage in stages[1:])])
        ends = (channels[halving[0]], channels[halving[1]], channels[-1])
        self.heads = nn.ModuleList(nn.Conv2d(c, out, 1) for c, out in zip(ends, out_channels, strict=True))

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """Give the three maps, finest first.

        Args:
            x_BCHW: RGB in [0, 1], normalised to (x - 0.5) / 0.5. Sides are best multiples of 16: what is left over at
                the right and the bottom is not seen.

        Returns:
            Features (B, C, H // 4, W // 4), (B, C, H // 8, W // 8) and (B, C, H // 16, W // 16).
        """
        return self.maps(x_BCHW, (1, 2, 3))

    def maps(self, x_BCHW: Tensor, levels: Sequence[int]) -> list[Tensor]:
        """Give the maps of some levels, counted from 1, in the order asked for; nothing beyond the last is computed."""
        found = {}
        with full_precision(x_BCHW):  # small as it is, it gains nothing by half, and its quiet directions lose much
            for level, (stage, head) in enumerate(zip(self.stages, self.heads, strict=True), 1):
                if level <= max(levels):
                    x_BCHW = stage(x_BCHW)
                if level in levels:
                    found[level] = head(x_BCHW)
        return [found[level] for level in levels]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take the shape of the weights that are about to be loaded."""
        own = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
        with suppress(ValueError):  # of something else: what loads them says what is missing
            if not self.batch_norm and (shape := shape_of(own)) != self.shape:
                self._reshape(shape)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def _reshape(self, shape: Mapping[str, Sequence[int]]) -> None:
        """Become a network of another shape, where and how this one lies, and as far as it learns."""
        like = next(self.parameters())
        other = LoupeNet(shape["hidden"], shape["out_channels"], shape["channels"], shape["halving"])
        other.to(like.device, like.dtype).requires_grad_(like.requires_grad).train(self.training)
        if like.is_contiguous(memory_format=torch.channels_last):
            other.to(memory_format=torch.channels_last)
        self.stages, self.heads, self.shape, self.widest = other.stages, other.heads, other.shape, other.widest

    def parts(self) -> list[list[nn.Module]]:
        """List the blocks of every stage, in the first one after the stem."""
        return [list(stage.children()) for stage in self.stages]


class Block(nn.Module):
    """Inverted residual block: widen, filter each channel by itself, project; the input is added where shapes allow."""

    def __init__(self, channels: int, hidden: int, out: int, stride: int, batch_norm: bool) -> None:
        super().__init__()
        self.skip = stride == 1 and channels == out
        self.body = Units(
            ConvUnit(channels, hidden, 1, batch_norm=batch_norm),
            ConvUnit(hidden, hidden, 3, stride=stride, groups=hidden, batch_norm=batch_norm),
            ConvUnit(hidden, out, 1, bounded=False, batch_norm=batch_norm),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H // stride, W // stride)."""
        y_BCHW = self.body.forward(x_BCHW)
        return y_BCHW.add_(x_BCHW) if self.skip else y_BCHW


class ConvUnit(nn.Sequential):
    """A convolution, then batch norm where asked for, then ReLU6 where ``bounded``.

    Strided ones pad at the right and the bottom only, as MobileNetV2's own do. Once it has learnt, its layers are not
    called as modules, nor their hooks, and depthwise kernels are padded instead of maps: 7 % less on two threads.
    """

    def __init__(
        self,
        channels: int,
        out: int,
        kernel: int,
        *,
        stride: int = 1,
        groups: int = 1,
        bounded: bool = True,
        batch_norm: bool = False,
    ) -> None:
        pad: list[nn.Module] = [nn.ZeroPad2d(PAD)] if stride == 2 else []
        conv = nn.Conv2d(channels, out, kernel, stride, 0 if pad else kernel // 2, groups=groups, bias=not batch_norm)
        norm: list[nn.Module] = [nn.BatchNorm2d(out)] if batch_norm else []
        activation = [nn.ReLU6(inplace=True)] if bounded else []
        super().__init__(*pad, conv, *norm, *activation)
        self.padded, self.normed = bool(pad), batch_norm
        self.conv, self.bound = (conv,), tuple(activation)  # at hand in tuples: looking for children takes time
        self._wide: _Widened | None = None

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Map (B, channels, H, W) to (B, out, H // stride, W // stride)."""
        if self.normed or self.training:
            y_BCHW: Tensor = super().forward(x_BCHW)  # type: ignore[no-untyped-call]  # torch leaves it unannotated
            return y_BCHW
        (conv,) = self.conv
        weight_OIKK, padding = conv.weight, conv.padding
        if self.padded and conv.groups > 1 and not grows_a_graph() and x_BCHW.device.type == "cpu":
            weight_OIKK, padding = self._widened(weight_OIKK), (1, 1)
        elif self.padded:
            x_BCHW = F.pad(x_BCHW, PAD)
        y_BCHW = torch.conv2d(x_BCHW, weight_OIKK, conv.bias, conv.stride, padding, 1, conv.groups)
        if not self.bound:
            return y_BCHW
        return y_BCHW.clamp_(0, 6) if self.bound[0].inplace else y_BCHW.clamp(0, 6)

    def _widened(self, weight_OIKK: Tensor) -> Tensor:
        """Put a row and a column of zeros before kernels: then they pad evenly, and no map is copied to pad it."""
        wide = self._wide  # one reading: threads may share a network
        if wide is None or (wide.of.data_ptr(), wide.version) != (weight_OIKK.data_ptr(), version(weight_OIKK)):
            padded_OIKK = F.pad(weight_OIKK, (1, 0, 1, 0))
            wide = self._wide = _Widened(weight_OIKK.detach(), version(weight_OIKK), padded_OIKK)
        return wide.weight_OIKK


class _Widened(NamedTuple):
    """Kernels with zeros before them, and what they are of: its memory is not given away as long as it is held here."""

    of: Tensor
    version: int
    weight_OIKK: Tensor


class Units(nn.Sequential):
    """Convolution units, one after the other, none called as a module."""

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Run them."""
        for unit in self:
            x_BCHW = unit.forward(x_BCHW)
        return x_BCHW


def fold_batch_norm(net: nn.Module) -> dict[str, Tensor]:
    """Fold every batch norm of ``net`` that directly follows a convolution into it; ``net`` itself stays as it is.

    Returns:
        The state of the same network built with ``batch_norm=False``, whose evaluation forward is the same function.
    """
    state = net.state_dict()
    for name, child in net.named_modules():
        if not isinstance(child, nn.Sequential):
            continue
        for index, (conv, norm) in enumerate(pairwise(child)):
            if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                for key in norm.state_dict():
                    del state[f"{name}.{index + 1}.{key}"]
                folded = fuse_conv_bn_eval(conv.eval(), norm.eval())
                state |= {f"{name}.{index}.{key}": value for key, value in folded.state_dict().items()}
    return state


def shape_of(state: Mapping[str, Tensor]) -> dict[str, list[int]]:
    """Read off the weights of a folded LoupeNet with which arguments it is built.

    Raises:
        ValueError: They are the weights of something else.
    """
    keys = {tuple(int(part) if part.isdigit() else part for part in key.split(".")): key for key in state}
    widths = {key: len(state[name]) for key, name in keys.items() if key[-1] == "weight"}
    stem = [widths[key] for key in sorted(key for key in widths if key[:3] == ("stages", 0, 0))]
    places = sorted(key for key in widths if key[0] == "stages" and "body" in key and len(key) == BLOCK_KEY)
    expanding, projecting = ([widths[key] for key in places if key[4] == unit] for unit in (0, 2))
    heads = [widths[key] for key in sorted(key for key in widths if key[0] == "heads")]
    sizes = Counter(key[1] for key in places if key[4] == 0)
    if len(stem) != STEM_UNITS or set(sizes) != {0, 1, 2} or len(places) != 3 * sum(sizes.values()):
        raise ValueError("Expected the weights of a LoupeNet without batch norm, but found those of something else.")
    return {
        "hidden": [stem[0], stem[2], *expanding],
        "out_channels": heads,
        "channels": [stem[-1], *projecting],
        "halving": [sizes[0], sizes[0] + sizes[1]],
    }


def read_loupe_net(path: str | Path = WEIGHTS) -> LoupeNet:
    """Build the network whose weights are in a file, by default the one that ships; in evaluation mode.

    Raises:
        ValueError: They are the weights of something else.
    """
    state = load_file(path)
    net = LoupeNet(**shape_of(state), batch_norm=False)
    net.load_state_dict(state)
    return net.eval()


def save_loupe_net(net: LoupeNet, path: str | Path, facts: Mapping[str, str] | None = None) -> None:
    """Write the folded network in half precision to ``path``, a safetensors file, its shape and ``facts`` beside it.

    Features differ by about 0.1 %, which ``tests/models/test_loupe_net.py`` checks.
    """
    write_weights(fold_batch_norm(net), path, {**(facts or {}), "network": json.dumps(net.shape)})
