"""Kinds of images: which of them are used, and how the kind of an image is found that nobody sorted.

This file needs no torch: it ships with bundles. Letters: F features, C components, K kinds.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np

from .errors import DataError
from .layer_features import Floats, layer_features

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    import pandas as pd

    from .files.images import Array


def of_kinds(table: pd.DataFrame, kinds: Sequence[str] | None) -> pd.DataFrame:
    """Keep the samples of some kinds; None: all.

    Raises:
        DataError: There is no such kind.
    """
    if kinds is None:
        return table
    there = sorted(set(table["kind"]))
    for kind in kinds:
        if kind not in there:
            raise DataError(f"Expected data.kinds to be some of {', '.join(there) or 'none'}, but found {kind!r}.")
    return table[table["kind"].isin(list(kinds))].reset_index(drop=True)


@dataclass(frozen=True)
class KindByName:
    """Reads the kind from an image's name.

    Attributes:
        pattern: Regular expression; what its first group matches is the kind.
    """

    pattern: str

    def __call__(self, name: str, values: Array, white_level: float | None) -> str:
        """Return the kind; empty where the pattern matches nowhere."""
        del values, white_level
        match = re.search(self.pattern, name)
        return (match[1] or "") if match else ""

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``read_finder``."""
        return {"pattern": self.pattern}


@dataclass(frozen=True)
class KindByAppearance:
    """Finds the nearest of the groups that were found among the layers of a training.

    Attributes:
        offset_F: Taken from the features of a layer.
        weight_CF: From what is left to the space of the groups.
        centre_KC: Of each group.
        names: Of each group.
    """

    offset_F: Floats
    weight_CF: Floats
    centre_KC: Floats
    names: tuple[str, ...]

    def __call__(self, name: str, values: Array, white_level: float | None) -> str:
        """Return the kind of an image as stored, (H, W) or (H, W, 3)."""
        del name
        return self.names[int(self.nearest(layer_features(values, white_level)[None])[0])]

    def nearest(self, feature_NF: Floats) -> np.ndarray[Any, np.dtype[np.intp]]:
        """Return the place of the nearest group of each layer, (N,)."""
        point_NC = (feature_NF - self.offset_F) @ self.weight_CF.T
        return np.asarray(np.square(point_NC[:, None] - self.centre_KC).sum(axis=2).argmin(axis=1), dtype=np.intp)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for ``read_finder``."""
        arrays = {name: getattr(self, name).tolist() for name in ("offset_F", "weight_CF", "centre_KC")}
        return {"look": arrays | {"names": list(self.names)}}


Finder = KindByName | KindByAppearance


@runtime_checkable
class FindsKinds(Protocol):
    """A data module that can tell the kind of an image which is not among its samples."""

    def kind_finder(self) -> Finder | None:
        """Return what tells kinds; None where nothing can."""


def read_finder(values: Mapping[str, Any] | None) -> Callable[[str, Array, float | None], str] | None:
    """Read what ``to_dict`` wrote; None where there was nothing."""
    if not values:
        return None
    if "pattern" in values:
        return KindByName(str(values["pattern"]))
    finder = values["look"]
    arrays = [np.array(finder[name], dtype=np.float64) for name in ("offset_F", "weight_CF", "centre_KC")]
    return KindByAppearance(arrays[0], arrays[1], arrays[2], tuple(finder["names"]))
