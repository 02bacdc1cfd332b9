"""Evaluation: a real trainer over a real model whose scores are known, against scikit-learn."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest
import torch
from anomalib.data import InferenceBatch
from lightning import Trainer
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import Tensor, nn

from callbacks.decisions.calibration import Calibrate, Calibration, calibration_of
from callbacks.measures.atlas import Atlas
from callbacks.measures.evaluation import Evaluation
from callbacks.measures.figures import Examples
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from callbacks.tracking.tensorboard import log_results
from callbacks.training.history import History
from datamodules.files.images import read_image
from datamodules.folder import FolderDataModule
from datamodules.masks.reading import read_mask
from models.base import InspectionModel

if TYPE_CHECKING:
    from pathlib import Path

    from lightning.pytorch.callbacks import Callback

    from callbacks.measures.results import Results


class Brightest(nn.Module):
    """Scores an image by its brightest pixel, and every pixel by itself."""

    def forward(self, image_B3HW: Tensor) -> InferenceBatch:
        map_BHW = image_B3HW.mean(dim=1) * 10
        return InferenceBatch(pred_score=map_BHW.flatten(1).amax(dim=1), anomaly_map=map_BHW)


class BrightestModel(InspectionModel):
    def __init__(self) -> None:
        super().__init__()
        self.model = Brightest()
        self.post_processor = Calibration(F1(), Normal())


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("spots")
    rng = np.random.default_rng(0)
    for name, count in (("good", 30), ("spot", 20), ("unknown", 4)):
        (folder / name).mkdir()
        (folder / "masks" / name).mkdir(parents=True)
        for index in range(count):
            image = rng.normal(90, 12, (32, 32))
            mask = np.zeros((32, 32), np.uint8)
            if name == "spot":
                y, x = rng.integers(4, 24, 2)
                mask[y : y + 4, x : x + 4] = 255
                image[mask > 0] += rng.uniform(10, 90)
                cv2.imwrite(str(folder / "masks" / name / f"{index}.png"), mask)
            cv2.imwrite(str(folder / name / f"{index}.png"), image.clip(0, 255).astype(np.uint8))
    return folder


def run(root: Path, batch_size: int = 8, callbacks: list[Callback] | None = None) -> tuple[Results, BrightestModel]:
    datamodule = FolderDataModule(
        root=str(root), image_size=(32, 32), batch_size=batch_size, num_workers=0, test_share=0.5, calibration_share=0.3
    )
    model = BrightestModel()
    evaluation = Evaluation(resamples=40, examples=3)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[Calibrate(), evaluation, *(callbacks or [])],
    )
    trainer.validate(model, datamodule, verbose=False)
    trainer.test(model, datamodule, verbose=False)
    return evaluation.results, model


@pytest.fixture(scope="module")
def result(root: Path) -> tuple[Results, BrightestModel]:
    return run(root)


def test_image_metrics_equal_scikit_learn(result: tuple[Results, BrightestModel]) -> None:
    results, _ = result
    known = results.predictions[results.predictions["label_index"] >= 0]
    label, score = known["label_index"], known["score"]
    test = results.metrics["test"]
    assert test["image_auroc"]["value"] == pytest.approx(roc_auc_score(label, score))
    assert test["image_ap"]["value"] == pytest.approx(average_precision_score(label, score))
    assert test["image_f1"]["value"] == pytest.approx(f1_score(label, known["verdict"] == "defective"))
    assert test["image_f1"]["value"] <= test["image_f1_max"]["value"]


def test_pixel_metrics_equal_scikit_learn(result: tuple[Results, BrightestModel]) -> None:
    results, model = result
    rows = results.predictions[results.predictions["label_index"] >= 0]
    maps, masks = [], []
    for row in rows.itertuples():
        maps.append(read_image(str(row.image_path)) / 255 * 10)
        path = str(row.image_path).replace("/spot/", "/masks/spot/")
        masks.append(read_mask(path) if row.label_index == 1 else np.zeros((32, 32), bool))
    score, label = np.stack(maps).ravel(), np.stack(masks).ravel()
    test = results.metrics["test"]
    assert test["pixel_auroc"]["value"] == pytest.approx(roc_auc_score(label, score), abs=1e-4)
    assert test["pixel_ap"]["value"] == pytest.approx(average_precision_score(label, score), abs=1e-3)
    predicted = score.astype(np.float32) >= float(model.post_processor.pixel_threshold)  # type: ignore[union-attr, arg-type]
    assert test["pixel_f1"]["value"] == pytest.approx(f1_score(label, predicted), abs=1e-3)


def test_unlabelled_pictures_are_judged_but_not_counted(root: Path, result: tuple[Results, BrightestModel]) -> None:
    del root
    results, _ = result
    unknown = results.metrics["pictures"]["unknown"]
    assert unknown == (results.predictions["label_index"] == -1).sum()
    assert len(results.tables["sweep"]) <= len(results.predictions) - unknown


def test_batching_changes_no_figure(root: Path, result: tuple[Results, BrightestModel]) -> None:
    again, _ = run(root, batch_size=3)
    assert again.metrics == result[0].metrics
    pd.testing.assert_frame_equal(again.predictions, result[0].predictions)


def test_predictions_carry_the_type_of_defect(result: tuple[Results, BrightestModel]) -> None:
    predictions = result[0].predictions
    assert set(predictions.loc[predictions["label_index"] == 1, "defect"]) == {"spot"}


def test_a_test_without_calibration_is_refused(root: Path) -> None:
    datamodule = FolderDataModule(root=str(root), image_size=(32, 32), num_workers=0)
    trainer = Trainer(accelerator="cpu", logger=False, enable_progress_bar=False, callbacks=[Calibrate(), Evaluation()])
    with pytest.raises(ValueError, match="its calibration never ran"):
        trainer.test(BrightestModel(), datamodule, verbose=False)


def test_history_keeps_every_logged_value(root: Path, tmp_path: Path) -> None:
    run(root, callbacks=[History(tmp_path / "history.csv")])
    history = pd.read_csv(tmp_path / "history.csv")
    assert history["epoch"].tolist() == [1]
    assert {"epoch", "calibration/objective", "calibration/image_threshold"} <= set(history.columns)


def test_the_clock_ran(result: tuple[Results, BrightestModel]) -> None:
    environment = result[0].environment
    milliseconds = environment["milliseconds_by_stage"]
    assert set(milliseconds) == {"loading", "model", "embedding", "counting"}
    assert milliseconds["model"] == environment["milliseconds_per_picture"] > 0
    assert environment["peak_memory_mib"]["process"] > 50  # MiB; torch alone takes more


def test_tensorboard_gets_the_matrix_the_curve_and_the_embeddings(
    result: tuple[Results, BrightestModel], tmp_path: Path
) -> None:
    results, model = result
    atlas, examples = results.figure(Atlas), results.figure(Examples)
    assert atlas is not None
    assert examples is not None
    assert atlas.names == tuple(results.predictions["name"])
    assert atlas.embedding_AD is None  # this model has none
    described = replace(atlas, embedding_AD=results.predictions[["score", "label_index"]].to_numpy(np.float32))
    for _ in range(2):  # the second time, as for the page of a trial, takes the place of the first
        log_results(tmp_path, replace(results, figures=[described, examples]), calibration_of(model), 7, {"seed": 0})
    events = EventAccumulator(str(tmp_path), size_guidance={"images": 0, "tensors": 0}).Reload()
    tags = events.Tags()
    assert [event.step for event in events.Images("test/confusion")] == [7]
    assert [event.step for event in events.Tensors("test/image")] == [7]
    assert {(event.step, np.isfinite(event.value)) for tag in tags["scalars"] for event in events.Scalars(tag)} == {
        (7, True)
    }
    assert all(len(events.Scalars(tag)) == 1 for tag in tags["scalars"])
    assert set(tags["images"]) == {"test/confusion", *(f"test/{one.category}" for one in examples.members)}
    assert "tensors.tsv" in (tmp_path / "projector_config.pbtxt").read_text()
    about = next(tmp_path.rglob("metadata.tsv")).read_text().splitlines()
    assert about[0] == "name\tlabel\tscore"
    assert len(about) == len(atlas.names) + 1
    sheet = cv2.imread(str(next(tmp_path.rglob("sprite.png"))))
    assert sheet is not None
    assert max(sheet.shape) <= 8192


def test_the_model_sees_raw_scores_in_calibration() -> None:
    model = BrightestModel().eval()
    raw = model.model(torch.ones(1, 3, 4, 4))
    assert raw.pred_label is None
