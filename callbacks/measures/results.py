"""What a test found: the sections of all measures, put together."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from datamodules.errors import DataError

from .plain import plain_values

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from .figures import Figure
    from .measure import Section

F = TypeVar("F")


@dataclass
class Results:
    """What a test found.

    Attributes:
        predictions: One row per test image, sorted by name, with the columns of all measures.
        metrics: The content of metrics.json. Estimates have ``value``, ``low`` and ``high``: None where undefined, such
            as recall without defects.
        tables: By name, without suffix.
        figures: To draw.
        files: Others, by name.
        environment: For environment.json.
        notes: Sentences that a reader must not miss.
    """

    predictions: pd.DataFrame
    metrics: dict[str, Any] = field(default_factory=dict)
    tables: dict[str, pd.DataFrame] = field(default_factory=dict)
    figures: list[Figure] = field(default_factory=list)
    files: dict[str, str | bytes] = field(default_factory=dict)
    environment: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def add(self, section: Section, measure: str) -> None:
        """Take in what a measure found.

        Args:
            section: What it found.
            measure: Its name, for errors.

        Raises:
            DataError: It hands over what another one has handed over already, or what has no place in JSON.
        """
        try:
            _merge(self.metrics, plain_values(section.metrics))
            _merge(self.environment, plain_values(section.environment))
            _join(self.tables, section.tables)
            _join(self.files, section.files)
            _check_columns(self.predictions, section.columns)
        except (TypeError, ValueError) as error:
            raise DataError(f"callbacks.evaluation.measures.{measure}: {error}") from error
        for name, values in section.columns.items():
            self.predictions[name] = values
        self.figures += section.figures
        self.notes += section.notes

    def figure(self, kind: type[F]) -> F | None:
        """Return the first figure of a kind; None where there is none."""
        return next((figure for figure in self.figures if isinstance(figure, kind)), None)


def _merge(held: dict[str, Any], new: Mapping[str, Any]) -> None:
    """Add sections; those of one name are merged, and no value takes the place of another.

    Raises:
        ValueError: Names what is there twice.
    """
    for name, value in new.items():
        if name not in held:
            held[name] = value
        elif isinstance(value, dict) and isinstance(held[name], dict):
            _join(held[name], value, f"{name}.")
        else:
            raise ValueError(f"Expected names of its own, but found {name!r}, which another measure has, too.")


def _join(held: dict[str, Any], new: Mapping[str, Any], above: str = "") -> None:
    if twice := sorted(held.keys() & new.keys()):
        raise ValueError(f"Expected names of its own, but found {above}{twice[0]}, which another measure has, too.")
    held.update(new)


def _check_columns(predictions: pd.DataFrame, columns: Mapping[str, Any]) -> None:
    for name, values in columns.items():
        if name in predictions:
            raise ValueError(f"Expected columns of its own, but found {name!r}, which the predictions have already.")
        if len(values) != len(predictions):
            raise ValueError(
                f"Expected column {name!r} to hold a value for each of {len(predictions)} test images, but found "
                f"{len(values)}."
            )
