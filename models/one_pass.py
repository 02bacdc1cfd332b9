"""Models that look at every good image once and then fit in closed form: no loss, no optimiser.

Some can learn more images later, without those of before, and unlearn images again: see ``grows``.
"""

from __future__ import annotations

from abc import abstractmethod
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import torch

from datamodules.errors import DataError
from datamodules.progress import tell

from .base import InspectionModel
from .components.unfinished import Unfinished
from .errors import UntrainedError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

    from torch import Tensor

    from datamodules.samples.batch import InspectionBatch


class OnePassModel(InspectionModel):
    """A subclass says what to keep of a batch (``collect``), and what to make of all that was kept (``fit``).

    Attributes:
        grows: Whether images can be added to what was fitted, and taken out of it.
        learnt: The files that it was fitted to, in their order, one entry for each tile where it works on tiles; none
            where nobody noted them.
        batches: That will be collected, as far as anybody knows.
    """

    trainer_arguments: ClassVar[dict[str, Any]] = {"max_epochs": 1, "devices": 1}  # a second pass would add nothing
    grows: ClassVar[bool] = False

    def __init__(self) -> None:
        super().__init__()
        self.learnt: list[str] = []
        self.batches = 1
        self._coming: list[str] = []
        self._before: list[str] = []
        self._unfinished: Unfinished | None = None

    @abstractmethod
    def collect(self, image_B3HW: Tensor) -> None:
        """Keep what ``fit`` will need of good images (B, 3, H, W) in [0, 1], whose padding may be marked."""

    @abstractmethod
    def fit(self) -> None:
        """Fit to all that was collected, and forget it; do nothing where nothing was."""

    def configure_optimizers(self) -> None:
        """Return no optimiser: nothing is trained by gradients."""

    def on_train_start(self) -> None:
        """Note how many batches an epoch has."""
        super().on_train_start()
        batches = self.trainer.num_training_batches
        self.batches = int(batches) if 0 < batches < float("inf") else 1

    def training_step(self, batch: InspectionBatch, batch_idx: int) -> Tensor:
        """Collect a batch; return a loss of zero, so that Lightning counts steps and saves."""
        del batch_idx
        self.collect_batch(batch)
        return torch.zeros((), requires_grad=True)

    def collect_batch(self, batch: InspectionBatch) -> None:
        """Collect a batch, and note what it shows; what was collected before the fit was ended is not looked at again.

        Raises:
            DataError: Other images come than then.
        """
        if self._unfinished is None:
            self.collect(self.images_of(batch))
            self._coming += batch.image_path
            return
        if not self._coming:
            self._before = self._go_on(self._unfinished)
        first, self._coming = len(self._coming), self._coming + batch.image_path
        if first >= len(self._before):
            self.collect(self.images_of(batch))
            self._keep_unfinished()
        elif self._before[first : len(self._coming)] != batch.image_path:
            raise DataError(
                f"Expected the images in the order in which they were collected into {self._unfinished.path}, but "
                f"found {batch.image_path[0]} at place {first + 1}; delete that file to collect all anew."
            )

    def keep_in(self, path: Path) -> None:
        """Keep what is collected in a file from time to time, and go on from there; it goes when the training ends.

        A model that says nothing in ``collecting_state`` begins anew.
        """
        self._unfinished = Unfinished(path)

    def collecting_state(self) -> dict[str, Any] | None:
        """Return what was collected so far, in tensors and plain values; None where it is not worth keeping."""
        return None

    def load_collecting_state(self, state: dict[str, Any]) -> None:
        """Take what ``collecting_state`` returned."""
        raise NotImplementedError

    def _keep_unfinished(self) -> None:
        if self._unfinished is None or not self._unfinished.is_due():
            return
        if (state := self.collecting_state()) is not None:
            self._unfinished.save({"paths": self._coming, "draws": torch.get_rng_state(), "state": state})

    def _go_on(self, unfinished: Unfinished) -> list[str]:
        """Take what was collected before; return of which images it is."""
        if not (state := unfinished.load()):
            return []
        self.load_collecting_state(state["state"])
        torch.set_rng_state(state["draws"])
        tell(f"{len(state['paths']):,} images were collected before; the fit goes on after them.")
        before: list[str] = state["paths"]
        return before

    def on_train_end(self) -> None:
        """Delete what was kept for a fit that is ended: the checkpoint holds the outcome."""
        if self._unfinished is not None:
            self._unfinished.remove()

    def take_coming(self) -> list[str]:
        """Give the files that were collected, and forget them."""
        coming, self._coming = self._coming, []
        return coming

    def resume(self) -> None:
        """Get ready to learn more: what was fitted stays."""

    def extend(self) -> None:
        """Fit to all that was collected since ``resume``, and to what was fitted before.

        Raises:
            ValueError: The model cannot grow.
        """
        raise ValueError(f"Expected a model that grows, but found {type(self).__name__}.")

    def forget(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Take images out of what was fitted.

        Args:
            paths: Of ``learnt``.
            read: Reads an image, or its tiles (B, 3, H, W), where a model has to see it once more to forget it.

        Raises:
            DataError: Too little would be left, or an image has to be read, and cannot.
            ValueError: The model cannot grow.
        """
        del paths, read
        raise ValueError(f"Expected a model that grows, but found {type(self).__name__}.")

    def get_ready_without(self, paths: Collection[str], read: Callable[[str], Tensor]) -> None:
        """Find, once, what judging without each of several added images takes; nothing, unless a model says otherwise.

        Args:
            paths: Of ``learnt``; all of them came after the training.
            read: As for ``forget``; an image that cannot be read is passed over.
        """

    @contextmanager
    def without(self, path: str, read: Callable[[str], Tensor]) -> Iterator[None]:
        """Judge as if an image had never been learnt, for a moment: it is forgotten, and then all is as it was.

        Args:
            path: Of ``learnt``.
            read: As for ``forget``.

        Raises:
            DataError: Too little is left without it.
            ValueError: The model cannot grow.
        """
        learnt = self.learnt
        held = [(module, dict(module.named_buffers(recurse=False))) for module in self.modules()]
        try:
            self.forget([path], read)
            yield
        finally:
            self.learnt = learnt
            for module, buffers in held:
                for name, buffer in buffers.items():
                    setattr(module, name, buffer)

    def get_extra_state(self) -> dict[str, Any]:
        """Send the names of what was learnt along."""
        return {"learnt": self.learnt}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Take the names of what was learnt."""
        self.learnt = list(state.get("learnt", ()))

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Take a checkpoint, also of an earlier version, which noted no names."""
        state_dict.setdefault(f"{prefix}_extra_state", {})
        super()._load_from_state_dict(state_dict, prefix, *args)

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


def check_something(left: int, what: str) -> None:
    """Refuse to forget everything.

    Raises:
        DataError: Nothing would be left.
    """
    if not left:
        raise DataError(f"Expected {what} to be left, but all would be taken out; train on other images instead.")


def check_several(count: int) -> None:
    """Refuse to fit a spread to a single image.

    Raises:
        DataError: ``count`` is below 2.
    """
    if count < 2:
        raise DataError(f"Expected at least 2 training pictures to see how they vary, but found {count}.")
