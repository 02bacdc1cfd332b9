from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from models.components.patchcore_model import PatchCoreModel
from models.features.backbones import Backbone
from tools.bundles.graphs import IN_FULL_PRECISION, RawOutputs, write_int8, write_onnx, write_openvino
from tools.bundles.onnx_files import LARGE_WEIGHTS, write_half
from tools.runner.composition import INPUT
from tools.runner.network import openvino_core

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datamodules.files.images import Array

SIDE = 8


class Prediction(NamedTuple):
    pred_score: torch.Tensor
    anomaly_map: torch.Tensor


class Position(nn.Module):
    """Adds position embeddings, resized to the images' grid as vision transformers do, and an unused parameter."""

    def __init__(self) -> None:
        super().__init__()
        self.grid = nn.Parameter(torch.rand(1, 3, 37, 37, generator=torch.Generator().manual_seed(0)))

    def forward(self, image_B3HW: torch.Tensor) -> Prediction:
        placed = image_B3HW + F.interpolate(self.grid, (SIDE, SIDE), mode="bicubic", antialias=True)
        return Prediction(placed.flatten(1).amax(1), placed.mean(1))


class Search(nn.Module):
    """PatchCore's search alone, for patches of three values."""

    def __init__(self, bank_MD: torch.Tensor) -> None:
        super().__init__()
        self.memory = PatchCoreModel(Backbone("resnet18", [2], [0.0] * 3, [1.0] * 3, weights="none"), 1)
        self.memory.set_bank(bank_MD)

    def forward(self, image_B3HW: torch.Tensor) -> Prediction:
        patch_BPD = image_B3HW.flatten(2).transpose(1, 2)
        near = self.memory.bank_MD[self.memory.nearest(patch_BPD[:, 0])]
        distance_BP = self.memory.search(patch_BPD)
        return Prediction((near - patch_BPD[:, 0]).norm(dim=1), distance_BP.view(-1, SIDE, SIDE))


class Bounded(nn.Module):
    """A convolution with a ReLU6 behind it; ``traced`` notes whether that was in place."""

    def __init__(self, *, inplace: bool) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.convolution, self.bounded = nn.Conv2d(3, 2, 1), nn.ReLU6(inplace=inplace)
        self.traced: set[bool] = set()

    def forward(self, image_B3HW: torch.Tensor) -> Prediction:
        self.traced.add(self.bounded.inplace)
        found_BCHW = self.bounded(20 * self.convolution(image_B3HW))
        return Prediction(found_BCHW.flatten(1).amax(1), found_BCHW.mean(1))


