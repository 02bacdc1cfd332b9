"""Masks from files to marks: all of them, or none and the reason. A half-read label is not a label.

Letters: H and W height and width in pixels.
"""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from datamodules.errors import UnreadableImageError
from datamodules.files.images import decode_image, read_bytes
from datamodules.files.regular_files import open_regular

from .matching import split_mask

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

Values = npt.NDArray[Any]
Marks = npt.NDArray[np.bool_]

NOISE = 8  # of 255: what JPEG adds to black
LABELS = 32  # values of a mask at most that was saved without loss, and numbers its classes or objects
VOID = 255  # marks borders that nobody decided on in PASCAL VOC and what follows it
MOST_CLASSES = 64  # the largest number of a class
SHOWN = 6  # values in a message
_GROUND = 0.5  # of a mask, and the most common colour of its border: what is around the marks


def read_mask(path: str | Path, mask_on: int = 127, void: Sequence[int] | None = None) -> Marks:
    """Read a mask (H, W): True where a stored value is above ``mask_on`` and none of ``void``.

    Of colours the brightest channel counts; of a palette in colour, the numbers of its entries; of an image whose
    colours are all one, its alpha channel. Several files, as the column ``mask_path`` joins them, are united.

    Args:
        path: Of a file; or text of the column.
        mask_on: A pixel is marked above this value. Where ``void`` is named and all other values number classes, none
            of them above ``mask_on``, every one of them is a mark.
        void: Values that mark nothing: borders that nobody decided on; None: nobody said whether there are any.

    Raises:
        UnreadableImageError: As ``read_image``; or some or all marks are not above ``mask_on``, which would silently
            turn a defect, or a part of it, into a good place; or 255 beside numbers of classes may be such a border;
            or the files differ in size.
    """
    marks: Marks | None = None
    for name in split_mask(path) if isinstance(path, str) else [str(path)]:
        found = _read(name, mask_on, void)
        if marks is not None and found.shape != marks.shape:
            sizes = f"{found.shape[1]}x{found.shape[0]} and {marks.shape[1]}x{marks.shape[0]} pixels"
            raise UnreadableImageError(name, f"is one of several masks of one image, of {sizes}", "export them again")
        marks = found if marks is None else marks | found
    if marks is None:
        raise UnreadableImageError(path, "is not the name of a mask", "name a file")
    return marks


def _read(path: str, mask_on: int, void: Sequence[int] | None) -> Marks:
    values = mask_values(path)
    known = values if not void else np.where(np.isin(values, list(void)), 0, values).astype(values.dtype)
    top = known.max()
    if void and 0 < top <= mask_on and is_label_map(known):
        return np.asarray(known > 0)
    marks: Marks = known > mask_on
    if not marks.any() and top > 0:
        raise UnreadableImageError(
            path,
            f"has marks of value {top} at most, none above data.mask_on={mask_on}",
            f"set data.mask_on below {top}, for example data.mask_on=0",
        )
    check_whole(path, known, mask_on)
    if void is None:
        _ask_for_void(path, values)
    return marks


def _ask_for_void(path: str, values: Values) -> None:
    """Ask whether 255 is a class, where it stands beside the numbers of others (Everingham et al. 2010: PASCAL VOC)."""
    present = np.unique(values)
    classes = present[(present > 0) & (present < VOID)]
    if VOID in present and len(classes) > 0 and classes.max() <= MOST_CLASSES:
        raise UnreadableImageError(
            path,
            f"has numbers of classes ({_listed(classes)}) beside {VOID}, by which many tools mark borders that nobody "
            "decided on",
            f"set data.void=[{VOID}], or data.void=[] if {VOID} marks defects as well",
        )


def is_label_map(values: Values) -> bool:
    """Tell whether values number classes or objects: few, and none large."""
    present = np.unique(values)
    return len(present) <= LABELS and bool(present.max() <= MOST_CLASSES)


