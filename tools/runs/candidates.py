"""What advice rests on: labelled images, and those that nobody labelled yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("image", "file", "box", "label_index", "kind", "group", "picked")


class Unlabelled(NamedTuple):
    """An image that nobody labelled, with its raw score and its kind."""

    name: str
    score: float
    kind: str = ""


class Candidates(NamedTuple):
    """Labelled images, and others.

    Attributes:
        labelled: One row per image that is good or defective, with ``COLUMNS``.
        unlabelled: Images with scores that nobody labelled.
        source: Where the labels are from, in words.
        of_test: Whether they are those of the run's own test images.
    """

    labelled: pd.DataFrame
    unlabelled: list[Unlabelled]
    source: str
    of_test: bool
