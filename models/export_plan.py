"""How a network leaves torch: the graphs that hold it, and what a runner makes of their answers.

A network that one graph holds says nothing. All others say it themselves, in ``export_plan``, so that nobody who
exports has to know which network it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import numpy.typing as npt
    from anomalib.data import InferenceBatch
    from torch import Tensor, nn

MODEL, SCREENING, INCLUSIONS, SCORES = "model", "screening", "inclusions", "scores"
SEARCHED = "searched"  # the composition of a bank that the runner searches between two graphs


@dataclass(frozen=True)
class Graph:
    """A network of which a graph is made.

    Attributes:
        network: From images (B, 3, H, W) in [0, 1] to raw scores and maps; or torchvision's Mask R-CNN.
        instances: Whether it is the latter, which takes one image at a time, and answers with instances.
        size: Height and width of what it takes; None: it takes what the bundle judges, or its tiles.
        multiple: It takes images of any size whose sides are multiples of this, and answers with maps alone; None: all
            have one size.
        describe: From the same images to one vector each (B, D), by which a bundle tells those that are unlike the
            images of the training; it takes the network's own features, which runtimes compute once. None: it tells
            none by them.
        gives: Names of what it answers with, where that is not a score and a map.
        given: From images to all that it takes, by name, where that is not images.
    """

    network: nn.Module
    instances: bool = False
    size: tuple[int, int] | None = None
    multiple: int | None = None
    describe: Callable[[Tensor], Tensor] | None = None
    gives: tuple[str, ...] = ()
    given: Callable[[Tensor], dict[str, Tensor]] | None = None


@dataclass(frozen=True)
class ExportPlan:
    """What a bundle needs of a model.

    Attributes:
        composition: How a runner puts together what the graphs answer, in plain values: ``kind``, and what that kind
            needs; see ``tools.runner.composition``.
        graphs: By name; none where the runner computes the model by itself.
        arrays: What the runner itself needs of the model, float32, by name.
    """

    composition: Mapping[str, Any]
    graphs: Mapping[str, Graph]
    arrays: Mapping[str, npt.NDArray[np.float32]] = field(default_factory=dict)


@runtime_checkable
class Exports(Protocol):
    """A network that takes more, or less, than one graph."""

    def export_plan(self) -> ExportPlan:
        """Return what exporting this model takes."""


@runtime_checkable
class Explains(Protocol):
    """A network that can show what it went by.

    Attributes:
        views: Names of what it shows: ``reconstruction`` (B, C, H, W) in [0, 1], ``bottleneck`` (B, Z, h, w).
    """

    views: ClassVar[tuple[str, ...]]

    def explain(self, image_B3HW: Tensor) -> tuple[InferenceBatch, dict[str, Tensor]]:
        """Score images as ``forward`` does, and return beside it what ``views`` names, in that order."""


def plan_single(network: nn.Module, describe: Callable[[Tensor], Tensor] | None = None) -> ExportPlan:
    """Plan one graph, from a batch of images to scores and maps, and to what the network shows of its way there."""
    views = {"views": list(network.views)} if isinstance(network, Explains) else {}
    return ExportPlan({"kind": "single", **views}, {MODEL: Graph(network, describe=describe)})
