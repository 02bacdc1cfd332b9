"""What a config may name that came with a run, a checkpoint or a sweep, and not from one's own command line.

Hydra calls whatever ``_target_`` names, at any depth, so a stranger's config is code unless its names are few. Here
they are: what Loupe's own configs name, torchvision's transforms, and the parts of Lightning that write to no place of
the config's choice. All else needs ``trust=true``. Names are compared as text: nothing is imported to refuse it.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from configs import CONFIG_DIR
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from omegaconf import DictConfig

TARGET = "_target_"
ADVICE = "if you trust whoever made it as you trust a program, add trust=true."
MOST_NODES, DEEPEST = 100_000, 64  # of a config; a run's own has a few hundred, at most eight deep

_STATE = "LOUPE_TRUST"  # in the environment, so that the processes of a sweep know, too
_HYDRA_KEY = re.compile(r"_[a-z]+_")
_REFERENCE = re.compile(r"\$\{\.*\w+(?:\.\w+|\[\w+\])*\}")  # to another key; all else is a resolver
_OWN = re.compile(r"_target_:\s*((?:callbacks|datamodules|models)(?:\.\w+)+)")
_TRANSFORM = re.compile(r"torchvision\.transforms(?:\.v2)?\.[A-Z]\w*")
_CALLS_WHAT_IT_IS_GIVEN = frozenset({"Lambda"})
_TRAINERS = frozenset({"lightning.Trainer", "lightning.pytorch.Trainer"})
_WATCHERS = (
    *("BackboneFinetuning", "DeviceStatsMonitor", "EarlyStopping", "GradientAccumulationScheduler"),
    *("LearningRateMonitor", "ModelCheckpoint", "ModelSummary", "RichModelSummary", "RichProgressBar"),
    *("StochasticWeightAveraging", "TQDMProgressBar", "Timer", "WeightAveraging"),
)
_LIGHTNING = _TRAINERS | {f"lightning.pytorch.callbacks.{name}" for name in _WATCHERS}
_PLACES = ("dirpath", "save_dir", "root_dir", "default_root_dir")  # where Lightning would write


def take_trust(args: Sequence[str]) -> tuple[list[str], bool]:
    """Take ``trust=true`` or ``trust=false`` out of the arguments of a command; of several, the last counts.

    Raises:
        ConfigError: It is neither.
    """
    values = [arg.partition("=")[2].strip().lower() for arg in args if arg.startswith("trust=")]
    if wrong := [value for value in values if value not in {"true", "false"}]:
        raise ConfigError(f"Expected trust to be true or false, but found {wrong[0]!r}.")
    return [arg for arg in args if not arg.startswith("trust=")], values[-1:] == ["true"]


@contextmanager
def trusting(*, trust: bool) -> Iterator[None]:
    """Let the configs that are read inside the block name anything, or only what ``check_trust`` lets pass."""
    before = os.environ.get(_STATE)
    os.environ[_STATE] = str(int(trust))
    try:
        yield
    finally:
        if before is None:
            del os.environ[_STATE]
        else:
            os.environ[_STATE] = before


def is_trusting() -> bool:
    """Tell whether the command said ``trust=true``."""
    return os.environ.get(_STATE) == "1"


def check_trust(config: DictConfig, origin: str | Path) -> None:
    """Refuse a config that could do more than describe a run, unless the command said ``trust=true``.

    Args:
        config: As it was read: no reference in it is followed.
        origin: Where it came from, for errors.

    Raises:
        ConfigError: Names the key, what it holds, and ``trust=true``.
    """
    if not is_trusting():
        check_values(OmegaConf.to_container(config, resolve=False), origin)


def check_values(values: Any, origin: str | Path) -> None:
    """Refuse plain values as ``check_trust`` does."""
    for number, (key, value, holder) in enumerate(_walk(values)):
        if number > MOST_NODES:
            raise ConfigError(f"Expected {origin} to be the config of a run, but it holds more than {MOST_NODES} keys.")
        if (fault := _fault(key, value, holder)) is not None:
            raise ConfigError(f"Expected {origin} {fault}; {ADVICE}")


def is_known(target: str) -> bool:
    """Tell whether a config of unknown origin may name this class."""
    if _TRANSFORM.fullmatch(target):
        return target.rpartition(".")[2] not in _CALLS_WHAT_IT_IS_GIVEN
    return target in _LIGHTNING or target in own_targets()


@lru_cache(maxsize=1)
def own_targets() -> frozenset[str]:
    """List the classes that Loupe's own configs name, those that prepare data aside."""
    files = [path for path in CONFIG_DIR.rglob("*.yaml") if not path.name.startswith("prepare")]
    return frozenset(name for path in files for name in _OWN.findall(path.read_text(encoding="utf-8")))


def _walk(values: Any) -> Iterator[tuple[str, Any, Mapping[Any, Any]]]:
    """Yield every key with its value and the mapping that holds it, at every depth; entries of lists by their place."""
    waiting: list[tuple[str, Any, int]] = [("", values, 0)]
    while waiting:
        above, value, depth = waiting.pop()
        if depth > DEEPEST:
            raise ConfigError(f"Expected a config of at most {DEEPEST} levels, but {above[:40]}... lies deeper.")
        holder = value if isinstance(value, dict) else {}
        entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
        for name, entry in entries:
            key = f"{above}.{name}" if above else str(name)
            yield key, entry, holder
            waiting.append((key, entry, depth + 1))


def _fault(key: str, value: Any, holder: Mapping[Any, Any]) -> str | None:
    """Say what a key does that no run of ours needs, to continue "Expected ORIGIN ..."; None where all is well."""
    name = key.rpartition(".")[2]
    if name == TARGET:
        return _fault_of_target(key, value, holder)
    if _HYDRA_KEY.fullmatch(name):
        return f"to set no switches of Hydra's, but found {key}={value!r}"
    if isinstance(value, str) and "${" in value and "${" in _REFERENCE.sub("", value):
        return f"to refer to nothing but its own keys, but found {key}={value!r}, which is not resolved"
    return None


def _fault_of_target(key: str, value: Any, holder: Mapping[Any, Any]) -> str | None:
    if not isinstance(value, str) or not is_known(value):
        return (
            "to name only classes that Loupe's configs name, torchvision's transforms and Lightning's callbacks, but "
            f"found {key}={value!r}, which could run anything"
        )
    if value in _LIGHTNING and (places := [place for place in _PLACES if holder.get(place) is not None]):
        return f"to leave it to Loupe where files go, but found {places[0]}={holder[places[0]]!r} beside {key}={value}"
    return None
