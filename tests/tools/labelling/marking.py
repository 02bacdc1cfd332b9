"""Drawn images with marks, and desks that say things of them."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

from datamodules.outlines.polygon_files import to_labelme
from datamodules.outlines.polygons import Outline
from datamodules.outlines.regions import mask_rings
from tools.labelling.entries import Mark
from tools.labelling.gathering import whole_images
from tools.labelling.items import gather, item_of_row, labels_aside

from .conftest import open_desk

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

    from datamodules.base import InspectionDataModule
    from tools.labelling.desk import Desk
    from tools.labelling.masks import Masks

SIZE = (40, 48)


def png(values: npt.NDArray[np.uint8]) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def spot(x: int = 10, y: int = 12) -> npt.NDArray[np.uint8]:
    values = np.zeros(SIZE, np.uint8)
    cv2.circle(values, (x, y), 5, 255, -1)
    return values


def draw(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    values = np.random.default_rng(seed).integers(60, 160, SIZE, np.uint8)
    assert cv2.imwrite(str(path), values)


def desk_of(datamodule: InspectionDataModule, out: Path, *, whole: bool = False) -> Desk:
    """Open a desk over what a datamodule lists."""
    table, _ = datamodule.listing()
    rows = [{str(key): value for key, value in row.items()} for row in table.to_dict("records")]
    aside = labels_aside(vars(datamodule))
    items = [item_of_row(row, str(row["name"]), aside) for row in rows]
    return open_desk(gather(whole_images(items) if whole else items), out)


def say(desk: Desk, masks: Masks, name: str, verdict: str, defect: str = "", mask: Any = None) -> None:
    kept = "" if mask is None else masks.keep(png(mask), mask.shape[:2])
    desk.say(f"{name} {verdict}", "Ada", name, Mark(verdict, defect, kept))


def listed(datamodule: InspectionDataModule) -> dict[str, tuple[int, str, str]]:
    """List label, type and mask of every image again, as the next training would."""
    table, _ = datamodule.listing()
    columns = table[["name", "label_index", "defect", "mask_path"]]
    return {name: (label, defect, mask) for name, label, defect, mask in columns.itertuples(index=False)}


def outlined(path: Path, *marks: tuple[str, npt.NDArray[np.uint8]]) -> None:
    """Write a file of labelme's with an outline of each mark."""
    outlines = [Outline(mask_rings(mask > 0), label) for label, mask in marks]
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(to_labelme(outlines, f"../images/{path.stem}.png", *SIZE)), encoding="utf-8")
