"""What two inspectors agree on: kappa over what both decided, what to settle, and what one of them left open."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Any

from callbacks.statistics.agreement import Agreement, cohen_kappa

from .entries import DECIDED, UNSURE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .replay import State


@dataclass(frozen=True)
class Compared:
    """Two inspectors, image by image.

    Attributes:
        inspectors: Their names.
        agreement: Over images that both called good or defective.
        disagree: Images that one called good and the other defective, by name.
        unsure: Images of which at least one was unsure, by name; they count nowhere else.
        rework: Likewise, images that one of them wants reworked.
    """

    inspectors: tuple[str, str]
    agreement: Agreement
    disagree: list[str]
    unsure: list[str]
    rework: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Plain values; what is undefined is None."""
        numbers = {key: None if value != value else value for key, value in self.agreement._asdict().items()}  # noqa: PLR0124 - NaN
        named = {"both_decided": numbers.pop("decided"), "agreement": numbers.pop("agreement")}
        named |= {"cohen_kappa": numbers["kappa"], "kappa_low": numbers["low"], "kappa_high": numbers["high"]}
        return {**asdict(self), "inspectors": list(self.inspectors), **named}


def compare_verdicts(first: Mapping[str, str], second: Mapping[str, str], names: tuple[str, str]) -> Compared:
    """Compare what two inspectors say of the images that both saw: verdicts by image."""
    both = sorted(set(first) & set(second))
    counts = [[0, 0], [0, 0]]
    disagree, unsure, rework = [], [], []
    for image in both:
        pair = first[image], second[image]
        if UNSURE in pair:
            unsure.append(image)
        elif not set(pair) <= set(DECIDED):
            rework.append(image)
        else:
            counts[DECIDED.index(pair[0])][DECIDED.index(pair[1])] += 1
            disagree += [image] if pair[0] != pair[1] else []
    return Compared(names, cohen_kappa(counts), disagree, unsure, rework)


def compare_all(state: State) -> list[Compared]:
    """Compare every two inspectors of a journal who saw an image in common."""
    verdicts = {by: state.verdicts_of(by) for by in state.inspectors()}
    return [
        compare_verdicts(verdicts[a], verdicts[b], (a, b))
        for a, b in combinations(verdicts, 2)
        if set(verdicts[a]) & set(verdicts[b])
    ]


def to_settle(state: State) -> list[str]:
    """Name the images on which inspectors disagree, and nobody has settled it, by name."""
    labels = ((image, state.label(image)) for image in state.images())
    return [image for image, label in labels if label is not None and label.disputed]
