"""Augmentation of training samples by torchvision's transforms, which move image, masks, zones and boxes together.

Letters: n instances, H and W pixels.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torchvision.ops import masks_to_boxes
from torchvision.transforms import v2
from torchvision.tv_tensors import Image, Mask

from datamodules.errors import DataError
from datamodules.files.fitting import Part

from .batch import Sample
from .order import mixed
from .sized import SizedDataset

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from torch import Tensor


class AugmentedDataset(SizedDataset[Sample]):
    """Samples of another dataset, changed at random, in another way in every epoch.

    Seed, epoch and index decide how, and nothing else: not the process that loads, nor what was drawn before.

    Args:
        dataset: Where samples come from.
        transforms: Of ``torchvision.transforms.v2``, applied one after the other.
        seed: Decides all changes.
    """

    counts_epochs: ClassVar[bool] = True

    def __init__(self, dataset: SizedDataset[Sample], transforms: Sequence[Any], seed: int = 0) -> None:
        self.dataset = dataset
        self.transform = v2.Compose(list(transforms))
        self.seed = seed

    def __len__(self) -> int:
        """Count the samples."""
        return len(self.dataset)

    def __getitem__(self, index: int) -> Sample:
        """Return a sample, changed as its epoch has it; ``index`` counts on from epoch to epoch."""
        sample = self.dataset[index % len(self)]
        state = torch.get_rng_state()
        torch.default_generator.manual_seed(mixed(self.seed, index))  # torch.manual_seed would seed every GPU, too
        try:
            return augment(sample, self.transform)
        finally:
            torch.set_rng_state(state)


def require_transforms(transforms: Iterable[object]) -> None:
    """Refuse what is not a transform.

    Raises:
        DataError: Names the first.
    """
    for one in transforms:
        if not callable(one):
            expected = "transforms, each a _target_ with its arguments"
            raise DataError(f"Expected data.augment to be {expected}, but found {one!r}.")


def augment(sample: Sample, transform: v2.Transform) -> Sample:
    """Change a sample: whatever has a place moves along, padding too, and the image stays in [0, 1].

    Boxes are drawn anew around the moved instances, and instances that left the image are dropped.

    Raises:
        DataError: The transform changes the size, which all images of a batch share.
    """
    target = sample.target
    instances = None if target is None or not len(target["masks"]) else Mask(target["masks"])
    parts = {
        "image": Image(sample.image),
        "mask": None if sample.mask is None else Mask(sample.mask),
        "zones": None if sample.zones is None else Mask(sample.zones),
        "instances": instances,
        "foreground": None if sample.foreground is None else Mask(sample.foreground),
        "inside": None if sample.frame is None else Mask(inside_frame(sample.frame, sample.image)),
    }
    moved = transform(parts)
    if moved["image"].shape != sample.image.shape:
        size, found = tuple(sample.image.shape[1:]), tuple(moved["image"].shape[1:])
        raise DataError(
            f"Expected data.augment to keep the size {size}, but it made {found}; add a Resize to that size."
        )
    if target is not None and instances is not None:
        target = moved_target(moved["instances"].as_subclass(torch.Tensor), target["labels"])
    return replace(
        sample,
        image=moved["image"].as_subclass(torch.Tensor).clamp(0, 1),
        mask=None if sample.mask is None else moved["mask"].as_subclass(torch.Tensor),
        zones=None if sample.zones is None else moved["zones"].as_subclass(torch.Tensor),
        target=target,
        foreground=None if sample.foreground is None else moved["foreground"].as_subclass(torch.Tensor),
        frame=None if sample.frame is None else frame_around(moved["inside"].as_subclass(torch.Tensor)),
    )


def inside_frame(frame: Part, image_3HW: Tensor) -> Tensor:
    """Tell which pixels show the image and are no padding, (H, W) bool."""
    inside_HW = torch.zeros_like(image_3HW[0], dtype=torch.bool)
    inside_HW[frame.slices] = True
    return inside_HW


def frame_around(inside_HW: Tensor) -> Part:
    """Return the smallest rectangle that holds all that shows the image; an empty one where nothing does."""
    place_K2 = inside_HW.bool().nonzero()
    if not len(place_K2):
        return Part(0, 0, 0, 0)
    return Part(*place_K2.amin(dim=0).tolist(), *(place_K2.amax(dim=0) + 1).tolist())


def moved_target(mask_nHW: Tensor, label_n: Tensor) -> dict[str, Tensor]:
    """Make a target of moved instances: (n, H, W) masks and (n,) labels; those that are no more are dropped."""
    there = mask_nHW.bool().flatten(1).any(dim=1)
    mask_nHW = mask_nHW[there]
    boxes = masks_to_boxes(mask_nHW) + torch.tensor([0.0, 0.0, 1.0, 1.0])  # torchvision's last pixel is inclusive
    return {"boxes": boxes.float().reshape(-1, 4), "labels": label_n[there], "masks": mask_nHW}
