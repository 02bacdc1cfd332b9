"""Tiles of outlined images as entries of a COCO file, and counts of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from datamodules.outlines.coco import coco_annotation
from datamodules.outlines.instances import is_part
from datamodules.outlines.polygons import clip, fill
from datamodules.table import LABEL_NAMES, UNKNOWN

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from datamodules.errors import UnreadableImageError
    from datamodules.outlines.polygons import Outline

    from .tiling import Tile

PREPARED_BY = "loupe prepare oring"


class CutImage(NamedTuple):
    """An image to cut."""

    image_path: str
    annotation_path: str
    stem: str
    label_index: int
    split: str
    group: str
    kind: str


class TileEntry(NamedTuple):
    """A tile that was written.

    Attributes:
        image: Its entry in the COCO file, without id.
        outlines: Label and COCO annotation, without the ids that only the whole set decides.
    """

    image: dict[str, Any]
    outlines: list[tuple[str, dict[str, Any]]]


class Cut(NamedTuple):
    """What became of an image: its tiles, how many were background alone, and what was wrong."""

    tiles: list[TileEntry]
    empty: int
    problems: list[UnreadableImageError]


def tile_entry(source: CutImage, tile: Tile, outlines: Sequence[Outline], parts: Collection[str]) -> TileEntry:
    """Describe a tile, with the outlines that reach into it, clipped to it; those of ``parts`` are not defects."""
    found, defective = [], False
    for outline in outlines:
        clipped = clip(outline.moved(-tile.x, -tile.y), tile.width, tile.height)
        if clipped is None:
            continue
        annotation = coco_annotation(clipped, fill(clipped.rings, tile.height, tile.width))
        if annotation is not None:
            found.append((outline.label or "defect", annotation))
            defective |= not is_part(outline, parts)
    label = "unknown" if source.label_index == UNKNOWN else "defective" if defective else "good"
    image = {
        "file_name": f"{source.stem}_y{tile.y:04}_x{tile.x:04}.png",
        "width": tile.width,
        "height": tile.height,
        "label": label,
        "kind": source.kind,
        "group": source.group,
        "x": tile.x,
        "y": tile.y,
    }
    return TileEntry(image, found)


def coco_file(tiles: Sequence[TileEntry], categories: Sequence[str]) -> dict[str, Any]:
    """Put tiles together to a COCO file; every id counts from 1."""
    category_id = {name: number for number, name in enumerate(categories, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    for image_id, tile in enumerate(tiles, start=1):
        images.append({"id": image_id, **tile.image})
        for label, annotation in tile.outlines:
            ids = {"id": len(annotations) + 1, "image_id": image_id, "category_id": category_id[label]}
            annotations.append({**ids, **annotation})
    return {
        "info": {"description": PREPARED_BY},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in category_id.items()],
    }


def summarise(pairs: Sequence[tuple[CutImage, Cut]]) -> dict[str, int]:
    """Count what a split or kind holds."""
    tiles = [tile for _, cut in pairs for tile in cut.tiles]
    return {
        "parts": len({image.group for image, _ in pairs}),
        "pictures": len(pairs),
        "tiles": len(tiles),
        **{f"{name}_tiles": sum(tile.image["label"] == name for tile in tiles) for name in LABEL_NAMES.values()},
        "background_tiles_left_out": sum(cut.empty for _, cut in pairs),
        "outlines": sum(len(tile.outlines) for tile in tiles),
    }
