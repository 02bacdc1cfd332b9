"""The test of a calibrated model, and everything that is written about it; ``train`` and ``test`` share it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from callbacks.decisions.calibration import Calibration, calibration_of
from callbacks.measures.coco import InstanceEvaluation
from callbacks.measures.learning import loud
from callbacks.report import facts
from callbacks.report.content import ReportContent
from callbacks.report.embeddings import embedding_maps
from callbacks.report.render import render_report
from callbacks.report.wording import interval_name
from callbacks.tracking.tensorboard import log_results
from callbacks.training.progress import progress_callback
from datamodules.files.csv_text import csv_text
from datamodules.progress import working
from datamodules.table import DEFECTIVE, GOOD, TEST, count_by_split
from models.features.backbones import UNTRAINED
from models.hybrid import HybridModel
from tools.configuring.build import build, check_arguments

from .checkpoint_io import WholeCheckpointIO
from .stages import stage_costs, stage_counts, stage_note, stage_threshold

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lightning import Callback
    from lightning.pytorch.loggers import Logger

    from callbacks.defects.findings import ObjectResults
    from callbacks.measures.evaluation import Evaluation, Results
    from callbacks.measures.learning import Rows
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


def build_trainer(config: DictConfig, callbacks: list[Callback], logger: list[Logger] | None = None) -> Trainer:
    """Build a plain Lightning trainer: the config's arguments, our callbacks, no surprises."""
    check_arguments(config.trainer, "trainer")
    options: dict[str, Any] = OmegaConf.to_container(config.trainer, resolve=True)  # type: ignore[assignment]  # str keys
    options.pop("_target_")
    progress = progress_callback()
    return Trainer(
        **options,
        callbacks=[*callbacks, progress],
        logger=logger or False,
        enable_progress_bar=not type(progress).__name__.startswith("Plain"),
        enable_model_summary=False,
        num_sanity_val_steps=0,
        plugins=[WholeCheckpointIO()],
    )


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
    shown = bool(config.get("report", True))
    if not shown:
        evaluation.examples = evaluation.atlas = 0  # kept for the page alone
    instances = InstanceEvaluation(evaluation.resampling)
    build_trainer(config, [*watchers, evaluation, instances]).test(module, datamodule, verbose=False)
    results = evaluation.results
    if instances.estimates:
        results.metrics["instances"] = instances.metrics()
    if isinstance(module.model, HybridModel):
        results.metrics["stages"] = stage_counts(results.predictions)
    if provenance.training:
        results.metrics["training"] = dict(provenance.training)
    calibration = calibration_of(module)
    environment = environment | costs(results)
    notes = loud(provenance.training) + warn(results, calibration, datamodule, module.origin())
    if isinstance(module.model, HybridModel):
        environment["milliseconds_by_stage"] |= stage_costs(module.model)
        notes.append(stage_note(module.model, results.metrics["stages"]))
    for sentence in [provenance.training.get("kept", ""), *loud(provenance.training)]:
        if sentence:
            print(sentence)
    print("\n".join([verdict(results, evaluation.resampling.confidence), *results.notes]))
    folder.write_json("metrics.json", results.metrics)
    folder.write_json("calibration.json", calibration.summary() | stage_threshold(module.model))
    folder.write_json("environment.json", environment)
    folder.write_text("predictions.csv", csv_text(results.predictions))
    folder.write_text("sweep.csv", csv_text(results.sweep))
    if not results.pixel_sweep.empty:
        folder.write_text("pixel_sweep.csv", csv_text(results.pixel_sweep))
    write_objects(folder, results.objects)
    folder.write_text("samples.csv", csv_text(datamodule.samples))
    folder.write_text("excluded.csv", csv_text(datamodule.excluded))
    log_results(folder.tensorboard, results, calibration, provenance.epoch, provenance.chosen)
    if not shown:
        return results
    content = report_content(config, results, calibration, datamodule, environment, notes)
    content = replace(content, history=provenance.history)
    with working("writing the report"):
        folder.write_text("report/index.html", render_report(content))
    print(f"Report {folder.path / 'report' / 'index.html'}")
    return results


def write_objects(folder: RunFolder, objects: ObjectResults) -> None:
    """Write what was found as objects: defects.csv, the same as JSON, and marked_defects.csv where any are marked."""
    folder.write_text("defects.csv", csv_text(objects.defects))
    folder.write_json("defects.json", {"defects": json.loads(objects.defects.to_json(orient="records"))})
    if not objects.marked.empty:
        folder.write_text("marked_defects.csv", csv_text(objects.marked))


