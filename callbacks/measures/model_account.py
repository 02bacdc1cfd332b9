"""What a model itself has to say of a test: what its stages did, what they cost."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from .measure import ContextMeasure, Section

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd


class Account(Protocol):
    """What a model says of a test, in plain values; each may be empty."""

    @property
    def metrics(self) -> Mapping[str, Any]:
        """Sections of metrics.json."""

    @property
    def milliseconds(self) -> Mapping[str, float]:
        """What its own stages took for each image that they saw."""

    @property
    def notes(self) -> Sequence[str]:
        """Sentences for the page."""


@runtime_checkable
class GivesAccount(Protocol):
    """A model with something of its own to say."""

    def account(self, predictions: pd.DataFrame) -> Account:
        """Say what it did in a test, from the table of predictions."""


class ModelAccount(ContextMeasure):
    """Reports what the model says of itself."""

    def result(self) -> Section:
        """Return the sections and notes of the model."""
        module = self.tested.module
        if not isinstance(module, GivesAccount):
            return Section()
        account = module.account(self.tested.predictions)
        costs = {"milliseconds_by_stage": account.milliseconds} if account.milliseconds else {}
        return Section(account.metrics, environment=costs, notes=account.notes)
