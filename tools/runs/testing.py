"""The test of a calibrated model, and everything that is written about it; ``train`` and ``test`` share it."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

from callbacks.decisions.calibration import calibration_of
from callbacks.measures.accepted_parts import counted
from callbacks.measures.learning import loud
from callbacks.report import facts
from callbacks.report.render import render_view
from callbacks.report.view import ReportView
from callbacks.report.wording import interval_name
from callbacks.tracking.tensorboard import log_results
from datamodules.progress import working
from tools.configuring.build import build

from .accepting import acceptance_of, inspector_by, unlisted_measure
from .cautions import warn
from .defect_listing import measuring_of
from .reporting import report_content
from .results_files import write_results
from .run_files import REPORT
from .trainers import build_trainer

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning import Callback
    from omegaconf import DictConfig

    from callbacks.measures.evaluation import Evaluation
    from callbacks.measures.learning import Rows
    from callbacks.measures.results import Results
    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel

    from .chosen import Value
    from .run_folder import RunFolder


class Provenance(NamedTuple):
    """Where a tested model comes from.

    Attributes:
        epoch: That its checkpoint holds, counted from 1.
        chosen: What was chosen for its run, for TensorBoard's HParams tab; None: no row there.
        training: How its training went, as in metrics.json; empty where there were no epochs, or nobody knows.
        history: Every value that was logged, by epoch.
    """

    epoch: int = 1
    chosen: Mapping[str, Value] | None = None
    training: Mapping[str, Any] = MappingProxyType({})
    history: Rows = {}  # noqa: RUF012 - nobody writes to it


UNKNOWN = Provenance()


def run_test(
    config: DictConfig,
    module: InspectionModel,
    datamodule: InspectionDataModule,
    folder: RunFolder,
    environment: dict[str, Any],
    watchers: Sequence[Callback] = (),
    provenance: Provenance = UNKNOWN,
) -> Results:
    """Test a calibrated model on the test split, and write numbers, tables and the report to ``folder``."""
    evaluation: Evaluation = build(config.callbacks.evaluation, "callbacks.evaluation")
    evaluation.acceptance = acceptance_of(config)
    evaluation.inspector = inspector_by(config, evaluation.acceptance, measuring_of(config, calibration_of(module)))
    evaluation.measures |= unlisted_measure(config)
    shown = bool(config.get("report", True))
    if not shown:
        evaluation.show_nothing()
    build_trainer(config, [*watchers, evaluation]).test(module, datamodule, verbose=False)
    results, calibration = evaluation.results, calibration_of(module)
    if provenance.training:
        results.metrics["training"] = dict(provenance.training)
    if module.supervision == "masks":
        results.metrics["purpose"] = facts.MARKING
    doubts = loud(provenance.training)
    notes = doubts + warn(results, calibration, datamodule, module.origin())
    environment = environment | results.environment
    with working("putting the results together"):
        view = ReportView.of(
            report_content(config, results, calibration, datamodule, environment, notes, provenance.history)
        )
    sentences = [provenance.training.get("reason", ""), *doubts, verdict(view)]
    print("\n".join(filter(None, [*sentences, counted(results.metrics), *results.notes])))
    write_results(folder, results, calibration.summary() | module.own_thresholds(), environment, datamodule)
    log_results(folder.tensorboard, results, calibration, provenance.epoch, provenance.chosen)
    if shown:
        with working("writing the report"):
            path = folder.write_text(REPORT, render_view(view))
        print(f"Report {path}")
    return results


def verdict(view: ReportView) -> str:
    """Say in one line what the test found."""
    content = view.content
    kinds = facts.parts_by(content.predictions, "kind", content.confidence)
    found = facts.headline(view.counts, content.metrics, kinds)
    auroc = content.metrics.get("test", {}).get("image_auroc")
    if auroc is None or auroc["value"] is None:
        return found
    interval = f"{interval_name(view.content.confidence)} {auroc['low']:.3f} to {auroc['high']:.3f}"
    return f"{found} AUROC {auroc['value']:.3f} ({interval})."
