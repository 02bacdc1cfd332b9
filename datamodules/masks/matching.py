"""Whose mask is whose: by the same name, by a name that says so, by a folder of its own, or by the stem alone.

A mask is given to an image by the first of these rules that finds one; what then is unclear is refused, with all names.
"""

from __future__ import annotations

import os
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError
from datamodules.files.names import is_image_folder, same_name
from datamodules.files.suffixes import SUFFIXES

from .naming import image_stem, is_mask_folder, joined_stem, mask_stem, masks_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from pathlib import Path, PurePosixPath

JOIN = " | "  # between the files of one image's mask, in the column mask_path
SHOWN = 2  # names in a sentence

Key = tuple[str, ...]


@dataclass
class Matched:
    """What was found out about masks.

    Attributes:
        masks: Files of the mask of every image that has one, in order.
        refused: Images that cannot be used, since more than one mask claims to be theirs, or one mask claims more.
        strays: Masks that belong to no image.
    """

    masks: dict[Path, list[Path]] = field(default_factory=dict)
    refused: list[UnreadableImageError] = field(default_factory=list)
    strays: list[Path] = field(default_factory=list)

    def text(self, image: Path) -> str:
        """Return the mask of an image as the column ``mask_path`` says it; empty where there is none."""
        return join_mask(self.masks.get(image, []))

    def problems(self) -> list[UnreadableImageError]:
        """Name the images that were refused, and the masks that were not used."""
        remedy = "name it as its image, or move it away"
        named = [UnreadableImageError(path, "is a mask that belongs to no image", remedy) for path in self.strays]
        return [*self.refused, *named]


def join_mask(paths: Iterable[Path]) -> str:
    """Return what the column ``mask_path`` holds of the files of a mask: bars of their own names are doubled."""
    return JOIN.join(str(path).replace("|", "||") for path in paths)


def split_mask(text: str) -> list[str]:
    """Return the files of a mask from the column ``mask_path``."""
    return [part.replace("||", "|") for part in text.split(JOIN) if part]


def match_masks(images: Mapping[Path, PurePosixPath], masks: Mapping[Path, PurePosixPath]) -> Matched:
    """Give every mask to its image.

    Args:
        images: Images that may have a mask, with their paths below the root.
        masks: Masks, likewise.
    """
    places = {path: _place(relative) for path, relative in images.items()}
    claims: dict[Path, list[tuple[Path, bool]]] = defaultdict(list)
    matched = Matched()
    left = dict(masks)
    contested: dict[Path, list[Path]] = {}
    for rule in _RULES:
        index = _index(places, rule.of_image)
        for path, relative in list(left.items()):
            found = _candidates(index, rule.of_mask(_place(relative)))
            if not found:
                continue
            del left[path]
            if len(found) == 1:
                claims[found[0]].append((path, rule.one_of_several(relative)))
            else:
                contested[path] = found
    matched.strays = sorted(left)
    _settle(claims, contested, matched)
    return matched


@dataclass(frozen=True)
class _Rule:
    """One way to tell: a mask belongs to the image with which it shares a key.

    Attributes:
        of_image: The keys of an image, from the folders and the stem of its place.
        of_mask: The keys of a mask, the likeliest first.
        one_of_several: Whether a mask that is found so may be one of several of its image.
    """

    of_image: Callable[[Key], Sequence[Key]]
    of_mask: Callable[[Key], Sequence[Key]]
    one_of_several: Callable[[PurePosixPath], bool]


def _place(relative: PurePosixPath) -> Key:
    """Return folders and stem, without the folders that only say what is in them."""
    folders = [part for part in relative.parts[:-1] if not is_mask_folder(part) and not is_image_folder(part)]
    return (*folders, relative.stem)


def _exactly(key: Key) -> Sequence[Key]:
    return [key]


def _alike(key: Key) -> Sequence[Key]:
    return [tuple(map(same_name, key))]


def _below_first(key: Key) -> Sequence[Key]:
    """Leave the first folder aside: masks of MVTec AD do not say of which split they are."""
    return _alike(key[1:]) if len(key) > 1 else []


def _above(key: Key) -> Sequence[Key]:
    """Leave out any number of the last folders: masks may lie above the classes."""
    folders, stem = key[:-1], key[-1]
    return [keys for count in range(len(folders)) for keys in _alike((*folders[:count], stem))]


def _by_suffix(key: Key) -> Sequence[Key]:
    stem = mask_stem(key[-1])
    return [] if stem is None else _alike((*key[:-1], stem[0]))


def _by_image_suffix(key: Key) -> Sequence[Key]:
    """Take ``000.jpg.png`` for the mask of ``000.jpg``."""
    bare, suffix = os.path.splitext(key[-1])  # noqa: PTH122 - a stem
    return _alike((*key[:-1], bare)) if suffix.lower() in SUFFIXES else []


