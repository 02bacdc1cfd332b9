"""Tiles of one network joined three ways: as Loupe once did, by sahi, and as Loupe does; times, and whether all agree.

python -m benchmarks.sliced RUN IMAGE [IMAGE ...] [--score 0.5] [--proposals 200]

Needs ``pip install sahi``. RUN is a trained Mask R-CNN with tiles, images show one ring each. Everybody judges the same
tiles of the same part of an image, laid as sahi lays them. "Once" looks at 1,000 proposals a tile and lays every mask
onto all of it; sahi gets the masks that Loupe lays within their boxes, so that only slicing, outlines and joining are
its own. An instance has an equal where the masks' intersection is at least 0.95 of their union. Times are CPU seconds.
"""

from __future__ import annotations

import argparse
import math
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from sahi.models.torchvision import TorchVisionDetectionModel
from sahi.predict import get_sliced_prediction
from torch.nn import functional as F

from datamodules.files.fitting import network_input
from datamodules.files.images import read_image
from datamodules.outlines.classes import PART
from datamodules.samples.detections import Instance, Region, dense_masks, trim
from datamodules.zones.ring_parts import measure_parts
from models.components.joining import merge_tiles
from models.components.laying import lay
from models.mask_rcnn import as_arrays
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.trained import find_trained

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datamodules.files.images import Array
    from datamodules.samples.detections import Detections, Mask
    from tools.runs.trained import Trained

OVERLAP = 0.16
EQUAL = 0.95
ONCE = 1000  # proposals that torchvision looks at where nobody says so


class Way(NamedTuple):
    """One way from an image to instances.

    Attributes:
        find: From an image (3, H, W) in [0, 1] to masks (D, H, W).
        proposals: Boxes of the first stage that the second looks at.
    """

    find: Callable[[Array], list[Mask]]
    proposals: int


