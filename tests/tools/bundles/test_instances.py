"""The runner lays instances onto their image as Mask R-CNN does, and drops what the graph keeps for safety."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import pytest
import torch

from datamodules.outlines.classes import PART
from models.components.detectors import Selection, small_network
from models.components.laying import lay
from models.features.backbones import Backbone
from models.mask_rcnn import as_arrays, best_score
from tests.found import same
from tests.models.drawn import LOUPE
from tools.bundles.graphs import Instances, write_instances
from tools.runner.instances import judge_instances

if TYPE_CHECKING:
    from pathlib import Path

RULES: dict[str, Any] = {"score_threshold": 0.05, "mask_threshold": 0.5, "part": PART}
SIZE = (40, 60)


def found(count: int, seed: int = 0) -> dict[str, torch.Tensor]:
    """Detections as the network gives them, from the surest."""
    generator = torch.Generator().manual_seed(seed)
    corner, side = torch.rand(2, count, 2, generator=generator)
    first = corner * 40 - 5  # some reach beyond the image
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


def test_a_graph_takes_images_on_which_less_is_found_than_on_its_example(tmp_path: Path) -> None:
    """An exporter that traces takes any count that Python reads for a constant."""
    torch.manual_seed(0)
    selection = Selection(0.01, 0.3, 100, 200)
    network = small_network(Backbone(**{**LOUPE, "layers": [1, 2, 3]}), 16, 0, 2, selection).eval()
    noise = torch.rand(1, 3, 96, 96, generator=torch.Generator().manual_seed(1))
    write_instances(Instances(network), noise, tmp_path / "model.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "model.onnx", providers=["CPUExecutionProvider"])
    counts = []
    for image_13HW in (noise, noise * 0.05, torch.zeros(1, 3, 96, 96)):
        with torch.no_grad():
            wanted = Instances(network)(image_13HW)
        given = session.run(["boxes", "labels", "scores", "masks"], {"image": image_13HW.numpy()})
        for value, other in zip(given, wanted, strict=True):
            np.testing.assert_allclose(value, other.numpy(), atol=1e-3)
        counts.append(len(given[0]))
    assert 1 < min(counts) < counts[0], counts
