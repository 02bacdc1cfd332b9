"""LoupeNet: the small feature network that ships with Loupe, so that it works well with no download.

Three maps, at strides 4, 8 and 16, that imitate the decorrelated features of a larger teacher (see ``distillation``).
Blocks are a depthwise convolution for context and two pointwise ones for content, as in ConvNeXt (Liu et al., CVPR
2022), with batch norm while learning, which is folded into the convolutions afterwards.

The cells of a map lie centred on the pixels they stand for: every strided convolution has an even kernel.

Shape letters: B batch, H and W image height and width, C channels of one map.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

WEIGHTS = Path(__file__).with_name("loupe_net.safetensors")


class LoupeNet(nn.Module):
    """Features at strides 4, 8 and 16.

    Args:
        widths: Channels inside the three stages.
        depths: Blocks in each stage.
        out_channels: Channels of the three maps: those of the teacher.
        batch_norm: True to learn; False for the folded network, which is what ships.
    """

    MEAN = 0.5  # what inputs in [0, 1] are normalised by, the same for every channel
    STD = 0.5
    STRIDES = (4, 8, 16)

    def __init__(
        self,
        widths: Sequence[int] = (32, 64, 128),
        depths: Sequence[int] = (1, 3, 4),
        out_channels: Sequence[int] = (24, 32, 96),
        batch_norm: bool = False,
    ) -> None:
        super().__init__()
        if not len(widths) == len(depths) == len(out_channels) == 3:
            raise ValueError(
                "Expected widths, depths and out_channels to have three entries each, one for each stride, "
                f"but got {tuple(widths)}, {tuple(depths)} and {tuple(out_channels)}."
            )
        self.shape = {"widths": list(widths), "depths": list(depths), "out_channels": list(out_channels)}
        stem = nn.Sequential(
            conv_unit(3, widths[0] // 2, 4, stride=2, relu=True, batch_norm=batch_norm),
            conv_unit(widths[0] // 2, widths[0], 4, stride=2, relu=True, batch_norm=batch_norm),
        )
        downs = [conv_unit(c, d, 2, stride=2, batch_norm=batch_norm) for c, d in pairwise(widths)]
        self.stages = nn.ModuleList(
            nn.Sequential(enter, *(Block(width, batch_norm=batch_norm) for _ in range(depth)))
            for enter, width, depth in zip([stem, *downs], widths, depths, strict=True)
        )
        self.heads = nn.ModuleList(nn.Conv2d(c, out, 1) for c, out in zip(widths, out_channels, strict=True))

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """Give the three maps, finest first.

        Args:
            x_BCHW: RGB in [0, 1], normalised to (x - 0.5) / 0.5. Sides are best multiples of 16: what is left over at
                the right and the bottom is not seen.

        Returns:
            Features (B, C, H // 4, W // 4), (B, C, H // 8, W // 8) and (B, C, H // 16, W // 16).
        """
        maps = []
        for stage, head in zip(self.stages, self.heads, strict=True):
            x_BCHW = stage(x_BCHW)
            maps.append(head(x_BCHW))
        return maps


class Block(nn.Module):
    """Residual block: depthwise 5x5, then pointwise to twice the channels and back."""

    def __init__(self, channels: int, batch_norm: bool) -> None:
        super().__init__()
        self.body = nn.Sequential(
            conv_unit(channels, channels, 5, groups=channels, batch_norm=batch_norm),
            conv_unit(channels, 2 * channels, 1, relu=True, batch_norm=batch_norm),
            conv_unit(2 * channels, channels, 1, batch_norm=batch_norm),
        )

    def forward(self, x_BCHW: Tensor) -> Tensor:
        """Add what the body finds to its input, same shape."""
        y_BCHW: Tensor = x_BCHW + self.body(x_BCHW)
        return y_BCHW


def conv_unit(
    channels: int,
    out: int,
    kernel: int,
    stride: int = 1,
    groups: int = 1,
    relu: bool = False,
    batch_norm: bool = False,
) -> nn.Sequential:
    """Build a convolution of centred cells, then batch norm where asked for, then ReLU where asked for."""
    conv = nn.Conv2d(channels, out, kernel, stride, (kernel - stride + 1) // 2, groups=groups, bias=not batch_norm)
    norm: list[nn.Module] = [nn.BatchNorm2d(out)] if batch_norm else []
    activation: list[nn.Module] = [nn.ReLU(inplace=True)] if relu else []
    return nn.Sequential(conv, *norm, *activation)


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


def save_loupe_net(net: LoupeNet, path: str | Path, metadata: Mapping[str, str] | None = None) -> None:
    """Write the folded network in half precision to ``path``, a safetensors file, its shape and ``metadata`` beside it.

    Half precision halves the file; features differ by about 0.1 %, which ``tests/models/test_loupe_net.py`` checks.
    """
    state = {key: value.detach().cpu().half().contiguous() for key, value in fold_batch_norm(net).items()}
    save_file(state, path, {**(metadata or {}), "network": json.dumps(net.shape)})


def load_loupe_net(path: str | Path = WEIGHTS) -> LoupeNet:
    """Build the network that ``save_loupe_net`` wrote to ``path``, by default the one that ships, ready to evaluate.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file holds some other network.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(
            f'Expected the weights of a LoupeNet at {path}, found no file; "loupe distill" makes one.'
        )
    with safe_open(path, framework="pt") as file:
        shape = json.loads((file.metadata() or {}).get("network", "null"))
    if shape is None:
        raise ValueError(
            f'Expected {path} to hold a LoupeNet, found no "network" in its metadata; choose another file.'
        )
    net = LoupeNet(**shape)
    net.load_state_dict({key: value.float() for key, value in load_file(path).items()})
    return net.eval()


def read_metadata(path: str | Path = WEIGHTS) -> dict[str, str]:
    """Read what ``save_loupe_net`` wrote beside the weights: recipe, teacher, pictures."""
    with safe_open(path, framework="pt") as file:
        return dict(file.metadata() or {})
