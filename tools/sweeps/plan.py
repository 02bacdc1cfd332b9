"""The plan of a sweep: what a command asks for, read and checked before anything heavy is loaded."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from omegaconf import DictConfig, OmegaConf

from tools.configuring.config import compose_config, parse_override
from tools.errors import ConfigError

from .pruning import PRUNERS
from .search import SEARCHES
from .space import Axis, read_space

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from omegaconf import ListConfig

OWN = ("out", "name", "sweep", "failures")
FAILURES = ("error", "ok")
REPORTS = ("best", "all", "none")
MOST_WORKERS = 4  # unless asked for: each holds a torch and a data set of its own
SEARCH_TRIALS = 20  # of a search without a budget


@dataclass(frozen=True)
class Plan:
    """What a command asks for.

    Attributes:
        args: Of the command.
        config: The keys of ``sweep``, checked.
        folder: Of the sweep.
        axes: Its space, groups first.
        base: Overrides that all trials share, but that say nothing about them: ``out``, where drawn images lie.
        pairs: Keys whose values go together.
        failures: ``error`` where a failed trial makes the command fail; ``ok`` where it does not.
    """

    args: tuple[str, ...]
    config: DictConfig
    folder: Path
    axes: tuple[Axis, ...]
    base: tuple[str, ...] = ()
    pairs: tuple[tuple[str, ...], ...] = ()
    failures: str = "error"

    @property
    def trials(self) -> int | None:
        """At most so many trials; None: no limit."""
        limit: int | None = self.config.trials
        return (
            SEARCH_TRIALS if limit is None and self.config.search != "grid" and self.config.minutes is None else limit
        )


def read_plan(args: Sequence[str]) -> Plan:
    """Read a command.

    Raises:
        ConfigError: Something is misspelt or out of range.
    """
    own = [arg for arg in args if _key(arg).split(".")[0] in OWN]
    rest = [arg for arg in args if _key(arg).split(".")[0] not in OWN]
    if any(_key(arg) == "id" for arg in args):
        raise ConfigError("Expected no id: a trial's is the hash of its config; name= names the sweep.")
    file, own = _take_file(own)
    config = compose_config("sweep", own)
    settings = cast("DictConfig", config.sweep)
    if file is not None:
        settings = _with_file(settings, file, [arg for arg in own if arg.startswith("sweep.")])
    _check(settings)
    space = dict(settings.space.items())
    pairs = _pairs(settings)
    axes = read_space(
        [*_own_images([*map(_key, rest), *space]), *rest], space, settings.seed, [key for pair in pairs for key in pair]
    )
    folder = Path(str(config.out)).expanduser().resolve() / str(config.name)
    base = tuple(arg for arg in own if _key(arg) == "out")
    if config.failures not in FAILURES:
        raise ConfigError(f"Expected failures to be one of {', '.join(FAILURES)}, but found {config.failures!r}.")
    return Plan(tuple(args), settings, folder, tuple(axes), base, pairs, config.failures)


def show_plan(plan: Plan) -> str:
    """Write the keys of a sweep, its folder and its axes, as YAML."""
    axes = {axis.key: list(axis.choices) if axis.interval is None else asdict(axis.interval) for axis in plan.axes}
    shown = {"sweep": {**plan.config, "space": axes}, "folder": str(plan.folder)}
    return OmegaConf.to_yaml(OmegaConf.create(shown)).rstrip()


def worker_count(settings: DictConfig, gpus: int) -> tuple[int, int]:
    """Say how many trials run at a time on this machine, and on how many threads each.

    Args:
        settings: ``workers`` (null: as many as fit), ``cpus`` (null: an equal share) and ``gpus`` per trial.
        gpus: How many there are.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    workers = settings.workers
    if workers is None:
        fit = max(1, int(gpus / settings.gpus + 1e-9)) if gpus and settings.gpus else MOST_WORKERS
        workers = min(fit, max(1, cores // (settings.cpus or 1)))
    return int(workers), int(settings.cpus or max(1, cores // max(workers, 1)))


def _own_images(keys: Collection[str]) -> list[str]:
    """Read images of one's own as ``loupe train`` does: sorted into folders, where nothing else is said of them."""
    return ["data=folder"] if "data.root" in keys and not {"data", "experiment"}.intersection(keys) else []


def _key(arg: str) -> str:
    return arg.partition("=")[0].lstrip("+~")


def _take_file(own: list[str]) -> tuple[Path | None, list[str]]:
    """Take ``sweep=PATH.yaml``, a file of the user's own, out of the arguments."""
    files = [arg for arg in own if _key(arg) == "sweep" and arg.endswith((".yaml", ".yml"))]
    if not files:
        return None, own
    path = Path(str(parse_override(files[-1]).value())).expanduser()
    if not path.is_file():
        raise ConfigError(f"Expected sweep to name a file, but found none at {path}.")
    return path, [arg for arg in own if arg not in files]


def _with_file(settings: DictConfig, path: Path, overrides: Sequence[str]) -> DictConfig:
    """Put a user's file over the defaults, and the command's own overrides over both."""
    found: DictConfig | ListConfig = OmegaConf.load(path)
    if not isinstance(found, DictConfig):
        raise ConfigError(f"Expected {path} to hold keys, such as space: and search:, but found a list.")
    given = [f"sweep.{key!s}={json.dumps(value)}" for key, value in found.items() if key != "space"]
    merged = cast("DictConfig", compose_config("sweep", [*given, *overrides]).sweep)
    merged.space = found.get("space", settings.space)
    return merged


def _pairs(settings: DictConfig) -> tuple[tuple[str, ...], ...]:
    """Read ``sweep.pair``: a list of keys, or of such lists.

    Raises:
        ConfigError: It is neither, or pairs a key with nothing.
    """
    found: Any = OmegaConf.to_container(settings.pair)
    lists = [found] if found and all(isinstance(key, str) for key in found) else found
    for keys in lists:
        if not isinstance(keys, list) or len(keys) < 2 or not all(isinstance(key, str) for key in keys):
            raise ConfigError(
                f"Expected sweep.pair to list two keys or more, such as [data,data.root], but found {found}."
            )
    return tuple(tuple(keys) for keys in lists)


def _check(settings: DictConfig) -> None:
    """Refuse values that no sweep can run with."""
    minimum_of: dict[str, float] = {"trials": 1, "minutes": 0, "workers": 0, "cpus": 1, "gpus": 0, "share_gib": 0}
    for key, minimum in minimum_of.items():
        value: Any = settings[key]
        if value is not None and not value >= minimum:
            raise ConfigError(f"Expected sweep.{key} to be at least {minimum:g}, but found {value}.")
    for key, known in (("report", REPORTS), ("search", SEARCHES), ("prune", PRUNERS)):
        if settings[key] not in known:
            raise ConfigError(f"Expected sweep.{key} to be one of {', '.join(known)}, but found {settings[key]!r}.")
    if settings.gpus > 1 and settings.gpus % 1:
        raise ConfigError(f"Expected sweep.gpus to be a whole number or a share below 1, but found {settings.gpus}.")
