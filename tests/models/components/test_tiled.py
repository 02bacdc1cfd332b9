"""Tiles: no seams, the same maps as whole images, one instance per defect, and memory bounded by the tiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
import torch
from anomalib.data import InferenceBatch
from torch import nn

from datamodules.files.fitting import Part
from datamodules.samples.batch import Sample, collate
from datamodules.samples.detections import dense_masks
from models.components.tile_axes import window
from models.components.tiled import Tiling, cut
from models.conv_ae import ConvAutoencoder
from models.unet import Unet
from tests.found import as_instances

if TYPE_CHECKING:
    from datamodules.samples.detections import Detections


class Brightness(nn.Module):
    """A network without a receptive field: how bright a pixel is, and how bright the brightest."""

    def __init__(self) -> None:
        super().__init__()
        self.largest_batch = 0

    def forward(self, image_B3HW: torch.Tensor) -> InferenceBatch:
        self.largest_batch = max(self.largest_batch, len(image_B3HW))
        map_BHW = image_B3HW.mean(dim=1)
        return InferenceBatch(pred_score=map_BHW.flatten(1).amax(dim=1), anomaly_map=map_BHW)


def pictures(count: int, height: int, width: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(seed))


class TiledNetwork(nn.Module):
    """A network that judges images tile by tile, as one graph."""

    def __init__(self, network: nn.Module, tiling: Tiling) -> None:
        super().__init__()
        self.network, self.tiling = network, tiling

    def forward(self, image_B3HW: torch.Tensor) -> InferenceBatch:
        return self.tiling.judge(lambda tiles: (self.network(tiles), None), image_B3HW)[0]


@pytest.mark.parametrize("size", [(64, 64), (40, 17), (65, 64), (200, 331), (97, 128), (1, 300)])
@pytest.mark.parametrize(
    "tiling",
    [
        Tiling(size=64),
        Tiling(size=64, overlap=0.5, batch=3),
        Tiling(size=64, overlap=0.0),
        Tiling(size=64, overlap=0.3, margin=9),
    ],
)
def test_what_is_judged_pixel_by_pixel_comes_back_unchanged(size: tuple[int, int], tiling: Tiling) -> None:
    network, image = Brightness(), pictures(2, *size)
    found, wanted = TiledNetwork(network, tiling)(image), network(image)
    torch.testing.assert_close(found.anomaly_map, wanted.anomaly_map)
    torch.testing.assert_close(found.pred_score, wanted.pred_score)  # the score is that of the worst tile


@pytest.mark.parametrize(
    ("size", "overlap", "margin"), [(256, 0.25, 0), (256, 0.5, 16), (128, 0.1, 5), (96, 0.25, None)]
)
def test_the_weights_of_neighbours_add_up_to_one(size: int, overlap: float, margin: int | None) -> None:
    tiling = Tiling(size=size, overlap=overlap, margin=margin)
    axis = tiling.axis(1000)
    total = torch.zeros(2000, dtype=torch.float64)
    for start in axis.starts:
        total[start + 500 : start + 500 + size] += torch.from_numpy(axis.weight_S)
    assert total[500:1500].min() > 0.4
    full = total[500 + axis.starts[0] + size // 2 : 500 + axis.starts[-1] + size // 2]
    torch.testing.assert_close(full, torch.ones_like(full), rtol=0, atol=1e-6)
    stride = axis.starts[1] - axis.starts[0]
    assert size - stride >= overlap * size
    assert {start % min(32, stride // 2) for start in axis.starts} == {0} or size < 128


def test_without_a_flat_part_the_weights_are_a_hann_window() -> None:
    np.testing.assert_allclose(window(40, 20, 0), np.hanning(81)[1::2], atol=1e-6)


def test_reflection_is_that_of_numpy() -> None:
    image = pictures(1, 20, 30)
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), (5, 39), (7, 27)), mode="reflect")
    np.testing.assert_array_equal(cut(image, (-5, -7), 64).numpy(), padded[..., :64, :64])
    np.testing.assert_array_equal(cut(pictures(1, 1, 30), (-3, 0), 8).shape, (1, 3, 8, 8))


def networks() -> list[nn.Module]:
    """Networks with strides 8 and 4, and receptive fields of some 30 pixels around each."""
    torch.manual_seed(2)
    unet = Unet(depth=3, width=4)
    for name, value in unet.named_parameters():  # as spread as a trained one's, where a fresh one's are all alike
        nn.init.normal_(value, 1.0 if "stages" in name and value.ndim == 1 else 0.0, 0.4)
    return [ConvAutoencoder(widths=(4, 4, 4), kernel_size=3).model.eval(), unet.model.eval()]


@pytest.mark.parametrize("which", [0, 1])
@torch.inference_mode()
def test_maps_are_those_of_whole_pictures_where_the_receptive_field_allows(which: int) -> None:
    network = networks()[which]
    image = pictures(2, 288, 320)
    whole = network(image).anomaly_map
    inner = slice(32, -32)
    merged = TiledNetwork(network, Tiling(size=160, overlap=0.5, margin=32, batch=4))(image).anomaly_map
    torch.testing.assert_close(merged[:, inner, inner], whole[:, inner, inner], rtol=1e-4, atol=1e-4)
    default = TiledNetwork(network, Tiling(size=160))(image).anomaly_map
    spread = whole[:, inner, inner].std()
    assert spread > 0.1
    assert (default - whole)[:, inner, inner].abs().mean() < 0.05 * spread  # blending alone comes close


@pytest.mark.parametrize("which", [0, 1])
@torch.inference_mode()
def test_a_constant_picture_shows_no_seam(which: int) -> None:
    network = networks()[which]
    image = torch.full((1, 3, 352, 320), 0.4)
    reference = network(torch.full((1, 3, 160, 160), 0.4)).anomaly_map[0, 64:96, 64:96]
    pattern = reference.max() - reference.min()  # what pooling and upsampling leave of the grid of their strides
    merged = TiledNetwork(network, Tiling(size=160, overlap=0.5, margin=32))(image).anomaly_map
    assert merged.max() - merged.min() <= pattern + 1e-4 * reference.abs().max()
    blended, apart = (
        TiledNetwork(network, Tiling(size=160, overlap=overlap))(image).anomaly_map[0, 32:-32, 32:-32]
        for overlap in (0.25, 0.0)
    )
    assert largest_step(apart) > 10 * largest_step(reference)  # what the tiles' borders do to these random networks
    assert largest_step(blended) <= largest_step(reference) + 0.05 * largest_step(apart)


def largest_step(map_HW: torch.Tensor) -> torch.Tensor:
    """Measure the largest difference between pixels side by side."""
    return torch.cat([map_HW.diff(dim=0).flatten(), map_HW.diff(dim=1).flatten()]).abs().max()


def test_memory_is_bounded_by_the_tile_batch() -> None:
    network = Brightness()
    TiledNetwork(network, Tiling(size=32, batch=5))(pictures(3, 300, 200))
    TiledNetwork(network, Tiling(size=32, batch=2))(pictures(7, 60, 60))
    assert network.largest_batch <= 5
    torch.testing.assert_close(
        TiledNetwork(network, Tiling(size=32, batch=2))(pictures(7, 60, 60)).anomaly_map[3:4],
        TiledNetwork(network, Tiling(size=32, batch=64))(pictures(7, 60, 60)[3:4]).anomaly_map,
    )


def detect(image_B3HW: torch.Tensor) -> tuple[InferenceBatch, list[Detections]]:
    """Find bright regions: a detector as simple as can be, that sees no further than its tile."""
    prediction = Brightness()(image_B3HW)
    found = []
    for map_HW in prediction.anomaly_map:
        count, regions = cv2.connectedComponents((map_HW.numpy() > 0.5).astype(np.uint8), connectivity=8)
        masks = [torch.from_numpy(regions == index) for index in range(1, count)]
        boxes = [[*mask.nonzero().amin(dim=0).flip(0), *(mask.nonzero().amax(dim=0).flip(0) + 1)] for mask in masks]
        dense = {
            "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
            "labels": torch.ones(len(masks), dtype=torch.int64),
            "scores": torch.full((len(masks),), 0.9),
            "masks": torch.stack(masks) if masks else torch.zeros(0, *map_HW.shape, dtype=torch.bool),
        }
        found.append(as_instances(dense))
    return prediction, found


def test_one_defect_is_one_instance_across_tiles() -> None:
    image = torch.zeros(2, 3, 200, 260)
    image[0, :, 90:110, 20:240] = 1  # longer than three tiles
    image[0, :, 150:155, 150:155] = 1
    prediction, found = Tiling(size=96, batch=4).judge(detect, image)
    assert found is not None
    assert [len(detections) for detections in found] == [2, 0]
    wanted = image[0, 0] > 0.5
    assert np.array_equal(dense_masks(found[0], (200, 260)).any(axis=0), wanted.numpy())
    assert (20.0, 90.0, 240.0, 110.0) in [one.box for one in found[0]]
    assert prediction.pred_score is not None
    assert prediction.pred_score.tolist() == [1.0, 0.0]


def sample(index: int, label_index: int, *, marked: bool) -> Sample:
    mask = torch.zeros(100, 130, dtype=torch.bool)
    mask[10:20, 100:110] = label_index == 1
    target = {"boxes": torch.tensor([[100.0, 10, 110, 20]]), "labels": torch.tensor([3]), "masks": mask[None]}
    known = marked or label_index == 0
    return Sample(
        pictures(1, 100, 130, index)[0], f"{index}.png", f"/{index}.png", label_index,
        mask if marked else None, zones=torch.full((100, 130), 2, dtype=torch.uint8), target=target if known else None,
    )  # fmt: skip


def test_training_tiles_bring_everything_along() -> None:
    batch = collate([sample(0, 0, marked=False), sample(1, 1, marked=True), sample(2, 1, marked=False)])
    tiling = Tiling(size=64)
    tiles = tiling.cut_batch(batch)
    each = len(tiling.axis(100).starts) * len(tiling.axis(130).starts)
    assert len(tiles) == 3 * each
    assert tiles.image.shape == (3 * each, 3, 64, 64)
    label_N = tiles.label_index.view(3, each)
    assert label_N[0].tolist() == [0] * each
    assert set(label_N[1].tolist()) == {0, 1}
    assert torch.equal(label_N[1] == 1, tiles.gt_mask[each : 2 * each].flatten(1).any(dim=1))
    assert label_N[2].tolist() == [-1] * each  # nobody said where the defect is
    for mask, target in zip(tiles.gt_mask[each : 2 * each], tiles.target[each : 2 * each], strict=True):
        assert len(target["boxes"]) == int(mask.any())
        assert torch.equal(target["masks"].any(dim=0), mask.as_subclass(torch.Tensor).bool())
    assert tiles.target[2 * each :] == [None] * each  # nor which instances there are
    assert tiles.zones.unique().tolist() == [2]
    drawn = Tiling(size=64, crops=2).cut_batch(batch)
    assert len(drawn) == 6
    assert drawn.image.shape == (6, 3, 64, 64)


def test_a_model_checks_its_tiles_and_not_the_picture() -> None:
    module = Unet(architecture="FPN", encoder="resnet18", depth=5).eval()
    with pytest.raises(ValueError, match=r"sides that are multiples of 32, but found 70 x 90"):
        module(pictures(1, 70, 90))
    with pytest.raises(ValueError, match=r"tiling\.size to be a multiple of 32 for this model, but found 40"):
        module.use_tiling(Tiling(size=40))
    module.use_tiling(Tiling(size=64))
    with torch.inference_mode():
        assert module(pictures(1, 70, 90)).anomaly_map.shape == (1, 70, 90)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"overlap": 0.6}, r"tiling\.overlap to be at least 0 and at most 0\.5, but found 0\.6"),
        ({"size": 64, "margin": 9}, r"tiling\.margin .* at most half of an overlap of 16 pixels, but found 9"),
        ({"batch": 0}, r"tiling\.batch to be at least 1"),
        ({"crops": 0}, r"tiling\.crops at least 1 or null"),
        ({"limit": 0}, r"tiling\.limit at least 1"),
    ],
)
def test_wrong_arguments_are_named(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Tiling(**options)


def test_it_exports_with_any_batch() -> None:
    network = TiledNetwork(ConvAutoencoder(widths=(2,), kernel_size=3).model.eval(), Tiling(size=64))
    image = pictures(3, 90, 60)
    program = torch.export.export(network, (image,), dynamic_shapes={"image_B3HW": {0: torch.export.Dim.AUTO}})
    with torch.inference_mode():
        for count in (1, 4):
            some = pictures(count, 90, 60, seed=count)
            found, wanted = program.module()(some).anomaly_map, network(some).anomaly_map
            torch.testing.assert_close(found, wanted, rtol=1e-4, atol=1e-4)


def test_tiles_know_where_they_show_padding() -> None:
    frame = Part(10, 0, 54, 80)
    samples = [
        Sample(torch.rand(3, 64, 80), f"{i}.png", f"/{i}.png", 0, torch.zeros(64, 80, dtype=torch.bool), frame=one)
        for i, one in enumerate((frame, None))
    ]
    tiling = Tiling(size=32)
    whole, tiles = collate(samples), tiling.cut_batch(collate(samples))
    assert whole.inside is not None
    assert tiles.inside is not None
    names = [name.partition("#")[2] for name in tiles.name]
    places = [(int(top), int(left)) for left, top in (name.split(",") for name in names)]
    inside_N = whole.inside.repeat_interleave(len(places) // 2, dim=0)
    for tile, inside_HW, (top, left) in zip(tiles.inside, inside_N, places, strict=True):
        rows, columns = slice(max(top, 0), top + 32), slice(max(left, 0), left + 32)
        seen = inside_HW[rows, columns]
        there = tile[max(-top, 0) : max(-top, 0) + seen.shape[0], max(-left, 0) : max(-left, 0) + seen.shape[1]]
        assert torch.equal(there, seen)
