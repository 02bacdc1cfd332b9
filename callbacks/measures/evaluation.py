"""Evaluation: shows every decided test image to a list of measures, and puts together what they found."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pandas as pd
from lightning import Callback

from callbacks.decisions.calibration import calibration_of
from callbacks.defects.measured import DefectRules
from callbacks.statistics.bootstrap import Resampling
from datamodules.files.fitting import SQUASH
from datamodules.progress import working

from .measure import InContext, Measure, Settings, Tested
from .predictions import prediction_rows, require_finite
from .results import Results
from .standard import standard_measures

if TYPE_CHECKING:
    from lightning import LightningModule, Trainer

    from callbacks.acceptance.inspecting import Inspector
    from callbacks.acceptance.judgement import Acceptance
    from datamodules.samples.batch import InspectionBatch


class Evaluation(Callback):
    """Shows test images to measures and turns what they found into ``results``.

    Args:
        resamples: Of the bootstrap behind every interval; at least 2.
        confidence: Of the intervals, in (0, 1).
        examples: Images to keep per category.
        atlas: Images of the atlas at most, whose embeddings and thumbnails are kept; 0 keeps none.
        seed: Of the bootstrap.
        defects: What counts as a defect, and how severe it is; None: every region of a predicted mask.
        overlap: Share of a marked defect that predicted ones must cover for it to count as found, in (0, 1].
        measures: By name, in the order of the page; those that are None are left out. None: ``standard_measures``.

    Attributes:
        acceptance: The rules that parts are judged by, set before a test; None: there are none.
        inspector: Looks at parts on their files for these rules, set likewise; None: maps tell all that they ask for.
        results: Set when a test has ended.
    """

    acceptance: Acceptance | None = None
    inspector: Inspector | None = None
    results: Results

    def __init__(
        self,
        resamples: int = 1000,
        confidence: float = 0.95,
        examples: int = 6,
        atlas: int = 1000,
        seed: int = 0,
        defects: DefectRules | None = None,
        overlap: float = 0.1,
        measures: Mapping[str, Measure | None] | None = None,
    ) -> None:
        if not 0 < overlap <= 1:
            raise ValueError(f"Expected callbacks.evaluation.overlap to be above 0 and at most 1, but found {overlap}.")
        resampling = Resampling(resamples, confidence, seed)
        self.settings = Settings(resampling, defects or DefectRules(), overlap, examples, atlas)
        self.measures = standard_measures() if measures is None else checked(measures)

    @property
    def resampling(self) -> Resampling:
        """How intervals are drawn."""
        return self.settings.resampling

    def show_nothing(self) -> None:
        """Keep no images: nobody will draw a page."""
        self.settings = replace(self.settings, examples=0, atlas=0)

    def on_test_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Start afresh, with measures that have seen nothing."""
        data = getattr(trainer, "datamodule", None)
        samples = getattr(data, "samples", pd.DataFrame())
        self._rows: list[dict[str, Any]] = []
        self._tested = Tested(
            pl_module, calibration_of(pl_module), samples, self.settings, self.acceptance, self.inspector
        )
        self._tested.fit = getattr(data, "fit", SQUASH)
        self._tested.parts_alone = getattr(data, "foreground", None) is not None
        self._at_work = deepcopy(self.measures)
        for measure in self._at_work.values():
            if isinstance(measure, InContext):
                measure.start(self._tested)

    def on_test_batch_start(self, *args: Any) -> None:
        """Book the time since the last batch to loading."""
        del args
        self._tested.watch.lap("loading")

    def on_test_batch_end(
        self, trainer: Trainer, pl_module: LightningModule, outputs: InspectionBatch, *args: Any
    ) -> None:
        """Show a batch to every measure."""
        del trainer, pl_module, args
        self._rows += prediction_rows(outputs)  # waits for the device, so that the clock tells the truth
        self._tested.watch.lap("model")
        for measure in self._at_work.values():
            measure.update(outputs)
            self._tested.watch.lap(getattr(measure, "stage", "counting"))

    def on_test_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Ask every measure what it found, and log the figures of the test."""
        del trainer
        predictions = pd.DataFrame(self._rows).sort_values("name", ignore_index=True)
        require_finite(predictions)
        self._tested.predictions = predictions
        if not self._tested.samples.empty:
            predictions["defect"] = self._tested.about["defect"].to_numpy()
        results = Results(predictions)
        with working("computing intervals"):
            for name, measure in self._at_work.items():
                results.add(measure.result(), name)
        self.results = results
        pl_module.log_dict({f"test/{name}": value for name, value in values_of_test(results.metrics).items()})


def checked(measures: Any) -> dict[str, Measure]:
    """Return the measures that are wanted: all that are not null.

    Raises:
        ValueError: Something among them is not a measure: it must not be found after the training.
    """
    if not isinstance(measures, Mapping):
        raise ValueError(  # noqa: TRY004 - a wrong value of the config, reported as such
            f"Expected callbacks.evaluation.measures to be names with measures, but found {measures!r}."
        )
    wanted = {str(name): measure for name, measure in measures.items() if measure is not None}
    for name, measure in wanted.items():
        if not isinstance(measure, Measure):
            raise ValueError(  # noqa: TRY004 - as above
                f"Expected callbacks.evaluation.measures.{name} to be a measure, with update(batch) and result(), but "
                f"found {measure!r}."
            )
    return wanted


def values_of_test(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Take the single numbers of a test, for logs; NaN where undefined."""
    values = {}
    for name, entry in metrics.get("test", {}).items():
        value = entry.get("value") if isinstance(entry, Mapping) else entry
        values[name] = float("nan") if value is None else float(value)
    return values
