"""Feature networks: where their weights come from is always stated, and never guessed.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import timm
import torch
from safetensors.torch import load_file
from torch import nn

from .errors import WeightsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch import Tensor

UNTRAINED, HUB = "none", "hub"


class Backbone(nn.Module):
    """A frozen feature network of timm's, from pictures in [0, 1] to feature maps.

    Args:
        name: timm's name of the network.
        layers: Which of timm's feature levels to return; level i has stride 2 ** (i + 1) in most networks.
        mean: Per channel, of what the network was trained on.
        std: Per channel.
        weights: ``hub`` (timm's own, downloaded), ``none`` (untrained, seeded by the run), or the path of a file:
            safetensors, or a state dict saved by torch.
        options: What else ``timm.create_model`` takes for this network.

    Attributes:
        origin: Plain values that say where the weights came from: ``name``, ``weights`` and, for a file, ``sha256``.
            They travel in the checkpoint.

    Raises:
        WeightsError: The weights cannot be had, or are not this network's.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self,
        name: str,
        layers: Sequence[int],
        mean: Sequence[float],
        std: Sequence[float],
        weights: str = HUB,
        options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__()
        self.origin: dict[str, str] = {"name": name, "weights": weights}
        self.network = _create(name, layers, options or {}, download=weights == HUB)
        if weights not in {UNTRAINED, HUB}:
            self.origin["sha256"] = load_weights(self.network, Path(weights).expanduser())
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.network.eval().requires_grad_(False)

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode: a frozen network must not update its batch statistics."""
        del mode
        return super().train(False)

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Return one feature map (B, channels, height, width) per layer, finest first."""
        features: list[Tensor] = self.network((image_B3HW - self.mean) / self.std)
        return features

    def get_extra_state(self) -> dict[str, str]:
        """Send ``origin`` along with the weights."""
        return self.origin

    def set_extra_state(self, state: dict[str, str]) -> None:
        """Take ``origin`` from where the weights came from."""
        self.origin = state


def load_weights(network: nn.Module, path: Path) -> str:
    """Load a file of weights into a network; return the file's SHA-256.

    Entries for parts that a feature network lacks (a classifier, say) are ignored; a missing entry is an error.

    Raises:
        WeightsError: There is no such file, it is no file of weights, or it belongs to another network.
    """
    if not path.is_file():
        raise WeightsError(f"Expected a file of weights at {path}, but found none; {_WAYS_OUT}.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # any reader's error means the same to the user
        raise WeightsError(
            f"Expected {path} to be safetensors or a state dict, but could not read it: {error}"
        ) from error
    try:
        missing = network.load_state_dict(state, strict=False).missing_keys
    except RuntimeError as error:
        raise WeightsError(f"Expected {path} to fit this network, but found other shapes: {error}") from error
    if missing:
        raise WeightsError(
            f"Expected {path} to hold every weight of this network, but found no {missing[0]} "
            f"({len(missing)} are missing); check that backbone= names the network that the file was made for."
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


_WAYS_OUT = (
    "give a file with backbone.weights=PATH, choose a backbone that ships with Loupe, or ask for untrained features "
    "with backbone.weights=none"
)


def _create(name: str, layers: Sequence[int], options: Mapping[str, Any], *, download: bool) -> nn.Module:
    try:
        network: nn.Module = timm.create_model(
            name, pretrained=download, features_only=True, out_indices=tuple(layers), **options
        )
    except RuntimeError as error:
        if "Unknown model" in str(error):
            near = ", ".join(timm.list_models(f"*{name.split('_', 1)[0]}*")[:5]) or "see timm.list_models()"
            raise WeightsError(
                f"Expected backbone.name to be a network of timm, but found {name!r}; near: {near}."
            ) from error
        raise
    except Exception as error:
        if not download:
            raise
        raise WeightsError(
            f"Expected to download the weights of {name}, but could not: {error}; {_WAYS_OUT}."
        ) from error
    return network
