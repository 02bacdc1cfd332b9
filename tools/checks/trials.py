"""One way of seeing after the other on the same images: a bank of good ones, and others with and without defects.

Letters: N images that are judged: H held out as they are, then each with P planted defects.
"""

from __future__ import annotations

import time
from dataclasses import replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np
import torch

from callbacks.report.doctor import Sheet, Shot
from datamodules.samples.batch import collate
from datamodules.synthetic.planting import KINDS, plant
from datamodules.table import DEFECTIVE, GOOD, TEST, TRAIN
from models.components.padding import opened
from models.components.standardising import spread_evenly, standardise
from models.features.joined_backbone import JoinedBackbone
from tools.configuring.config import compose_config
from tools.runs.checkpoint import build_module
from tools.runs.reading import foreground_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import numpy.typing as npt
    import pandas as pd
    from omegaconf import DictConfig
    from torch import Tensor

    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import InspectionBatch, Sample
    from datamodules.samples.dataset import Reading
    from datamodules.zones.foreground import Foreground
    from models.one_pass import OnePassModel
    from models.patchcore import PatchCore

    from .candidates import Candidate

BANK, HELD, FEWEST = 48, 24, 4  # images
PLANTED = 6  # defects for each image held out, one at a time
BATCH = 8
PATCHES = 2000  # of a bank: enough to compare by
TRIES = 50  # to plant a defect onto a part


class Material(NamedTuple):
    """Good images that no test will score.

    Attributes:
        datamodule: That reads them.
        known: Rows that make the bank.
        held: Rows that are judged, of other groups where there are enough.
    """

    datamodule: InspectionDataModule
    known: pd.DataFrame
    held: pd.DataFrame

    @property
    def labels(self) -> npt.NDArray[np.int64]:
        """0 for images as they are, 1 for those with a defect."""
        return np.repeat([GOOD, DEFECTIVE], [len(self.held), PLANTED * len(self.held)])

    @property
    def groups(self) -> npt.NDArray[np.str_]:
        """Group of each."""
        return self._of_each("group")

    @property
    def images(self) -> npt.NDArray[np.str_]:
        """Image that each was made of."""
        return self._of_each("name")

    def _of_each(self, column: str) -> npt.NDArray[np.str_]:
        names = self.held[column].to_numpy(dtype=str)
        return np.concatenate([names, np.repeat(names, PLANTED)])


class Trial(NamedTuple):
    """How a candidate did.

    Attributes:
        candidate: Which.
        score_N: Raw, higher is worse.
        milliseconds: Per image.
        megabytes: Of its bank.
        seconds: That the trial took.
    """

    candidate: Candidate
    score_N: npt.NDArray[np.float64]
    milliseconds: float
    megabytes: float
    seconds: float


