"""A trained model, found from the folder of its run or from one checkpoint."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from omegaconf import DictConfig, OmegaConf

from configs import CONFIG_DIR
from datamodules.files.made_folders import make_folder
from tools.configuring.config import parse_overrides, recompose
from tools.errors import ConfigError

from .known_runs import find_run
from .run_files import BY_KIND, CONFIG, PREDICTIONS, SAMPLES, SHARED
from .run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Sequence


class Trained(NamedTuple):
    """Where a trained model is, and the config to use it with.

    Attributes:
        config: Of the run, with the verb's own keys and all overrides.
        checkpoint: The file to load.
        folder: Of the run; None for a checkpoint that was moved out of it.
    """

    config: DictConfig
    checkpoint: Path
    folder: RunFolder | None

    @property
    def tested(self) -> RunFolder | None:
        """The run whose figures are those of this very checkpoint; None for any but the one that it kept and tested."""
        is_best = self.folder is not None and self.checkpoint.resolve() == self.folder.best_checkpoint.resolve()
        return self.folder if is_best else None


def find_trained(verb: str, args: Sequence[str], changeable: Sequence[str]) -> Trained:
    """Find what ``run=`` names, and apply the other overrides to its config.

    Args:
        verb: ``configs/VERB.yaml`` holds its own keys, ``run`` among them.
        args: Overrides.
        changeable: Groups of the run's config that may change.

    Raises:
        ConfigError: There is no run, or an override is wrong.
    """
    own = OmegaConf.load(CONFIG_DIR / f"{verb}.yaml")
    if not isinstance(own, DictConfig):
        raise TypeError(f"Expected {verb}.yaml to hold keys.")
    runs = [override.value() for override in parse_overrides(args) if override.key_or_group == "run"]
    if not runs:
        raise ConfigError("Expected a value for run, but found none; set run=FOLDER, as loupe train printed it.")
    path = find_run(str(runs[-1]))
    if path.suffix == ".ckpt" and not RunFolder.holds(path):
        from .checkpoint import read_checkpoint  # noqa: PLC0415 - torch takes seconds, and folders do without

        return Trained(recompose(read_checkpoint(path).config, args, own, changeable), path, None)
    folder = RunFolder.open(path)
    if (folder.path / BY_KIND).is_file() and path.suffix != ".ckpt":
        shared = RunFolder(folder.path / SHARED)
        return Trained(recompose(shared.load_config(), args, own, changeable), shared.best_checkpoint, folder)
    checkpoint = path if path.suffix == ".ckpt" else folder.best_checkpoint
    return Trained(recompose(folder.load_config(), args, own, changeable), checkpoint, folder)


def members_of(trained: Trained) -> dict[str, Trained]:
    """Find the models of kinds of a training by kind, with the keys of the verb; none of any other run."""
    if trained.folder is None or not (trained.folder.path / BY_KIND).is_file():
        return {}
    members = {}
    for kind, part in trained.folder.read_json(BY_KIND)["own"].items():
        folder = RunFolder(trained.folder.path / part)
        config = trained.config.copy()
        config.data.kinds = [kind]
        members[kind] = Trained(config, folder.best_checkpoint, folder)
    return members


def require_one_model(trained: Trained, verb: str) -> None:
    """Refuse a training by kind where a verb takes one model at a time.

    Raises:
        ConfigError: Names a part.
    """
    if members_of(trained) and trained.folder is not None:
        part = trained.folder.path / SHARED
        raise ConfigError(
            f"Expected the run of one model, but {trained.folder.path} holds one for each kind; {verb} its parts "
            f"one by one, such as run={part}."
        )


def find_tested(path: str) -> RunFolder:
    """Find a run, or what ``loupe test`` wrote, that has been tested.

    Raises:
        ConfigError: There is none, or it lacks its tables.
    """
    folder = RunFolder.open(find_run(path))
    for name in (PREDICTIONS, SAMPLES):
        if not (folder.path / name).is_file():
            raise ConfigError(
                f"Expected {folder.path} to be a tested run, but it holds no {name}; let the training end, or run: "
                f"loupe test run={folder.path}"
            )
    return folder


def free_folder(wanted: Path) -> Path:
    """Make a folder that nobody else has, counting on from ``wanted``.

    Raises:
        ConfigError: None can be made.
    """
    from tools.runner.owning import new_folder  # noqa: PLC0415 - help and errors do without OpenCV
    from tools.runner.specification import BundleError  # noqa: PLC0415

    try:
        return new_folder(wanted)
    except BundleError as error:
        raise ConfigError(str(error)) from error


def note_config(folder: RunFolder, config: DictConfig) -> None:
    """Write what a verb ran with; the folder is owned by then."""
    folder.write_text(CONFIG, OmegaConf.to_yaml(config, resolve=False))


def make_output(trained: Trained, kind: str) -> RunFolder:
    """Make the folder that a verb writes to: ``out=``, or a new one beside the checkpoint's run."""
    if trained.config.out:
        path = Path(trained.config.out).expanduser()
    else:
        base = trained.folder.path if trained.folder is not None else trained.checkpoint.resolve().parent
        path = free_folder(base / kind / datetime.now().astimezone().strftime("%Y-%m-%d_%H-%M-%S-%f")[:-3])
    try:
        make_folder(path, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"Expected out to be a folder to write to, but {path}: {error.strerror}.") from error
    return RunFolder(path.resolve())
