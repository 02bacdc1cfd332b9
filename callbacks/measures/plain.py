"""From what measures compute to what JSON knows: no NaN, no arrays, no numbers of numpy's."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from callbacks.statistics.bootstrap import Estimate


def plain(estimate: Estimate) -> dict[str, float | None]:
    """Turn an estimate into JSON's terms, which know no NaN."""
    return {name: None if math.isnan(value) else value for name, value in estimate.to_dict().items()}


def plain_values(values: Any) -> Any:
    """Turn nested values into JSON's terms: estimates into their three numbers, what is not finite into None.

    Raises:
        TypeError: Something in them has no place in JSON.
    """
    if isinstance(values, Estimate):
        return plain(values)
    if isinstance(values, np.generic | np.ndarray):
        return plain_values(values.tolist())
    if isinstance(values, Mapping):
        return {str(name): plain_values(value) for name, value in values.items()}
    if isinstance(values, list | tuple):
        return [plain_values(value) for value in values]
    if isinstance(values, float):
        return values if math.isfinite(values) else None
    if values is None or isinstance(values, str | int):  # truth values are whole numbers, too
        return values
    raise TypeError(f"Expected metrics to be numbers, words, estimates or groups of them, but found {values!r}.")
