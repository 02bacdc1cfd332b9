"""The doctor on features: whether those that ship tell this data's defects apart, or untrained ones do it better.

Letters: N images, P patches of an image, D features of a patch, M patches in the bank.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd
import torch
from torch.nn import functional as F

from callbacks.report.doctor import Finding
from callbacks.report.wording import share
from callbacks.statistics.delong import compare_aurocs
from datamodules.health.shortcuts import auroc
from datamodules.progress import track
from datamodules.table import DEFECTIVE, GOOD, TEST
from models.features.backbones import BUNDLED, LOUPE_NET, UNTRAINED, Backbone

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    from torch import Tensor

    from .examined import Examined

SIDE = 128  # pixels: enough to compare by, and quick
MOST, FEWEST = 100, 5  # images of each sort
BANK = 4_000  # patches of good images
CERTAIN = 0.05  # p value below which a lead is believed


class ChosenImages(NamedTuple):
    """Good images that make the bank, and images of both labels that are judged by it."""

    known: pd.DataFrame
    judged: pd.DataFrame


def check_features(examined: Examined) -> Finding | str:
    """Compare the features that ship with untrained ones on images that no test will score."""
    images = choose_images(examined)
    if images is None:
        return "Features: too few labelled pictures outside the test split to compare any."
    networks = (shipped_features(), untrained_features(examined.datamodule.seed))
    ours_N, theirs_N = (score_images(examined, network, images) for network in networks)
    labels = images.judged["label_index"].to_numpy(dtype=np.int64)
    lead = compare_aurocs(theirs_N, ours_N, labels, images.judged["group"].to_numpy(dtype=str))
    ours, theirs = (share(auroc(score[labels == GOOD], score[labels == DEFECTIVE])) for score in (ours_N, theirs_N))
    if not (lead.p_value < CERTAIN and lead.difference > 0):
        return f"Features that ship: AUROC {ours} outside the test split, untrained ones {theirs}."
    return Finding(
        "features",
        "warning",
        "Untrained features do better here",
        f"On {len(labels)} pictures outside the test split, a small bank of patches gives an AUROC of {theirs} with "
        f"untrained features and of {ours} with those that ship (p = {lead.p_value:.2g}).",
        "Uses those that ship (backbone=loupe) unless told otherwise.",
        "Train once with backbone=resnet18 backbone.weights=none as well, and let loupe compare judge. Fine regular "
        "patterns, such as arrays, are what trained features may be blind to.",
        len(labels),
    )


def choose_images(examined: Examined) -> ChosenImages | None:
    """Draw images outside the test split: half of the good ones for the bank; None where there are too few."""
    samples = examined.datamodule.samples
    outside = samples[samples["split"] != TEST]
    good, defective = (
        outside[outside["label_index"] == label].sample(frac=1, random_state=examined.datamodule.seed)
        for label in (GOOD, DEFECTIVE)
    )
    half = min(len(good) // 2, MOST)
    if half < FEWEST or len(defective) < FEWEST:
        return None
    known = good.iloc[:half]
    apart = ~good["group"].isin(known["group"])
    rest = good[apart] if int(apart.sum()) >= FEWEST else good.iloc[half:]  # where all are of one group
    return ChosenImages(known, pd.concat([rest.iloc[:MOST], defective.iloc[:MOST]]))


def score_images(examined: Examined, network: Backbone, images: ChosenImages) -> npt.NDArray[np.float64]:
    """Score images as a plain PatchCore does: by the largest distance of any patch to a random bank."""
    bank_MD = torch.cat(list(embed(examined, network, images.known)))
    generator = torch.Generator().manual_seed(examined.datamodule.seed)
    bank_MD = bank_MD[torch.randperm(len(bank_MD), generator=generator)[:BANK]]
    scores = [torch.cdist(patch_PD, bank_MD).amin(dim=1).max() for patch_PD in embed(examined, network, images.judged)]
    return np.array([float(score) for score in scores])


@torch.inference_mode()
def embed(examined: Examined, network: Backbone, table: pd.DataFrame) -> Iterator[Tensor]:
    """Describe the patches of one image after the other, (P, D), on the grid of the finest map."""
    dataset = examined.datamodule.dataset(table)
    dataset.reading = dataset.reading._replace(height=SIDE, width=SIDE)
    for index in track(range(len(table)), "comparing features"):
        maps = [F.avg_pool2d(level, 3, 1, 1) for level in network(dataset[index].image[None])]
        grid = maps[0].shape[-2:]
        rest = [F.interpolate(level, grid, mode="bilinear") for level in maps[1:]]
        yield torch.cat([maps[0], *rest], dim=1)[0].flatten(1).T


def shipped_features() -> Backbone:
    """Build LoupeNet at strides 8 and 16."""
    return Backbone(LOUPE_NET, [2, 3], [0.5] * 3, [0.5] * 3, BUNDLED)


def untrained_features(seed: int) -> Backbone:
    """Build a ResNet-18 with random weights at strides 8 and 16."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Backbone("resnet18", [2, 3], [0.485, 0.456, 0.406], [0.229, 0.224, 0.225], UNTRAINED)
