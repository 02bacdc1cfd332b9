"""What travels from the loaders through a model to the callbacks: anomalib's image batch, with what inspection adds.

Letters: N images of a batch, H and W height and width.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import torch
from anomalib.data.dataclasses.torch.image import ImageBatch
from torchvision.tv_tensors import Image, Mask

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor

    from datamodules.files.fitting import Part


@dataclass(frozen=True)
class Sample:
    """One image on its way into a batch.

    Attributes:
        image: (3, H, W) float32 in [0, 1].
        name: Its stable name in the sample table.
        image_path: The file it came from.
        label_index: 0 good, 1 defective, -1 unknown.
        mask: (H, W) bool, True on defects; None where nobody marked them.
        zones: (H, W) uint8 zone ids, or None.
        group: What a split must not cut.
        kind: Its sub-population.
        target: Boxes, labels and masks for instance models, or None.
        part: Measures of the part that it shows, by name, for rules of acceptance; None where nobody measured it.
        frame: Where the image lies in the tensor, which is padded elsewhere; None where it fills it.
        foreground: (H, W) bool, True on the part, where nothing about it is to count; None: all of the image counts.
    """

    image: Tensor
    name: str
    image_path: str
    label_index: int
    mask: Tensor | None = None
    zones: Tensor | None = None
    group: str = ""
    kind: str = ""
    target: dict[str, Tensor] | None = None
    part: Mapping[str, float | None] | None = None
    frame: Part | None = None
    foreground: Tensor | None = None


@dataclass
class InspectionBatch(ImageBatch):
    """anomalib's ``ImageBatch``, extended.

    Attributes:
        name: N stable names.
        label_index: (N,) int64: 0 good, 1 defective, -1 unknown; anomalib's ``gt_label`` is True where it is 1.
        has_mask: (N,) bool: the truth is known for every pixel (good images need no mask); where it is False,
            ``gt_mask`` is empty but says nothing.
        group: N group names.
        kind: N names of sub-populations.
        zones: (N, H, W) uint8 zone ids, 0 where nobody gave any; None where no image of the batch has zones.
        target: N dictionaries for instance models, None where nobody knows an image's instances; or None.
        part: N dictionaries with measures of the part, None where nobody measured it; or None.
        frame: N rectangles where images lie in their tensors, which are padded elsewhere, None where one fills it; or
            None, where no image is padded.
        foreground: (N, H, W) bool, True on parts, where nothing about them is to count; or None: all of all images.
        detections: N lists of what an instance model found, or None.
        classes: Names of the labels of detections, from label 1, empty where one is not a defect; none where the model
            tells no types.
        pred_type: N names: the type that the model tells of each image that it calls defective; empty for all others.
    """

    if TYPE_CHECKING:
        # anomalib declares every field optional; here the loader fills the first four, and a model's step the rest.
        image: Any = None
        image_path: Any = None
        gt_label: Any = None
        gt_mask: Any = None
        pred_score: Any = None
        pred_label: Any = None
        anomaly_map: Any = None
        pred_mask: Any = None

    # No descriptors here, unlike anomalib's own fields: these are checked once, where they are made.
    name: Any = None
    label_index: Any = None
    has_mask: Any = None
    group: Any = None
    kind: Any = None
    zones: Any = None
    target: Any = None
    part: Any = None
    frame: Any = None
    foreground: Any = None
    detections: Any = None
    classes: tuple[str, ...] = ()
    pred_type: Any = None

    def __len__(self) -> int:
        """Count the images."""
        return len(self.name)

    @property
    def inside(self) -> Tensor | None:
        """Which pixels (N, H, W) count: those of parts, and no padding; None where all do."""
        inside_NHW: Tensor | None = self.unpadded
        foreground_NHW: Tensor | None = self.foreground
        if inside_NHW is None or foreground_NHW is None:
            return foreground_NHW if inside_NHW is None else inside_NHW
        return inside_NHW & foreground_NHW

    @property
    def unpadded(self) -> Tensor | None:
        """Which pixels (N, H, W) show an image and are not padding, beside the maps; None where all do."""
        if self.frame is None:
            return None
        inside_NHW = torch.ones_like(self.image[:, 0], dtype=torch.bool)
        for inside_HW, frame in zip(inside_NHW, self.frame, strict=True):
            if frame is not None:
                inside_HW.fill_(value=False)
                inside_HW[frame.slices] = True
        return inside_NHW

    def to(self, device: torch.device | str, *, non_blocking: bool = False) -> InspectionBatch:
        """Move every tensor to ``device``; Lightning and the loaders call this."""
        return self._map(lambda tensor: tensor.to(device, non_blocking=non_blocking))

    def pin_memory(self) -> InspectionBatch:
        """Pin every tensor, so that a copy to the GPU need not wait; the loaders call this."""
        return self._map(lambda tensor: tensor.pin_memory())

    def _map(self, change: Callable[[Tensor], Tensor]) -> InspectionBatch:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return InspectionBatch(**{name: _map_tensors(value, change) for name, value in values.items()})


def collate(samples: Sequence[Sample]) -> InspectionBatch:
    """Stack images of equal size to a batch; labels and masks may be known for some and not for others."""
    height, width = samples[0].image.shape[-2:]
    empty = torch.zeros(height, width, dtype=torch.bool)
    label_index_N = torch.tensor([sample.label_index for sample in samples])
    nowhere = torch.zeros(height, width, dtype=torch.uint8)
    zones = [nowhere if sample.zones is None else sample.zones for sample in samples]
    targets = [sample.target for sample in samples]
    parts = [sample.part for sample in samples]
    frames = [sample.frame for sample in samples]
    everywhere = torch.ones(height, width, dtype=torch.bool)
    parts_seen = [everywhere if sample.foreground is None else sample.foreground for sample in samples]
    return InspectionBatch(
        image=Image(torch.stack([sample.image for sample in samples])),
        image_path=[sample.image_path for sample in samples],
        gt_label=label_index_N == 1,
        gt_mask=Mask(torch.stack([empty if sample.mask is None else sample.mask for sample in samples])),
        name=[sample.name for sample in samples],
        label_index=label_index_N,
        has_mask=torch.tensor([sample.mask is not None or sample.label_index == 0 for sample in samples]),
        group=[sample.group for sample in samples],
        kind=[sample.kind for sample in samples],
        zones=torch.stack(zones) if any(sample.zones is not None for sample in samples) else None,
        target=targets if any(target is not None for target in targets) else None,
        part=parts if any(part is not None for part in parts) else None,
        frame=frames if any(frame is not None for frame in frames) else None,
        foreground=torch.stack(parts_seen) if any(sample.foreground is not None for sample in samples) else None,
    )


def _map_tensors(value: Any, change: Callable[[Tensor], Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, list):
        return [_map_tensors(entry, change) for entry in value]
    if isinstance(value, dict):
        return {key: _map_tensors(entry, change) for key, entry in value.items()}
    return value
