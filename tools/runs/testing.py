"""The test of a calibrated model, and everything that is written about it; ``train`` and ``test`` share it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from callbacks.calibration import Calibration, calibration_of
from callbacks.progress import progress_callback
from callbacks.report import facts
from callbacks.report.content import ReportContent
from callbacks.report.render import render_report
from callbacks.report.wording import interval_name
from callbacks.tensorboard import log_results
from datamodules.progress import working
from datamodules.table import DEFECTIVE, GOOD, TEST, count_by_split
from models.backbones import UNTRAINED
from tools.build import build, check_arguments

if TYPE_CHECKING:
    from lightning import Callback
    from lightning.pytorch.loggers import Logger

    from callbacks.evaluation import Evaluation, Results
    from datamodules.base import InspectionDataModule
    from models.base import InspectionModel

    from .run_folder import RunFolder


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
    )


def run_test(
    config: DictConfig,
    module: InspectionModel,
    datamodule: InspectionDataModule,
    folder: RunFolder,
    environment: dict[str, Any],
    logger: list[Logger] | None = None,
) -> Results:
    """Test a calibrated model on the test split, and write numbers, tables and the report to ``folder``."""
    evaluation: Evaluation = build(config.callbacks.evaluation, "callbacks.evaluation")
    build_trainer(config, [evaluation], logger).test(module, datamodule, verbose=False)
    results = evaluation.results
    calibration = calibration_of(module)
    environment = environment | {"milliseconds_per_picture": round(1000 * results.seconds_per_picture, 2)}
    notes = warn(results, calibration, datamodule, module.origin())
    print(verdict(results, calibration, evaluation.resampling.confidence))
    folder.write_json("metrics.json", results.metrics)
    folder.write_json("calibration.json", calibration.summary())
    folder.write_json("environment.json", environment)
    folder.write_text("predictions.csv", results.predictions.to_csv(index=False))
    folder.write_text("sweep.csv", results.sweep.to_csv(index=False))
    if not results.pixel_sweep.empty:
        folder.write_text("pixel_sweep.csv", results.pixel_sweep.to_csv(index=False))
    folder.write_text("samples.csv", datamodule.samples.to_csv(index=False))
    folder.write_text("excluded.csv", datamodule.excluded.to_csv(index=False))
    content = report_content(config, results, calibration, datamodule, environment, notes)
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    with working("writing the report"):
        folder.write_text("report/index.html", render_report(content))
        log_results(folder.tensorboard, results, calibration, resolved)
    print(f"Report {folder.path / 'report' / 'index.html'}")
    return results


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
    for level, threshold, known in levels:
        if threshold is not None and threshold.fallback:
            notes.append(
                f"{level} threshold by the fallback policy {threshold.policy}: no calibration defect is {known}."
            )
    labels = datamodule.samples.loc[datamodule.samples["split"] == TEST, "label_index"]
    defective, good = int((labels == DEFECTIVE).sum()), int((labels == GOOD).sum())
    if min(defective, good) < 30:
        notes.append(f"Only {defective} defective and {good} good test pictures: read the intervals, not the values.")
    notes += _warn_of_shortcut(results.metrics)
    if len(datamodule.excluded):
        notes.append(f"{len(datamodule.excluded)} files were left out; the list is under Data.")
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
        confidence=config.callbacks.evaluation.confidence,
    )


def subject(config: DictConfig) -> str:
    """Name the pictures: their domain where they are drawn, their folder where they are not."""
    return f"{config.choices.data} {config.data.get('domain') or Path(config.data.root).resolve().name}"


def verdict(results: Results, calibration: Calibration, confidence: float) -> str:
    """Say in one line what the test found."""
    found = facts.verdict(facts.confusion(results.predictions, float(calibration.image_threshold)))
    auroc = results.metrics["test"]["image_auroc"]
    if auroc["value"] is None:
        return found
    return (
        f"{found} AUROC {auroc['value']:.3f} ({interval_name(confidence)} {auroc['low']:.3f} to {auroc['high']:.3f})."
    )
