"""How fast models are, one beside the other: measured in turns, so that what else the machine does meets all alike."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import torch

from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor, nn

    from .task import Task

TIMED = 4  # images: few enough to cost next to nothing, enough to fill a processor
ROUNDS = 15
_LONGEST_S = 2.0  # of timing one model
_MOST_BYTES = 2**31  # of checkpoints whose models are in memory at a time


class Timed(NamedTuple):
    """A network in evaluation mode, and the images that it is timed with."""

    network: nn.Module
    image_B3HW: Tensor


class Took(NamedTuple):
    """Milliseconds per image: of the fastest round, and of the middle one, which says how much rounds differ."""

    fastest: float
    middle: float


def measure(tasks: Sequence[Task]) -> list[tuple[float, float]]:
    """Return the least and the middle milliseconds per image of finished trials' models, when nothing else runs."""
    found: list[Took] = []
    for group in _in_memory(tasks):
        torch.set_num_threads(group[0].threads)
        found += milliseconds([_load(task) for task in group])
    return [(round(took.fastest, 3), round(took.middle, 3)) for took in found]


def milliseconds(models: Sequence[Timed], rounds: int = ROUNDS) -> list[Took]:
    """Time each network per image in several rounds, in which they take turns.

    On one thread of a processor, what counts is what the thread took: that is what a quiet machine's clock says.

    Args:
        models: On the devices that they are timed on.
        rounds: At most so many; fewer where they would take longer than 2 s for each.
    """
    on_one_thread = torch.get_num_threads() == 1 and all(image.device.type == "cpu" for _, image in models)
    clock = time.thread_time if on_one_thread else time.perf_counter
    took: list[list[float]] = [[] for _ in models]
    with torch.inference_mode():
        for network, image_B3HW in models:
            network(image_B3HW[:1])  # whatever is set up at the first call
        until = time.perf_counter() + _LONGEST_S * len(models)
        for _ in range(rounds):
            for place, (network, image_B3HW) in enumerate(models):
                started = clock()
                network(image_B3HW).pred_score.cpu()  # waits for the device
                took[place].append(1000 * (clock() - started) / len(image_B3HW))
            if time.perf_counter() > until:
                break
    return [Took(min(own), median(own)) for own in took]


def _in_memory(tasks: Sequence[Task]) -> Iterator[list[Task]]:
    """Split tasks to groups whose models fit into memory together."""
    group: list[Task] = []
    total = 0
    for task in tasks:
        size = _run(task).best_checkpoint.stat().st_size
        if group and total + size > _MOST_BYTES:
            yield group
            group, total = [], 0
        group.append(task)
        total += size
    if group:
        yield group


def _load(task: Task) -> Timed:
    folder = _run(task)
    config = folder.load_config()
    module = restore(read_checkpoint(folder.best_checkpoint)).eval()
    device = torch.device("cuda" if config.trainer.accelerator != "cpu" and torch.cuda.is_available() else "cpu")
    height, width = config.data.image_size
    image_B3HW = torch.rand(TIMED, 3, height, width, generator=torch.Generator().manual_seed(0))
    return Timed(module.model.to(device), image_B3HW.to(device))


def _run(task: Task) -> RunFolder:
    return RunFolder(Path(task.config["out"]) / task.config["name"] / task.config["id"])
