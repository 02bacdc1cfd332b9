"""Batch normalisation folded into the convolution before it: the same function, in fewer passes over memory."""

from __future__ import annotations

from copy import deepcopy
from itertools import pairwise
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

Network = TypeVar("Network", bound=nn.Module)


def fused(network: Network) -> Network:
    """Return a copy of a network for inference, with what stands in a row folded; equal to rounding.

    A sixth of the time of a small U-Net goes into its batch normalisations.

    Args:
        network: Any, in evaluation mode; what it has of convolutions and normalisations in other arrangements than
            one behind the other in an ``nn.Sequential`` stays as it is.

    Raises:
        ValueError: It is in training mode, where normalisation depends on the batch.
    """
    if network.training:
        raise ValueError("Expected a network in evaluation mode, but found one in training mode; call eval() first.")
    copy = deepcopy(network)
    for row in [module for module in copy.modules() if isinstance(module, nn.Sequential)]:
        for (name, before), (next_name, after) in pairwise(list(row.named_children())):
            if isinstance(before, nn.Conv2d) and isinstance(after, nn.BatchNorm2d):
                setattr(row, name, fuse_conv_bn_eval(before, after))
                setattr(row, next_name, nn.Identity())
    return copy
