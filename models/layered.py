"""The layered sorter of meta-atoms as a model: every cell is judged within its own array, in four layers.

A cell's score is the highest of its four layers, in parts of their limits: 1 and more is beyond what planted defects
put between good and defective. In training, calibration and test the cells of an array meet first, and are sorted
together, against the array's own reference (see ``models.sorter``). A cell that comes alone, as in a bundle, is judged
against the standards of the training arrays, whichever it is most like.

It needs no labels. Where calibration cells have classes, the limits of the layers are moved to where they part these
best, and tests report how well classes are told apart.

Letters: B batch, N cells, H and W pixels, S side of a cell, K standards, M numbers of a standard.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from anomalib.data import InferenceBatch
from anomalib.models.components import DynamicBufferMixin
from torch import nn

from datamodules.base import InspectionDataModule
from datamodules.errors import DataError
from datamodules.samples.loading import once_more
from datamodules.table import DEFECTIVE, GOOD, TRAIN

from .account import Account
from .export_plan import ExportPlan
from .one_pass import OnePassModel, check_fitted
from .sorter.gathering import Cell, array_of, arrays_to_keep, evenly, gather
from .sorter.judging import MIN_CELLS, judge_array
from .sorter.layers import CLASSES
from .sorter.layers import GOOD as GOOD_CLASS
from .sorter.learning import confusion, f1_by_class, learn_factors, rescored
from .sorter.standard import NUMBERS, Standard, cells_of_images, judge_cells, maps_of_images, scaled_to

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import pandas as pd
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch

Plane = npt.NDArray[np.float32]
LARGEST = 96  # pixels along a side of a cell: no pillar needs more


class LayeredModel(DynamicBufferMixin, nn.Module):
    """Judges single cells by the standards of arrays that were seen.

    Args:
        cell_size: S, to which cells are brought.
    """

    reference_KSS: Tensor
    number_KM: Tensor
    factor_4: Tensor

    def __init__(self, cell_size: int) -> None:
        super().__init__()
        self.cell_size = cell_size
        self.register_buffer("reference_KSS", torch.empty(0, cell_size, cell_size))
        self.register_buffer("number_KM", torch.empty(0, NUMBERS, dtype=torch.float64))
        self.register_buffer("factor_4", torch.ones(len(CLASSES), dtype=torch.float64))

    def take(self, standards: Sequence[Standard]) -> None:
        """Hold these standards in place of those held before."""
        device = self.reference_KSS.device
        references = np.stack([standard.gauge.reference_SS for standard in standards])
        self.reference_KSS = torch.from_numpy(references).to(device)
        numbers = [standard.numbers for standard in standards]
        self.number_KM = torch.tensor(numbers, dtype=torch.float64, device=device)

    def standards(self) -> list[Standard]:
        """Return the standards that are held."""
        pairs = zip(self.reference_KSS.cpu().numpy(), self.number_KM.cpu().tolist(), strict=True)
        return [Standard.restored(reference_SS, number_M) for reference_SS, number_M in pairs]

    def factors(self) -> list[float]:
        """Return by what the limits of the layers are multiplied."""
        return [float(value) for value in self.factor_4.cpu()]

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        """Judge cells one by one: raw ``pred_score`` (B,), 1 at the limit, and ``anomaly_map`` (B, H, W).

        Raises:
            RuntimeError: No array was seen.
        """
        check_fitted(len(self.number_KM), len(self.number_KM), "the layered sorter", "standards")
        grey_BSS = cells_of_images(image_B3HW.float().cpu().numpy(), self.cell_size)
        found = judge_cells(grey_BSS, self.standards(), self.factors())
        map_BHW = maps_of_images(found.map_NSS, tuple(image_B3HW.shape[-2:]))
        score_B = found.score_N4.max(axis=1).astype(np.float32)
        return prediction(score_B, map_BHW, image_B3HW.device)

    def export_plan(self) -> ExportPlan:
        """Plan no graph: a runner judges single cells by these standards."""
        standards = {"references": self.reference_KSS.tolist(), "numbers": self.number_KM.tolist()}
        rules = {"kind": "layered", "cell_size": self.cell_size, "factors": self.factors()}
        return ExportPlan(rules | standards, {})


def prediction(score_B: npt.NDArray[np.float32], map_BHW: Plane, device: torch.device) -> InferenceBatch:
    """Put scores and maps into tensors."""
    return InferenceBatch(
        pred_score=torch.from_numpy(score_B).to(device), anomaly_map=torch.from_numpy(map_BHW).to(device)
    )


class Met(NamedTuple):
    """A cell as its array judged it.

    Attributes:
        score_4: What each layer measured, in parts of its own limit.
        departure_SS: How far every pixel is from the reference.
    """

    score_4: npt.NDArray[np.float64]
    departure_SS: Plane


class Layered(OnePassModel):
    """Sorts cells in four layers, each array by itself.

    Args:
        cell_size: Pixels along a side to which cells are brought; set ``data.image_size`` to the same. A seam is one
            pixel wide as the microscope took it: cells that are enlarged lose it.
        standards: How many training arrays are kept, spread evenly, to judge single cells by.
        learn: Whether the classes of calibration cells move the limits of the layers.
        seed: Decides what is planted where.

    Raises:
        ValueError: An argument is out of range.
    """

    not_exportable: ClassVar[str] = (
        "it looks for every pillar in its cell, and no graph can do that; the runner of a bundle does it"
    )
    not_padded: ClassVar[str] = "it lays every cell onto a reference of the same sides, and cells are nearly square"
    trainer_arguments: ClassVar[dict[str, Any]] = OnePassModel.trainer_arguments

    def __init__(self, cell_size: int = 64, standards: int = 4, *, learn: bool = True, seed: int = 0) -> None:
        super().__init__()
        if not 24 <= cell_size <= LARGEST:
            raise ValueError(f"Expected model.cell_size to be 24 to {LARGEST} pixels, but found {cell_size}.")
        if standards < 1:
            raise ValueError(f"Expected model.standards to be at least 1, but found {standards}.")
        self.standards = standards
        self.learn = learn
        self.seed = seed
        self.model: LayeredModel = LayeredModel(cell_size)
        self.met: dict[str, Met] = {}
        self.class_of: dict[str, str] = {}
        self._seen: list[Cell] = []
        self._wanted: set[str] | None = None  # arrays whose cells are kept; None: all

    def on_train_start(self) -> None:
        """Choose the arrays that standards are made of, where it is known which cells will come: no others are kept."""
        super().on_train_start()
        data, share = getattr(self.trainer, "datamodule", None), self.trainer.limit_train_batches
        if isinstance(data, InspectionDataModule) and isinstance(share, float) and share == 1:
            rows = data.split_samples(TRAIN)
            self._wanted = arrays_to_keep(zip(rows["name"], rows["group"], strict=True), self.standards) or None

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Keep the cells of a batch, by their names; return a loss of zero."""
        del batch_idx
        names = zip(batch.name, batch.group, strict=True)
        needed = [self._wanted is None or array_of(*both) in self._wanted for both in names]
        self._seen += [cell for cell, is_needed in zip(self._cells(batch), needed, strict=True) if is_needed]
        return torch.zeros((), requires_grad=True)

    def collect(self, image_B3HW: Tensor) -> None:
        """Keep cells that nobody named."""
        grey_BSS = cells_of_images(image_B3HW.float().cpu().numpy(), self.model.cell_size)
        self._seen += [Cell(str(len(self._seen) + index), "", grey) for index, grey in enumerate(grey_BSS)]

    def fit(self) -> None:
        """Sort the training arrays, and keep the standards of some.

        Raises:
            DataError: There are too few cells to say what is usual.
        """
        if not self._seen:
            return
        arrays = [one.cells for one in gather(self._seen) if len(one.name_N) >= MIN_CELLS]
        if not arrays:
            raise DataError(
                f"Expected at least {MIN_CELLS} training cells, to know what is usual, but found {len(self._seen)}."
            )
        chosen = evenly(len(arrays), self.standards)
        self.model.take([judge_array(arrays[index], self.seed).standard for index in chosen])
        self._seen = []

    def array_factors(self) -> list[float]:
        """Return by what the limits of the four layers are multiplied, as labels taught it."""
        return self.model.factors()

    def on_validation_start(self) -> None:
        """Fit; let the calibration cells of every array meet; learn from their classes."""
        super().on_validation_start()
        self.met = self._meet(self.trainer.val_dataloaders)
        if self.learn:
            factors = self._learnt()
            self.model.factor_4 = torch.tensor(factors, dtype=torch.float64, device=self.model.factor_4.device)

    def on_test_start(self) -> None:
        """Let the test cells of every array meet."""
        self.met = self._meet(self.trainer.test_dataloaders)
        self.class_of = {}

    def on_validation_end(self) -> None:
        """Forget the cells."""
        self.met = {}

    def on_test_end(self) -> None:
        """Forget the cells."""
        self.met = {}

    def validation_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score calibration cells within their arrays."""
        del args
        self.check_images(batch.image)
        return self._update(batch, self._within_arrays(batch))

    def test_step(self, batch: InspectionBatch, *args: Any) -> InspectionBatch:
        """Score and decide, within their arrays where these have met; else by the standards."""
        del args
        self.check_images(batch.image)
        return self._decide(self._update(batch, self._decided(self._within_arrays(batch))))

    def account(self, predictions: pd.DataFrame) -> Account:
        """Say how well the classes of test cells are told apart, where these are known."""
        truth = truth_of(predictions)
        names = [name for name in truth if name in self.class_of]
        counts = {name: list(self.class_of.values()).count(name) for name in (GOOD_CLASS, *CLASSES)}
        about: dict[str, Any] = {
            "counts": counts,
            "limits_moved_by": dict(zip(CLASSES, self.model.factors(), strict=True)),
        }
        wanted, found = [truth[name] for name in names], [self.class_of[name] for name in names]
        if len(set(wanted)) > 1:
            scores = f1_by_class(wanted, found)
            about |= {"macro_f1": float(np.mean(list(scores.values()))), "f1": scores}
            about |= {"confusion": confusion(wanted, found)}
        return Account(metrics={"classes": about})

    def _cells(self, batch: InspectionBatch) -> list[Cell]:
        grey_BSS = cells_of_images(batch.image.float().cpu().numpy(), self.model.cell_size)
        return [Cell(*row) for row in zip(batch.name, batch.group, grey_BSS, strict=True)]

    def _meet(self, loaders: Any) -> dict[str, Met]:
        """Read every cell of some loaders once, and sort each array."""
        batches = (batch for loader in _as_list(loaders) for batch in once_more(loader))
        met: dict[str, Met] = {}
        for array in gather([cell for batch in batches for cell in self._cells(batch)]):
            if len(array.name_N) >= MIN_CELLS:
                judged = judge_array(array.cells, self.seed)
                met |= dict(zip(array.name_N, map(Met, judged.found.score_N4, judged.departures()), strict=True))
        return met

    def _within_arrays(self, batch: InspectionBatch) -> InferenceBatch:
        """Judge a batch as its arrays did; cells whose array has not met, by the standards."""
        image_B3HW = batch.image
        if any(name not in self.met for name in batch.name):
            return self.predict(image_B3HW)[0]
        own = [self.met[name] for name in batch.name]
        score_N4, class_N = rescored(np.stack([one.score_4 for one in own]), self.model.factors())
        self.class_of |= dict(zip(batch.name, map(str, class_N), strict=True))
        score_N = score_N4.max(axis=1)
        map_NSS = scaled_to(np.stack([one.departure_SS for one in own]), score_N)
        map_NHW = maps_of_images(map_NSS, tuple(image_B3HW.shape[-2:]))
        return prediction(score_N.astype(np.float32), map_NHW, image_B3HW.device)

    def _learnt(self) -> list[float]:
        samples = getattr(getattr(self.trainer, "datamodule", None), "samples", None)
        if samples is None or not len(samples):
            return [1.0] * len(CLASSES)
        truth = truth_of(samples)
        names = [name for name in self.met if name in truth]
        if not names:
            return [1.0] * len(CLASSES)
        return learn_factors(np.stack([self.met[name].score_4 for name in names]), [truth[name] for name in names])


def truth_of(table: pd.DataFrame) -> dict[str, str]:
    """Return the class of every cell of a table whose class is known, by its name.

    Args:
        table: ``name``, ``label_index`` and ``defect``: of samples, or of predictions.
    """
    if "defect" not in table:
        return {}
    rows = zip(table["name"], table["label_index"], table["defect"].fillna(""), strict=True)
    known = {name.lower() for name in CLASSES}
    return {
        str(name): GOOD_CLASS if label == GOOD else str(defect).lower()
        for name, label, defect in rows
        if label == GOOD or (label == DEFECTIVE and str(defect).lower() in known)
    }


def _as_list(loaders: Any) -> Iterable[Any]:
    return loaders if isinstance(loaders, list | tuple) else [loaders]
