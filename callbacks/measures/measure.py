"""The contract of measures: each sees every decided test image once, and hands over a section of the results.

A measure of one's own is a class with two methods and one line of the config, wherever it lives:

    +callbacks.evaluation.measures.NAME._target_=package.module.Class

Nothing else has to know of it: what its section holds is logged, written to the run folder and drawn on the page.

Letters: N images of a batch.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, runtime_checkable

import pandas as pd

from callbacks.defects.measured import DefectRules
from callbacks.statistics.bootstrap import Resampling
from datamodules.files.fitting import SQUASH, Fit

from .stopwatch import Stopwatch

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning import LightningModule
    from torch import device

    from callbacks.acceptance.inspecting import Inspector
    from callbacks.acceptance.judgement import Acceptance
    from callbacks.decisions.calibration import Calibration
    from datamodules.samples.batch import InspectionBatch

    from .figures import Figure


@dataclass(frozen=True)
class Section:
    """What a measure found. All of it is optional.

    Attributes:
        metrics: For metrics.json: names of sections with what they hold. Estimates, numpy's numbers and NaN are turned
            into JSON's terms. Sections of one name are merged; ``test`` is also logged as ``test/NAME``.
        tables: By name: ``{"sizes": table}`` becomes ``sizes.csv`` in the run folder.
        figures: Drawn on the page.
        files: Other files of the run folder, by name, as text or bytes.
        columns: Of predictions.csv, one value for each test image, in the order of ``Tested.predictions``.
        environment: For environment.json, such as what it cost.
        notes: Sentences that a reader must not miss; printed, and shown at the top of the page.
    """

    metrics: Mapping[str, Any] = field(default_factory=dict)
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    figures: Sequence[Figure] = ()
    files: Mapping[str, str | bytes] = field(default_factory=dict)
    columns: Mapping[str, Sequence[Any]] = field(default_factory=dict)
    environment: Mapping[str, Any] = field(default_factory=dict)
    notes: Sequence[str] = ()


@runtime_checkable
class Measure(Protocol):
    """Looks at decided test images, batch by batch, and says what it found. Each test has a measure of its own."""

    def update(self, batch: InspectionBatch) -> None:
        """See a batch of decided test images."""

    def result(self) -> Section:
        """Say what was found, once all images have passed."""


@dataclass(frozen=True)
class Settings:
    """What several measures go by; the keys of ``callbacks.evaluation``.

    Attributes:
        resampling: How intervals are drawn.
        defects: What counts as a defect, and how severe it is.
        overlap: Share of a marked defect that predicted ones must cover for it to count as found, in (0, 1].
        examples: Images to keep per category.
        atlas: Images at most whose thumbnails and embeddings are kept.
    """

    resampling: Resampling = field(default_factory=Resampling)
    defects: DefectRules = field(default_factory=DefectRules)
    overlap: float = 0.1
    examples: int = 6
    atlas: int = 1000


@dataclass
class Tested:
    """What is tested, and how: for measures that need to know more than batches hold.

    Attributes:
        module: The model.
        calibration: Its thresholds.
        samples: The sample table; empty where the images have none.
        settings: What measures go by.
        acceptance: The rules that parts are judged by; None: there are none.
        inspector: Looks at parts on their files for these rules; None: maps tell all that they ask for.
        watch: Where the time went.
        predictions: One row per test image, sorted by name: complete before any ``result`` is asked for. ``name,
            image_path, label_index, score, verdict, kind, group``, ``defect`` where there is a sample table, and the
            columns of measures that were asked before.
        fit: How images of other proportions were brought to those that the model sees.
        parts_alone: Whether nothing but parts is to count, where they are found.
    """

    module: LightningModule
    calibration: Calibration
    samples: pd.DataFrame = field(default_factory=pd.DataFrame)
    settings: Settings = field(default_factory=Settings)
    acceptance: Acceptance | None = None
    inspector: Inspector | None = None
    watch: Stopwatch = field(default_factory=Stopwatch)
    predictions: pd.DataFrame = field(default_factory=pd.DataFrame)
    fit: Fit = SQUASH
    parts_alone: bool = False

    @property
    def by_rules(self) -> bool:
        """Tell whether rules judge parts by defects, which are listed on images that are called good, too, then."""
        return self.acceptance is not None

    @property
    def device(self) -> device:
        """Where the model computes."""
        return self.module.device

    @property
    def resampling(self) -> Resampling:
        """How intervals are drawn."""
        return self.settings.resampling

    @property
    def about(self) -> pd.DataFrame:
        """The rows of the sample table that belong to the predictions, in their order."""
        return self.samples.set_index("name").reindex(self.predictions["name"])


@runtime_checkable
class InContext(Protocol):
    """A measure that wants to know what is tested before it sees the first batch."""

    def start(self, tested: Tested) -> None:
        """Learn what is tested; ``tested`` stays, and its predictions are filled in later."""


class ContextMeasure:
    """Base of measures in context: keeps what is tested, and looks at no batch unless a subclass does.

    Attributes:
        stage: What its time is booked to, see ``Timing``.
        tested: What is tested.
    """

    stage: ClassVar[str] = "counting"
    tested: Tested

    def start(self, tested: Tested) -> None:
        """Start a test; remember what is tested."""
        self.tested = tested

    def update(self, batch: InspectionBatch) -> None:
        """See a batch of decided test images."""


def known_masks(batch: InspectionBatch) -> tuple[Any, list[str]]:
    """Tell which images of a batch have a truth for every pixel, (N,) bool, and name the groups of those."""
    known_N = batch.has_mask & (batch.label_index >= 0)
    return known_N, [group for group, is_known in zip(batch.group, known_N.tolist(), strict=True) if is_known]
