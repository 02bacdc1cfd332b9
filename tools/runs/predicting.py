"""The heavy half of ``loupe predict run=``: a checkpoint judges files in the way that a bundle does."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import torch
from omegaconf import OmegaConf

from callbacks.decisions.calibration import calibration_of
from callbacks.decisions.described import describe
from datamodules.kinds import read_finder
from tools.errors import ConfigError
from tools.runner.arrays import WithinArrays
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.page import HASH
from tools.runner.predicting import check_call, require_all
from tools.runner.predicting import predict as predict_sources
from tools.runner.result import Prediction
from tools.runner.sources import require_images
from tools.runner.specification import BundleError, hash_file
from tools.runner.writing import TABLE
from tools.signals import keeping_note

from .accepting import acceptance_of, inspector_by
from .checkpoint import read_checkpoint, restore
from .defect_listing import measuring_of
from .options import ERRORS_EXPECTED, as_list, how_to_go_on, options_of
from .reading import places_of, reading_of
from .run_files import BY_KIND
from .tables import verdict_table
from .trained import make_output, members_of, note_config
from .trainers import build_trainer
from .zoning import zoning_of

if TYPE_CHECKING:
    from lightning.pytorch.plugins.precision import Precision

    from datamodules.samples.dataset import Reading
    from models.base import InspectionModel
    from tools.runner.network import Array

    from .run_folder import RunFolder
    from .trained import Trained


def predict(trained: Trained) -> RunFolder:
    """Judge every image of ``source``; write predictions.csv, predictions.jsonl, defects.csv, overlays and masks.

    Raises:
        ConfigError: The checkpoint is not usable, or ``out`` holds results of something else.
        DataError: ``source`` names no image, or something could not be judged (``errors=ok`` lets that pass).
    """
    try:
        return _predict(trained)
    except BundleError as error:
        raise ConfigError(str(error)) from error


def _predict(trained: Trained) -> RunFolder:
    config, sources = trained.config, as_list(trained.config.source)
    require_images(sources)
    reading = reading_of(config.data)
    options = options_of(config, config.data.batch_size, named(trained))
    judge = judge_of(trained, reading)
    check_call(judge, sources, options)
    if judge.members and judge.find_kind is None and not options.kind:
        print(
            f"Nobody says of which kind images are: the shared model judges all; set kind={next(iter(judge.members))}."
        )
    folder = make_output(trained, "predictions")
    if not folder.config.is_file():  # what is there already is that of the call that began
        note_config(folder, config)
    model = str(trained.folder.path if trained.folder is not None else trained.checkpoint.resolve())
    with (
        keeping_note(lambda: how_to_go_on(folder.path)),
        verdict_table(config.table, model, judge.about["sha256"], folder.path) as table,
    ):
        summary = predict_sources(judge, sources, folder.path, options, table)
        print(summary)
    print(f"Predictions {folder.path / TABLE}")
    if summary.page is not None:
        print(f"Page {summary.page}")
    require_all(summary, options, ERRORS_EXPECTED)
    return folder


def named(trained: Trained) -> str:
    """Name a model for people: its run, and the hash of its checkpoint."""
    run = trained.folder.path if trained.folder is not None else trained.checkpoint
    return f"{'/'.join(run.parts[-2:])}, SHA-256 {hash_file(trained.checkpoint)[:HASH]}"


def judge_of(trained: Trained, reading: Reading) -> Judge:
    """Let a checkpoint judge, or those of a training by kind: models and thresholds, and nothing else of the run."""
    judge = judge_by(trained, reading)
    judge.places = places_of(trained.config.data)
    if members := members_of(trained):
        judge.members = {kind: judge_by(member, reading) for kind, member in members.items()}
        judge.find_kind = read_finder(trained.folder.read_json(BY_KIND).get("finder")) if trained.folder else None
    return judge


def judge_by(trained: Trained, reading: Reading) -> Judge:
    """Judge images by one checkpoint."""
    config = trained.config
    module = restore(read_checkpoint(trained.checkpoint)).eval()
    module.to("cuda" if torch.cuda.is_available() else "cpu")
    calibration, acceptance = calibration_of(module), acceptance_of(config)
    measuring = measuring_of(config, calibration)
    judge = Judge(
        infer=partial(infer, module, build_trainer(config, []).precision_plugin),
        decision=Decision(calibration.summary(), config.image_threshold, config.pixel_threshold),
        size=(reading.height, reading.width),
        white_level=reading.white_level,
        about={"checkpoint": trained.checkpoint.name, "sha256": hash_file(trained.checkpoint)},
        measuring=measuring,
        usual=calibration.usual,
        enhance=reading.enhance,
        acceptance=acceptance,
        zoning=zoning_of(config, calibration),
        classes=module.classes,
        views=partial(views_of, module),
        instances=module.nothing is not None,
        fit=reading.fit,
        inspector=inspector_by(config, acceptance, measuring),
    )
    judge.square, judge.foreground = OmegaConf.select(config.data, "square"), reading.foreground
    if (factors := module.array_factors()) is not None:
        judge.arrays = WithinArrays(factors, reading.white_level, reading.enhance)
    return judge


@torch.inference_mode()
def infer(module: InspectionModel, precision: Precision, image_B3HW: Array) -> Prediction:
    """Give raw scores and maps of a batch, and detections where the model makes any, in the precision of the run."""
    image = torch.from_numpy(image_B3HW).to(module.device)
    module.check_images(image)
    with precision.predict_step_context():
        found, detections = module.predict(image)
    if found.pred_score is None or found.anomaly_map is None:
        raise TypeError("Expected raw scores and maps, but the model returned none.")
    scores, maps = found.pred_score.cpu().numpy(), found.anomaly_map.cpu().numpy()
    cloud = calibration_of(module).cloud
    described_BD = None if cloud is None else describe(module, image)
    distance_B = None if cloud is None or described_BD is None else cloud.distances(described_BD)
    return Prediction(scores, maps, detections, distance_B)


@torch.inference_mode()
def views_of(module: InspectionModel, image_B3HW: Array) -> dict[str, Array]:
    """Show what the model went by, by name; empty where it has nothing to show."""
    found = module.views(torch.from_numpy(image_B3HW).to(module.device))
    return {name: value.float().cpu().numpy() for name, value in found.items()}
