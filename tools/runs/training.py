"""A training run from its config to its report: the heavy half of ``loupe train``."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from lightning import seed_everything
from lightning.pytorch.callbacks import EarlyStopping
from omegaconf import DictConfig, OmegaConf

from callbacks.best import BestCheckpoint, LastCheckpoint
from callbacks.bottleneck import BottleneckMaps
from callbacks.calibration import Calibrate
from callbacks.coco import InstanceCalibration
from callbacks.event_log import EpochLogger
from callbacks.finish import FinishWithCalibration
from callbacks.history import History, read_rows
from tools.build import build, check_arguments
from tools.errors import ConfigError

from .checkpoint import KeepConfig, build_module, read_checkpoint
from .chosen import chosen_keys
from .course import training_section
from .environment import describe_environment
from .run_folder import CONFIG, RunFolder
from .testing import Provenance, build_trainer, run_test

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning import Callback

    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel

SHOWN = 10  # files left out that are named on the terminal


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
    folder = RunFolder.create(config)
    print(f"Run {folder.path}")
    seed_everything(config.seed, workers=True, verbose=False)  # whatever was drawn so far: the run starts here
    environment = _write_start(folder, config, datamodule, module) | {"overrides": [*(overrides or ())]}
    if config.compile:
        module.model.compile()
    started = time.perf_counter()
    _fit(folder, config, datamodule, module, watchers)
    environment["seconds_of_training"] = round(time.perf_counter() - started, 1)
    kept = read_checkpoint(folder.best_checkpoint)
    module.load_state_dict(kept.state)
    chosen = None if overrides is None else chosen_keys(config, overrides)
    course = training_section(folder, module, datamodule, kept.epoch)
    history = read_rows(folder.history) if course else {}
    run_test(config, module, datamodule, folder, environment, watchers, Provenance(kept.epoch, chosen, course, history))
    return folder


def prepare(config: DictConfig) -> tuple[InspectionModel, InspectionDataModule]:
    """Build model and data, and let them agree: the model says what it learns from, and ``config`` notes it.

    Raises:
        As ``train``.
    """
    check_arguments(config.trainer, "trainer")
    seed_everything(config.seed, workers=True, verbose=False)
    module = build_module(config)
    config.trainer.update(module.trainer_arguments)
    if module.supervision != "good":
        config.data.defects_in_train = True  # there is nothing to learn from otherwise
    if module.supervision == "instances":
        config.data.instances = True
    datamodule: InspectionDataModule = build(config.data, "data")
    check_size(module, datamodule)
    datamodule.setup()
    datamodule.check_training(module.supervision)
    return module, datamodule


def check_size(module: InspectionModel, datamodule: InspectionDataModule) -> None:
    """Refuse a size of pictures that the network cannot take, before any is read.

    Raises:
        ConfigError: Names the nearest size that it can.
    """
    multiple = module.size_multiple if module.tiling is None else 1
    sides = datamodule.image_size
    if any(side % multiple for side in sides):
        near = [max(1, round(side / multiple)) * multiple for side in sides]
        raise ConfigError(
            f"Expected data.image_size to be multiples of {multiple} for this model, but found {list(sides)}; set "
            f"data.image_size=[{near[0]},{near[1]}]."
        )


def _write_start(
    folder: RunFolder, config: DictConfig, datamodule: InspectionDataModule, module: InspectionModel
) -> dict[str, Any]:
    """Write what is known before training, so that even a killed run explains itself."""
    environment = describe_environment(module.origin(), datamodule.content_hash)
    folder.write_text(CONFIG, OmegaConf.to_yaml(config, resolve=True))
    folder.write_text("samples.csv", datamodule.samples.to_csv(index=False))
    folder.write_text("excluded.csv", datamodule.excluded.to_csv(index=False))
    folder.write_json("environment.json", environment)
    for note in datamodule.notes():
        print(note)
    for row in datamodule.excluded.head(SHOWN).itertuples(index=False):
        print(f"Left out: {row.path}: {row.problem}; {row.remedy}")
    if (more := len(datamodule.excluded) - SHOWN) > 0:
        print(f"Left out: {more} more; all of them are listed in {folder.path / 'excluded.csv'}")
    return environment


def _fit(
    folder: RunFolder,
    config: DictConfig,
    datamodule: InspectionDataModule,
    module: InspectionModel,
    watchers: Sequence[Callback],
) -> None:
    """Train with calibration after every epoch, keeping the best checkpoint and the last."""
    kept = [BestCheckpoint(folder.checkpoints, module.monitor), LastCheckpoint(folder.checkpoints)]
    resolved: Any = OmegaConf.to_container(config, resolve=True)
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
    callbacks = [*own, *watchers, *others, *kept]
    logger = EpochLogger(folder.tensorboard)
    build_trainer(config, callbacks, [logger]).fit(module, datamodule)
    logger.finalize("success")
