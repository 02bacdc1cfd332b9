"""What a model says of itself, in plain values, so that nobody outside has to know which model it is."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class Account(NamedTuple):
    """What a model did in a test, beside what every model does.

    Attributes:
        metrics: Sections of metrics.json.
        milliseconds: What its own stages took for each image that they saw.
        notes: Sentences for the page.
    """

    metrics: Mapping[str, Any] = MappingProxyType({})
    milliseconds: Mapping[str, float] = MappingProxyType({})
    notes: Sequence[str] = ()
