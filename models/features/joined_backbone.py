"""Several feature networks side by side, which models take for one: the maps of each level lie one upon the other.

Networks differ in the scale of their features by orders of magnitude, and the loudest would decide every distance. So
each is divided by a number, learnt from training images: then all vary alike.

Letters: B batch, H and W pixels, C channels of one network, N networks.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, TypeAlias

import torch
from timm.models.vision_transformer import VisionTransformer
from torch import nn

from models.errors import key, keys_under

from .backbones import Backbone
from .joined import join_maps

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

NETWORKS = "networks"
PROBE = 224  # pixels: the side of an image that shows how fine maps are; a multiple of what transformers ask for


class JoinedBackbone(nn.Module):
    """Frozen feature networks side by side, with the contract of one.

    Every network gives as many levels as the others, each about as fine as theirs. A level of the whole has the
    channels of all, on the grid of the first network.

    Args:
        networks: By name, at least two; the first one's grid is that of the whole.

    Attributes:
        scale_N: What the features of each network are divided by; 1 until ``take_scales``.
        known: Whether the scales have been learnt.
        network: All networks.

    Raises:
        ValueError: The networks give other numbers of levels, or levels that are not alike.
    """

    scale_N: Tensor
    known: Tensor

    def __init__(self, networks: Mapping[str, Backbone]) -> None:
        super().__init__()
        if wrong := [name for name in networks if not name or "." in name]:
            raise ValueError(
                f"Expected networks of {key(NETWORKS)} to have names without dots, but found {wrong[0]!r}."
            )
        check_alike({name: network.shapes(PROBE, PROBE) for name, network in networks.items()})
        self.network = nn.ModuleDict(networks)
        self.register_buffer("scale_N", torch.ones(len(networks)))
        self.register_buffer("known", torch.tensor(False))

    def train(self, mode: bool = True) -> JoinedBackbone:
        """Stay in evaluation mode, as each of the networks does."""
        del mode
        return super().train(False)

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Return one feature map (B, channels of all, height, width) per level, finest first, in float32."""
        found = zip(self.maps(image_B3HW).values(), self.scale_N, strict=True)
        levels = zip(*([level / scale for level in maps] for maps, scale in found), strict=True)
        return [join_maps(maps) for maps in levels]

    def maps(self, image_B3HW: Tensor) -> dict[str, list[Tensor]]:
        """Return the maps (B, C, height, width) of each network as it gives them, by its name."""
        return {name: network(image_B3HW) for name, network in self.networks.items()}

    def take_scales(self, scales: Sequence[float]) -> None:
        """Divide the features of each network by its own number from now on.

        Raises:
            ValueError: A number is not above 0.
        """
        if not all(0 < scale < float("inf") for scale in scales):
            raise ValueError(
                f"Expected features of every network that vary from place to place, but those of "
                f"{', '.join(self.networks)} vary by {', '.join(f'{scale:g}' for scale in scales)}; use one of them."
            )
        self.scale_N.copy_(torch.tensor(scales))  # written into: whoever knows the features by name sees the change
        self.known.fill_(True)

    @property
    def origin(self) -> dict[str, str]:
        """Say where the weights of each network came from: what ``Backbone`` says, each under the network's name."""
        facts = {f"{name}_{fact}": value for name, one in self.networks.items() for fact, value in one.origin.items()}
        return {"name": " + ".join(one.origin["name"] for one in self.networks.values()), **facts}

    def shapes(self, height: int = 64, width: int = 64) -> list[tuple[int, int, int]]:
        """Tell channels, height and width of every level, for images of a size."""
        found = [one.shapes(height, width) for one in self.networks.values()]
        return [(sum(channels for channels, *_ in level), *level[0][1:]) for level in zip(*found, strict=True)]

    def bare(self) -> list[nn.Module]:
        """List the networks themselves."""
        return [network for one in self.networks.values() for network in one.bare()]

    @property
    def networks(self) -> dict[str, Backbone]:
        """The networks by name, in their order."""
        return {name: network for name, network in self.network.items() if isinstance(network, Backbone)}


Features: TypeAlias = Backbone | JoinedBackbone
"""Whatever turns images into feature maps: models do not know how many networks there are."""


def side_multiple(features: Features) -> int:
    """Return what both sides of an image must be a multiple of: the patches of transformers, which are never cut."""
    networks = [module for module in features.modules() if isinstance(module, VisionTransformer)]
    return math.lcm(*(side for network in networks for side in network.patch_embed.patch_size))


def build_features(backbone: Mapping[str, Any]) -> Features:
    """Build one feature network, or several side by side.

    Args:
        backbone: Arguments of ``Backbone``, or those of several by their names, under ``networks``.

    Raises:
        ValueError: The networks do not go together.
        WeightsError: The weights of one cannot be had; names the key of that one.
    """
    if NETWORKS not in backbone:
        return Backbone(**backbone)
    if (unknown := sorted(set(backbone) - {NETWORKS})) or not backbone[NETWORKS]:
        found = f"{unknown[0]} beside them" if unknown else "none"
        raise ValueError(f"Expected {key(NETWORKS)} to be feature networks by name, but found {found}.")
    networks = {}
    for name, arguments in each(backbone).items():
        with keys_under(key(f"{NETWORKS}.{name}")):
            networks[str(name)] = Backbone(**arguments)
    return JoinedBackbone(networks) if len(networks) > 1 else networks.popitem()[1]


def require_one(backbone: Mapping[str, Any], model: str, why: str) -> Mapping[str, Any]:
    """Return the arguments of the only feature network.

    Raises:
        ValueError: There are several.
    """
    found = each(backbone)
    if len(found) == 1:
        return found.popitem()[1]
    raise ValueError(
        f"Expected one feature network for {model}, {why}, but found {' and '.join(found)}; choose one with "
        "backbone=NAME, or a model that takes several, such as patchcore, padim, dfm or reverse_distillation."
    )


def each(backbone: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    """Return the arguments of every feature network by its name; of a single one, which has none, by timm's."""
    return dict(backbone[NETWORKS]) if NETWORKS in backbone else {str(backbone["name"]): backbone}


def with_layers(backbone: Mapping[str, Any], layers: Sequence[int]) -> dict[str, Any]:
    """Return the arguments of feature networks with other levels, the same of each."""
    if NETWORKS not in backbone:
        return {**backbone, "layers": list(layers)}
    networks = {name: {**arguments, "layers": list(layers)} for name, arguments in each(backbone).items()}
    return {**backbone, NETWORKS: networks}


def check_alike(shapes: Mapping[str, Sequence[tuple[int, int, int]]]) -> None:
    """Refuse networks whose levels do not lie one upon the other.

    Args:
        shapes: Channels, height and width of every level, by network, of images of one size.

    Raises:
        ValueError: The numbers of levels differ, or one network's level is twice as fine as another's, or finer.
    """
    (first, expected), *others = shapes.items()
    for name, found in others:
        sides = [[height for _, height, _ in levels] for levels in (expected, found)]
        alike = len(expected) == len(found) and all(max(pair) < 2 * min(pair) for pair in zip(*sides, strict=True))
        if not alike:
            raise ValueError(
                f"Expected networks whose levels are about as fine, one by one, but found maps with sides of "
                f"{sides[0]} of {first} and of {sides[1]} of {name}, for images of {PROBE}; set "
                f"{key(NETWORKS)}.{name}.layers to levels that match, or those of {first}."
            )