def choose_material(datamodule: InspectionDataModule) -> Material | None:
    """Divide good images outside the test; None where there are too few."""
    samples = datamodule.samples
    good = samples[(samples["split"] != TEST) & (samples["label_index"] == GOOD)]
    good = good.sample(frac=1, random_state=datamodule.seed)
    count = min(HELD, len(good) // 2)
    if count < FEWEST:
        return None
    groups = good["group"].drop_duplicates()
    sizes = good["group"].value_counts()[groups].cumsum()
    first = set(groups[(sizes <= count).to_numpy()])
    held = good[good["group"].isin(first)]
    if len(held) < FEWEST:  # groups are too large to be left whole
        held = good.iloc[:count]
    return Material(datamodule, good.drop(held.index).iloc[:BANK], held)


class Fitted(NamedTuple):
    """A candidate with its bank.

    Attributes:
        candidate: With what it takes to suit the images.
        module: Its model, fitted.
        reading: How its images are read.
    """

    candidate: Candidate
    module: OnePassModel
    reading: Reading

    def judge(self, samples: Iterable[Sample]) -> tuple[npt.NDArray[np.float64], float]:
        """Score images (N,), raw, and say how many seconds the model took for all of them."""
        scores, seconds = [], 0.0
        for batch in batches(samples):
            before = time.perf_counter()
            with torch.no_grad():
                prediction, _ = self.module.predict(self.module.images_of(batch))
            scores.append(np.asarray(prediction.pred_score, np.float64).flatten())
            seconds += time.perf_counter() - before
        return np.concatenate(scores), seconds


def run_trial(candidate: Candidate, material: Material) -> Trial:
    """Fit a candidate to the bank's images, and judge the others.

    Raises:
        ConfigError: It cannot take these images.
        WeightsError: Its weights cannot be had.
    """
    started = time.perf_counter()
    fitted = fit(candidate, material)
    score_N, seconds = fitted.judge(planted(material, fitted.reading))
    return Trial(
        candidate=fitted.candidate,
        score_N=score_N,
        milliseconds=1000 * seconds / len(score_N),
        megabytes=bank_megabytes(fitted, material),
        seconds=time.perf_counter() - started,
    )


def fit(candidate: Candidate, material: Material) -> Fitted:
    """Fit a candidate to the bank's images as a training would, but to a small bank, for the time that it takes.

    Raises:
        ConfigError: It cannot take these images.
        WeightsError: Its weights cannot be had.
    """
    datamodule = material.datamodule
    config = training_config(candidate, datamodule)
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(datamodule.seed)
        module = cast("OnePassModel", build_module(config).eval())
        module.batches = -(-len(material.known) // BATCH)
        dataset = datamodule.dataset(material.known)
        candidate, dataset.reading = fitted_size(candidate, config, module, dataset.reading)
        for joined in (part for part in module.modules() if isinstance(part, JoinedBackbone)):
            some = (dataset[index] for index in spread_evenly(len(dataset)))
            standardise(joined, (opened(module.images_of(batch)) for batch in batches(some)))
        for batch in batches(dataset[index] for index in range(len(dataset))):
            module.collect(module.images_of(batch))
        module.fit()
    return Fitted(candidate, module, dataset.reading)


def bank_megabytes(fitted: Fitted, material: Material) -> float:
    """Say how much memory the bank of a training would take: a share of the patches of all training images."""
    config = compose_config("train", ["model=patchcore"])
    image = torch.zeros(1, 3, fitted.reading.height, fitted.reading.width)
    with torch.no_grad():
        patch_ND, _ = cast("PatchCore", fitted.module).describe(image)
    images = len(material.datamodule.split_samples(TRAIN))
    return float(config.model.coreset_ratio * images * patch_ND.numel() * patch_ND.element_size() / 1e6)


def training_config(candidate: Candidate, datamodule: InspectionDataModule) -> DictConfig:
    """Compose what ``loupe train`` would build of a candidate on this data."""
    height, width = datamodule.image_size
    fixed = ["data=folder", "model=patchcore", f"model.bank_size={PATCHES}"]
    fixed += [f"data.image_size=[{height},{width}]", f"data.fit={datamodule.fit}"]
    if datamodule.foreground is not None:
        zones = cast("Foreground", datamodule.reading.foreground).zones
        asked = f"[{','.join(map(str, zones))}]" if zones else datamodule.foreground
        fixed += [f"data.foreground={asked}", f"data.foreground_margin={datamodule.foreground_margin}"]
    return compose_config("train", [*fixed, *candidate.overrides])


def fitted_size(
    candidate: Candidate, config: DictConfig, module: OnePassModel, reading: Reading
) -> tuple[Candidate, Reading]:
    """Return how a candidate's images are read, and the override that it takes where it wants sides of its own."""
    reading = reading._replace(foreground=foreground_of(config.data))
    height, width = config.data.image_size
    sides = [max(1, round(side / module.size_multiple)) * module.size_multiple for side in (height, width)]
    if sides != [height, width]:
        candidate = candidate.also(f"data.image_size=[{sides[0]},{sides[1]}]")
    return candidate, reading._replace(height=sides[0], width=sides[1])


def planted(material: Material, reading: Reading) -> Iterator[Sample]:
    """Yield the images held out, first as they are, then each with one planted defect after the other."""
    dataset = material.datamodule.dataset(material.held)
    dataset.reading = reading
    samples = [dataset[index] for index in range(len(dataset))]
    yield from samples
    for place, sample in enumerate(samples):
        part = material.datamodule.reading.on_part(sample).foreground
        for number in range(PLANTED):
            rng = np.random.default_rng([material.datamodule.seed, place, number])
            yield reading.on_part(on_the_part(sample, part, number, rng))


def on_the_part(sample: Sample, part_HW: Tensor | None, number: int, rng: np.random.Generator) -> Sample:
    """Plant a defect into the part, where the data say that it alone counts: after some tries, anywhere."""
    planted_there = with_defect(sample, number, rng)
    for _ in range(0 if part_HW is None else TRIES):
        if covers(planted_there, cast("Tensor", part_HW)):
            break
        planted_there = with_defect(sample, number, rng)
    return planted_there


def covers(planted: Sample, part_HW: Tensor) -> bool:
    """Tell whether most of what was planted lies on the part."""
    mask = cast("Tensor", planted.mask)
    return bool((mask & part_HW).sum() > mask.sum() / 2)


def with_defect(sample: Sample, number: int, rng: np.random.Generator) -> Sample:
    """Plant a defect into an image, and not into its padding; kinds take turns."""
    kind = list(KINDS)[number % len(KINDS)]
    rows, columns = (slice(None), slice(None)) if sample.frame is None else sample.frame.slices
    image = sample.image.clone()
    mask = torch.zeros(image.shape[1:], dtype=torch.bool)
    changed, covered = plant(kind, image[:, rows, columns].numpy(), rng)
    image[:, rows, columns], mask[rows, columns] = torch.from_numpy(changed), torch.from_numpy(covered)
    return replace(sample, image=image, mask=mask, label_index=DEFECTIVE)


def batches(samples: Iterable[Sample]) -> Iterator[InspectionBatch]:
    """Put samples into batches."""
    waiting = iter(samples)
    while some := list(islice(waiting, BATCH)):
        yield collate(some)


def show_planted(material: Material, count: int = 6) -> Sheet:
    """Show some of the defects that were planted, outlined."""
    dataset = material.datamodule.dataset(material.held)
    samples = list(islice(planted(material, dataset.reading), len(dataset), None))[:: max(1, PLANTED + 1)][:count]
    shots = [Shot(sample.name, _seen(sample.image), np.asarray(sample.mask)) for sample in samples]
    return Sheet("Some of the planted defects, outlined.", shots)


def _seen(image_3HW: Tensor) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(image_3HW.mul(255).round().byte().permute(1, 2, 0).numpy())
