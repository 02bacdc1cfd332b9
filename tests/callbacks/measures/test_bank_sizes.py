"""What a bank costs and buys."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from lightning import LightningModule

from callbacks.decisions.calibration import Calibration
from callbacks.measures.bank_sizes import BankSizes
from callbacks.measures.figures import Chart
from callbacks.measures.measure import Section, Tested
from callbacks.policies.normal import Normal
from datamodules.samples.batch import Sample, collate

SIZES = [100, 200]


class Banked(LightningModule):
    """Its small bank sees brightness, its large one redness."""

    def bank_sizes(self) -> list[int]:
        return SIZES

    def scores_by_bank(self, image_B3HW: torch.Tensor) -> torch.Tensor:
        return torch.stack([image_B3HW.mean(dim=(1, 2, 3)), image_B3HW[:, 0].mean(dim=(1, 2))], dim=1)

    def search_milliseconds(self, image_B3HW: torch.Tensor) -> list[float]:
        assert len(image_B3HW) == 1
        return [1.0, 2.0]


class Tiny(Banked):
    """A bank too small to be halved."""

    def bank_sizes(self) -> list[int]:
        return [3]


def section_of(module: LightningModule, label_N: list[int]) -> Section:
    """Test a model on images of which those defective are red, and those good bright at random."""
    rng = np.random.default_rng(0)
    measure = BankSizes()
    tested = Tested(module, Calibration(Normal(), Normal()))
    measure.start(tested)
    names = [f"{number:03}" for number in range(len(label_N))]
    samples = []
    for name, label in zip(names, label_N, strict=True):
        image = torch.full((3, 4, 4), float(rng.random()))
        image[0] = 2.0 + 0.1 * label
        image[1:] -= image[0]
        samples.append(Sample(image, name, name, max(label, 0)))
    for first in range(0, len(samples), 4):
        measure.update(collate(samples[first : first + 4]))
    order = rng.permutation(len(names))
    tested.predictions = pd.DataFrame({"name": names, "label_index": label_N, "group": names, "score": 0.0}).iloc[order]
    return measure.result()


def test_each_bank_is_judged_by_its_own_scores() -> None:
    section = section_of(Banked(), [0, 1, 0, 1, -1] * 6)
    by_size = section.metrics["bank"]["image_auroc_by_size"]
    assert by_size["200"].value == 1.0
    assert 0.1 < by_size["100"].value < 0.9
    assert by_size["100"].low < by_size["100"].value < by_size["100"].high
    table = section.tables["banks"]
    assert table["bank_size"].tolist() == SIZES
    assert table["search_ms"].tolist() == [1.0, 2.0]
    bought, cost = section.figures
    assert isinstance(bought, Chart)
    assert isinstance(cost, Chart)
    assert list(bought.lines[0].x_P) == [0.1, 0.2]
    assert list(cost.lines[0].y_P) == [1.0, 2.0]


@pytest.mark.parametrize("label", [0, 1, -1])
def test_images_of_one_class_tell_nothing(label: int) -> None:
    assert section_of(Banked(), [label] * 6) == Section()


@pytest.mark.parametrize("module", [Tiny(), LightningModule()])
def test_models_without_several_banks_have_no_curve(module: LightningModule) -> None:
    assert section_of(module, [0, 1] * 3) == Section()
