from __future__ import annotations

import contextlib
import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from callbacks.measures.coco import (
    KINDS,
    STATISTICS,
    Instances,
    Kind,
    detections_of,
    evaluate,
    instance_estimates,
    map_detections,
    rank,
)
from callbacks.statistics.average_precision import average_precision, match
from callbacks.statistics.bootstrap import Resampling
from datamodules.outlines.classes import DEFECT, PART
from datamodules.outlines.instances import component_target
from datamodules.samples.batch import Sample, collate
from datamodules.samples.detections import dense_masks
from tests.found import as_instances

if TYPE_CHECKING:
    from torch import Tensor

SIZE = 160


def ellipses(generator: np.random.Generator, count: int) -> list[tuple[float, float, float, float]]:
    """Draw centres and axes, from a few pixels to most of the image, so that every size of COCO's occurs."""
    return [
        (*generator.uniform(20, SIZE - 20, 2), *np.exp(generator.uniform(np.log(3), np.log(90), 2)))
        for _ in range(count)
    ]


def instances_of(shapes: list[tuple[float, float, float, float]], labels: list[int]) -> dict[str, Tensor]:
    masks = np.zeros((len(shapes), SIZE, SIZE), np.uint8)
    for mask, (x, y, a, b) in zip(masks, shapes, strict=True):
        cv2.ellipse(mask, (round(x), round(y)), (round(a), round(b)), 0, 0, 360, 1, -1)
    boxes = [component_target(mask > 0)["boxes"][0] for mask in masks]
    return {
        "boxes": torch.stack(boxes) if boxes else torch.zeros(0, 4),
        "labels": torch.tensor(labels, dtype=torch.int64),
        "masks": torch.from_numpy(masks),
    }


def seen(classes: int = 1, pictures: int = 24, seed: int = 0) -> Instances:
    """Make detections near the truth, missing ones and false ones; some images have no defect, some no detection."""
    generator = np.random.default_rng(seed)
    instances = Instances()
    for picture in range(pictures):
        shapes = ellipses(generator, int(generator.integers(0, 6)))
        labels = [1 if classes == 1 else int(generator.choice([1, 3])) for _ in shapes]
        kept = [index for index in range(len(shapes)) if generator.uniform() < 0.8]
        moved = [tuple(np.array(shapes[index]) * generator.normal(1, 0.06, 4)) for index in kept]
        false = ellipses(generator, int(generator.integers(0, 3)))
        found = instances_of([*moved, *false], [labels[index] for index in kept] + [1] * len(false))
        found["scores"] = torch.from_numpy(generator.uniform(0.05, 1, len(kept) + len(false)).astype(np.float32))
        target = instances_of(shapes, labels)
        instances.add(target, as_instances(found), f"part {picture // 2}")
    return instances


def pycocotools_statistics(instances: Instances, kind: Kind) -> list[float]:
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = instances.truth()
        truth.createIndex()
        found = truth.loadRes([dict(entry) for entry in (instances.boxes if kind == "bbox" else instances.masks)])
        evaluator = COCOeval(truth, found, kind)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return [float(value) for value in evaluator.stats]


@pytest.mark.parametrize("classes", [1, 2])
def test_every_value_is_that_of_pycocotools(classes: int) -> None:
    instances = seen(classes)
    estimates = instance_estimates(instances)
    for kind, name in KINDS.items():
        expected = pycocotools_statistics(instances, kind)
        for key, index in STATISTICS.items():
            assert 0.02 < expected[index] < 0.98, key
            assert estimates[f"{name}_{key}"].value == pytest.approx(expected[index], abs=1e-6), key


@pytest.mark.parametrize("kind", ["bbox", "segm"])
@pytest.mark.parametrize("classes", [1, 2])
def test_resampling_starts_from_the_same_average_precision(kind: Kind, classes: int) -> None:
    """With every group drawn once, and with one part's images alone, as pycocotools computes them."""
    instances = seen(classes)
    rankings, holding_G = rank(instances, evaluate(instances, kind))
    once = np.ones((1, len(holding_G)))
    by_limit = np.mean([average_precision(ranking, once)[0] for ranking in rankings], axis=0)
    ap, ap50, ap75, *_ = pycocotools_statistics(instances, kind)
    assert by_limit.mean() == pytest.approx(ap, abs=1e-6)
    assert by_limit[[0, 5]] == pytest.approx([ap50, ap75], abs=1e-6)


