"""One look at every file before anyone trains on it: its size, depth, brightness and hash, or what is wrong with it."""

from __future__ import annotations

import hashlib
import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import UnreadableImageError
from datamodules.files.appearance import appearance
from datamodules.files.csv_text import written
from datamodules.files.images import (
    check_white_level,
    decode_image,
    read_bytes,
    read_zones,
    require_affordable_file,
    scale,
)
from datamodules.masks.matching import split_mask
from datamodules.masks.reading import read_mask
from datamodules.progress import track

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


_REMEMBERED = 65_536  # files of which a process remembers what it saw, a few hundred bytes each


@dataclass(frozen=True)
class ImageFacts:
    """What one look at an image tells.

    Attributes:
        height: In pixels.
        width: In pixels.
        channels: 1 or 3.
        bits: Bits per stored value: 8, 16 or 32.
        brightness: Mean grey value in [0, 1]: the trivial baseline that every detector has to beat.
        contrast: Spread of the grey values; this and the next two as in ``appearance.Appearance``.
        sharpness: Share of fine structure.
        warmth: Red less blue.
        sha256: Of the file's bytes, hexadecimal.
    """

    height: int
    width: int
    channels: int
    bits: int
    brightness: float
    contrast: float
    sharpness: float
    warmth: float
    sha256: str


def survey_image(path: str, white_level: float | None = None) -> ImageFacts | UnreadableImageError:
    """Read one image whole; return its facts, or the error that says why it cannot be used."""
    if written(path) != path:
        return UnreadableImageError(path, "has a name that is not UTF-8, which no table can hold", "rename it")
    try:
        return _survey_state(path, file_state(path), white_level)
    except UnreadableImageError as error:
        return error


@lru_cache(maxsize=_REMEMBERED)
def _survey_state(path: str, state: tuple[int, ...], white_level: float | None) -> ImageFacts:
    """Look at one state of a file, once in a process: the runs of a sweep look at the same files."""
    del state
    require_affordable_file(path)
    data = read_bytes(path)
    values = decode_image(data, path)
    check_white_level(values, path, white_level)
    height, width = values.shape[:2]
    return ImageFacts(
        height=height,
        width=width,
        channels=1 if values.ndim == 2 else values.shape[2],
        bits=8 * values.dtype.itemsize,
        **appearance(scale(values, white_level))._asdict(),
        sha256=hashlib.sha256(data).hexdigest(),
    )


def file_state(path: str) -> tuple[int, ...]:
    """Tell one state of a file from another, by its place on the disk, its size and its times."""
    try:
        found = Path(path).stat()
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def survey(paths: Sequence[str], white_level: float | None = None) -> list[ImageFacts | UnreadableImageError]:
    """Look at every image, in threads (decoding releases the interpreter lock), in the given order."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = pool.map(lambda path: survey_image(path, white_level), paths)
        return list(track(found, "reading pictures", total=len(paths)))


def survey_mask(
    path: str, size: tuple[int, int], mask_on: int, void: tuple[int, ...] | None = None
) -> UnreadableImageError | None:
    """Say what is wrong with the mask of an image (H, W): unreadable, of another size, or nothing marked."""
    try:
        shape, marked = _survey_mask(path, tuple(map(file_state, split_mask(path))), mask_on, void)
        _check_size("mask", split_mask(path)[0], shape, size)
    except UnreadableImageError as error:
        return error
    if not marked:
        found = "marks nothing, but its picture is labelled defective"
        return UnreadableImageError(split_mask(path)[0], found, "mend mask or label")
    return None


@lru_cache(maxsize=_REMEMBERED)
def _survey_mask(
    path: str, state: tuple[tuple[int, ...], ...], mask_on: int, void: tuple[int, ...] | None
) -> tuple[tuple[int, ...], bool]:
    """Tell the size of a mask, and whether anything is marked, as ``_survey_state`` does."""
    del state
    mask = read_mask(path, mask_on, void)
    return mask.shape, bool(mask.any())


def survey_zones(path: str, size: tuple[int, int]) -> UnreadableImageError | None:
    """Say what is wrong with the zones of an image (H, W): unreadable, or of another size."""
    try:
        _check_size("zone map", path, read_zones(path).shape, size)
    except UnreadableImageError as error:
        return error
    return None


def survey_beside(
    paths: Sequence[str],
    sizes: Sequence[tuple[int, int]],
    inspect: Callable[[str, tuple[int, int]], UnreadableImageError | None],
    description: str,
) -> list[UnreadableImageError]:
    """Look at masks or zone maps beside the sizes of their images, in threads; return what is wrong, in order."""
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        found = track(pool.map(inspect, paths, sizes), description, total=len(paths))
        return [found for found in found if found is not None]


def _check_size(what: str, path: str, found: tuple[int, ...], size: tuple[int, int]) -> None:
    if found != size:
        problem = f"is a {what} of {found[1]}x{found[0]} pixels for a picture of {size[1]}x{size[0]}"
        raise UnreadableImageError(path, problem, "export it again at the size of its picture")