def _joined(key: Key) -> Sequence[Key]:
    stem = joined_stem(key[-1])
    return [] if stem is None else _alike((*key[:-1], stem[0]))


def _bare_image(key: Key) -> Sequence[Key]:
    """Leave out what says that an image is one: ``000_image``, ``img_000``."""
    stem = image_stem(key[-1])
    return [] if stem is None else _alike((*key[:-1], stem))


def _by_folder_that_says_so(key: Key) -> Sequence[Key]:
    """Take the folder ``000_mask`` for the stem of its image."""
    return _by_suffix(key[:-1]) if len(key) > 1 else []


def _by_either(key: Key) -> Sequence[Key]:
    return [*_alike(key), *_by_suffix(key)]


def _by_folder(key: Key) -> Sequence[Key]:
    """Take the folder of a mask for the stem of its image."""
    return _alike(key[:-1]) if len(key) > 1 else []


def _of_class(key: Key) -> Sequence[Key]:
    """Take ``scratch_masks`` for what holds the masks of ``scratch``."""
    return _by_either((*map(masks_of, key[:-1]), key[-1]))


def _numbered(relative: PurePosixPath) -> bool:
    stem = mask_stem(relative.stem)
    return stem is not None and stem[1]


def _joined_number(relative: PurePosixPath) -> bool:
    stem = joined_stem(relative.stem)
    return stem is not None and stem[1]


def _never(relative: PurePosixPath) -> bool:
    del relative
    return False


def _always(relative: PurePosixPath) -> bool:
    del relative
    return True


_RULES = (
    _Rule(_exactly, _exactly, _never),  # the same path and stem
    _Rule(_alike, _alike, _never),  # the same but for case or Unicode form
    _Rule(_alike, _by_suffix, _numbered),  # 000_GT.png, mask_000.png, 000_mask_2.png
    _Rule(_alike, _by_folder, _always),  # a folder per image
    _Rule(_below_first, _by_either, _numbered),  # ground_truth/scratch for test/scratch, as in MVTec AD
    _Rule(_below_first, _by_folder, _always),  # ground_truth/logical_anomalies/000/, as in MVTec LOCO
    _Rule(_above, _by_either, _numbered),  # masks/000.png, whatever the class
    _Rule(_above, _by_folder, _always),
    _Rule(_alike, _of_class, _numbered),  # scratch_masks/000.png
    _Rule(_below_first, _of_class, _numbered),
    _Rule(_alike, _by_image_suffix, _never),  # 000.jpg.png
    _Rule(_alike, _joined, _joined_number),  # 000mask.png
    _Rule(_above, _joined, _joined_number),
    _Rule(_alike, _by_folder_that_says_so, _always),  # 000_mask/1.png
    _Rule(_below_first, _by_folder_that_says_so, _always),
    _Rule(_bare_image, _by_either, _numbered),  # 000_mask.png of 000_image.png
)


def _index(places: Mapping[Path, Key], keys_of: Callable[[Key], Sequence[Key]]) -> dict[Key, list[Path]]:
    index: dict[Key, list[Path]] = defaultdict(list)
    for path, place in places.items():
        for key in keys_of(place):
            index[key].append(path)
    return index


def _candidates(index: Mapping[Key, list[Path]], keys: Sequence[Key]) -> list[Path]:
    return next((index[key] for key in keys if key in index), [])


def _settle(
    claims: Mapping[Path, list[tuple[Path, bool]]], contested: Mapping[Path, list[Path]], matched: Matched
) -> None:
    """Use what is clear; refuse images that several masks claim, and those that one mask claims together."""
    for mask, found in sorted(contested.items()):
        parts = 1 if len({path.name for path in found}) > 1 else 2
        names = ", ".join("/".join(path.parts[-parts:]) for path in found[:SHOWN])
        for path in found:
            what = f"shares the mask {mask.name} with {len(found) - 1} more of its name ({names})"
            matched.refused.append(UnreadableImageError(path, what, "give each image a mask of its own name"))
    shared = {path for found in contested.values() for path in found}
    for image, masks in sorted(claims.items()):
        if image in shared:
            continue
        files = sorted(path for path, _ in masks)
        if len(files) > 1 and not all(several for _, several in masks):
            names = " and ".join("/".join(path.parts[-3:]) for path in files[:SHOWN])
            what = f"has {len(files)} masks that claim to be its own: {names}"
            matched.refused.append(UnreadableImageError(image, what, "keep one, or number them _mask_1, _mask_2"))
        else:
            matched.masks[image] = files
