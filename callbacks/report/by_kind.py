"""The page of a training by kind: what the model of each kind found beside the shared one, with links to the runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .page import render_page

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class KindRow:
    """What became of the test images of a kind.

    Attributes:
        kind: Its name; empty for images without one.
        part: The run that judged it.
        images: Test images.
        found: Defective ones that were called so.
        missed: Defective ones that were not.
        false_alarms: Good ones that were called defective.
        shared_missed: Missed by the shared model.
        shared_false_alarms: Called defective by the shared model, though good.
        rests_on: How many calibration images the threshold of its part was chosen by, in words.
    """

    kind: str
    part: str
    images: int
    found: int
    missed: int
    false_alarms: int
    shared_missed: int
    shared_false_alarms: int
    rests_on: str


@dataclass(frozen=True)
class ByKindContent:
    """Everything that the page shows.

    Attributes:
        title: For example ``patchcore on layers``.
        verdict: What all models together found, in a sentence.
        paired: Whether they beat the shared model, in a sentence.
        rows: By kind.
        notes: Which kinds have no model of their own, and why.
        shared: Address of the shared model's page.
        date: As text.
        command: To reproduce.
    """

    title: str
    verdict: str
    paired: str
    rows: Sequence[KindRow]
    notes: Sequence[str]
    shared: str
    date: str
    command: str


def render_by_kind(content: ByKindContent) -> str:
    """Render the page; it needs no server and no network, and links to the reports beside it."""
    return render_page("by_kind.html.j2", {"content": content})
