"""Networks with folded normalisations give what they gave, and have none left in rows."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from models.components.fusing import fused
from models.components.segmentation import segmentation_network


def learnt(network: nn.Module) -> nn.Module:
    """Give normalisations statistics and weights as training does."""
    generator = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.BatchNorm2d):
            part.running_mean = torch.randn(part.num_features, generator=generator)
            part.running_var = torch.rand(part.num_features, generator=generator) + 0.5
            nn.init.uniform_(part.weight, 0.5, 2, generator=generator)
            nn.init.normal_(part.bias, generator=generator)
    return network.eval()


@pytest.mark.parametrize("encoder", ["plain", "resnet18"])
@torch.inference_mode()
def test_folded_networks_give_the_same(encoder: str) -> None:
    network = learnt(
        segmentation_network("Unet", encoder, 3, 8)
    ).double()  # in single precision sums differ by rounding
    before = {name: value.clone() for name, value in network.state_dict().items()}
    image = torch.rand(2, 3, 64, 96, generator=torch.Generator().manual_seed(1)).double()
    found = fused(network)
    torch.testing.assert_close(found(image), network(image), rtol=1e-6, atol=1e-8)
    torch.testing.assert_close(dict(network.state_dict()), before)  # the network itself stays
    if encoder == "plain":
        assert not any(isinstance(part, nn.BatchNorm2d) for part in found.modules())


def test_training_networks_are_refused() -> None:
    with pytest.raises(ValueError, match="evaluation mode"):
        fused(nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4)))
