"""Models that look at every good image once and then fit in closed form: no loss, no optimiser."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from datamodules.errors import DataError

from .base import InspectionModel
from .errors import UntrainedError

if TYPE_CHECKING:
    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch


class OnePassModel(InspectionModel):
    """A subclass says what to keep of a batch (``collect``), and what to make of all that was kept (``fit``)."""

    trainer_arguments: ClassVar[dict[str, Any]] = {"max_epochs": 1, "devices": 1}  # a second pass would add nothing

    @abstractmethod
    def collect(self, image_B3HW: Tensor) -> None:
        """Keep what ``fit`` will need of good images (B, 3, H, W) in [0, 1]."""

    @abstractmethod
    def fit(self) -> None:
        """Fit to all that was collected, and forget it; do nothing where nothing was."""

    def configure_optimizers(self) -> None:
        """Ask for no optimiser."""

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Collect a batch; return a loss of zero, so that Lightning counts steps and saves."""
        del batch_idx
        self.collect(batch.image)
        return torch.zeros((), requires_grad=True)

    def on_validation_start(self) -> None:
        """Fit before anything is scored."""
        self.fit()

    def on_train_epoch_end(self) -> None:
        """Fit where no calibration came first."""
        self.fit()


def check_fitted(fitted: int, found: int, model: str, what: str) -> None:
    """Refuse to judge with a model that was never fitted, or images of another size than it was fitted to.

    Args:
        fitted: Number of values per image that it was fitted to, 0 before it was.
        found: Number of values of the images at hand.
        model: Its name.
        what: The values, in words.

    Raises:
        UntrainedError: The model has not been fitted.
        ValueError: The numbers differ.
    """
    if not fitted:
        raise UntrainedError(
            f"Expected {model} to be fitted to good pictures, but it is empty; train first, or load one."
        )
    if found != fitted:
        raise ValueError(
            f"Expected pictures of the size that {model} was trained on, with {fitted} {what}, but found {found} "
            f"{what}; set data.image_size back, or train again."
        )


def check_several(count: int) -> None:
    """Refuse to fit a spread to a single image.

    Raises:
        DataError: ``count`` is below 2.
    """
    if count < 2:
        raise DataError(f"Expected at least 2 training pictures to see how they vary, but found {count}.")
