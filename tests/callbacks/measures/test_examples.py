"""Examples: the worst mistakes first, a fair draw of the rest, whatever the order of the images."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from callbacks.measures.examples import ExampleGallery, categorise
from datamodules.samples.batch import InspectionBatch, Sample, collate


def decided_batch(rows: list[tuple[str, float, int]], threshold: float = 5.0) -> InspectionBatch:
    samples = [
        Sample(
            torch.full((3, 4, 4), 0.5),
            name,
            f"/{name}",
            label,
            torch.ones(4, 4, dtype=torch.bool) if label == 1 else None,
        )
        for name, _, label in rows
    ]
    batch = collate(samples)
    scores = torch.tensor([score for _, score, _ in rows])
    batch.pred_score, batch.pred_label = scores, scores >= threshold
    batch.anomaly_map = scores[:, None, None].repeat(1, 4, 4)
    batch.pred_mask = batch.anomaly_map >= threshold
    return batch


def see(gallery: ExampleGallery, batch: InspectionBatch) -> None:
    gallery.update(batch, [5.0] * len(batch))


def names(gallery: ExampleGallery, category: str) -> list[str]:
    return [example.name for example in gallery.examples() if example.category == category]


ROWS = [(f"good{index}", float(index), 0) for index in range(10)] + [
    (f"bad{index}", float(index), 1) for index in range(10)
]


def test_the_worst_mistakes_come_first() -> None:
    gallery = ExampleGallery(3)
    see(gallery, decided_batch(ROWS))
    assert names(gallery, "miss") == ["bad0", "bad1", "bad2"]
    assert names(gallery, "false_alarm") == ["good9", "good8", "good7"]
    assert len(names(gallery, "hit")) == len(names(gallery, "pass")) == 3


def test_both_ends_and_the_middle_of_the_scores_are_kept_whatever_the_labels() -> None:
    gallery = ExampleGallery(2)
    see(gallery, decided_batch([*ROWS, ("unknown", 9.5, -1), ("near", 5.1, -1)]))
    assert names(gallery, "highest") == ["unknown", "good9"]
    assert names(gallery, "nearest")[0] in {"good5", "bad5"}
    assert set(names(gallery, "lowest")) == {"good0", "bad0"}


def test_order_and_batching_change_nothing() -> None:
    whole = ExampleGallery(4)
    see(whole, decided_batch(ROWS))
    parts = ExampleGallery(4)
    for part in np.array_split(np.random.default_rng(1).permutation(len(ROWS)), 5):
        see(parts, decided_batch([ROWS[index] for index in part]))
    assert [(e.category, e.name) for e in whole.examples()] == [(e.category, e.name) for e in parts.examples()]


def test_examples_carry_what_the_report_draws() -> None:
    gallery = ExampleGallery(1)
    see(gallery, decided_batch([("a", 9.0, 1), ("b", 1.0, 0)]))
    hit, passed, *_ = gallery.examples()
    assert hit.image.dtype == np.uint8
    assert hit.image.shape == (4, 4, 3)
    assert hit.image.max() == 128
    assert hit.mask is not None
    assert hit.mask.all()
    assert passed.mask is not None
    assert not passed.mask.any()
    assert hit.anomaly_map.max() == 9.0


def test_a_defect_without_a_mask_shows_none() -> None:
    batch = decided_batch([("a", 9.0, 1)])
    batch.has_mask = torch.tensor([False])
    gallery = ExampleGallery(1)
    see(gallery, batch)
    assert gallery.examples()[0].mask is None


@pytest.mark.parametrize(
    ("label", "verdict", "expected"),
    [(1, True, "hit"), (1, False, "miss"), (0, True, "false_alarm"), (0, False, "pass"), (-1, True, None)],
)
def test_categories(label: int, verdict: bool, expected: str | None) -> None:
    assert categorise(label, verdict=verdict) == expected


def test_none_are_kept_when_none_are_asked_for() -> None:
    gallery = ExampleGallery(0)
    see(gallery, decided_batch(ROWS))
    assert gallery.examples() == ()
