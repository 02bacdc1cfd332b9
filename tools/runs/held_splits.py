"""``data.split_from=RUN``: the run whose splits are held, by its folder, its name, or as the latest."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from yaml import YAMLError

from tools.errors import ConfigError

from .known_runs import HOME, find_run
from .run_files import CONFIG, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_KEY = "data.split_from="
_SHARES = ("calibration_share", "test_share", "calibration_from", "limit")
_NOTHING_BORROWED = re.compile(r"^  borrowed: \{\}$", re.MULTILINE)


def settle_split_from(config: DictConfig) -> None:
    """Put the folder of the run in place of whatever named it.

    Raises:
        ConfigError: There is no such run.
    """
    if (folder := held_run(config)) is not None:
        config.data.split_from = str(folder)


def settle_borrowed(config: DictConfig) -> None:
    """Let images stay in the splits that borrowed them in the latest run of the same images with the same seed."""
    if config.data.get("borrowed") == {} and config.data.split_from is None and config.data.folds is None:
        config.data.borrowed = next(filter(None, map(_borrowed_in(config), _latest_first(config.out))), {})


def _latest_first(out: str) -> list[Path]:
    """Return the configs of all runs."""
    return sorted(Path(out).expanduser().glob(f"*/*/{CONFIG}"), key=lambda path: path.stat().st_mtime, reverse=True)


def _borrowed_in(config: DictConfig) -> Callable[[Path], dict[str, str]]:
    """Return what reads the groups that splits borrowed in a run; none where it had other images, or other splits."""
    wanted = _divided_by(config.data)

    def borrowed(path: Path) -> dict[str, str]:
        try:
            text = path.read_text(encoding="utf-8")
            if _NOTHING_BORROWED.search(text) is not None:  # nearly all of them, and YAML is slow
                return {}
            data = OmegaConf.create(text).data
            return dict(data.get("borrowed", {})) if _divided_by(data) == wanted else {}
        except (OSError, UnicodeError, YAMLError, OmegaConfBaseException, AttributeError, TypeError, ValueError):
            return {}  # whatever it is, it is none of these images' runs

    return borrowed


def _divided_by(data: DictConfig) -> tuple[Any, ...]:
    """Return what decides a split, beside the images themselves."""
    root = str(Path(str(data.get("root"))).expanduser().resolve())
    return (root, *(data.get(key) for key in ("_target_", "seed", *_SHARES)))


def name_held_runs(overrides: Sequence[str]) -> list[str]:
    """Put folders in place of the names of runs in ``data.split_from=``, so that trials find them wherever they run.

    Raises:
        ConfigError: There is no such run.
    """
    out = next((arg.removeprefix("out=") for arg in reversed(overrides) if arg.startswith("out=")), str(HOME))
    return [_named(arg, out) if arg.startswith(_KEY) else arg for arg in overrides]


def _named(arg: str, out: str) -> str:
    names = arg.removeprefix(_KEY).split(",")
    return _KEY + ",".join(name if name == "null" else str(_folder(name, out)) for name in names)


def held_run(config: DictConfig) -> Path | None:
    """Return the folder that ``data.split_from`` names; None where it names none.

    Raises:
        ConfigError: There is no such run.
    """
    wanted = config.data.get("split_from")
    if wanted is None:
        return None
    return _folder(str(wanted), config.out)


def _folder(wanted: str, out: str | Path) -> Path:
    folder = find_run(wanted, out).resolve()
    if not folder.is_file() and not (folder / SAMPLES).is_file():
        raise ConfigError(f"Expected data.split_from to be a run with {SAMPLES}, but found none at {folder}.")
    return folder
