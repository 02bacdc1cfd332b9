"""A training run from its config to its report: the heavy half of ``loupe train``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from lightning import seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from omegaconf import DictConfig, OmegaConf

from callbacks.decisions.calibration import Calibrate
from callbacks.measures.coco import InstanceCalibration
from callbacks.tracking.event_log import EpochLogger
from callbacks.training.best import BestCheckpoint
from callbacks.training.bottleneck import BottleneckMaps
from callbacks.training.finish import FinishWithCalibration
from callbacks.training.history import History, read_rows
from callbacks.training.last import LastCheckpoint
from datamodules.files.csv_text import csv_text
from models.one_pass import OnePassModel
from tools.configuring.build import build, check_arguments
from tools.configuring.config import parse_override
from tools.errors import ConfigError
from tools.mishaps import first_line
from tools.signals import keeping_note

from .accepting import acceptance_of
from .checkpoint import KeepConfig, build_module, read_checkpoint
from .chosen import chosen_keys
from .classes import settle_classes
from .course import training_section
from .environment import describe_environment
from .first_lines import first_lines
from .ownership import owned
from .run_files import CONFIG, ENVIRONMENT, EXCLUDED, SAMPLES
from .run_folder import RunFolder
from .run_state import note_state
from .taken_runs import take_runs
from .testing import Provenance, run_test
from .trainers import build_trainer

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from lightning import Callback

    from callbacks.tracking.loggers import Tracking
    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel


def train(config: DictConfig, watchers: Sequence[Callback] = (), overrides: Sequence[str] | None = ()) -> RunFolder:
    """Train, calibrate and test what ``config`` describes.

    Nothing is written before the config and the data have proved usable.

    Args:
        config: Composed; the run changes it to what it becomes.
        watchers: See every epoch after calibration, and the test; may end the training by raising.
        overrides: That the config was composed with: the run's row in TensorBoard's HParams tab; None: it has none.

    Raises:
        ConfigError: A value is wrong.
        DataError: The data cannot be used.
        WeightsError: Pre-trained weights cannot be had.
    """
    module, datamodule = prepare(config)
    print("".join(f"{line}\n" for line in asked_in_vain(overrides or (), module)), end="")
    folder = RunFolder.create(config)
    print(f"Run {folder.path}")
    with owned(folder.path):
        environment = write_start(folder, config, datamodule, module, overrides)
        return complete(Begun(folder, config, module, datamodule, environment), watchers, row=overrides is not None)


class Begun(NamedTuple):
    """A run that has its folder.

    Attributes:
        folder: Of the run.
        config: Of the run.
        module: As built.
        datamodule: With its samples.
        environment: What environment.json holds.
    """

    folder: RunFolder
    config: DictConfig
    module: InspectionModel
    datamodule: InspectionDataModule
    environment: dict[str, Any]


def complete(
    run: Begun, watchers: Sequence[Callback] = (), *, row: bool = True, trained: bool = False, last: Path | None = None
) -> RunFolder:
    """Train from the beginning or from a checkpoint, then test, unless that is all that is left to do.

    Args:
        run: What to train; owned.
        watchers: As ``train``.
        row: Whether the run gets a row in TensorBoard's HParams tab.
        trained: Whether training is over.
        last: The checkpoint that it goes on from; None: the beginning.
    """
    folder, config, module, datamodule, environment = run
    with keeping_note(partial(how_to_go_on, folder)):
        seed_everything(config.seed, workers=True, verbose=False)  # whatever was drawn so far: the run starts here
        if config.compile:
            module.model.compile()
        if not trained:
            seconds = _fit(folder, config, datamodule, module, watchers, last)
            environment |= {"seconds_of_training": round(seconds, 1), "state": "testing"}
            folder.write_json(ENVIRONMENT, environment)
        best = read_checkpoint(folder.best_checkpoint, own=True)
        module.load_state_dict(best.state)
        chosen = chosen_keys(config, environment.get("overrides", ())) if row else None
        course = training_section(folder, module, datamodule, best.epoch)
        history = read_rows(folder.history) if course else {}
        origin = Provenance(best.epoch, chosen, course, history)
        run_test(config, module, datamodule, folder, environment, watchers, origin)
        note_state(folder, "finished")
    return folder


def how_to_go_on(folder: RunFolder) -> str:
    """Say what a run that is ended leaves."""
    far = "no epoch was whole yet"
    if folder.last_checkpoint.is_file():
        far = "every whole epoch is kept"
    elif folder.collected.is_file():
        far = "most of what was collected is kept"
    return f"{far} in {folder.path}; go on with: loupe train resume={folder.path}"


def prepare(
    config: DictConfig, saved: InspectionDataModule | None = None
) -> tuple[InspectionModel, InspectionDataModule]:
    """Build model and data, and let them agree: the model says what it learns from, and ``config`` notes it.

    Args:
        config: As in ``train``.
        saved: The data, where an earlier attempt has looked at it already.

    Raises:
        As ``train``.
    """
    check_arguments(config.trainer, "trainer")
    seed_everything(config.seed, workers=True, verbose=False)
    taken = take_runs(config.model)
    module = build_module(config)
    module.take_parts(taken)
    agree(config, module)
    check_parts(config)
    datamodule: InspectionDataModule = saved or build(config.data, "data")
    check_size(module, datamodule)
    datamodule.setup()
    if "borrowed" in config.data:
        config.data.borrowed = dict(datamodule.borrowed)
    print("\n".join(first_lines(datamodule)))
    datamodule.check_training(module.supervision)
    return settle_classes(config, module, datamodule), datamodule


def check_parts(config: DictConfig) -> None:
    """Build what only the end of a run needs, and let it go: a wrong value must not be found after the training.

    Raises:
        ConfigError: A callback or an argument of the trainer means nothing.
    """
    for name, entry in config.callbacks.items():
        build(entry, f"callbacks.{name}")
    trackings(config)
    acceptance_of(config)
    if "evaluation" not in config.callbacks:
        raise ConfigError("Expected callbacks.evaluation, by which a run is judged, but found none; leave it in.")
    try:
        build_trainer(config, [])
    except ConfigError:
        raise
    except Exception as error:  # Lightning raises many kinds, and all mean that a value is wrong
        raise ConfigError(f"Expected trainer to suit this machine, but: {first_line(error)}") from error


def trackings(config: DictConfig) -> list[Tracking]:
    """Build the loggers of a run, beside that of TensorBoard.

    Raises:
        ConfigError: One is not installed, or a value means nothing.
    """
    return [build(entry, f"logger.{name}") for name, entry in (config.get("logger") or {}).items()]


def agree(config: DictConfig, module: InspectionModel) -> None:
    """Note in ``config`` what the model dictates: to the trainer, and of the data."""
    config.trainer.update(module.trainer_arguments)
    if module.supervision != "good":
        config.data.defects_in_train = True  # there is nothing to learn from otherwise
    if module.supervision == "instances":
        config.data.instances = True


def asked_in_vain(overrides: Sequence[str], module: InspectionModel) -> list[str]:
    """Say which settings of the trainer do nothing, since the model dictates them."""
    given = {override.key_or_group: override.value() for override in map(parse_override, overrides)}
    model, lines = type(module).__name__, []
    for key, own in module.trainer_arguments.items():
        if (asked := given.get(f"trainer.{key}", own)) != own:
            passes = (key, own) == ("max_epochs", 1)
            why = "learns in one pass over the images" if passes else f"takes {own}, whatever is asked"
            lines.append(f"trainer.{key}={asked} does nothing: {model} {why}.")
    return lines


def check_size(module: InspectionModel, datamodule: InspectionDataModule) -> None:
    """Refuse a size of images that the network cannot take, before any is read.

    Raises:
        ConfigError: Names the nearest size that it can.
    """
    multiple = module.size_multiple if module.tiling is None and not module.own_sizes else 1
    sides = datamodule.image_size
    if any(side % multiple for side in sides):
        near = [max(1, round(side / multiple)) * multiple for side in sides]
        raise ConfigError(
            f"Expected data.image_size to be multiples of {multiple} for this model, but found {list(sides)}; set "
            f"data.image_size=[{near[0]},{near[1]}]."
        )


def write_start(
    folder: RunFolder,
    config: DictConfig,
    datamodule: InspectionDataModule,
    module: InspectionModel,
    overrides: Sequence[str] | None,
) -> dict[str, Any]:
    """Write what is known before training, so that even a killed run explains itself."""
    environment: dict[str, Any] = {"state": "training"}
    environment |= describe_environment(module.origin(), datamodule.content_hash) | {"overrides": [*(overrides or ())]}
    folder.write_text(CONFIG, OmegaConf.to_yaml(config, resolve=True))
    folder.write_text(SAMPLES, csv_text(datamodule.samples))
    folder.write_text(EXCLUDED, csv_text(datamodule.excluded))
    folder.write_json(ENVIRONMENT, environment)
    return environment


def _fit(
    folder: RunFolder,
    config: DictConfig,
    datamodule: InspectionDataModule,
    module: InspectionModel,
    watchers: Sequence[Callback],
    last: Path | None = None,
) -> float:
    """Train with calibration after every epoch, keeping the best and the last; return the seconds of all parts."""
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    if isinstance(module, OnePassModel):
        module.keep_in(folder.collected)
    others = [build(entry, f"callbacks.{name}") for name, entry in config.callbacks.items() if name != "evaluation"]
    if module.patience is not None:
        others.append(EarlyStopping(module.monitor, mode="max", patience=module.patience, strict=False))
    own = [
        Calibrate(),
        InstanceCalibration(),
        FinishWithCalibration(),
        History(folder.history),
        KeepConfig(resolved),
        BottleneckMaps(),
    ]
    end = LastCheckpoint(folder.last_checkpoint)
    callbacks = [*own, *watchers, *others, end, BestCheckpoint(folder.checkpoints, module.monitor)]
    logger = EpochLogger(folder.tensorboard)
    loggers = [
        logger,
        *(tracking.start(folder.path, "/".join(folder.path.parts[-2:])) for tracking in trackings(config)),
    ]
    build_trainer(config, callbacks, loggers).fit(module, datamodule, ckpt_path=last, weights_only=True)
    logger.finalize("success")
    return end.seconds
