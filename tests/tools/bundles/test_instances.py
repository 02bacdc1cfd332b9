"""The runner lays instances onto their picture as Mask R-CNN does, and drops what the graph keeps for safety."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datamodules.outlines.instances import PART
from models.mask_rcnn import best_score
from models.mask_rcnn import lay as lay_torch
from tools.bundles.runner.instances import lay

RULES = {"score_threshold": 0.05, "mask_threshold": 0.5, "part": PART}
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
    wanted_map, wanted = lay_torch(entry | {"masks": entry["masks"].unsqueeze(1)}, *SIZE, RULES["mask_threshold"])
    score, map_HW, detections = lay({name: value.numpy() for name, value in entry.items()}, SIZE, RULES)
    assert float(score) == pytest.approx(float(best_score(wanted)))
    np.testing.assert_allclose(map_HW, wanted_map.numpy(), atol=1e-5)
    assert len(detections) == count
    for detection, mask_HW, label in zip(detections, wanted["masks"].numpy(), wanted["labels"].tolist(), strict=True):
        assert detection["label"] == label
        assert (detection["mask"] != mask_HW).sum() <= 2  # a probability that lies on the threshold, but for rounding


def test_what_does_not_reach_the_threshold_is_dropped() -> None:
    """A graph keeps its surest detection however unsure it is, since a runtime may not cope with none."""
    entry = {name: value.numpy() for name, value in found(3).items()}
    entry["scores"][:] = [0.6, 0.05, 0.01]  # torchvision keeps what lies above the threshold, not on it
    assert len(lay(entry, SIZE, RULES)[2]) == 1
    score, map_HW, detections = lay({name: value[1:] for name, value in entry.items()}, SIZE, RULES)
    assert (float(score), float(map_HW.max()), detections) == (0, 0, [])