def mask_values(path: str | Path) -> Values:
    """Read the values of a mask, (H, W), as ``read_mask`` says.

    Raises:
        UnreadableImageError: As ``read_image``; or both colours and alpha could be the marks.
    """
    data = read_bytes(path)
    values = decode_image(data, path)
    alpha, entries = _beside_colours(data)
    if entries is not None and values.ndim == 3 and (values != values[..., :1]).any():
        return entries
    if values.ndim == 3:
        _check_ground(path, values)
        values = values.max(axis=2)
    if alpha is None or alpha.min() == alpha.max():
        return values
    if values.min() == values.max():
        return alpha
    if not ((values > 0) == (alpha > 0)).all():
        raise UnreadableImageError(
            path, "has other marks in its colours than in its alpha channel", "save it as grey, without alpha"
        )
    return values


def _check_ground(path: str | Path, values: Values) -> None:
    """Refuse marks in colours on a ground that is itself bright: the brightest channel would mark the ground, too."""
    border = np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])
    colours, counts = np.unique(border, axis=0, return_counts=True)
    ground = colours[counts.argmax()]
    is_ground = (values == ground).all(axis=2)
    others = values[~is_ground]
    if ground.max() == 0 or not len(others) or is_ground.mean() <= _GROUND or others.max(axis=1).min() < ground.max():
        return
    if np.ptp(ground) or np.ptp(others, axis=1).any():
        raise UnreadableImageError(
            path,
            f"has its marks in colours on a ground of {_listed(ground)}, not of black",
            "save it with 0 where nothing is marked",
        )


def check_whole(path: str | Path, values: Values, mask_on: int) -> None:
    """Refuse a mask that would lose some marks: values at or below ``mask_on`` that are not mere borders or noise.

    A softened border passes through the values in between within a pixel or two, and noise has no shape; a class or an
    object has places where 3 x 3 pixels have one value.

    Raises:
        UnreadableImageError: Names the values, and what to set.
    """
    if values.dtype == np.float32 or not (values > mask_on).any():
        return
    floor = 0 if len(np.unique(values)) <= LABELS and not _is_jpeg(path) else NOISE
    low = (values > floor) & (values <= mask_on)
    if not low.any():
        return
    kernel = np.ones((3, 3), np.uint8)
    even = cv2.erode(values, kernel) == cv2.dilate(values, kernel)
    lost = low & even
    if floor == 0:
        lost |= low & ~_touching(low, values > mask_on)
    if lost.any():
        below, above = np.unique(values[lost]), np.unique(values[values > mask_on])
        raise UnreadableImageError(
            path,
            f"has marks of values {_listed(below)} beside {_listed(above)}: those up to data.mask_on={mask_on} would "
            "be lost",
            "set data.mask_on=0 to take all of them, and data.void=[VALUE] for one that marks nothing",
        )


def _is_jpeg(path: str | Path) -> bool:
    with open_regular(path) as file:
        return file.read(2) == b"\xff\xd8"  # start of image (ITU-T T.81, B.1.1.3)


def _touching(low: Marks, high: Marks) -> Marks:
    """Tell which of the low pixels are connected to high ones."""
    count, region = cv2.connectedComponents((low | high).astype(np.uint8), connectivity=8)
    touched = np.zeros(count, dtype=np.bool_)
    touched[np.unique(region[high])] = True
    connected: Marks = touched[region]
    return connected


def _listed(values: Values) -> str:
    shown = ", ".join(str(int(value)) for value in values[:SHOWN])
    return shown if len(values) <= SHOWN else f"{shown}, ... ({len(values)} values)"


def _beside_colours(data: bytes) -> tuple[Values | None, Values | None]:
    """Return the alpha channel of an image that has one, and the numbers of the entries of one with a palette."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            alpha = np.asarray(image.convert("RGBA").getchannel("A")) if image.has_transparency_data else None
            return alpha, np.asarray(image) if image.mode == "P" else None
    except UnidentifiedImageError:  # floats in colour, which have neither
        return None, None