def test_a_group_drawn_twice_counts_as_its_pictures_twice() -> None:
    instances, twice = seen(pictures=8), seen(pictures=8)
    weight = np.ones((1, len(set(instances.groups))))
    weight[0, 1] = 2
    copies = {image: len(twice.images) + copy for copy, image in enumerate([3, 4], start=1)}  # those of the second part
    for entries in (twice.truths, twice.boxes, twice.masks):
        entries += [entry | {"image_id": copies[entry["image_id"]]} for entry in entries if entry["image_id"] in copies]
    for number, truth in enumerate(twice.truths, start=1):
        truth["id"] = number
    twice.images += [{"id": image, "height": SIZE, "width": SIZE} for image in copies.values()]
    (ranking,), _ = rank(instances, evaluate(instances, "segm"))
    expected = pycocotools_statistics(twice, "segm")[0]
    assert average_precision(ranking, weight).mean() == pytest.approx(expected, abs=1e-6)


def test_intervals_hold_their_values_and_narrow_with_more_parts() -> None:
    few, many = (instance_estimates(seen(pictures=count), Resampling(200)) for count in (12, 72))
    for name in ("box_ap", "box_ap50", "box_ap75", "mask_ap", "mask_ap50", "mask_ap75"):
        assert 0 <= few[name].low <= few[name].value <= few[name].high <= 1
        assert many[name].high - many[name].low < few[name].high - few[name].low
    assert np.isnan(few["mask_ap_small"].low)


def test_a_detection_takes_the_free_instance_that_it_overlaps_most() -> None:
    right_LD = match(np.array([[0.6, 0.7], [0.9, 0.8], [0.99, 0.99]]))
    # At 0.75 and 0.8 the first takes nothing, the second the first instance, and the third the other.
    assert right_LD[:, 0].tolist() == [True] * 5 + [False] * 5
    assert right_LD[:, 1].tolist() == [True] * 9 + [False]
    assert right_LD[:, 2].tolist() == [False] * 5 + [True] * 5


def test_parts_are_no_defects_and_unknown_pictures_are_passed_over() -> None:
    target = instances_of([(40, 40, 10, 10), (100, 100, 30, 30)], [DEFECT, PART])
    found = as_instances(target | {"scores": torch.tensor([0.9, 0.8])})
    instances = Instances()
    samples = [Sample(torch.zeros(3, SIZE, SIZE), name, "", 1, group=name, target=target) for name in ("a", "b")]
    instances.update(collate([samples[0], replace(samples[1], target=None)]), [found, found])
    assert (len(instances.images), len(instances.truths), len(instances.boxes)) == (1, 1, 1)
    assert instance_estimates(instances)["mask_ap"].value == pytest.approx(1.0)
    assert np.isnan(instance_estimates(instances)["mask_ap_large"].value)


def test_without_any_detection_nothing_is_found_and_without_any_defect_nothing_is_said() -> None:
    target = instances_of([(40, 40, 10, 10)], [DEFECT])
    nothing = {name: value[:0] for name, value in target.items()}
    instances = Instances()
    instances.add(target, [], "a")
    assert instance_estimates(instances, Resampling(10))["mask_ap"].value == 0.0
    empty = Instances()
    empty.add(nothing, as_instances(target | {"scores": torch.ones(1)}), "a")
    assert instance_estimates(empty, Resampling(10)) == {}


def test_maps_become_detections() -> None:
    mask = np.zeros((20, 30), bool)
    mask[2:5, 3:9] = mask[10:12, 20:25] = True
    values = np.zeros((20, 30), np.float32)
    values[3, 4], values[11, 22], values[15, 15] = 2.5, 7.0, 9.0
    found = map_detections(mask, values)
    assert [one.box for one in found] == [(20, 10, 25, 12), (3, 2, 9, 5)]
    assert [one.score for one in found] == [7.0, 2.5]
    assert np.array_equal(dense_masks(found, (20, 30)).any(axis=0), mask)
    batch: Any = collate([Sample(torch.zeros(3, 20, 30), "a", "a.png", 1)])
    batch.pred_mask, batch.anomaly_map = torch.zeros(1, 20, 30, dtype=torch.bool), torch.from_numpy(values)[None]
    (none,) = detections_of(batch)
    assert none == []
    batch.detections = [found]
    assert detections_of(batch) == [found]