def warn(
    results: Results, calibration: Calibration, datamodule: InspectionDataModule, weights: dict[str, str]
) -> list[str]:
    """Collect the sentences that nobody who reads the results should miss."""
    notes = datamodule.notes()
    if weights.get("weights") == UNTRAINED:
        notes.append(
            f"The features are untrained ({weights['name']}, backbone.weights=none): expect far less than a trained "
            "backbone would give."
        )
    levels = (("Picture", calibration.image, "known"), ("Pixel", calibration.pixel, "marked"))
    for level, scoped, known in levels:
        if scoped is not None and scoped.all.fallback:
            missing = f"no calibration defect is {known}" if scoped.all.n_good else "no calibration picture is good"
            notes.append(f"{level} threshold by the fallback policy {scoped.all.policy}: {missing}.")
    notes += results.notes
    notes += scope_notes(calibration)
    labels = datamodule.samples.loc[datamodule.samples["split"] == TEST, "label_index"]
    defective, good = int((labels == DEFECTIVE).sum()), int((labels == GOOD).sum())
    if min(defective, good) < 30:
        notes.append(f"Only {defective} defective and {good} good test pictures: read the intervals, not the values.")
    notes += _warn_of_shortcut(results.metrics)
    if len(datamodule.excluded):
        notes.append(f"{len(datamodule.excluded)} files were left out; the list is under Data.")
    return notes


def scope_notes(calibration: Calibration) -> list[str]:
    """Name the kinds and zones that share the threshold of all, and say where probabilities could not be fitted."""
    notes = [calibration.probability_note] if calibration.probability_note else []
    for level, scoped in (("pictures", calibration.image), ("pixels", calibration.pixel)):
        parts = {} if scoped is None else {f"kind {k}": t for k, t in scoped.kind.items()}
        parts |= {} if scoped is None else {f"zone {z}": t for z, t in scoped.zone.items()}
        shared = [name for name, threshold in parts.items() if "the threshold of all stands in" in threshold.promise]
        if shared:
            notes.append(
                f"Too few calibration pictures for a threshold of their own for {level}: {', '.join(shared)}; the "
                "threshold of all stands in."
            )
    return notes


def _warn_of_shortcut(metrics: dict[str, Any]) -> list[str]:
    """Compare with brightness: as good, or within the model's own interval."""
    separability = metrics["baseline"].get("separability", {}).get("value")
    auroc = metrics["test"]["image_auroc"]
    if separability is None or auroc["value"] is None or separability < max(0.7, auroc["low"]):
        return []
    found = f"Brightness alone separates these pictures with an AUROC of {separability:.3f} in its better direction"
    if separability >= auroc["value"]:
        return [f"{found}, no worse than the model: the result may rest on how the pictures were taken."]
    return [f"{found}, within the model's own interval: its lead over brightness is not certain."]


def report_content(
    config: DictConfig,
    results: Results,
    calibration: Calibration,
    datamodule: InspectionDataModule,
    environment: dict[str, Any],
    notes: list[str],
) -> ReportContent:
    """Gather what the report shows."""
    scores = pd.DataFrame(
        [(seen.score, seen.label_index) for seen in calibration.scores], columns=["score", "label_index"]
    )
    return ReportContent(
        title=f"{config.choices.model} on {subject(config)}",
        metrics=results.metrics,
        predictions=results.predictions,
        sweep=results.sweep,
        calibration=calibration.summary(),
        calibration_scores=scores,
        counts=count_by_split(datamodule.samples),
        excluded=datamodule.excluded,
        environment=environment,
        config=OmegaConf.to_yaml(config, resolve=True),
        map_range=calibration.map_range,
        warnings=tuple(notes),
        examples=results.examples,
        atlas=results.atlas,
        marked=results.objects.marked,
        heat_map=results.objects.heat_map,
        maps=embedding_maps(None if results.atlas is None else results.atlas.embedding_AD, config.seed),
        confidence=config.callbacks.evaluation.confidence,
    )


def subject(config: DictConfig) -> str:
    """Name the pictures: their domain where they are drawn, their folder where they are not."""
    return f"{config.choices.data} {config.data.get('domain') or Path(config.data.root).resolve().name}"


def costs(results: Results) -> dict[str, Any]:
    """Collect what the test cost, for environment.json."""
    milliseconds = {name: round(1000 * seconds, 2) for name, seconds in results.seconds_per_picture.items()}
    return {
        "milliseconds_per_picture": milliseconds["model"],
        "milliseconds_by_stage": milliseconds,
        "peak_memory_mib": results.peak_memory,
    }


def verdict(results: Results, confidence: float) -> str:
    """Say in one line what the test found."""
    found = facts.verdict(facts.confusion(results.predictions))
    auroc = results.metrics["test"]["image_auroc"]
    if auroc["value"] is None:
        return found
    return (
        f"{found} AUROC {auroc['value']:.3f} ({interval_name(confidence)} {auroc['low']:.3f} to {auroc['high']:.3f})."
    )
