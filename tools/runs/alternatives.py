"""What labels could be spent on, each judged by cross-validation within them.

Letters: N labelled images, B batch, D features, h and w patches along the axes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from callbacks.statistics.crossed import Judged
from datamodules.errors import DataError
from datamodules.samples.batch import collate
from datamodules.table import DEFECTIVE, TRAIN, read_table
from models.one_pass import OnePassModel
from models.patch_classifier import PatchClassifier, balanced_cross_entropy
from tools.configuring.build import build
from tools.configuring.config import compose_config

from .calibrating import choose

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt
    import pandas as pd
    from omegaconf import DictConfig
    from torch import Tensor

    from callbacks.decisions.calibration import Calibration
    from callbacks.decisions.choosing import Seen
    from callbacks.decisions.scopes import Scoped
    from callbacks.statistics.crossed import Fold
    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import InspectionBatch
    from models.base import InspectionModel

    from .run_folder import RunFolder

BATCH = 8
STRENGTH = 0.01  # of the head's weights: inverse of their penalty, for standardised features


@dataclass
class Material:
    """What all ways share.

    Attributes:
        image_N3HW: Labelled images as the model sees them.
        seen_N: Their scores by the run's model, with label and kind.
        scoped: The run's thresholds.
        calibration: Of the run: its policy chooses.
        module: The run's model.
        folds: Of the labelled images.
        seconds: That judging them took.
    """

    image_N3HW: Tensor
    seen_N: list[Seen]
    scoped: Scoped
    calibration: Calibration
    module: InspectionModel
    folds: list[Fold]
    seconds: float = 0.0
    label_N: npt.NDArray[np.intp] = field(init=False)

    def __post_init__(self) -> None:
        """Note the label of every image."""
        self.label_N = np.array([seen.label_index for seen in self.seen_N])


class Way(NamedTuple):
    """What one way made of the labelled images, and the minutes that one training on all of them takes."""

    judged: Judged
    minutes: float
    about: str


@runtime_checkable
class HasPatches(Protocol):
    """A network that describes places of an image: (B, D, h, w)."""

    def embed(self, image_B3HW: Tensor) -> Tensor:
        """Describe every place of the images."""


def as_it_is(material: Material) -> Way:
    """Judge by the run's thresholds."""
    score_N = np.array([seen.score for seen in material.seen_N])
    return Way(Judged(score_N, _called(material.scoped, material.seen_N)), 0.0, "the run as it is")


def moved_threshold(material: Material) -> Way:
    """Choose a threshold from the labels of each fold."""
    return _with_thresholds(material, material.seen_N, 0.0, "its scores, a threshold from the labels alone")


def swapped(material: Material, folder: RunFolder, config: DictConfig, name: str) -> Way:
    """Let another model learn from the run's good training images, and choose a threshold from labels.

    Raises:
        DataError: The training images are not where they were.
    """
    started = time.perf_counter()
    module = _fitted(name, folder, config)
    minutes = (time.perf_counter() - started) / 60
    score_N = _scores(module, material.image_N3HW)
    seen_N = [one._replace(score=score) for one, score in zip(material.seen_N, score_N.tolist(), strict=True)]
    return _with_thresholds(material, seen_N, minutes, f"model={name} on the run's good training images")


def head(material: Material, seed: int) -> Way:
    """Learn a logistic regression on what the run's network sees, and on its score.

    Features of an image are the mean of its places, the place that the model finds worst, and the score: what one
    defect changes of the mean is little, and which anomalies matter is what labels say.
    """
    feature_ND = _features(material)
    logit_N, seconds = np.zeros(len(feature_ND)), 0.0
    for fold in material.folds:
        started = time.perf_counter()
        fitted = make_pipeline(
            StandardScaler(),
            LogisticRegression(C=STRENGTH, class_weight="balanced", max_iter=1000, random_state=seed),
        ).fit(feature_ND[fold.learn], material.label_N[fold.learn])
        seconds += time.perf_counter() - started
        logit_N[fold.judge] = fitted.decision_function(feature_ND[fold.judge])
    minutes = (material.seconds + seconds / len(material.folds)) / 60
    return Way(Judged(logit_N, logit_N >= 0), minutes, "logistic regression on the network's features and the score")


def classifier(material: Material, epochs: int, seed: int) -> Way:
    """Train a classifier of whole images from the backbone that Loupe brings."""
    logit_N, seconds = np.zeros(len(material.label_N)), 0.0
    for fold in material.folds:
        started = time.perf_counter()
        module = _trained_classifier(material, fold.learn, epochs, seed)
        seconds += time.perf_counter() - started
        logit_N[fold.judge] = _scores(module, material.image_N3HW[torch.from_numpy(fold.judge)])
    about = f"model=patch_classifier, {epochs} epochs on labelled images alone"
    return Way(Judged(logit_N, logit_N >= 0), seconds / len(material.folds) / 60, about)


