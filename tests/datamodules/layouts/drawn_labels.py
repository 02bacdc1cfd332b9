"""What tests of label files share: images and COCO files as drawn, and what was made of them."""

from __future__ import annotations

import json
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from datamodules.base import excluded_table
from datamodules.oring import OringDataModule
from datamodules.samples.dataset import InspectionDataset
from datamodules.table import DEFECTIVE

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

SIZE = 64
RING = [20, 20, 36, 20, 36, 32, 20, 32]
BOX = [20, 20, 16, 12]
PIXELS = 192


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(zlib.crc32(path.as_posix().encode())).integers(0, 90, (SIZE, SIZE), dtype=np.uint8)
    _, encoded = cv2.imencode(".png", values)
    path.write_bytes(encoded.tobytes())
    return path


def put(path: Path, content: Any, encoding: str = "utf-8") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content), encoding=encoding)
    return path


def setup(root: Path, **options: Any) -> OringDataModule:
    """List images and labels; nobody has to look at the images, or divide them."""
    data = OringDataModule(root=str(root), image_size=(SIZE, SIZE), num_workers=0, **options)
    data.samples, problems = data.listing()
    data.excluded = excluded_table(problems)
    return data


def labels(data: OringDataModule) -> dict[str, int]:
    return dict(zip(data.samples["name"], data.samples["label_index"], strict=True))


def pixels(data: OringDataModule) -> dict[str, int]:
    """Return the marked pixels of every image that is defective."""
    rows = data.samples[data.samples["label_index"] == DEFECTIVE].reset_index(drop=True)
    dataset = InspectionDataset(rows, data.reading)
    masks = [dataset[index].mask for index in range(len(rows))]
    return {name: 0 if mask is None else int(mask.sum()) for name, mask in zip(rows["name"], masks, strict=True)}


def coco(names: Sequence[str], bad: Sequence[int], **changes: Any) -> dict[str, Any]:
    """Make a COCO file of images with those names, whose bad ones have the box."""
    images = [{"id": index, "file_name": name, "height": SIZE, "width": SIZE} for index, name in enumerate(names)]
    annotations = [
        {"id": index, "image_id": index, "category_id": 1, "segmentation": [RING], "bbox": BOX, "iscrowd": 0}
        for index in bad
    ]
    return {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "pit"}], **changes}