class Energy(nn.Module):
    """A few convolutions, and a map of the energy of what they find, resized and smoothed."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        layers = (nn.Conv2d(16 if index else 3, 16, 3, padding=1, bias=False) for index in range(IN_FULL_PRECISION))
        self.features = nn.Sequential(*layers)
        self.smooth = nn.Conv2d(1, 1, 3, padding=1)

    def forward(self, image_B3HW: torch.Tensor) -> Prediction:
        energy_B1HW = self.features(image_B3HW).square().sum(1, keepdim=True).sqrt()
        map_BHW = self.smooth(F.interpolate(energy_B1HW, scale_factor=2.0))[:, 0]
        return Prediction(energy_B1HW.flatten(1).amax(1), map_BHW)


def run_onnx(path: Path, image_B3HW: torch.Tensor) -> list[Array]:
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found: list[Array] = session.run(None, {INPUT: image_B3HW.numpy()})
    return found


def run_openvino(path: Path, image_B3HW: torch.Tensor) -> list[Array]:
    compiled = openvino_core().compile_model(str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    found = compiled({INPUT: image_B3HW.numpy()})
    return [found[index] for index in range(2)]


@pytest.mark.parametrize(("suffix", "run"), [(".onnx", run_onnx), (".xml", run_openvino)])
@pytest.mark.parametrize("count", [1, 3])
def test_antialiased_position_embeddings_survive_every_runtime(
    suffix: str, run: Callable[[Path, torch.Tensor], list[Array]], count: int, tmp_path: Path
) -> None:
    network = Position().eval()
    write_onnx(RawOutputs(network), torch.rand(2, 3, SIDE, SIDE), tmp_path / "model.onnx")
    write_openvino(tmp_path / "model.onnx", tmp_path / "model.xml")
    proto = onnx.load(str(tmp_path / "model.onnx"))
    assert "Resize" not in {node.op_type for node in proto.graph.node}
    assert [list(weight.dims) for weight in proto.graph.initializer if len(weight.dims) == 4] == [[1, 3, SIDE, SIDE]]
    image_B3HW = torch.rand(count, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        expected = network(image_B3HW)
    for values, found in zip(expected, run(tmp_path / f"model{suffix}", image_B3HW), strict=True):
        np.testing.assert_allclose(found, values.numpy(), atol=1e-6)


@pytest.mark.parametrize(("suffix", "run"), [(".onnx", run_onnx), (".xml", run_openvino)])
def test_what_is_seen_in_mirrors_is_in_every_runtime(
    suffix: str, run: Callable[[Path, torch.Tensor], list[Array]], tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    settings = ("loupe_net", [2, 3], [0.5] * 3, [0.5] * 3, "bundled")
    plain, network = (PatchCoreModel(Backbone(*settings, mirrored=way), 2).eval() for way in (False, True))
    image_B3HW = torch.rand(3, 3, 64, 48, generator=generator)
    with torch.inference_mode():
        for model in (plain, network):
            model.set_bank(model.describe(torch.rand(2, 3, 64, 48, generator=generator))[0])
        expected, unmirrored = network(image_B3HW), plain(image_B3HW)
    write_onnx(RawOutputs(network), torch.rand(2, 3, 64, 48), tmp_path / "model.onnx")
    write_openvino(tmp_path / "model.onnx", tmp_path / "model.xml")
    for found, name in zip(run(tmp_path / f"model{suffix}", image_B3HW), Prediction._fields, strict=True):
        wanted, other = (getattr(prediction, name).numpy() for prediction in (expected, unmirrored))
        np.testing.assert_allclose(found, wanted, rtol=1e-3, atol=1e-3)
        assert not np.allclose(found, other, rtol=1e-2)


@pytest.mark.parametrize(("suffix", "run"), [(".onnx", run_onnx), (".xml", run_openvino)])
def test_half_precision_measures_distances_to_the_rounded_bank(
    suffix: str, run: Callable[[Path, torch.Tensor], list[Array]], tmp_path: Path
) -> None:
    generator = torch.Generator().manual_seed(0)
    bank_MD = 8 + torch.rand(2800, 3, generator=generator)  # norms that are large beside distances
    write_onnx(RawOutputs(Search(bank_MD).eval()), torch.rand(2, 3, SIDE, SIDE), tmp_path / "model.onnx")
    write_half(tmp_path / "model.onnx", tmp_path / "half.onnx")
    write_openvino(tmp_path / "half.onnx", tmp_path / "half.xml", half=True)
    stored = [numpy_helper.to_array(weight) for weight in onnx.load(str(tmp_path / "half.onnx")).graph.initializer]
    assert bank_MD.numel() > LARGE_WEIGHTS
    assert max(weight.nbytes for weight in stored) == 2 * bank_MD.numel()
    image_B3HW = 8 + torch.rand(2, 3, SIDE, SIDE, generator=generator)
    with torch.inference_mode():
        expected = Search(bank_MD.half().float())(image_B3HW)
        unrounded = Search(bank_MD)(image_B3HW)
    assert (unrounded.anomaly_map - expected.anomaly_map).abs().max() > 3e-4
    found = run(tmp_path / f"half{suffix}", image_B3HW)
    np.testing.assert_allclose(found[1], expected.anomaly_map.numpy(), atol=1e-4)
    np.testing.assert_allclose(found[0], expected.pred_score.numpy(), atol=1e-4)


def test_openvino_stores_halves_as_halves(tmp_path: Path) -> None:
    bank_MD = torch.rand(2800, 3, generator=torch.Generator().manual_seed(0))
    write_onnx(RawOutputs(Search(bank_MD).eval()), torch.rand(2, 3, SIDE, SIDE), tmp_path / "model.onnx")
    write_half(tmp_path / "model.onnx", tmp_path / "half.onnx")
    write_openvino(tmp_path / "model.onnx", tmp_path / "whole.xml")
    write_openvino(tmp_path / "half.onnx", tmp_path / "half.xml", half=True)
    assert (tmp_path / "half.bin").stat().st_size < 0.75 * (tmp_path / "whole.bin").stat().st_size


def test_what_works_in_place_is_traced_out_of_place_to_the_same_graph(tmp_path: Path) -> None:
    image_B3HW = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    networks = {name: Bounded(inplace=name == "inplace").eval() for name in ("inplace", "apart")}
    for name, network in networks.items():
        write_onnx(RawOutputs(network), image_B3HW, tmp_path / f"{name}.onnx")
    assert networks["inplace"].traced == {False}
    assert networks["inplace"].bounded.inplace  # as it was
    assert (tmp_path / "inplace.onnx").read_bytes() == (tmp_path / "apart.onnx").read_bytes()
    with torch.inference_mode():
        expected = networks["inplace"](image_B3HW)
    assert (expected.pred_score == 6).all()  # bounded indeed
    assert (expected.anomaly_map == 0).any()
    np.testing.assert_allclose(run_onnx(tmp_path / "inplace.onnx", image_B3HW)[1], expected.anomaly_map, atol=1e-5)


def test_int8_does_not_cut_defects_off_where_good_pictures_end(tmp_path: Path) -> None:
    network = Energy().eval()
    write_onnx(RawOutputs(network), torch.rand(2, 3, SIDE, SIDE), tmp_path / "model.onnx")
    good_B3HW = 0.2 * torch.rand(8, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    write_int8(tmp_path / "model.onnx", tmp_path / "int8.xml", [{INPUT: image[None].numpy()} for image in good_B3HW])
    with torch.inference_mode():
        expected = network(5 * good_B3HW).anomaly_map.numpy()
    found = run_openvino(tmp_path / "int8.xml", 5 * good_B3HW)[1]
    np.testing.assert_allclose(found, expected, atol=0.05 * float(np.ptp(expected)))
