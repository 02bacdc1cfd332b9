"""Feature networks under PatchCore: how well defects are told and marked on nine data sets, time and size, as a table.

    python -m benchmarks.backbones --data FOLDER [--weights mobilenetv2=FILE] [--out FOLDER]
    python -m benchmarks.backbones --data FOLDER --backbones loupe mobilenetv2 mobilenetv2+efficientnet_lite0

FOLDER holds any of ``fiber/``, ``benchmark/screw/``, ``print3d/`` and ``oring/spindle/``; what is missing is left out,
and so is a network whose weights are not at hand. The drawn sets are drawn into ``--out``. Networks are choices of
``backbone=``, ``NAME=FILE`` for a LoupeNet in a file, or several joined by ``+``: these stand side by side, each at
one scale. Images are 256x256, patches of strides 8 and 16, banks greedy coresets. Every cell of the table is kept in
``--out`` as soon as it is filled, so that an interrupted run goes on where it stopped; delete one to fill it anew.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from omegaconf import OmegaConf
from safetensors.torch import load_file

from datamodules.progress import tell
from models.errors import WeightsError
from models.features.backbones import Backbone
from models.features.loupe_net import shape_of
from tools.configuring.config import compose_config
from tools.freed_memory import keep_freed_memory

from .backbone_cells import METRICS, Cell, describe, score, side_by_side
from .backbone_sets import DATA_SETS, SIDE, read, split

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .backbone_sets import Images

JOINT = "+"
USUAL = (
    *("loupe", "mobilenetv2", "efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"),
    *("mobilenetv2+efficientnet_lite0", "resnet18=none"),
)
TITLES = {"auroc": "Image AUROC", "ap": "Image AP", "pixel_ap": "Pixel AP", "aupro_05": "AU-PRO 0.05"}


@dataclass(frozen=True)
class Plan:
    """What a call measures.

    Attributes:
        data: Folder of the real sets.
        out: Where cells and drawn sets are kept.
        names: Networks, of which several are joined by ``+``.
        sets: Names of data sets.
        seeds: How many.
        bank: Patches in a bank.
        weights: Files of weights by the name of a choice.
    """

    data: Path
    out: Path
    names: Sequence[str]
    sets: Sequence[str]
    seeds: int
    bank: int
    weights: Mapping[str, str]

    def cell(self, name: str, data_set: str) -> Path:
        """Say where a cell is kept; other settings have other files."""
        plain = name.replace("/", "_")
        return self.out / "cells" / f"{data_set}, {plain}, bank {self.bank}, {self.seeds} seeds.json"


def build(name: str, weights: Mapping[str, str]) -> Backbone:
    """Build a network: a choice of ``backbone=``, or one with weights of its own, ``NAME=none`` or ``NAME=FILE``."""
    choice, _, own = name.partition("=")
    settings: Any = OmegaConf.to_container(compose_config("train", [f"backbone={choice}"]).backbone, resolve=True)
    if given := own or weights.get(choice):
        settings["weights"] = given
    if own.endswith(".safetensors"):
        settings["options"] = shape_of(load_file(own))
    torch.manual_seed(0)  # of untrained ones
    return Backbone(**settings)


def fill(plan: Plan) -> None:
    """Fill the missing cells, one after another."""
    for data_set in plan.sets:
        missing = [name for name in plan.names if not plan.cell(name, data_set).is_file()]
        folder = DATA_SETS[data_set].folder
        if not missing or (folder and not (plan.data / folder).is_dir()):
            continue
        images = read(data_set, plan.data, plan.out / "drawn")
        splits = {seed: split(data_set, images, seed) for seed in range(plan.seeds)}
        known: dict[str, torch.Tensor] = {}
        for name in missing:
            with contextlib.suppress(WeightsError):
                parts = [_features(part, images, plan.weights, known) for part in name.split(JOINT)]
                grid = parts[0] if len(parts) == 1 else side_by_side(parts, splits[0][0])
                started = time.perf_counter()
                cell = score(grid, images, splits, plan.bank)
                path = plan.cell(name, data_set)
                path.parent.mkdir(parents=True, exist_ok=True)
                cell.write(path)
                tell(f"{data_set}, {name}: AUROC {cell.mean('auroc')}, {time.perf_counter() - started:.0f} s")


def _features(name: str, images: Images, weights: Mapping[str, str], known: dict[str, torch.Tensor]) -> torch.Tensor:
    if name not in known:
        known[name] = describe(build(name, weights), images, name)
    return known[name]


@torch.inference_mode()
def milliseconds(names: Sequence[str], weights: Mapping[str, str], repeats: int) -> dict[str, tuple[float, float]]:
    """Measure one 256x256 image, in ms, and the size in MB, of every network that is at hand.

    Networks take turns, so that a busy moment hits all alike; medians. Sizes are those of the weights that are used,
    two bytes each.
    """
    networks: dict[str, list[Backbone]] = {}
    for name in names:
        with contextlib.suppress(WeightsError):
            networks[name] = [build(part, weights) for part in name.split(JOINT)]
    taken: dict[str, list[float]] = {name: [] for name in networks}
    image = torch.rand(1, 3, SIDE, SIDE)
    for repeat in range(repeats + 3):
        for name, parts in networks.items():
            shown = image + 1e-6 * repeat  # another image each time: a network remembers the last one
            started = time.perf_counter()
            for part in parts:
                part(shown)
            if repeat >= 3:
                taken[name].append(1000 * (time.perf_counter() - started))
    return {
        name: (statistics.median(taken[name]), sum(2e-6 * p.numel() for part in parts for p in part.parameters()))
        for name, parts in networks.items()
    }


def ranks(plan: Plan) -> dict[str, float]:
    """Return the mean rank of every network by AUROC, over the sets that all have; 1 is best, ties share."""
    complete = [one for one in plan.sets if all(plan.cell(name, one).is_file() for name in plan.names)]
    places: dict[str, list[float]] = {name: [] for name in plan.names}
    for one in complete:
        values = {name: np.mean(Cell.read(plan.cell(name, one)).value["auroc"]) for name in plan.names}
        for name, value in values.items():
            better = sum(other > value for other in values.values())
            equal = sum(other == value for other in values.values())
            places[name].append(better + (equal + 1) / 2)
    return {name: statistics.mean(some) for name, some in places.items() if some}


def table(plan: Plan, costs: Mapping[str, tuple[float, float]]) -> str:
    """Write what is filled as Markdown: a table for each metric, networks by sets."""
    place = ranks(plan)
    parts = []
    for metric in METRICS:
        shown = [one for one in plan.sets if any(_mean(plan, name, one, metric) for name in plan.names)]
        if not shown:
            continue
        header = [TITLES[metric], *shown, *(["mean rank", "ms", "MB"] if metric == METRICS[0] else [])]
        rows = [[_titled(name), *(_text(_mean(plan, name, one, metric)) for one in shown)] for name in plan.names]
        if metric == METRICS[0]:
            beside = [_beside(place.get(name), costs.get(name)) for name in plan.names]
            rows = [[*row, *more] for row, more in zip(rows, beside, strict=True)]
        lines = [header, ["---"] * len(header), *rows]
        parts.append("\n".join("| " + " | ".join(line) + " |" for line in lines))
    return "\n\n".join(parts) + "\n"


def _beside(place: float | None, cost: tuple[float, float] | None) -> list[str]:
    return ["-" if value is None else f"{value:.1f}" for value in (place, *(cost or (None, None)))]


def _mean(plan: Plan, name: str, data_set: str, metric: str) -> tuple[float, float, float] | None:
    path = plan.cell(name, data_set)
    return Cell.read(path).mean(metric) if path.is_file() else None


def _titled(name: str) -> str:
    shown = [f"{part.partition('=')[0]}, untrained" if part.endswith("=none") else part for part in name.split(JOINT)]
    return " + ".join(Path(part).stem if part.endswith(".safetensors") else part for part in shown)


def _text(found: tuple[float, float, float] | None) -> str:
    return "-" if found is None else f"{found[0]:.3f} [{found[1]:.2f}, {found[2]:.2f}]"


def main(args: Sequence[str] | None = None) -> None:
    """Read the command line, fill the cells and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with the real sets")
    parser.add_argument("--out", type=Path, default=Path("runs/backbones"), help="filled cells and drawn sets")
    parser.add_argument("--table", type=Path, help="Markdown file to write; else it is printed")
    parser.add_argument("--backbones", nargs="+", default=list(USUAL), metavar="NAME")
    parser.add_argument("--sets", nargs="+", default=list(DATA_SETS), choices=list(DATA_SETS), metavar="SET")
    parser.add_argument("--weights", action="append", default=[], metavar="NAME=FILE", help="for a choice")
    parser.add_argument("--bank", type=int, default=2000, help="patches in the bank")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2, help="that the times hold for")
    parser.add_argument("--repeats", type=int, default=0, help="of every network, to time it; 0: do not")
    options = parser.parse_args(args)
    keep_freed_memory()  # as every verb does: else half of a small network's time goes into new pages
    torch.set_num_threads(options.threads)
    weights = dict(entry.split("=", 1) for entry in options.weights)
    plan = Plan(options.data, options.out, options.backbones, options.sets, options.seeds, options.bank, weights)
    fill(plan)
    text = table(plan, milliseconds(plan.names, weights, options.repeats) if options.repeats else {})
    if options.table is None:
        sys.stdout.write(text)
    else:
        options.table.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
