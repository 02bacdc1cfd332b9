"""How much the features of networks side by side vary on good images: what each of them is divided by.

Letters: B batch, C channels, H and W pixels, h and w cells of a map.
"""

from __future__ import annotations

import math
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import torch

from datamodules.progress import tell
from datamodules.table import DEFECTIVE

from .padding import cells_inside

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from torch import Tensor, nn

    from datamodules.samples.batch import InspectionBatch, Sample
    from models.features.joined_backbone import JoinedBackbone

IMAGES = 32  # that show how features vary: thousands of places each


class Spread:
    """Sums that give how much values vary, over the images that were added, in float64."""

    def __init__(self) -> None:
        self._count = 0.0
        self._sum_C: Tensor | float = 0.0
        self._square_C: Tensor | float = 0.0

    def add(self, value_BChw: Tensor, inside_Bhw: Tensor | None) -> None:
        """Add the cells of maps; those of padding are not counted."""
        value_BhwC = value_BChw.permute(0, 2, 3, 1)
        value_NC = (value_BhwC.flatten(0, 2) if inside_Bhw is None else value_BhwC[inside_Bhw]).double()
        self._count += len(value_NC)
        self._sum_C = self._sum_C + value_NC.sum(dim=0)
        self._square_C = self._square_C + value_NC.square().sum(dim=0)

    @property
    def variance(self) -> float:
        """Sum the variances of all channels."""
        count = max(1.0, self._count)
        return float(torch.as_tensor(self._square_C / count - (self._sum_C / count) ** 2).clamp_min(0).sum())


@torch.no_grad()
def standardise(backbone: JoinedBackbone, images: Iterable[tuple[Tensor, Tensor | None]]) -> None:
    """Learn the scales of networks side by side, so that each has the same share of all that varies.

    The sum of the variances of its channels is then that of every other; one channel has a variance of 1 in the mean.

    Args:
        backbone: Learns.
        images: Batches (B, 3, H, W) in [0, 1], and where they are no padding (B, H, W).

    Raises:
        ValueError: The features of a network do not vary.
    """
    spreads: dict[str, list[Spread]] = {}
    seconds = dict.fromkeys(backbone.networks, math.inf)  # an image, in the fastest batch
    channels, count = 0, 0
    for image_B3HW, inside_BHW in images:
        count += len(image_B3HW)
        for name, network in backbone.networks.items():
            started = time.perf_counter()
            maps = network(image_B3HW)
            seconds[name] = min(seconds[name], (time.perf_counter() - started) / len(image_B3HW))
            for spread, level in zip(spreads.setdefault(name, [Spread() for _ in maps]), maps, strict=True):
                spread.add(level, None if inside_BHW is None else cells_inside(inside_BHW, *level.shape[-2:]))
        channels = sum(level.shape[1] for level in backbone(image_B3HW[:1]))
    share = channels / len(backbone.networks)
    variances = {name: sum(spread.variance for spread in levels) for name, levels in spreads.items()}
    backbone.take_scales([math.sqrt(variance / share) for variance in variances.values()])
    costs = ", ".join(
        f"{name} {1000 * seconds[name]:.1f} ms an image and {megabytes(network):.1f} MB"
        for name, network in backbone.networks.items()
    )
    tell(f"{len(variances)} networks side by side, each standardised on {count} training images: {costs}.")


def megabytes(network: nn.Module) -> float:
    """Say what the weights of a network take."""
    return sum(weight.numel() * weight.element_size() for weight in network.parameters()) / 1e6


def even_batches(loader: Any, count: int = IMAGES) -> Iterator[InspectionBatch]:
    """Read batches of images that lie evenly apart in a data set: good or unlabelled ones, or any where none is.

    The same whatever was read or drawn before, so that a training that is begun again learns the same scales.

    Args:
        loader: Of the data set; it is not read itself.
        count: How many images, at most.
    """
    read = partial(_batches, loader, spread_evenly(len(loader.dataset), count))
    found = False
    for batch in read(lambda sample: sample.label_index != DEFECTIVE):
        found = True
        yield batch
    if not found:
        yield from read(lambda _: True)


def _batches(loader: Any, places: Sequence[int], wanted: Callable[[Sample], bool]) -> Iterator[InspectionBatch]:
    """Read the wanted ones of some samples, few at a time."""
    for first in range(0, len(places), loader.batch_size):
        samples = [loader.dataset[place] for place in places[first : first + loader.batch_size]]
        if chosen := [sample for sample in samples if wanted(sample)]:
            batch: InspectionBatch = loader.collate_fn(chosen)
            yield batch


def spread_evenly(total: int, count: int = IMAGES) -> list[int]:
    """List ``count`` of ``total`` places, from the first on and evenly apart; all, where there are fewer."""
    return [place * total // min(count, total) for place in range(min(count, total))]
