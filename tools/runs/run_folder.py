"""The run folder: flat, self-explaining, and the only thing that later verbs need."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.files.made_folders import make_folder
from datamodules.files.whole_files import write_whole
from tools.configuring.moved import with_new_names
from tools.configuring.plain_config import read_config, read_json_object, require_run
from tools.configuring.trust import check_trust
from tools.errors import ConfigError

from .run_files import BEST, CHECKPOINTS, COLLECTED, CONFIG, HISTORY, LAST, SAMPLES, TENSORBOARD

if TYPE_CHECKING:
    from collections.abc import Mapping

    from omegaconf import DictConfig


@dataclass(frozen=True)
class RunFolder:
    """Paths of a run's files.

    Attributes:
        path: The folder.
    """

    path: Path

    @classmethod
    def create(cls, config: DictConfig) -> RunFolder:
        """Make a new folder OUT/NAME/ID; where the id is left to the clock and taken already, count on.

        Raises:
            ConfigError: An id was asked for, and there is such a run already; or the folder cannot be made.
        """
        parent = _parent(config)
        wanted = config.id or datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S")
        for count in range(1, 10_000):
            path = parent / (str(wanted) if count == 1 else f"{wanted}_{count}")
            try:
                make_folder(path)
            except FileExistsError:
                if config.id:
                    raise ConfigError(
                        f"Expected a new id, but there is a run at {path}; choose another id=, or go on with it: loupe "
                        f"train resume={path}"
                    ) from None
                continue
            except OSError as error:
                raise ConfigError(f"Expected out to be a folder to write to, but {path}: {error.strerror}.") from error
            return cls(path.resolve())
        raise ConfigError(f"Expected a free name under {parent}, but ten thousand runs are there; choose another out=.")

    @classmethod
    def at(cls, config: DictConfig) -> RunFolder:
        """Name the folder OUT/NAME/ID of a config with an id, whether it is there or not."""
        return cls((_parent(config) / str(config.id)).resolve())

    @classmethod
    def open(cls, path: str | Path) -> RunFolder:
        """Open a run; a path to a file of it (a checkpoint, its config) will do.

        Raises:
            ConfigError: There is no run.
        """
        folder = _find_run(path)
        if folder is None:
            raise ConfigError(f"Expected run to be the folder of a run, with {CONFIG}, but found none at {path}.")
        return cls(folder.resolve())

    @staticmethod
    def holds(path: str | Path) -> bool:
        """Tell whether ``path`` is a run, or lies in one."""
        return _find_run(path) is not None

    @property
    def config(self) -> Path:
        """The resolved config."""
        return self.path / CONFIG

    @property
    def samples(self) -> Path:
        """The sample table."""
        return self.path / SAMPLES

    @property
    def checkpoints(self) -> Path:
        """Folder of ``best.ckpt`` and ``last.ckpt``."""
        return self.path / CHECKPOINTS

    @property
    def best_checkpoint(self) -> Path:
        """The checkpoint that was best on calibration images."""
        return self.checkpoints / BEST

    @property
    def last_checkpoint(self) -> Path:
        """The checkpoint of the last whole epoch, that a training goes on from."""
        return self.checkpoints / LAST

    @property
    def collected(self) -> Path:
        """What a model that learns in one pass has collected, as long as that pass is not over."""
        return self.checkpoints / COLLECTED

    @property
    def tensorboard(self) -> Path:
        """Folder of TensorBoard's events."""
        return self.path / TENSORBOARD

    @property
    def history(self) -> Path:
        """Every logged value by epoch."""
        return self.path / HISTORY

    def load_config(self) -> DictConfig:
        """Read the resolved config.

        Raises:
            ConfigError: It cannot be read, is that of something else, or names what only ``trust=true`` may.
        """
        config = with_new_names(require_run(read_config(self.config), self.config))
        check_trust(config, self.config)
        return config

    def write(self, name: str, content: str | bytes) -> Path:
        """Write a file so that it is either whole or absent; bytes of names that are not text are escaped."""
        path = self.path / name
        write_whole(path, content.encode(errors="backslashreplace") if isinstance(content, str) else content)
        return path

    def write_text(self, name: str, text: str) -> Path:
        """Write text as ``write`` does."""
        return self.write(name, text)

    def write_json(self, name: str, values: Mapping[str, Any]) -> Path:
        """Write plain values as JSON."""
        return self.write_text(name, json.dumps(values, indent=2, allow_nan=False) + "\n")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read plain values; nothing where the file is missing."""
        path = self.path / name
        return read_json_object(path) if path.is_file() else {}


def _parent(config: DictConfig) -> Path:
    return Path(config.out).expanduser() / (config.name or default_name(config))


def _find_run(path: str | Path) -> Path | None:
    start = Path(path).expanduser()
    return next((folder for folder in (start, start.parent, start.parent.parent) if (folder / CONFIG).is_file()), None)


def default_name(config: DictConfig) -> str:
    """Name a run after its data and model."""
    domain = config.data.get("domain")
    return "-".join(filter(None, (config.choices.data, domain, config.choices.model)))
