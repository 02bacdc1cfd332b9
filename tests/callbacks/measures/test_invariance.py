"""Figures depend on images alone, not on their names, order or batches; thresholds never on test labels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pandas as pd
import pytest
from anomalib.data import InferenceBatch
from lightning import Trainer
from torch import Tensor, nn

from callbacks.decisions.calibration import Calibrate, Calibration
from callbacks.decisions.region_rules import RegionRules
from callbacks.defects.measured import DefectRules
from callbacks.measures.evaluation import Evaluation
from callbacks.measures.figures import DefectFigures
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from datamodules.folder import FolderDataModule
from models.base import InspectionModel

if TYPE_CHECKING:
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
        self.post_processor = Calibration(
            F1(), Normal(), scopes=["kind"], min_images=3, regions=RegionRules(min_area=3), probability="platt"
        )


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> pd.DataFrame:
    """Images of two kinds, with bright spots whose masks are known, in groups of two, split once and for all."""
    folder = tmp_path_factory.mktemp("spots")
    rng = np.random.default_rng(0)
    for name, count in (("good", 64), ("spot", 48)):
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
    datamodule = module_of(folder)
    datamodule.setup()
    table = datamodule.samples
    number = table.groupby("label_index").cumcount()
    table["kind"] = np.where(number % 4 < 2, "thin", "thick")
    table["split"] = np.array(["calibration", "test", "test"])[number % 3]
    table.loc[(table["label_index"] == 0) & (number < 4), "split"] = "train"
    table["group"] = table["split"] + table["label_index"].astype(str) + "/" + (number // 6).astype(str)
    return table


def module_of(folder: object, batch_size: int = 16) -> FolderDataModule:
    return FolderDataModule(root=str(folder), image_size=(32, 32), batch_size=batch_size, num_workers=0)


def run(table: pd.DataFrame, batch_size: int = 16) -> tuple[Results, dict[str, Any]]:
    """Calibrate and test on a given table; return results and the summary of the thresholds."""
    datamodule = module_of("unused", batch_size)
    datamodule.use_samples(table)
    model = BrightestModel()
    rules = DefectRules(min_area=4, severity=[{"name": "large", "min_area": 12}, {"name": "small"}])
    evaluation = Evaluation(resamples=40, examples=1, atlas=0, defects=rules)
    trainer = Trainer(
        accelerator="cpu",
        logger=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        enable_checkpointing=False,
        callbacks=[Calibrate(), evaluation],
    )
    trainer.validate(model, datamodule, verbose=False)
    trainer.test(model, datamodule, verbose=False)
    calibration = model.post_processor
    assert isinstance(calibration, Calibration)
    return evaluation.results, calibration.summary()


@pytest.fixture(scope="module")
def usual(samples: pd.DataFrame) -> tuple[Results, dict[str, Any]]:
    return run(samples)


def test_the_run_says_something(usual: tuple[Results, dict[str, Any]]) -> None:
    """Otherwise nothing below would mean anything."""
    results, summary = usual
    assert set(summary["image"]["kind"]) == {"thick", "thin"}
    assert 0.5 < results.metrics["test"]["image_auroc"]["value"] < 1
    assert 0 < results.metrics["objects"]["recall"]["value"] < 1
    assert results.metrics["test"]["image_brier"]["value"] < 0.25
    assert set(results.tables["defects"]["severity"]) == {"large", "small"}
    assert results.predictions["probability"].between(0, 1).all()


def test_renaming_pictures_and_groups_changes_no_figure(
    samples: pd.DataFrame, usual: tuple[Results, dict[str, Any]]
) -> None:
    renamed = samples.copy()
    renamed["name"] = [f"x/{name[::-1]}" for name in renamed["name"]]
    renamed["group"] = [f"y/{group[::-1]}" for group in renamed["group"]]
    results, summary = run(renamed)
    assert results.metrics == usual[0].metrics
    assert summary == usual[1]


@pytest.mark.parametrize("batch_size", [1, 7, 200])
def test_order_and_batches_change_no_figure(
    samples: pd.DataFrame, usual: tuple[Results, dict[str, Any]], batch_size: int
) -> None:
    results, summary = run(samples.sample(frac=1, random_state=batch_size), batch_size)
    assert results.metrics == usual[0].metrics
    assert summary == usual[1]
    for name in ("defects", "marked_defects", "sweep", "pixel_sweep"):
        pd.testing.assert_frame_equal(results.tables[name], usual[0].tables[name])
    pd.testing.assert_frame_equal(results.predictions, usual[0].predictions)


def test_shuffled_test_labels_move_no_threshold(samples: pd.DataFrame, usual: tuple[Results, dict[str, Any]]) -> None:
    shuffled = samples.copy()
    test = shuffled["split"] == "test"
    order = np.random.default_rng(0).permutation(int(test.sum()))
    about = ["label_index", "mask_path"]
    shuffled.loc[test, about] = shuffled.loc[test, about].to_numpy()[order]
    shuffled["label_index"] = shuffled["label_index"].astype(int)
    results, summary = run(shuffled)
    assert results.metrics["test"]["image_auroc"] != usual[0].metrics["test"]["image_auroc"]
    assert summary == usual[1]
    assert results.predictions["verdict"].tolist() == usual[0].predictions["verdict"].tolist()


def test_rates_are_those_of_the_decisions_as_made(usual: tuple[Results, dict[str, Any]]) -> None:
    """With a threshold per kind and rules for regions, they are not rates of any one threshold."""
    results, summary = usual
    predictions = results.predictions
    line = predictions["kind"].map({kind: t["value"] for kind, t in summary["image"]["kind"].items()})
    assert ((predictions["score"] >= line) == (predictions["verdict"] == "defective")).all()
    called = predictions["verdict"] == "defective"
    truth = predictions["label_index"] == 1
    assert results.metrics["test"]["image_recall"]["value"] == pytest.approx(called[truth].mean())
    assert results.metrics["test"]["image_fpr"]["value"] == pytest.approx(called[~truth].mean())
    assert results.metrics["test"]["pixel_recall"]["value"] is not None


def test_defects_lie_on_the_heat_map_and_in_the_table(usual: tuple[Results, dict[str, Any]]) -> None:
    results = usual[0]
    figures, defects, found = results.figure(DefectFigures), results.tables["defects"], results.metrics["objects"]
    assert figures is not None
    assert figures.heat_map is not None
    assert figures.heat_map.shape == (32, 32)
    assert figures.heat_map.sum() == defects["area"].sum()  # the images are as large as the model's
    assert found["found"] == results.tables["marked_defects"]["found"].sum()
    assert found["false_per_picture"]["objects"] == defects["true"].eq(other=False).sum()
    assert set(defects.loc[defects["true"].eq(other=True), "type"]) == {"spot"}
