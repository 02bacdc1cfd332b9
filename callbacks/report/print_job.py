"""A print job as a page shows it: layers in order, scores over height, and what may be a defect with its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.measures.figures import Chart, Line
from callbacks.statistics.sequence import FEWEST, change_point, running_median

from .charts.line_chart import line_chart, names_of_lines

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markupsafe import Markup

    from callbacks.statistics.sequence import Change

DEFECTIVE, GOOD = "defective", "good"
WIDTHS = {"narrow": 340.0, "middle": 1000.0}
MEDIAN_OF = 3
SURE = 0.05
CUSTOMARY_UM = 1000.0


class Layer(NamedTuple):
    """A judged layer.

    Attributes:
        id: By which its row, or its images, are found.
        image_path: Of its file.
        layer: Its number; None where it has none.
        score: Raw; None where it could not be judged.
        threshold: That it was held against.
        verdict: ``good``, ``defective``, or empty.
        reasons: Of the rules; empty without.
        unusual: How it is unlike the images of the training; empty where it is not.
        error: Why there is no verdict; empty where there is one.
        model: What judged it.
        label: What people say: ``good``, ``defective``, or empty.
        by: Who says so.
        folder: Where its overlay lies, if there is one; empty where nobody knows.
    """

    id: int
    image_path: str
    layer: int | None
    score: float | None
    threshold: float | None
    verdict: str
    reasons: str = ""
    unusual: str = ""
    error: str = ""
    model: str = ""
    label: str = ""
    by: str = ""
    folder: str = ""

    @property
    def flagged(self) -> bool:
        """Tell whether it is called defective."""
        return self.verdict == DEFECTIVE

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.image_path.replace("\\", "/").rpartition("/")[2]


class Suspect(NamedTuple):
    """A layer that is called defective, between its neighbours.

    Attributes:
        before: The judged layer below; None where there is none.
        layer: It.
        after: The judged layer above; None where there is none.
    """

    before: Layer | None
    layer: Layer
    after: Layer | None


@dataclass(frozen=True)
class PrintJob:
    """A job, as far as it was judged.

    Attributes:
        machine: That prints it; empty where unknown.
        job: Its name; empty for layers of no job.
        layers: In the order of their numbers.
        total: Layers of the whole job; None where nobody said.
        layer_um: Height of a layer in micrometres; None where nobody said: then heights are layer numbers.
    """

    machine: str
    job: str
    layers: Sequence[Layer]
    total: int | None = None
    layer_um: float | None = None

    @property
    def title(self) -> str:
        """Its name for people."""
        return self.job or "Layers of no job"

    @cached_property
    def suspects(self) -> list[Suspect]:
        """The layers that are called defective, from the bottom, each with the layers before and after."""
        ends = len(self.layers) - 1
        return [
            Suspect(self.layers[place - 1] if place else None, layer, self.layers[place + 1] if place < ends else None)
            for place, layer in enumerate(self.layers)
            if layer.flagged
        ]

    @property
    def failed(self) -> list[Layer]:
        """The layers that could not be judged."""
        return [layer for layer in self.layers if layer.error]

    @property
    def newest(self) -> int | None:
        """Number of the highest judged layer."""
        return max((layer.layer for layer in self.layers if layer.layer is not None), default=None)

    @property
    def done(self) -> float | None:
        """How far the job is, in [0, 1]; None where nobody said how many layers it has."""
        return None if not self.total or self.newest is None else min(1.0, self.newest / self.total)

    @property
    def progress(self) -> str:
        """How far the job is, in words."""
        count = f"{len(self.layers):,} layers judged" if len(self.layers) != 1 else "1 layer judged"
        if self.done is None or self.newest is None or self.total is None:
            return count if self.newest is None else f"{count}, up to layer {self.newest:,}"
        return f"Layer {self.newest:,} of {self.total:,} ({100 * self.done:.0f} %), {count}"

    @property
    def missing(self) -> int:
        """Layers between the lowest and the highest that nobody judged, at the usual step."""
        number_N = self._numbers
        if len(number_N) < 2:
            return 0
        steps = np.diff(np.unique(number_N))
        usual = int(np.bincount(steps).argmax()) if steps.size else 1
        return int(np.maximum(steps // usual - 1, 0).sum()) if steps.size else 0

    @cached_property
    def change(self) -> Change | None:
        """Where the level of scores changes most; None of fewer than four layers, or where it may be chance."""
        scored = self._scored
        if len(scored) < FEWEST:
            return None
        found = change_point([float(layer.score or 0.0) for layer in scored])
        return found if found is not None and found.p <= SURE else None

    @property
    def change_layer(self) -> int | None:
        """Number of the first layer of the new level; None where the level does not change."""
        return None if self.change is None else self._scored[self.change.place].layer

    @property
    def changed(self) -> str:
        """The change of level in a sentence; empty where there is none."""
        if self.change is None:
            return ""
        return (
            f"The level of scores changes at layer {self.change_layer}: {self.change.before:.5g} below, "
            f"{self.change.after:.5g} from there on (Pettitt's test, p = {self.change.p:.2g}). A step is the "
            "machine's, not a single layer's."
        )

    @property
    def chart(self) -> Chart | None:
        """Scores over height; None where no layer has a score."""
        scored = self._scored
        if not scored:
            return None
        height_N = [self._height(layer) for layer in scored]
        score_N = [float(layer.score or 0.0) for layer in scored]
        lines = [Line("score", height_N, score_N)]
        if len(scored) >= MEDIAN_OF:
            lines.append(Line(f"running median of {MEDIAN_OF}", height_N, running_median(score_N, MEDIAN_OF).tolist()))
        lines.append(Line("threshold", height_N, [float(layer.threshold or 0.0) for layer in scored], guide=True))
        return Chart("Scores over height", "layer" if self.layer_um is None else "height in mm", "score", lines)

    def drawn(self) -> list[tuple[str, Markup]]:
        """Draw the chart in the widths of a page; none where there is nothing to draw."""
        chart = self.chart
        return [] if chart is None else [(name, line_chart(chart, width)) for name, width in WIDTHS.items()]

    @property
    def strokes(self) -> list[tuple[str, str]]:
        """Names and strokes of the chart's lines."""
        chart = self.chart
        return [] if chart is None else names_of_lines(chart)

    def at(self, layer: Layer) -> str:
        """Say how high a layer lies, in words; empty where nobody knows."""
        if layer.layer is None or self.layer_um is None:
            return ""
        return f"{self._height(layer):.2f} mm"

    def _height(self, layer: Layer) -> float:
        number = float(layer.layer or 0)
        return number if self.layer_um is None else number * self.layer_um / CUSTOMARY_UM

    @cached_property
    def _scored(self) -> list[Layer]:
        return [layer for layer in self.layers if layer.score is not None and layer.layer is not None]

    @property
    def _numbers(self) -> list[int]:
        return [layer.layer for layer in self.layers if layer.layer is not None]
