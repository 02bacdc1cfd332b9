"""What names say of masks: which folders hold them, and which part of a file's name only says that it is one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from datamodules.files.names import bare_name, same_name

if TYPE_CHECKING:
    from collections.abc import Sequence

# Folders that hold masks by the layouts and tools that people use; compared without case, spaces, - and _.
_FOLDERS = {
    "annotation",
    "annotations",
    "defectmask",
    "defectmasks",
    "groundtruth",
    "groundtruths",
    "gt",
    "gts",
    "label",
    "labelmask",
    "labelmasks",
    "labels",
    "lbl",
    "lbls",
    "mask",
    "maskimages",
    "masks",
    "seg",
    "segmask",
    "segmasks",
    "segmentation",
    "segmentationclass",
    "segmentationmask",
    "segmentationmasks",
    "segmentationobject",
    "segmentations",
}
_MASK_WORDS = {
    *("annotation", "annotations", "groundtruth", "groundtruths", "gt", "gts", "label", "labels", "mask", "masks"),
    *("lbl", "lbls", "msk", "seg", "segmentation", "segmentations", "truth"),
}
# Words beside those that only say of what kind masks are, or where they belong.
_QUALIFIERS = {
    *("all", "binary", "class", "dir", "dirs", "file", "files", "folder", "gray", "grey", "ground", "image", "images"),
    *("img", "imgs", "jpg", "level", "map", "maps", "object", "pixel", "pixels", "png", "raw", "test", "tif", "train"),
    *("training", "val", "valid", "validation", "wise"),
}

_WORD = (
    r"(?:defect[-_ ]?|binary[-_ ]?|color[-_ ]?)?"
    r"(?:ground[-_ ]?truth|truth|gt|label(?:s|ids)?|lbl|masks?|msk|seg(?:mentation)?s?|annot?(?:ation)?s?|bw|binary)"
)
_BEHIND = re.compile(rf"^(?P<stem>.+?)[-_. ]{_WORD}(?:[-_. (]*(?P<number>\d+)\)?)?$", re.IGNORECASE)
_BEFORE = re.compile(rf"^{_WORD}[-_. ](?P<stem>.+)$", re.IGNORECASE)
_JOINED = re.compile(r"^(?P<stem>.+?)(?:groundtruth|gt|labels?|masks?|msk|seg)(?P<number>\d+)?$", re.IGNORECASE)
_JOINED_BEFORE = re.compile(r"^(?:groundtruth|gt|labels?|masks?|msk|seg)(?P<stem>.+)$", re.IGNORECASE)
_IMAGE_BEHIND = re.compile(r"^(?P<stem>.+?)[-_. ](?:image|img|rgb|photo|orig(?:inal)?|raw)$", re.IGNORECASE)
_IMAGE_BEFORE = re.compile(r"^(?:image|img|rgb|photo|orig(?:inal)?|raw)[-_. ](?P<stem>.+)$", re.IGNORECASE)


def is_mask_folder(name: str) -> bool:
    """Tell whether a folder of this name holds masks."""
    words = {word for word in re.split(r"[\s_.\-]+", same_name(name)) if word}
    return bare_name(name) in _FOLDERS or bool(words & _MASK_WORDS and words <= _MASK_WORDS | _QUALIFIERS)


def masks_of(name: str) -> str:
    """Return what a folder holds masks of: ``scratch`` of ``scratch_masks``; the name itself where it says nothing."""
    stem = mask_stem(name)
    return name if stem is None else stem[0]


def in_mask_folder(folders: Sequence[str]) -> bool:
    """Tell whether one of the folders above a file holds masks."""
    return any(map(is_mask_folder, folders))


def mask_stem(stem: str) -> tuple[str, bool] | None:
    """Return the stem of a mask's image, and whether the mask is one of several; None where the name says neither.

    ``000_mask``, ``000-GT``, ``000.seg``, ``mask_000`` and ``000_label_2`` all mark the image ``000``; the last of them
    is one of several.
    """
    if match := _BEHIND.match(stem):
        return match["stem"], match["number"] is not None
    if match := _BEFORE.match(stem):
        return match["stem"], False
    return None


def joined_stem(stem: str) -> tuple[str, bool] | None:
    """Return what ``mask_stem`` does, where nothing stands between the words: ``000mask``, ``000GT2``, ``mask000``.

    That is likely only where there is an image of that stem.
    """
    if match := _JOINED.match(stem):
        return match["stem"], match["number"] is not None
    if match := _JOINED_BEFORE.match(stem):
        return match["stem"], False
    return None


def image_stem(stem: str) -> str | None:
    """Return the stem that an image shares with its mask: ``000`` of ``000_image`` or ``img_000``; None of others."""
    match = _IMAGE_BEHIND.match(stem) or _IMAGE_BEFORE.match(stem)
    return None if match is None else match["stem"]
