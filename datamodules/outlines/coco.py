"""COCO files: the outlines of many images in one JSON file (Lin et al., "Microsoft COCO", ECCV 2014)."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datamodules.errors import UnreadableImageError
from datamodules.files.names import same_name

from .coco_outlines import Conventions, id_text, parse_annotation
from .names import Parts, common_parts, same_parts, spellings, split_path
from .parsing import Labels, as_number, collect, declared_size, load_json
from .polygons import Mask, Outline, bounding_box

if TYPE_CHECKING:
    from collections.abc import Hashable, Mapping, Sequence

_EXPORT_AGAIN = "export it again: every image needs id and file_name, every annotation image_id and category_id"


class CocoError(UnreadableImageError):
    """A file is COCO, but what it says of its images cannot be trusted."""


@dataclass(frozen=True)
class CocoImage:
    """An image of a COCO file; one that is listed twice is one, with the annotations of both.

    Attributes:
        spelt: Folders and name, as the file has them and as a URL, drives and backslashes of Windows understood.
        entry: All that the file says about it.
        annotations: Those of this image, as loaded.
        conventions: What the whole file says about them.
        path: The COCO file.
    """

    spelt: tuple[Parts, ...]
    entry: dict[str, Any]
    annotations: tuple[Any, ...]
    conventions: Conventions
    path: str

    @property
    def name(self) -> str:
        """Its path as the file has it."""
        return "/".join(self.spelt[-1])

    def labels(self) -> Labels:
        """Parse its outlines; large files hold more than anybody needs at once."""
        size = declared_size(self.entry, "height", "width") or _run_length_size(self.annotations)

        def parse(annotation: Any) -> tuple[Outline, Hashable]:
            return parse_annotation(annotation, self.conventions, size), None

        return replace(collect(self.annotations, parse, f"{self.path}, {self.name}"), size=size)


@dataclass(frozen=True)
class CocoFile:
    """A loaded COCO file.

    Attributes:
        images: In the order of the file.
        by_name: The same by name, whatever its case and Unicode form; some may share it, in other folders.
        problems: Entries that name no image.
    """

    images: Sequence[CocoImage]
    by_name: Mapping[str, Sequence[CocoImage]]
    problems: Sequence[UnreadableImageError]


def is_coco(data: Any) -> bool:
    """Tell whether loaded JSON has the form of a COCO file."""
    if not isinstance(data, dict) or not all(isinstance(data.get(key), list) for key in ("images", "annotations")):
        return False
    others = {"segments_info", "caption"}  # of panoptic files, and of captions
    return not any(isinstance(entry, dict) and others & set(entry) for entry in data["annotations"])


def load_coco(path: str | Path) -> CocoFile | None:
    """Load a COCO file, once as long as it does not change; None if it has another form.

    Raises:
        UnreadableImageError: It is missing, or no JSON.
        CocoError: It lists no image by id and name, gives an id twice, or has annotations that name no image of it.
    """
    try:
        stamp = Path(path).stat().st_mtime_ns
    except OSError:
        stamp = 0
    return _load(str(path), stamp)


def is_coco_file(path: str | Path) -> bool:
    """Tell whether a file is COCO.

    Raises:
        CocoError: It is, but cannot be trusted.
    """
    try:
        return load_coco(path) is not None
    except CocoError:
        raise
    except UnreadableImageError:
        return False


def coco_image(coco: CocoFile, image_path: str | Path) -> CocoImage | None:
    """Find an image by its path: the entry that has the most folders in common with it, from the name upwards."""
    parts = split_path(str(image_path))
    alike = same_parts(parts)

    def closeness(image: CocoImage) -> tuple[int, int, int]:
        ranks = ((common_parts(same_parts(one), alike), common_parts(one, parts), -len(one)) for one in image.spelt)
        return max(ranks)

    return max(coco.by_name.get(alike[-1], ()), key=closeness, default=None)


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
    problems: list[UnreadableImageError] = []
    groups = _entries_by_name(data["images"], path, problems)
    if data["images"] and not groups:
        raise CocoError(path, "is a COCO file that lacks something (no image has id and file_name)",
                                   _EXPORT_AGAIN)  # fmt: skip
    annotations = _annotations_by_image(data["annotations"], _owners(groups, path), path)
    names = _category_names(data.get("categories"), path)
    conventions = Conventions(names, outlined=_any_segmentation(data["annotations"]))
    images = [
        CocoImage(tuple(spellings(entries[0]["file_name"])), _merged(entries, path), tuple(annotations[name]),
                  conventions, path)
        for name, entries in groups.items()
    ]  # fmt: skip
    by_name: dict[str, list[CocoImage]] = defaultdict(list)
    for image in images:
        for name in dict.fromkeys(same_name(parts[-1]) for parts in image.spelt):
            by_name[name].append(image)
    return CocoFile(images, dict(by_name), problems)


def _entries_by_name(
    entries: Sequence[Any], path: str, problems: list[UnreadableImageError]
) -> dict[Parts, list[dict[str, Any]]]:
    """Gather the entries of one file name; name those that lack id or name."""
    groups: dict[Parts, list[dict[str, Any]]] = defaultdict(list)
    for number, entry in enumerate(entries, start=1):
        name = entry.get("file_name") if isinstance(entry, dict) else None
        spelt = spellings(name) if isinstance(name, str) else []
        if spelt and id_text(entry.get("id")) is not None:
            groups[spelt[-1]].append(entry)
            continue
        lacks = f"{name!r}, with no id" if spelt else "with no file_name"
        problems.append(UnreadableImageError(path, f"lists an image, number {number}, {lacks}", _EXPORT_AGAIN))
    return dict(groups)


def _owners(groups: Mapping[Parts, Sequence[dict[str, Any]]], path: str) -> dict[str, Parts]:
    """Map every id, as text, to the name of its image.

    Raises:
        CocoError: Two images share an id.
    """
    owners: dict[str, Parts] = {}
    for name, entries in groups.items():
        for entry in entries:
            text = str(id_text(entry["id"]))
            if owners.setdefault(text, name) != name:
                found = f"gives id {text} to two images, {'/'.join(owners[text])} and {'/'.join(name)}"
                raise CocoError(path, found, "export it again, with an id of its own for every image")
    return owners


def _annotations_by_image(
    annotations: Sequence[Any], owners: Mapping[str, Parts], path: str
) -> Mapping[Parts, list[dict[str, Any]]]:
    """Give every annotation to its image; ids are compared as text.

    Raises:
        CocoError: Some name no image: whose defects they are cannot be known.
    """
    found: dict[Parts, list[dict[str, Any]]] = defaultdict(list)
    strays = []
    for number, annotation in enumerate(annotations, start=1):
        named = id_text(annotation.get("image_id")) if isinstance(annotation, dict) else None
        if named is not None and named in owners:
            found[owners[named]].append(annotation)
        else:
            own = annotation.get("id", number) if isinstance(annotation, dict) else number
            strays.append(f"annotation {own} has image_id {named}" if named else f"annotation {own} has no image_id")
    if strays:
        what = f"has {len(strays)} annotations that name images that are not listed"
        raise CocoError(
            path,
            f"{what} ({', '.join(strays[:2])}{', ...' if len(strays) > 2 else ''}; {len(owners)} ids are listed)",
            "export it again with all of its images, or delete these annotations",
        )
    return found


def _category_names(categories: Any, path: str) -> dict[str, str]:
    """Return the names of categories by their ids.

    Raises:
        CocoError: One id has two names.
    """
    names: dict[str, str] = {}
    for entry in categories if isinstance(categories, list) else []:
        text, name = (id_text(entry.get("id")), str(entry.get("name") or "")) if isinstance(entry, dict) else (None, "")
        if text is not None and names.setdefault(text, name) != name:
            what = f"is a COCO file that calls category {text} both {names[text]!r} and {name!r}"
            raise CocoError(path, what, "export it again, or delete one of both")
    return names


def _any_segmentation(annotations: Sequence[Any]) -> bool:
    return any(isinstance(annotation, dict) and annotation.get("segmentation") for annotation in annotations)


def _merged(entries: Sequence[dict[str, Any]], path: str) -> dict[str, Any]:
    """Merge the entries of one image.

    Raises:
        CocoError: They contradict each other.
    """
    merged: dict[str, Any] = {}
    for entry in entries:
        for key in ("file_name", "height", "width", "label", "verdict", "kind", "group"):
            value = entry.get(key)
            if value is not None and merged.setdefault(key, value) != value:
                found = f"lists {entry['file_name']} twice, with {key} {merged[key]!r} and {value!r}"
                raise CocoError(path, found, "keep one of the two entries")
    return merged


def _run_length_size(annotations: Sequence[dict[str, Any]]) -> tuple[int, int] | None:
    """Return the size, height and width, of the first run lengths: where nothing else says the image's, they do."""
    for annotation in annotations:
        segmentation = annotation.get("segmentation")
        size = segmentation.get("size") if isinstance(segmentation, dict) else None
        if isinstance(size, list) and len(size) == 2 and all(as_number(side) for side in size):
            return int(as_number(size[0]) or 0), int(as_number(size[1]) or 0)
    return None
