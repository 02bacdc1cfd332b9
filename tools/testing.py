"""The test of a calibrated model, and everything that is written about it; ``train`` and ``test`` share it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd
from lightning import Trainer
from omegaconf import DictConfig, OmegaConf

from callbacks.calibration import Calibration, calibration_of
from callbacks.evaluation import Evaluation, Results
from callbacks.progress import progress_callback
from callbacks.report.content import ReportContent
from callbacks.report.render import render_report
from callbacks.tensorboard import log_results
from datamodules.table import DEFECTIVE, GOOD, TEST, count_by_split
from models.backbones import UNTRAINED

from .build import check_arguments

if TYPE_CHECKING:
    from lightning import Callback
    from lightning.pytorch.loggers import Logger

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
    evaluation = Evaluation(
        resamples=config.callbacks.evaluation.resamples,
        confidence=config.callbacks.evaluation.confidence,
        examples=config.callbacks.report.examples,
        seed=config.seed,
    )
    build_trainer(config, [evaluation], logger).test(module, datamodule, verbose=False)
    results = evaluation.results
    calibration = calibration_of(module)
    environment = environment | {"milliseconds_per_picture": round(1000 * results.seconds_per_picture, 2)}
    notes = warn(results, calibration, datamodule, module.origin())
    folder.write_json("metrics.json", results.metrics)
    folder.write_json("calibration.json", calibration.summary())
    folder.write_json("environment.json", environment)
    folder.write_text("predictions.csv", results.predictions.to_csv(index=False))
    folder.write_text("sweep.csv", results.sweep.to_csv(index=False))
    folder.write_text("samples.csv", datamodule.samples.to_csv(index=False))
    folder.write_text("excluded.csv", datamodule.excluded.to_csv(index=False))
    content = report_content(config, results, calibration, datamodule, environment, notes)
    folder.write_text("report/index.html", render_report(content))
    resolved: Any = OmegaConf.to_container(config, resolve=True)
    log_results(folder.tensorboard, results, calibration, resolved)
    return results


def warn(
    results: Results, calibration: Calibration, datamodule: InspectionDataModule, weights: dict[str, str]
) -> list[str]:
    """Collect the sentences that nobody who reads the results should miss."""
    notes = []
    if weights.get("weights") == UNTRAINED:
        notes.append(
            f"The features are untrained ({weights['name']}, backbone.weights=none): expect far less than a trained "
            "backbone would give."
        )
    for level, threshold in (("Picture", calibration.image), ("Pixel", calibration.pixel)):
        if threshold is not None and threshold.fallback:
            notes.append(f"{level} threshold by the fallback policy. {threshold.promise}")
    labels = datamodule.samples.loc[datamodule.samples["split"] == TEST, "label_index"]
    defective, good = int((labels == DEFECTIVE).sum()), int((labels == GOOD).sum())
    if min(defective, good) < 30:
        notes.append(f"Only {defective} defective and {good} good test pictures: read the intervals, not the values.")
    notes += _warn_of_shortcut(results.metrics)
    if len(datamodule.excluded):
        notes.append(f"{len(datamodule.excluded)} files were left out; the list is under Data.")
    return notes


def _warn_of_shortcut(metrics: dict[str, Any]) -> list[str]:
    separability = metrics["baseline"].get("separability", {}).get("value")
    auroc = metrics["test"]["image_auroc"]["value"]
    if separability is None or auroc is None or separability < max(0.9, auroc):
        return []
    shortcut = f"Brightness alone separates these pictures as well (AUROC {separability:.3f} in its better direction): "
    return [shortcut + "the result may rest on how the pictures were taken."]


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
        title=f"{config.choices.model} on {config.choices.data}",
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
    )


def verdict(results: Results) -> str:
    """Say in one line what the test found."""
    test, predictions = results.metrics["test"], results.predictions
    called = predictions["verdict"] == "defective"
    defective, good = predictions["label_index"] == DEFECTIVE, predictions["label_index"] == GOOD
    auroc = test["image_auroc"]
    ranking = (
        "AUROC undefined (one class only)"
        if auroc["value"] is None
        else f"AUROC {auroc['value']:.3f} (95 % interval {auroc['low']:.3f} to {auroc['high']:.3f})"
    )
    return (
        f"Finds {(called & defective).sum()} of {defective.sum()} defective pictures, "
        f"with {(called & good).sum()} false alarms among {good.sum()} good ones; {ranking}."
    )
