"""Datasets with a length, which torch's own type leaves open."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from torch.utils.data import Dataset

Item = TypeVar("Item")


class SizedDataset(Dataset[Item]):
    """A dataset that knows its length, as all of ours do.

    Attributes:
        counts_epochs: Item ``epoch * len + index`` is item ``index`` as that epoch sees it.
    """

    counts_epochs: ClassVar[bool] = False

    def __len__(self) -> int:
        """Count the items."""
        raise NotImplementedError  # torch's Dataset declares no length; every dataset of ours overrides this
