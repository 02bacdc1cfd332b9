"""Which classes of defects an instance model tells apart: those of the labels that it is trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lightning import seed_everything
from omegaconf import DictConfig

from datamodules.outlines.classes import class_names
from datamodules.samples.dataset import labels_of
from datamodules.table import DEFECTIVE, TRAIN
from tools.errors import ConfigError

from .checkpoint import build_module

if TYPE_CHECKING:
    from collections.abc import Iterator

    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel

KEY = "classes"


def settle_classes(config: DictConfig, module: InspectionModel, datamodule: InspectionDataModule) -> InspectionModel:
    """Let data and an instance model agree on classes, and note them in ``config``; build the model anew if it must be.

    Classes that somebody gave stand; otherwise they are those of the training's labels, where there are two or more.

    Args:
        config: Of the run; changed.
        module: As built, before anyone knew the labels.
        datamodule: With its samples.

    Raises:
        ConfigError: Data and model are given different classes.
    """
    nodes = list(_nodes(config.model))
    if module.supervision != "instances" or not nodes:
        return module
    given = [list(node[KEY]) for node in [config.data, *nodes] if node.get(KEY) is not None]
    if any(entry != given[0] for entry in given[1:]):
        raise ConfigError(
            f"Expected data.classes and model.classes to be the same, but found {given[0]} and {given[1]}; leave one "
            "out."
        )
    classes = given[0] if given else list(class_names(marked_labels(datamodule)))
    datamodule.classes = tuple(classes)
    for node in [config.data, *nodes]:
        node[KEY] = classes
    if not classes:
        return module
    print(f"Classes of defects: {', '.join(classes)}.")
    seed_everything(config.seed, workers=True, verbose=False)
    return build_module(config)


def marked_labels(datamodule: InspectionDataModule) -> list[str]:
    """List the labels of all defects that are marked for the training; those of masks have no name."""
    rows = datamodule.split_samples(TRAIN)
    rows = rows[rows["label_index"] == DEFECTIVE]
    return [label for row in rows.itertuples(index=False) for label in labels_of(row, datamodule.reading)]


def _nodes(config: Any) -> Iterator[DictConfig]:
    """Find the parts of a model's config that take classes, at any depth."""
    if isinstance(config, DictConfig):
        if KEY in config:
            yield config
        for key in config:
            yield from _nodes(config[key])
