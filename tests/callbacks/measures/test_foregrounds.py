"""Where the ground about parts is left out: how much counted, and on which images no part was found."""

from __future__ import annotations

import numpy as np
import pandas as pd
import torch
from lightning import LightningModule

from callbacks.decisions.calibration import Calibration
from callbacks.measures.examples import DIMMED, example_of
from callbacks.measures.foregrounds import Foregrounds
from callbacks.measures.measure import Tested
from callbacks.policies.normal import Normal
from datamodules.files.fitting import Part
from datamodules.samples.batch import InspectionBatch, Sample, collate


def half() -> torch.Tensor:
    mask = torch.zeros(4, 8, dtype=torch.bool)
    mask[:, :4] = True
    return mask


def batch_of(*samples: Sample) -> InspectionBatch:
    batch = collate(samples)
    batch.pred_score = torch.zeros(len(samples))
    batch.pred_label = batch.pred_score > 1
    batch.anomaly_map = torch.zeros(len(samples), 4, 8)
    batch.pred_mask = batch.anomaly_map > 1
    return batch


def sample(name: str, foreground: torch.Tensor | None, frame: Part | None = None) -> Sample:
    return Sample(torch.full((3, 4, 8), 0.6), name, name, 0, foreground=foreground, frame=frame)


def measured(*batches: InspectionBatch, alone: bool = True) -> Foregrounds:
    measure = Foregrounds()
    predictions = pd.DataFrame({"name": sorted(name for batch in batches for name in batch.name)})
    tested = Tested(LightningModule(), Calibration(Normal(), Normal()), predictions=predictions, parts_alone=alone)
    measure.start(tested)
    for batch in batches:
        measure.update(batch)
    return measure


def test_shares_are_those_of_images_without_padding_and_images_without_a_part_are_told() -> None:
    padded = sample("b", half() & (torch.arange(8) < 2), Part(0, 0, 4, 4))
    section = measured(batch_of(sample("a", half()), padded), batch_of(sample("c", None))).result()
    assert section.columns["foreground"] == [0.5, 0.5, 1.0]
    assert section.metrics["foreground"] == {"images": 3, "without_part": 1, "share": 0.5}
    assert section.notes == ["On 1 of 3 test images no part was found (data.foreground), and all of each counts."]


def test_an_image_without_a_part_may_come_first() -> None:
    section = measured(batch_of(sample("a", None)), batch_of(sample("b", half()))).result()
    assert section.columns["foreground"] == [1.0, 0.5]
    assert section.metrics["foreground"]["without_part"] == 1


def test_nothing_is_said_where_nobody_asked_and_something_where_no_part_is_found_at_all() -> None:
    assert not measured(batch_of(sample("a", None)), alone=False).result().metrics
    section = measured(batch_of(sample("a", None))).result()
    assert section.metrics["foreground"] == {"images": 1, "without_part": 1, "share": 1.0}
    assert section.notes


def test_pages_show_the_ground_darker() -> None:
    image = example_of(batch_of(sample("a", half())), 0, "pass").image
    assert (image[:, :4] == round(0.6 * 255)).all()
    np.testing.assert_allclose(image[:, 4:], 0.6 * 255 * DIMMED, atol=1)
