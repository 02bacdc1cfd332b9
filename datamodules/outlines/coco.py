"""COCO files: the outlines of many pictures in one JSON file (Lin et al., "Microsoft COCO", ECCV 2014)."""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from datamodules.errors import UnreadableImageError

from .polygon_files import Labels, OutlineError, collect, declared_size, load_json, parse_ring
from .polygons import Mask, Outline, bounding_box

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence


@dataclass(frozen=True)
class CocoPicture:
    """A picture of a COCO file.

    Attributes:
        parts: Folders and name, as the file has them, drives and backslashes of Windows understood.
        entry: All that the file says about it.
        labels: Its outlines.
    """

    parts: tuple[str, ...]
    entry: dict[str, Any]
    labels: Labels


CocoFile: TypeAlias = "Mapping[str, Sequence[CocoPicture]]"  # pictures by name: some may share it, in other folders


def is_coco(data: Any) -> bool:
    """Tell whether loaded JSON has the form of a COCO file."""
    return isinstance(data, dict) and all(isinstance(data.get(key), list) for key in ("images", "annotations"))


def load_coco(path: str | Path) -> CocoFile | None:
    """Load a COCO file, once as long as it does not change; None if it has another form.

    Raises:
        UnreadableImageError: It is missing, no JSON, or its pictures have no id or name.
    """
    try:
        stamp = Path(path).stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _load(str(path), stamp)


def coco_picture(coco: CocoFile, image_path: str | Path) -> CocoPicture | None:
    """Find a picture by its path: the entry that has the most folders in common with it, from the name upwards."""
    parts = split_path(str(image_path))
    return max(coco.get(parts[-1], ()), key=lambda picture: _common(picture.parts, parts), default=None)


def split_path(path: str) -> tuple[str, ...]:
    """Split a path of any system to its folders and name, without drive, root, ``.`` and ``..``."""
    parts = re.split(r"[\\/]+", path)
    return tuple(part for part in parts if part not in {"", ".", ".."} and not part.endswith(":"))


def coco_annotation(outline: Outline, mask: Mask) -> dict[str, Any] | None:
    """Make the entry of one outline, ids aside, with the area and box of its mask; None where it covers no pixel."""
    box = bounding_box(mask)
    if box is None:
        return None
    return {
        "segmentation": [ring.ravel().tolist() for ring in outline.rings],
        "area": int(mask.sum()),
        "bbox": [box.x1, box.y1, box.x2 - box.x1, box.y2 - box.y1],
        "iscrowd": 0,
    }


@lru_cache(maxsize=16)
def _load(path: str, stamp: int) -> CocoFile | None:
    del stamp  # part of the cache's key: a file that changed is read again
    data = load_json(path)
    if not is_coco(data):
        return None
    try:
        names = {entry["id"]: str(entry.get("name") or "") for entry in data.get("categories", [])}
        annotations: dict[Hashable, list[Any]] = defaultdict(list)
        for annotation in data["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
        by_name = defaultdict(list)
        for entry in data["images"]:
            picture = _picture(entry, annotations[entry["id"]], names, path)
            by_name[picture.parts[-1]].append(picture)
    except (AttributeError, IndexError, KeyError, TypeError) as error:
        remedy = "export it again: every picture needs id and file_name, every annotation image_id and category_id"
        raise UnreadableImageError(path, f"is a COCO file that lacks something ({error!r})", remedy) from error
    return dict(by_name)


def _picture(
    entry: dict[str, Any], annotations: Sequence[Any], names: Mapping[Hashable, str], path: str
) -> CocoPicture:
    def parse(annotation: Any) -> tuple[Outline, Hashable]:
        return _outline(annotation, names), None

    parts = split_path(entry["file_name"])
    found = collect(annotations, parse, f"{path}, {'/'.join(parts)}")
    return CocoPicture(parts, entry, Labels(found.outlines, found.problems, declared_size(entry, "height", "width")))


def _outline(annotation: dict[str, Any], names: Mapping[Hashable, str]) -> Outline:
    rings = annotation.get("segmentation")
    if isinstance(rings, dict):
        raise OutlineError("that is run-length encoded, where polygons are expected")
    if not rings:
        raise OutlineError("without a segmentation")
    pairs = [list(zip(ring[::2], ring[1::2], strict=False)) for ring in rings]
    return Outline(tuple(parse_ring(points) for points in pairs), names.get(annotation["category_id"], ""))


def _common(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the parts that two paths share, from their ends."""
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
