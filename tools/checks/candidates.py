"""Which features could be used here: every backbone whose weights are at hand without a network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from omegaconf import ListConfig, OmegaConf

from models.errors import WeightsError
from models.features.backbones import BUNDLED, UNTRAINED
from models.features.weight_sources import find_weights
from tools.configuring.config import groups
from tools.configuring.places import choice_file
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Sequence

DEFAULT, BARE = "loupe", "untrained"
ALL, NOTHING = "all", ("none", "off", "")
BARE_OVERRIDES = ("backbone=resnet18", "backbone.weights=none")


class Candidate(NamedTuple):
    """A way of seeing.

    Attributes:
        overrides: What makes ``loupe train`` take it; none for what it does by itself.
        backbones: Names of what it is made of.
        pixels: How many times as many pixels as usual it sees, which is about what it costs.
    """

    overrides: tuple[str, ...]
    backbones: tuple[str, ...]
    pixels: float = 1.0

    @property
    def name(self) -> str:
        """What a person types for it; for the usual features, their name."""
        return " ".join(self.overrides) or f"backbone={DEFAULT}"

    def also(self, *overrides: str, pixels: float = 1.0) -> Candidate:
        """Return this one with more overrides."""
        return self._replace(overrides=(*self.overrides, *overrides), pixels=self.pixels * pixels)


def asked_names(features: Any, minutes: float = 1) -> list[str]:
    """Return the names that ``features=`` asks for, ``loupe`` first; none where it asks for nothing.

    Raises:
        ConfigError: One of them is not a backbone, or there is no time.
    """
    if not minutes > 0:
        raise ConfigError(f"Expected minutes to be above 0, but found {minutes}.")
    listed = list(features) if isinstance(features, list | ListConfig) else [features]
    names = [str(name) for name in listed if name is not None and str(name) not in NOTHING]
    if not names:
        return []
    known = [*groups()["backbone"], BARE]
    if names == [ALL]:
        return [DEFAULT, *(name for name in known if name != DEFAULT)]
    for name in names:
        if name not in known:
            raise ConfigError(
                f"Expected features to be all, none, or a list of {', '.join(known)}, but found {name!r}."
            )
    return [DEFAULT, *(name for name in names if name != DEFAULT)]


def single(name: str) -> Candidate:
    """Return the candidate of one backbone."""
    if name == BARE:
        return Candidate(BARE_OVERRIDES, (name,))
    return Candidate(() if name == DEFAULT else (f"backbone={name}",), (name,))


def side_by_side(one: Candidate, other: Candidate) -> Candidate:
    """Return the candidate of two backbones that know something, side by side."""
    names = (*one.backbones, *other.backbones)
    return Candidate((f"backbone=[{','.join(names)}]",), names, one.pixels + other.pixels)


def at_hand(names: Sequence[str]) -> tuple[list[Candidate], dict[str, str]]:
    """Divide backbones into those whose weights are there, and the others, each with what it lacks."""
    found, missing = [], {}
    for name in names:
        lack = "" if name == BARE else lacking(name)
        if lack:
            missing[name] = lack
        else:
            found.append(single(name))
    return found, missing


def lacking(name: str) -> str:
    """Say what a backbone lacks to be used without a network; empty where it lacks nothing."""
    backbone = OmegaConf.load(choice_file("backbone", name))
    try:
        weights = str(backbone.weights)
        if weights in {BUNDLED, UNTRAINED}:
            return ""
        source = find_weights(str(backbone.name), weights)
    except WeightsError as error:
        return str(error)
    if source is None:
        return f"its weights ({backbone.name}) would come from the hub; name a folder of files with LOUPE_WEIGHTS=DIR"
    return "" if source.path.is_file() else f"there is no file at {source.path}"
