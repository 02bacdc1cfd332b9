"""Files to arrays: every kind of image file is either read exactly or refused with a reason.

Letters: H and W height and width in pixels. Pixel values stay as stored (uint8, uint16 or float32) until ``scale``.
"""

from __future__ import annotations

import errno
import io
import re
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from datamodules.errors import UnreadableImageError

from .costs import SMALL, require_affordable
from .headers import Header, read_header, refusal
from .regular_files import open_regular, read_regular

Array: TypeAlias = npt.NDArray[Any]  # uint8, uint16 or float32

_AS_STORED = {"L", "RGB", "I;16", "I;16L", "I;16B", "F"}
_CONVERTED = {"1": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB"}  # alpha is ignored


def read_image(path: str | Path) -> Array:
    """Read an image as stored: (H, W) grey or (H, W, 3) RGB; uint8, uint16 or float32.

    Palettes become RGB, an alpha channel is ignored, and a camera's orientation tag is applied, as every viewer does.

    Raises:
        UnreadableImageError: The file is missing, empty, cut short, no image, of several pages, or in a colour space
            whose conversion would be a guess (CMYK, Lab); or a value in it is not a number.
    """
    require_affordable_file(path)
    return decode_image(read_bytes(path), path)


def require_affordable_file(path: str | Path) -> None:
    """Check the header of a large file before it is read; a file that cannot be opened is reported when it is read.

    Raises:
        UnreadableImageError: It is too large for what it holds.
    """
    try:
        size = Path(path).stat().st_size
        if size > SMALL:
            with open_regular(path) as file:
                require_affordable(file, size, str(path))
    except OSError:
        return


def read_bytes(path: str | Path, most: int | None = None) -> bytes:
    """Read a file whole, if it is a file and no larger than ``most`` bytes; say what is wrong where nothing is read."""
    try:
        data = read_regular(path, most)
    except OSError as error:
        if error.errno == errno.EINVAL:  # no file, as read_regular says
            raise UnreadableImageError(path, f"{error.strerror}".removeprefix("it "), "move it away") from error
        remedy = "split it into smaller ones" if error.errno == errno.EFBIG else "check path and permissions"
        raise UnreadableImageError(path, f"cannot be opened ({error.strerror})", remedy) from error
    if not data:
        raise UnreadableImageError(path, "is empty (0 bytes)", "copy it again from its source, or delete it")
    return data


def decode_image(data: bytes, path: str | Path) -> Array:
    """Decode the bytes of an image file as ``read_image`` does; ``path`` only names it in errors."""
    try:
        values = _decode(data, path)
    except UnreadableImageError:
        raise
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(path, f"is too large ({error})", "cut it into tiles") from error
    except MemoryError as error:
        raise UnreadableImageError(path, "is too large for the memory", "cut it into tiles") from error
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        raise UnreadableImageError(path, f"is damaged ({error})", "copy it again from its source") from error
    if values.dtype == np.float32 and not np.isfinite(values).all():
        raise UnreadableImageError(
            path, "has values that are not numbers (NaN or infinite)", "replace them and save it"
        )
    return values


def check_white_level(values: Array, path: str | Path, white_level: float | None) -> None:
    """Refuse floating-point values where nobody said which of them means white.

    Raises:
        UnreadableImageError: As above.
    """
    if values.dtype == np.float32 and white_level is None:
        raise UnreadableImageError(path, "holds floating-point values", "set data.white_level to what means white")


def check_content(values: Array, path: str | Path) -> None:
    """Refuse an image of one colour throughout: a covered lens or a light that is off shows no part to judge.

    Raises:
        UnreadableImageError: As above.
    """
    first = values[0, 0]
    if (values[0] == first).all() and (values == first).all():
        colour = ", ".join(f"{value:g}" for value in np.atleast_1d(first))
        raise UnreadableImageError(path, f"shows nothing: every pixel is {colour}", "check light, lens and exposure")


def read_zones(path: str | Path) -> npt.NDArray[np.uint8]:
    """Read zone ids (H, W) uint8.

    Raises:
        UnreadableImageError: As ``read_image``; or the file holds colours or ids beyond 8 bits.
    """
    values = read_image(path)
    if values.ndim != 2 or values.dtype != np.uint8:
        found = f"holds {'colours' if values.ndim == 3 else values.dtype} instead of zone ids"
        raise UnreadableImageError(path, found, "save it as 8-bit grey, each value a zone id")
    return values


def scale(values: Array, white_level: float | None = None) -> Array:
    """Scale stored values to what the network sees: uint8 stays, all else becomes float32 with 1.0 at ``white_level``.

    Args:
        values: (H, W) or (H, W, 3).
        white_level: The value that means white; by default 255 or 65535, whatever the type can hold. A 12-bit camera
            that stores 16 bits needs 4095.
    """
    if values.dtype == np.uint8 and white_level in (None, 255):
        return values
    top = white_level if white_level is not None else float(np.iinfo(values.dtype).max)
    scaled: Array = np.clip(values.astype(np.float32) / np.float32(top), 0.0, 1.0)
    return scaled


def resize(values: Array, height: int, width: int) -> Array:
    """Resize (H, W) or (H, W, 3) by area average along an axis that shrinks, bilinearly along one that grows.

    This is the one resize of Loupe: training, calibration, test, export and the bundle's runner share it.
    """
    small = min(height, values.shape[0]), min(width, values.shape[1])
    resized: Array = values
    if resized.shape[:2] != small:
        resized = cv2.resize(resized, small[::-1], interpolation=cv2.INTER_AREA)
    if small != (height, width):
        resized = cv2.resize(resized, (width, height), interpolation=cv2.INTER_LINEAR)
    return resized


def resize_mask(mask: npt.NDArray[np.bool_], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Resize a mask (H, W): a pixel is a defect where at least half of it was, but no region is lost altogether.

    A region too small or thin to fill half of any pixel keeps those that it fills at least half as much as its fullest.
    """
    if mask.shape == (height, width):
        return mask
    cover = resize(mask.astype(np.float32), height, width)
    regions, region_HW = cv2.connectedComponents((cover > 0).astype(np.uint8), connectivity=8)
    most = np.zeros(regions, dtype=np.float32)
    np.maximum.at(most, region_HW.astype(np.intp), cover)
    enough = np.where(most >= 0.5, 0.5, most / 2)
    resized: npt.NDArray[np.bool_] = (cover > 0) & (cover >= enough[region_HW])
    return resized


def resize_zones(zones: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Resize zone ids (H, W) by nearest neighbour: an id between two ids means nothing."""
    return cv2.resize(zones, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)


def to_rgb(values: Array) -> Array:
    """Give a grey image (H, W) three equal channels (H, W, 3); leave a colour image alone."""
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def _decode(data: bytes, path: str | Path) -> Array:
    header = read_header(data)
    if header is not None and (refused := refusal(header)) is not None:
        raise UnreadableImageError(path, *refused)
    try:
        with Image.open(io.BytesIO(data)) as image:
            values = _decode_with_pillow(image, header, data, path)
    except UnidentifiedImageError:
        values = _decode_with_opencv(data, path)  # a colour TIFF of floats, for one, is beyond Pillow
    if header is None:
        return values
    if header.signed_bytes and values.max() > np.iinfo(np.int8).max:  # Pillow reads them as if they had no sign
        raise UnreadableImageError(path, "has values below 0", "save it with 8 or 16 bits, unsigned")
    # Where 0 is white, Pillow turns values of 8 bits round, but nobody does those of 16.
    return ~values if header.inverted and header.depth == 16 else values


def _decode_with_pillow(image: Image.Image, header: Header | None, data: bytes, path: str | Path) -> Array:
    pages = getattr(image, "n_frames", 1)
    if pages > 1 and image.format in {"GIF", "PNG", "TIFF", "WEBP"}:  # a camera's MPO holds a preview beside its image
        raise UnreadableImageError(path, f"holds {pages} pages", "save one picture per file")
    if image.mode not in {*_CONVERTED, *_AS_STORED, "I"}:
        raise UnreadableImageError(path, f"is in colour mode {image.mode}", "save it as grey or RGB")
    if _is_changed_by_pillow(image, header, data):
        return _decode_with_opencv(data, path)
    ImageOps.exif_transpose(image, in_place=True)  # without a copy, as is what needs no other mode
    if image.mode == "I":
        return _narrow(np.asarray(image), path)
    mode = _CONVERTED.get(image.mode, image.mode)
    return _as_array(image if image.mode == mode else image.convert(mode))


def _as_array(image: Image.Image) -> Array:
    array = np.array(image)
    return array.astype(np.uint16) if array.dtype.kind == "u" and array.dtype.itemsize == 2 else array


def _is_changed_by_pillow(image: Image.Image, header: Header | None, data: bytes) -> bool:
    """Tell whether Pillow would silently cut 16-bit colours to 8 bits, or stretch a range other than 8 or 16 bits."""
    if header is not None:
        return header.channels > 1 and header.depth > 8
    if image.format == "PNG":  # bit depth and colour type lie at a fixed place (PNG, 11.2.1: IHDR)
        return data[24] == 16 and data[25] != 0
    if image.format == "PPM":
        kind, _, _, white = re.sub(rb"#[^\n]*", b"", data[:1024]).split(maxsplit=4)[:4]
        return kind in {b"P2", b"P3", b"P5", b"P6"} and int(white) > 255
    return False


def _decode_with_opencv(data: bytes, path: str | Path) -> Array:
    broken = data[:8] == b"\x89PNG\r\n\x1a\n" and b"IEND" not in data[-64:]  # OpenCV would fill the rest with black
    try:
        array = None if broken else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        array = None
    if array is None or array.dtype.name not in {"uint16", "float32"}:  # uint8: cut from what it cannot hold
        raise UnreadableImageError(
            path, "is not a picture that can be read, or is damaged", "save it again as PNG or TIFF"
        )
    if array.ndim == 2:
        return array
    if array.shape[2] not in {3, 4}:
        raise UnreadableImageError(path, f"has {array.shape[2]} channels", "save it as grey or RGB")
    return np.ascontiguousarray(array[..., 2::-1])


def _narrow(values: npt.NDArray[np.int32], path: str | Path) -> Array:
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise UnreadableImageError(path, "has values below 0 or beyond 16 bits", "save it with 8 or 16 bits")
    return values.astype(np.uint16)


def grey(values: Array) -> Array:
    """Return an image's grey values (H, W), of the same type; of colours, their luma (ITU-R BT.601)."""
    return values if values.ndim == 2 else np.asarray(cv2.cvtColor(values, cv2.COLOR_RGB2GRAY))
