from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from models.components import in_parts as module
from models.components.in_parts import in_parts
from models.conv_ae import ConvAutoencoderModel
from models.unet import Unet


class Counting(nn.Module):
    """Doubles images, and notes how many came at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[int] = []

    def forward(self, image_BCHW: Tensor) -> Tensor:
        self.seen.append(image_BCHW.shape[0])
        return 2 * image_BCHW


@pytest.mark.parametrize(
    ("images", "largest", "parts"),
    [
        (16, 2**21, [4, 4, 4, 4]),
        (7, 2**21, [4, 3]),
        (4, 2**21, [4]),
        (3, 2**25, [1, 1, 1]),
        (1, 2**25, [1]),
        (0, 2**21, [0]),
    ],
)
def test_so_many_go_at_a_time_that_their_map_is_reused(images: int, largest: int, parts: list[int]) -> None:
    network, image = Counting().eval(), torch.rand(images, 3, 2, 2)
    with torch.no_grad():
        assert torch.equal(in_parts(network, image, largest), 2 * image)
    assert network.seen == parts


def test_gradients_training_and_graphs_get_all_at_once() -> None:
    network, image = Counting(), torch.rand(6, 3, 2, 2)
    in_parts(network.eval(), image, 2**25)
    with torch.no_grad():
        in_parts(network.train(), image, 2**25)
    assert network.seen == [6, 6]

    class Graph(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = nn.Sigmoid()

        def forward(self, image_BCHW: Tensor) -> Tensor:
            return in_parts(self.network, image_BCHW, 2**25)

    batch = {0: torch.export.Dim("batch", min=1, max=64)}
    with torch.no_grad():
        graph = torch.export.export(Graph().eval(), (image,), dynamic_shapes=(batch,)).module()
    assert "split" not in graph.code
    assert torch.equal(graph(image[:2]), image[:2].sigmoid())


@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
def test_an_autoencoder_gives_back_the_same(upsampling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ConvAutoencoderModel((8, 6, 4), 3, upsampling, 1, "distance", 1, None, 0.0).eval()  # type: ignore[arg-type]  # of two words
    image = torch.rand(5, 3, 37, 50)
    with torch.no_grad():
        whole, shown = model.explain(image)
        monkeypatch.setattr(module, "REUSED", 4 * 8 * 37 * 50 * 2)
        passed: list[int] = []
        model.encoder.register_forward_hook(lambda *given: passed.append(len(given[1][0])))
        parted, views = model.explain(image)
    assert passed == [2, 2, 1]
    torch.testing.assert_close(parted.anomaly_map, whole.anomaly_map, atol=1e-3, rtol=0)  # of 255
    torch.testing.assert_close(parted.pred_score, whole.pred_score, atol=0, rtol=1e-4)
    for name, view in shown.items():
        torch.testing.assert_close(views[name], view)


def test_unet_gives_back_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    model = Unet(depth=2, width=4).model.eval()
    image = torch.rand(5, 3, 32, 48)
    with torch.no_grad():
        whole = model.logits(image)
        monkeypatch.setattr(module, "REUSED", 4 * 12 * 32 * 48 * 2)
        passed: list[int] = []
        model.network.register_forward_hook(lambda *given: passed.append(len(given[1][0])))
        parted = model.logits(image)
    assert passed == [2, 2, 1]
    torch.testing.assert_close(parted, whole, atol=1e-4, rtol=1e-4)