def _with_thresholds(material: Material, seen_N: Sequence[Seen], minutes: float, about: str) -> Way:
    called_N = np.zeros(len(seen_N), dtype=np.bool_)
    for fold in material.folds:
        scoped = choose(material.calibration, [seen_N[place] for place in fold.learn])
        called_N[fold.judge] = _called(scoped, [seen_N[place] for place in fold.judge])
    return Way(Judged(np.array([seen.score for seen in seen_N]), called_N), minutes, about)


def _called(scoped: Scoped, seen_N: Sequence[Seen]) -> npt.NDArray[np.bool_]:
    return np.array(
        [np.float32(seen.score) >= np.float32(scoped.of_kind(seen.kind)) for seen in seen_N], dtype=np.bool_
    )


def _fitted(name: str, folder: RunFolder, config: DictConfig) -> OnePassModel:
    """Let a model learn in one pass."""
    module = build(compose_config("train", ["data=synthetic", f"model={name}"]).model, "model").eval()
    if not isinstance(module, OnePassModel):
        raise TypeError(f"Expected a model that learns in one pass, but found {type(module).__name__}.")
    batches = list(_batches(folder, config))
    module.batches = len(batches)
    with torch.no_grad():
        for batch in batches:
            module.collect_batch(batch)
        module.fit()
    return module


def _batches(folder: RunFolder, config: DictConfig) -> Iterator[InspectionBatch]:
    """Read the good training images of the run, as far as they are where they were.

    Raises:
        DataError: None is left.
    """
    datamodule: InspectionDataModule = build(config.data, "data")
    known = read_table(folder.samples)
    datamodule.use_samples(known[known["split"] == TRAIN])
    rows: pd.DataFrame = datamodule.samples
    rows = rows[rows["label_index"] != DEFECTIVE]
    if rows.empty:
        raise DataError("its training images are not where they were")
    dataset = datamodule.dataset(rows.reset_index(drop=True))
    for first in range(0, len(rows), BATCH):
        yield collate([dataset[place] for place in range(first, min(first + BATCH, len(rows)))])


@torch.no_grad()
def _scores(module: InspectionModel, image_N3HW: Tensor) -> npt.NDArray[np.float64]:
    module.eval()
    found = [module.predict(part)[0].pred_score for part in torch.split(image_N3HW, BATCH)]
    return torch.cat([score for score in found if score is not None]).double().numpy()


@torch.no_grad()
def _features(material: Material) -> npt.NDArray[np.float64]:
    """Describe labelled images: (N, D)."""
    module, found = material.module.eval(), []
    for part in torch.split(material.image_N3HW, BATCH):
        described = module.embed_whole(part)
        columns = [] if described is None else [described.float().flatten(1)]
        if isinstance(module.model, HasPatches) and module.tiling is None:
            patch_BDhw = module.model.embed(part)
            map_BHW = module.predict(part)[0].anomaly_map
            if map_BHW is not None:
                coarse_Bhw = torch.nn.functional.adaptive_max_pool2d(map_BHW[:, None], patch_BDhw.shape[-2:])
                worst_B = coarse_Bhw.flatten(1).argmax(1)
                columns.append(patch_BDhw.flatten(2)[torch.arange(len(part)), :, worst_B])
        found.append(torch.cat(columns, 1) if columns else torch.empty(len(part), 0))
    score_N1 = np.array([[seen.score] for seen in material.seen_N])
    return np.hstack([torch.cat(found).double().numpy(), score_N1])


def _trained_classifier(material: Material, learn: npt.NDArray[np.intp], epochs: int, seed: int) -> PatchClassifier:
    """Train on some of the labelled images, mirrored at random."""
    torch.manual_seed(seed)
    module: PatchClassifier = build(
        compose_config("train", ["data=synthetic", "model=patch_classifier"]).model, "model"
    )
    module.train()
    optimizer = module.configure_optimizers()
    label_N = torch.from_numpy(material.label_N)
    count_2 = torch.bincount(label_N[torch.from_numpy(learn)], minlength=2)
    rng = np.random.default_rng(seed)
    with torch.enable_grad():
        for _ in range(epochs):
            order = torch.from_numpy(rng.permutation(learn))
            for place_B in torch.split(order, BATCH):
                if len(place_B) < 2 and len(order) > 1:
                    continue  # batch norm needs more than one
                sides = [side for side in (2, 3) if rng.random() < 0.5]
                logit_B = module.model.logits(material.image_N3HW[place_B].flip(sides)).mean(dim=(1, 2, 3))
                loss = balanced_cross_entropy(logit_B, label_N[place_B], count_2)
                optimizer.zero_grad()
                loss.backward()  # type: ignore[no-untyped-call]  # torch says nothing of it
                optimizer.step()
    return module.eval()
