from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import Tensor, nn

from models.components import maps, patchcore_model
from models.components.maps import GaussianBlur
from models.components.patchcore_model import PatchCoreModel
from models.conv_ae import ConvAutoencoderModel
from models.features import backbones
from models.features import in_parts as module
from models.features.backbones import Backbone
from models.features.in_parts import in_parts
from models.features.loupe_net import read_loupe_net
from models.unet import Unet
from tests.sources import ROOT


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
        (16, 2**21, [3, 3, 3, 3, 3, 1]),
        (7, 2**21, [3, 3, 1]),
        (4, 2**21, [3, 1]),
        (4, 2**21 - 2**8, [4]),
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


FAULTS = """
import resource
import torch
from tools.freed_memory import keep_freed_memory
done = keep_freed_memory()
torch.set_num_threads(1)
{use}
with torch.inference_mode():
    for _ in range(2):
        use()
    new = []
    for _ in range(7):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        use()
        new.append(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
print(done, sorted(new)[3])
"""
MAPS = """
from torch import nn
from models.features.in_parts import in_parts
from models.features.loupe_net import read_loupe_net
network = nn.Sequential(nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(8)).eval()
image = torch.rand(16, 1, 256, 256)
def use():
    in_parts(network, image, 32 * 256 * 256)  # 8 MiB for each image: four are 32 MiB, which malloc gives back
"""
LARGE_IMAGES = """
from models.features.backbones import Backbone
from models.components.patchcore_model import PatchCoreModel
backbone = Backbone("loupe_net", [2, 3], [0.5] * 3, [0.5] * 3, weights="bundled")
model = PatchCoreModel(backbone, num_neighbors=9, scales=[2]).eval()
model.set_bank(torch.randn(500, 128))
image = torch.rand(12, 3, 256, 256)
def use():
    model(image.clone())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="another C library")
@pytest.mark.parametrize("use", [MAPS, LARGE_IMAGES])  # all at once, each time: 97,000 pages, and 17,000
def test_maps_touch_no_new_pages(use: str) -> None:
    """A heap still grows by thousands of pages now and then, which is no fault: what counts is the usual time."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_TUNABLES"))}
    asked = subprocess.run(
        [sys.executable, "-c", FAULTS.format(use=use)], cwd=ROOT, env=clean, check=True, capture_output=True, text=True
    )
    answer, count = asked.stdout.split()
    if answer == "False":
        pytest.skip("this C library has no mallopt")
    assert int(count) < 500


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


@pytest.mark.parametrize("weighed", [False, True])
def test_a_blur_of_maps_gives_back_the_same(weighed: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    blur, given = GaussianBlur(2.0), torch.rand(5, 40, 31)
    weight = torch.rand(5, 40, 31) if weighed else None
    with torch.no_grad():
        whole = blur(given, weight)
        monkeypatch.setattr(maps, "REUSED", 4 * maps.BLOCK * (40 + 17) * (31 + 17) * 2)
        torch.testing.assert_close(blur(given, weight), whole, atol=1e-6, rtol=1e-5)


def test_large_images_are_described_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone("loupe_net", [2, 3], [0.5] * 3, [0.5] * 3, weights="bundled")
    model, image = PatchCoreModel(backbone, num_neighbors=9, scales=[1, 2]).eval(), torch.rand(5, 3, 64, 64)
    with torch.no_grad():
        whole = model.embed_sizes(image)
        monkeypatch.setattr(patchcore_model, "REUSED", 4 * 4 * 3 * 64 * 64 * 2)
        for level, wanted in zip(model.embed_sizes(image.clone()), whole, strict=True):
            torch.testing.assert_close(level, wanted, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("upsampling", ["nearest", "transposed"])
def test_an_autoencoder_gives_back_the_same(upsampling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ConvAutoencoderModel((8, 6, 4), 3, upsampling, 1, "distance", 1, None, 0.0).eval()  # type: ignore[arg-type]  # pytest's words are str, no literals
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


def test_a_backbone_describes_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    backbone = Backbone("loupe_net", [1, 2], [0.5] * 3, [0.5] * 3, weights="bundled")
    image, passed = torch.rand(5, 3, 64, 48), list[int]()
    with torch.no_grad():
        whole = backbone(image)
        monkeypatch.setattr(backbones, "REUSED", 4 * read_loupe_net().widest * 64 * 48 * 2)
        backbone.network.register_forward_hook(lambda *given: passed.append(len(given[1][0])))
        parted = backbone(image.clone())
    assert passed == [2, 2, 1]
    for level, wanted in zip(parted, whole, strict=True):
        assert level.is_contiguous()
        torch.testing.assert_close(level, wanted, atol=1e-5, rtol=1e-4)
