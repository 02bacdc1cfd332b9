"""The runner lays instances onto their picture as Mask R-CNN does, and drops what the graph keeps for safety."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from datamodules.outlines.classes import PART
from models.components.laying import lay
from models.mask_rcnn import as_arrays, best_score
from tests.found import same
from tools.runner.instances import judge_instances

RULES: dict[str, Any] = {"score_threshold": 0.05, "mask_threshold": 0.5, "part": PART}
SIZE = (40, 60)


def found(count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Detections as the network gives them, from the surest."""
    generator = torch.Generator().manual_seed(seed)
    corner, side = torch.rand(2, count, 2, generator=generator)
    first = corner * 40 - 5  # some reach beyond the picture
    boxes = torch.cat([first, first + 1 + 30 * side], dim=1)
    scores = torch.rand(count, generator=generator).mul(0.9).add(0.06).sort(descending=True).values
    labels = torch.randint(1, 3, (count,), generator=generator)
    return {"boxes": boxes, "labels": labels, "scores": scores, "masks": torch.rand(count, 14, 14, generator=generator)}


@pytest.mark.parametrize("count", [0, 1, 20])
def test_maps_scores_and_masks_are_those_of_the_model(count: int) -> None:
    entry = found(count)
    arrays = as_arrays(entry | {"masks": entry["masks"].unsqueeze(1)})
    wanted_map, wanted = lay(arrays, SIZE, RULES["mask_threshold"], PART)
    score, map_HW, detections = judge_instances({name: value.numpy() for name, value in entry.items()}, SIZE, RULES)
    assert float(score) == pytest.approx(best_score(wanted))
    np.testing.assert_array_equal(map_HW, wanted_map)
    assert len(detections) == len(wanted) == count
    assert all(same(one, other) for one, other in zip(detections, wanted, strict=True))


def test_what_does_not_reach_the_threshold_is_dropped() -> None:
    """A graph keeps its surest detection however unsure it is, since a runtime may not cope with none."""
    entry = {name: value.numpy() for name, value in found(3).items()}
    entry["scores"][:] = [0.6, 0.05, 0.01]  # torchvision keeps what lies above the threshold, not on it
    assert len(judge_instances(entry, SIZE, RULES)[2]) == 1
    score, map_HW, detections = judge_instances({name: value[1:] for name, value in entry.items()}, SIZE, RULES)
    assert (float(score), float(map_HW.max()), detections) == (0, 0, [])