class Pasting(torch.nn.Module):
    """The network as sahi expects one: with masks (D, 1, H, W) on the whole image."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network, self.roi_heads, self.transform = network, network.roi_heads, network.transform

    def forward(self, images: Sequence[torch.Tensor]) -> list[dict[str, torch.Tensor]]:
        """Judge images; lay what is found onto them."""
        return [self._one(image, found) for image, found in zip(images, self.network(images), strict=True)]

    def _one(self, image: torch.Tensor, found: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        size = (image.shape[-2], image.shape[-1])
        instances = lay(as_arrays(found), size, 0.5, PART)[1]
        return found | {"masks": torch.from_numpy(dense_masks(instances, size))[:, None].float()}


def whole_tiles(image: Array, side: int) -> Array:
    """Cut out the ring and as much around it as whole tiles take, laid as sahi lays them."""
    (part,) = measure_parts(image, "image")
    step = side - int(OVERLAP * side)
    ends = []
    for low, high, length in zip(part.ring.box[:2], part.ring.box[2:], image.shape[:2], strict=True):
        wanted = side + step * max(math.ceil((high - low - side) / step), 0)
        first = min(max((low + high - wanted) // 2, 0), max(length - wanted, 0))
        ends.append(slice(first, min(first + wanted, length)))
    cropped: Array = image[ends[0], ends[1]]
    return network_input(cropped, *cropped.shape[:2])


def places(size: tuple[int, int], side: int) -> list[tuple[int, int]]:
    """Return the first pixel of every tile."""
    step = side - int(OVERLAP * side)
    return [(top, left) for top in range(0, size[0] - side + 1, step) for left in range(0, size[1] - side + 1, step)]


def pasted(found: dict[str, Any], side: int) -> Detections:
    """Lay every mask onto a whole tile."""
    box_D4, mask_DMM = torch.from_numpy(found["boxes"]), torch.from_numpy(found["masks"])
    place = torch.arange(side, dtype=torch.float32)
    axes, inside = [], []
    for low_D, high_D in ((box_D4[:, 0], box_D4[:, 2]), (box_D4[:, 1], box_D4[:, 3])):
        axes.append(2 * (place - low_D[:, None]) / (high_D - low_D).clamp_min(1e-6)[:, None] - 1)
        inside.append((place + 0.5 >= low_D[:, None]) & (place + 0.5 < high_D[:, None]))
    grid = [axes[0][:, None].expand(-1, side, -1), axes[1][:, :, None].expand(-1, -1, side)]
    value_DHW = F.grid_sample(mask_DMM[:, None], torch.stack(grid, dim=3), padding_mode="border", align_corners=False)
    value_DHW = value_DHW[:, 0] * (inside[1][:, :, None] & inside[0][:, None])
    whole = Region(0, 0, side, side)
    instances = []
    for box, label, score, mask_HW in zip(
        found["boxes"], found["labels"], found["scores"], value_DHW.numpy() >= 0.5, strict=True
    ):
        mask, region = trim(mask_HW, whole)
        x1, y1, x2, y2 = map(float, box)
        instances.append(Instance((x1, y1, x2, y2), int(label), float(score), region, mask, whole))
    return instances


def ways(network: Any, side: int, proposals: int, score: float) -> dict[str, Way]:
    """List the ways."""
    sliced = TorchVisionDetectionModel(
        model=Pasting(network).eval(),
        device="cpu",
        confidence_threshold=score,
        category_mapping={str(label): str(label) for label in range(100)},
    )

    def tiled(image_3HW: Array, laid: Callable[[dict[str, Any]], Detections]) -> list[Mask]:
        size = (image_3HW.shape[1], image_3HW.shape[2])
        corners, seen = places(size, side), []
        for top, left in corners:
            tile = np.ascontiguousarray(image_3HW[:, top : top + side, left : left + side])
            seen.append(laid(as_arrays(network([torch.from_numpy(tile)])[0])))
        return list(dense_masks(merge_tiles(seen, corners, size), size))

    def by_sahi(image_3HW: Array) -> list[Mask]:
        found = get_sliced_prediction(
            np.rint(image_3HW.transpose(1, 2, 0) * 255).astype(np.uint8),
            sliced,
            slice_height=side,
            slice_width=side,
            overlap_height_ratio=OVERLAP,
            overlap_width_ratio=OVERLAP,
            perform_standard_pred=False,
            verbose=0,
        )
        return [one.mask.bool_mask for one in found.object_prediction_list if one.mask is not None]

    return {
        "once": Way(lambda image: tiled(image, lambda found: pasted(found, side)), ONCE),
        "sahi": Way(by_sahi, proposals),
        "loupe": Way(lambda image: tiled(image, lambda found: lay(found, (side, side), 0.5, PART)[1]), proposals),
    }


def equals(one: Sequence[Mask], other: Sequence[Mask]) -> list[float]:
    """Return for every mask the largest share of intersection in union with one of the others."""
    return [max((float((a & b).sum() / (a | b).sum()) for b in other), default=0.0) for a in one]


@contextmanager
def looking_at(network: Any, proposals: int) -> Iterator[None]:
    """Let a network look at so many proposals for a while."""
    compared = ONCE if proposals == ONCE else 2 * proposals  # of a level; see models.components.detectors
    wanted = {"_pre_nms_top_n": compared, "_post_nms_top_n": proposals}  # torchvision has no other way in
    before = {name: dict(getattr(network.rpn, name)) for name in wanted}
    for name, number in wanted.items():
        getattr(network.rpn, name)["testing"] = number
    try:
        yield
    finally:
        for name, numbers in before.items():
            setattr(network.rpn, name, numbers)


def network_of(trained: Trained, score: float) -> tuple[Any, int]:
    """Return a run's network, with detections below a score left out, and the side of its tiles."""
    module = restore(read_checkpoint(trained.checkpoint)).eval()
    network: Any = getattr(module.model, "inspection", module.model).network  # of a hybrid, what it does not pass
    network.roi_heads.score_thresh = score
    return network, module.tiling.size if module.tiling is not None else int(trained.config.data.image_size[0])


def main() -> None:
    """Judge all images all ways, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("images", nargs="+", type=Path)
    parser.add_argument("--score", type=float, default=0.5, help="detections below are left out")
    parser.add_argument("--proposals", type=int, default=200, help="of a tile, for sahi and loupe")
    options = parser.parse_args()
    trained = find_trained("predict", [f"run={options.run}", "source=none"], changeable=())
    network, side = network_of(trained, options.score)
    seconds: dict[str, list[float]] = {}
    agreed: dict[str, list[float]] = {}
    count = 0
    with torch.inference_mode():
        for path in options.images:
            image_3HW = whole_tiles(read_image(path), side)
            found = {}
            for name, way in ways(network, side, options.proposals, options.score).items():
                with looking_at(network, way.proposals):
                    clock = time.process_time()
                    found[name] = way.find(image_3HW)
                    seconds.setdefault(name, []).append(time.process_time() - clock)
            ours = found.pop("loupe")
            count += len(ours)
            for name, other in found.items():
                agreed.setdefault(name, []).extend(equals(ours, other) + equals(other, ours))
    print(f"{len(options.images)} images, {count} instances, tiles of {side}")
    for name, spent in seconds.items():
        print(f"{name}: {np.median(spent):.2f} CPU seconds an image, {max(spent):.2f} at most")
    for name, shares in agreed.items():
        equal = sum(share >= EQUAL for share in shares)
        least = min(shares, default=math.nan)
        print(f"{name}: {equal} of {len(shares)} instances of either side have an equal; least agreement {least:.3f}")


if __name__ == "__main__":
    main()
