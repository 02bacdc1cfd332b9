"""What tests of several models start from: smooth images, batches of them, and two backbones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from datamodules.samples.batch import Sample, collate

if TYPE_CHECKING:
    from datamodules.samples.batch import InspectionBatch

LOUPE: dict[str, Any] = {
    "name": "loupe_net",
    "layers": [2, 3],
    "mean": [0.5, 0.5, 0.5],
    "std": [0.5, 0.5, 0.5],
    "weights": "bundled",
}
RESNET: dict[str, Any] = {
    "name": "resnet18",
    "layers": [1, 2, 3],
    "mean": [0.0, 0.0, 0.0],  # anomalib normalises nothing inside its networks
    "std": [1.0, 1.0, 1.0],
    "weights": "none",
}


def pictures(count: int, seed: int = 0, size: tuple[int, int] = (64, 64)) -> torch.Tensor:
    """Draw smooth images (count, 3, H, W) in [0, 1]."""
    coarse = torch.rand(count, 3, 8, 8, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(coarse, size=size, mode="bilinear")


def batch(image_B3HW: torch.Tensor) -> InspectionBatch:
    """Make a batch of good images."""
    return collate([Sample(image, f"{index}.png", f"/{index}.png", 0) for index, image in enumerate(image_B3HW)])
