"""Drawn images on disk, in the layout that a data set of real ones would have."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np

from datamodules.progress import track

from .domains import Order, defective_image, find_domain, good_image
from .drawing import DrawingError

if TYPE_CHECKING:
    from pathlib import Path

    from .drawing import Bytes, Drawing

TABLE = "samples.csv"
FOLDERS = ("images", "masks", "zones", "annotations")


@dataclass(frozen=True)
class Row:
    """A line of the table. Paths are relative to its folder, and empty where there is no such file."""

    image_path: str
    mask_path: str
    zones_path: str
    annotation_path: str
    label_index: int
    group: str
    kind: str
    defect: str
    severity: str
    row: str
    col: str


COLUMNS = tuple(Row.__dataclass_fields__)


def is_complete(root: Path) -> bool:
    """Tell whether a data set under ``root`` was written to its end."""
    return (root / TABLE).is_file()


def is_drawn(root: Path) -> bool:
    """Tell whether a folder holds drawn images, by the table beside them."""
    if (root / TABLE).is_file() and (root / FOLDERS[0]).is_dir():
        return _is_table(root / TABLE)
    return False


def is_drawing(root: Path) -> bool:
    """Tell whether a folder holds drawn images, or the beginning of such: nothing but what ``write_dataset`` writes."""
    return {entry.name for entry in root.iterdir()} <= {TABLE, *FOLDERS}


def _is_table(path: Path) -> bool:
    """Tell whether a table is that of drawn images."""
    try:
        with path.open(encoding="utf-8") as lines:
            return lines.readline().strip() == ",".join(COLUMNS)
    except (OSError, UnicodeDecodeError):
        return False


def write_dataset(root: Path, domain: str, size: int, good: int, defective: int, seed: int) -> None:
    """Draw a data set and write it under ``root``.

    ``images/`` holds all images, named by group and place, which say nothing about the label; meta-atoms are named
    ``{array}_{row},{col}.png``, and fill whole arrays where ``good`` to ``defective`` is 16 to 4. ``masks/`` holds a
    mask (255 where the defect is) per defective image, ``zones/`` the zones of fibers, ``annotations/`` the outlines
    of the defects of o-rings. ``samples.csv`` comes last: the data set is complete if and only if it exists.
    A write that was cut short can be repeated, and gives the same bytes; a larger one keeps every earlier image.

    Args:
        root: Where to write; created if missing.
        domain: One of `DOMAINS`.
        size: Height and width of the images in pixels.
        good: Number of good images.
        defective: Number of defective images.
        seed: Decides every image, together with its place.

    Raises:
        DrawingError: If the domain is unknown, a number is out of range, or ``root`` holds something else.
    """
    drawer = find_domain(domain)
    if good < 0 or defective < 0:
        raise DrawingError(f"Expected good and defective to be zero or more, got {good} and {defective}.")
    _clear(root)
    orders = [good_image(domain, seed, number) for number in range(good)]
    orders += [defective_image(domain, seed, number) for number in range(defective)]
    orders.sort(key=lambda order: (order.identity.group, order.identity.slot))
    rows = []
    for order in track(orders, f"drawing {domain} pictures"):
        drawing = drawer.draw(order.identity, size, order.defect, order.severity)
        rows.append(_write_drawing(root, order, drawing))
    _write(root / TABLE, _table(rows))


def _clear(root: Path) -> None:
    if root.is_dir():
        strangers = sorted({entry.name for entry in root.iterdir()} - {TABLE, *FOLDERS})
        if strangers:
            raise DrawingError(
                f"Expected {root} to be empty or a drawn data set, found {strangers[0]!r}; choose another folder."
            )
        (root / TABLE).unlink(missing_ok=True)


def _write_drawing(root: Path, order: Order, drawing: Drawing) -> Row:
    """Write the files of one image, and return its line of the table."""
    place = f"{order.identity.slot + 1}" if drawing.row is None else f"{drawing.row},{drawing.col}"
    stem = f"{drawing.group}_{place}"
    paths = dict.fromkeys(FOLDERS, "")
    paths["images"] = f"images/{stem}.png"
    _write(root / paths["images"], _png(drawing.image))
    if drawing.defect is not None:
        paths["masks"] = f"masks/{stem}.png"
        _write(root / paths["masks"], _png(drawing.mask.astype(np.uint8) * np.uint8(255)))
    if drawing.zones is not None:
        paths["zones"] = f"zones/{stem}.png"
        _write(root / paths["zones"], _png(drawing.zones))
    if drawing.polygons:
        paths["annotations"] = f"annotations/{stem}.json"
        _write(root / paths["annotations"], _annotation(drawing))
    return Row(
        image_path=paths["images"],
        mask_path=paths["masks"],
        zones_path=paths["zones"],
        annotation_path=paths["annotations"],
        label_index=int(drawing.defect is not None),
        group=drawing.group,
        kind=drawing.kind,
        defect=drawing.defect or "",
        severity=f"{drawing.severity:.4f}",
        row="" if drawing.row is None else str(drawing.row),
        col="" if drawing.col is None else str(drawing.col),
    )


def _annotation(drawing: Drawing) -> bytes:
    """Return the outlines in the form in which o-rings are labelled."""
    polygons = [{"points": [{"x": float(x), "y": float(y)} for x, y in polygon]} for polygon in drawing.polygons]
    return json.dumps({"polygons": polygons}).encode()


def _png(image: Bytes) -> bytes:
    pixels = image if image.ndim == 2 else cv2.cvtColor(image, cv2.COLOR_RGB2BGR)
    _, encoded = cv2.imencode(".png", pixels)
    return encoded.tobytes()


def _table(rows: list[Row]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows([getattr(row, column) for column in COLUMNS] for row in rows)
    return text.getvalue().encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file so that it is either whole or absent, even if two processes write it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.write_bytes(content)
    part.replace(path)
