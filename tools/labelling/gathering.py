"""The images of a data set, as its datamodule lists them, and the scores that a model gave them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tools.configuring.build import build

from .entries import DEFECTIVE, GOOD, Mark
from .items import Gathered, Item, gather, item_of_row, labels_aside, with_layers, with_score

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from omegaconf import DictConfig

    from datamodules.base import InspectionDataModule

WHOLE = ("metallography",)  # data whose samples are squares of what people label as a whole


def items_of_data(config: DictConfig) -> Gathered:
    """List the images of ``data``.

    Raises:
        ConfigError: A key of it is wrong.
        DataError: There are no images.
    """
    datamodule: InspectionDataModule = build(config.data, "data")
    table, problems = datamodule.listing()
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    aside = labels_aside(config.data)
    items = with_layers([item_of_row(row, str(row["name"]), aside) for row in rows], rows)
    if config.choices.data in WHOLE:
        items = whole_images(items)
    first = f", such as {problems[0].path}: {problems[0].problem}" if problems else ""
    remarks = [f"{len(problems)} files are left out or not used{first}."] if problems else []
    return gather(items, "", [*datamodule.remarks, *remarks])


def whole_images(items: list[Item]) -> list[Item]:
    """Join squares to the images that they were cut from: defective where one of them is, unknown where all are."""
    found: dict[Path, Item] = {}
    for item in items:
        whole = replace(item, name=item.name.partition("#")[0], box="")
        known = found.setdefault(item.path, whole)
        verdicts = {one.given.verdict for one in (known, item) if one.given is not None}
        verdict = DEFECTIVE if DEFECTIVE in verdicts else GOOD if verdicts else ""
        found[item.path] = replace(known, given=Mark(verdict) if verdict else None)
    return list(found.values())


def scored_by(gathered: Gathered, judged: Gathered) -> Gathered:
    """Give the images of a data set the scores of predictions, by their files; parts of images get none."""
    by_path: Mapping[Path, Item] = {item.path.resolve(): item for item in judged.items.values()}
    items = {}
    for name, item in gathered.items.items():
        found = None if item.box else by_path.get(item.path.resolve())
        items[name] = item if found is None else with_score(item, found.score, found.threshold)
    return replace(gathered, items=items, model=judged.model)
