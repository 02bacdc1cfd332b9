"""Labels and masks in the forms of other tools: a COCO file, and labelme's files.

Letters: H and W height and width in pixels.
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from datamodules.files.boxes import parse_box
from datamodules.files.images import read_image
from datamodules.files.whole_files import write_whole
from datamodules.outlines.coco import coco_annotation
from datamodules.outlines.polygon_files import to_labelme
from datamodules.outlines.polygons import Outline
from datamodules.outlines.regions import mask_rings

from .entries import DEFECTIVE
from .labels_file import OPEN, labels_of, word_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import numpy.typing as npt

    from .desk import Desk
    from .items import Item
    from .masks import Masks
    from .replay import Label

COCO, LABELME = "coco", "labelme"  # folders of their own: data=oring reads them as they lie
UNTYPED = "defect"


def write_coco(desk: Desk, masks: Masks, folder: Path) -> Path:
    """Write ``coco/coco.json``: every labelled image, and an annotation for each region of its mask.

    ``verdict`` says what each image is called, and ``label`` the same for those who take an image that is called
    defective without any annotation for a mistake: that nobody knows. Readers of neither take it for good.
    """
    path = folder / COCO / f"{COCO}.json"
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    names: dict[str, int] = {}
    for number, (name, label) in enumerate(labels_of(desk).items(), start=1):
        item = desk.item(name)
        height, width = size_of(item)
        file = os.path.relpath(item.path.resolve(), path.parent.resolve())
        outlines, word = outlines_of(label, masks), word_of(label)
        read_as = OPEN if word == DEFECTIVE and not outlines else word
        images.append({"id": number, "file_name": file, "height": height, "width": width})
        images[-1] |= {"verdict": word, "label": read_as}
        images[-1] |= {key: value for key, value in (("kind", item.kind), ("group", item.group)) if value}
        for outline, region_HW in outlines:
            entry = coco_annotation(outline, region_HW)
            if entry is not None:
                category = names.setdefault(outline.label, len(names) + 1)
                annotations.append({"id": len(annotations) + 1, "image_id": number, "category_id": category, **entry})
    categories = [{"id": number, "name": name} for name, number in names.items()]
    content = {"images": images, "annotations": annotations, "categories": categories}
    write_whole(path, (json.dumps(content, ensure_ascii=False) + "\n").encode(), durable=True)
    return path


def write_labelme(desk: Desk, masks: Masks, folder: Path) -> Path:
    """Write a file of labelme's for every labelled image, below ``labelme/``; the flag that is set is the verdict."""
    for number, (name, label) in enumerate(labels_of(desk).items(), start=1):
        item = desk.item(name)
        path = folder / LABELME / f"{number:05}_{item.path.stem}.json"
        write_whole(path, labelme_text(item, label, masks, path.parent).encode())
    return folder / LABELME


def labelme_text(
    item: Item, label: Label, masks: Masks, folder: Path, *, flagged: bool = True, beside: Sequence[Outline] = ()
) -> str:
    """Write the labels of an image in labelme's form, for a file in ``folder``.

    Args:
        item: The image.
        label: What it counts as.
        masks: That were drawn.
        folder: Where the file will lie.
        flagged: With its verdict.
        beside: Outlines that mark no defect, and stay.
    """
    outlines = [*beside, *(outline for outline, _ in outlines_of(label, masks))]
    file = os.path.relpath(item.path.resolve(), folder.resolve())
    content = to_labelme(outlines, file, *size_of(item)) | {"flags": {word_of(label): True} if flagged else {}}
    return json.dumps(content, ensure_ascii=False) + "\n"


def outlines_of(label: Label, masks: Masks) -> list[tuple[Outline, npt.NDArray[np.bool_]]]:
    """Outline the regions of a mask, each with its own pixels; none of an image that is not called defective."""
    if word_of(label) != DEFECTIVE or not label.mark.mask:
        return []
    mask_HW = masks.read(label.mark.mask)
    count, region_HW = cv2.connectedComponents(mask_HW.astype(np.uint8), connectivity=8)
    regions = [np.asarray(region_HW == number) for number in range(1, count)]
    return [(Outline(mask_rings(region), label.mark.type or UNTYPED), region) for region in regions]


def size_of(item: Item) -> tuple[int, int]:
    """Return height and width of what is labelled, in pixels."""
    if item.box:
        box = parse_box(item.box)
        return box.height, box.width
    height, width = read_image(item.path).shape[:2]
    return height, width
