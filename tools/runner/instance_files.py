"""``instances.csv`` and ``instances.json``: what was found on images, one by one, for tables and for COCO's tools."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any

from datamodules.files.csv_text import LINE_END, Rows, guarded
from datamodules.files.whole_files import write_whole

from .instance_rows import COLUMNS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

INSTANCES, COCO = "instances.csv", "instances.json"


def write_instances(
    folder: Path, judged: Iterable[tuple[Mapping[str, Any], tuple[int, int], Sequence[Mapping[str, Any]]]]
) -> int:
    """Write both files; return how many instances they hold.

    Args:
        folder: Of the results.
        judged: Of each: what names it, by the columns that the table begins with; its height and width; its
            instances, as ``instance_row`` gives them, each perhaps with further columns, such as its part.
    """
    rows: list[dict[str, Any]] = []
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    categories: dict[str, int] = {}
    about: list[str] = []
    for named, (height, width), found in judged:
        about = about or [*named]
        images.append(
            {"id": len(images) + 1, "file_name": str(next(iter(named.values()))), "height": height, "width": width}
        )
        for one in found:
            rows.append({**named, **one, "outline": _words(one["outline"])})
            category = categories.setdefault(str(one["class"]), int(one["label"]))
            annotations.append(_annotation(len(annotations) + 1, len(images), category, one))
    extra = ["part"] if any("part" in row for row in rows) else []
    write_whole(folder / INSTANCES, _table(rows, [*(about or ["image"]), *extra, *COLUMNS]).encode())
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [
            {"id": label, "name": name} for name, label in sorted(categories.items(), key=lambda one: one[1])
        ],
    }
    write_whole(folder / COCO, (json.dumps(content) + "\n").encode())
    return len(rows)


def _table(rows: Sequence[Mapping[str, Any]], columns: Sequence[str]) -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(Rows(text), columns, restval="", lineterminator=LINE_END)
    writer.writeheader()
    for row in rows:
        writer.writerow({column: guarded(row[column]) for column in columns if column in row})
    return text.getvalue()


def _annotation(number: int, image: int, category: int, one: Mapping[str, Any]) -> dict[str, Any]:
    """Write an instance as COCO has it; what COCO has no key for stands beside."""
    more = {
        name: one[name] for name in ("score", "area_percent", "tiles", "outline", "instance", "part") if name in one
    }
    return {
        "id": number,
        "image_id": image,
        "category_id": category,
        "bbox": [one["left"], one["top"], one["width"], one["height"]],
        "area": one["area"],
        "iscrowd": 0,
        "segmentation": one["rle"],
        **more,
    }


def _words(outline: Sequence[Sequence[float]]) -> str:
    """Write polygons for a cell: points as x,y with blanks between them, polygons with semicolons."""
    return "; ".join(" ".join(f"{x:g},{y:g}" for x, y in zip(ring[0::2], ring[1::2], strict=True)) for ring in outline)
