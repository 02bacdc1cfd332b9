"""From files of a request to images that a judge can read. Nothing is written where anybody else could read it.

What is small stays in memory; what is larger lies in a file without a name, which the system removes by itself.
"""

from __future__ import annotations

import io
from functools import partial
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, BinaryIO

from PIL import Image

from datamodules.errors import UnreadableImageError
from datamodules.files.images import decode_image
from tools.runner.input_image import InputImage, refused

from .limits import MEGA, Limits, RefusedError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from starlette.datastructures import UploadFile

    from datamodules.files.images import Array

LONGEST_NAME = 255
DEEPEST = 8  # folders and name


def images_of(files: Sequence[UploadFile], limits: Limits) -> list[InputImage]:
    """Stand for the files of a request, in its order; those that are too large carry an error in place of an image.

    Raises:
        RefusedError: There is no file, or there are too many.
    """
    if not files:
        raise RefusedError(422, "Expected files with at least one image, but found none; send them as multipart files.")
    if len(files) > limits.files:
        raise RefusedError(
            413, f"Expected at most {limits.files} files, but found {len(files)}; send them in several requests."
        )
    return [_input(file.file, file.filename or f"image {index}", limits) for index, file in enumerate(files)]


def image_of(data: bytes, name: str, limits: Limits, place: str) -> InputImage:
    """Stand for an image of a watched folder that is in memory: by its path, and its place below that folder."""
    return _checked(io.BytesIO(data), name, PurePosixPath(place), limits)


def _input(file: BinaryIO, name: str, limits: Limits) -> InputImage:
    place = _place(name)
    return _checked(file, str(place), place, limits)


def _checked(file: BinaryIO, name: str, place: PurePosixPath, limits: Limits) -> InputImage:
    size = file.seek(0, io.SEEK_END)
    if size > limits.file_bytes:
        most = limits.file_bytes / MEGA
        return refused(name, place, f"has more than {most:g} MB", "send a smaller file")
    return InputImage(name, place, partial(_read, file, name, limits.pixels))


def _place(name: str) -> PurePosixPath:
    """Take the path of a file without control characters and without what leads upwards; it is never opened.

    Its folders may tell the kind of an image, or the job of a layer.
    """
    parts = ("".join(filter(str.isprintable, part)).strip() for part in name.replace("\\", "/").split("/"))
    named = [part[-LONGEST_NAME:] for part in parts if part.strip(".")]
    return PurePosixPath(*named[-DEEPEST:]) if named else PurePosixPath("image")


def _read(file: BinaryIO, name: str, most: int) -> Array:
    """Read an image, unless its header announces more pixels than are allowed: nothing is decoded to find out."""
    file.seek(0)
    data = file.read()
    if not data:
        raise UnreadableImageError(name, "is empty (0 bytes)", "send it again")
    pixels = _announced(data)
    if pixels > most:
        found = f"has {pixels / MEGA:.0f} megapixels, more than the {most / MEGA:g} that are allowed"
        raise UnreadableImageError(name, found, "cut it into tiles")
    return decode_image(data, name)


def _announced(data: bytes) -> int:
    """Return the number of pixels that a header announces; 0 where it cannot be read, which decoding will say."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.width * image.height
    except Image.DecompressionBombError as error:
        return _counted(str(error))
    except Exception:  # noqa: BLE001 - Pillow raises nearly every kind on a damaged file; decoding says what is wrong
        return 0


def _counted(sentence: str) -> int:
    """Read the number of pixels out of Pillow's refusal, which comes before the size can be asked for."""
    return max((int(word) for word in sentence.replace("(", " ").split() if word.isdigit()), default=1 << 40)
