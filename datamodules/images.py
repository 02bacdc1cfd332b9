"""Files to arrays: every kind of picture file is either read exactly or refused with a reason.

Letters: H and W height and width in pixels. Pixel values stay as stored (uint8, uint16 or float32) until ``scale``.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps, UnidentifiedImageError

from .errors import UnreadableImageError

Array: TypeAlias = npt.NDArray[Any]  # uint8, uint16 or float32

SUFFIXES = frozenset({".bmp", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})

_AS_STORED = {"L", "RGB", "I;16", "I;16L", "I;16B", "F"}
_CONVERTED = {"1": "L", "LA": "L", "P": "RGB", "PA": "RGB", "RGBA": "RGB", "RGBX": "RGB"}  # alpha is ignored


def is_image(path: Path) -> bool:
    """Tell whether the name of ``path`` says that it is a picture (any case)."""
    return path.suffix.lower() in SUFFIXES


def read_image(path: str | Path) -> Array:
    """Read a picture as stored: (H, W) grey or (H, W, 3) RGB; uint8, uint16 or float32.

    Palettes become RGB, an alpha channel is ignored, and a camera's orientation tag is applied, as every viewer does.

    Raises:
        UnreadableImageError: The file is missing, empty, cut short, no picture, of several pages, or in a colour space
            whose conversion would be a guess (CMYK, Lab).
    """
    return decode_image(read_bytes(path), path)


def read_bytes(path: str | Path) -> bytes:
    """Read a file whole; say what is wrong where there is nothing to read."""
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise UnreadableImageError(
            path, f"cannot be opened ({error.strerror})", "check path and permissions"
        ) from error
    if not data:
        raise UnreadableImageError(path, "is empty (0 bytes)", "copy it again from its source, or delete it")
    return data


def decode_image(data: bytes, path: str | Path) -> Array:
    """Decode the bytes of a picture file as ``read_image`` does; ``path`` only names it in errors."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            if getattr(image, "n_frames", 1) > 1 and image.format in {"GIF", "TIFF"}:
                pages = getattr(image, "n_frames", 1)
                raise UnreadableImageError(path, f"holds {pages} pages", "save one picture per file")
            if _is_deep_colour_png(data):
                return _decode_with_opencv(data, path)
            if image.mode in _CONVERTED or image.mode in _AS_STORED:
                upright = ImageOps.exif_transpose(image)
                return _as_array(upright.convert(_CONVERTED.get(upright.mode, upright.mode)))
            if image.mode == "I":
                return _narrow(np.asarray(image), path)
            raise UnreadableImageError(path, f"is in colour mode {image.mode}", "save it as grey or RGB")
    except UnidentifiedImageError:
        return _decode_with_opencv(data, path)  # 16-bit colour TIFF, for one, is beyond Pillow
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        if isinstance(error, UnreadableImageError):
            raise
        raise UnreadableImageError(path, f"is damaged ({error})", "copy it again from its source") from error


def read_mask(path: str | Path, mask_on: int = 127) -> npt.NDArray[np.bool_]:
    """Read a mask (H, W): True where a stored value is above ``mask_on``; of colours, the brightest channel counts.

    Raises:
        UnreadableImageError: As ``read_image``; or marks are there but none is above ``mask_on``, which would silently
            turn a defect into a good picture.
    """
    values = read_image(path)
    values = values if values.ndim == 2 else values.max(axis=2)
    mask = values > mask_on
    if not mask.any() and values.max() > 0:
        raise UnreadableImageError(
            path,
            f"has marks of value {values.max()} at most, none above data.mask_on={mask_on}",
            f"set data.mask_on below {values.max()}, for example data.mask_on=0",
        )
    return mask


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
    """Resize (H, W) or (H, W, 3) by area average when shrinking, bilinearly when growing.

    This is the one resize of Loupe: training, calibration, test, export and the bundle's runner share it.
    """
    if values.shape[:2] == (height, width):
        return values
    shrinks = values.shape[0] >= height and values.shape[1] >= width
    resized: Array = cv2.resize(values, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR)
    return resized


def resize_mask(mask: npt.NDArray[np.bool_], height: int, width: int) -> npt.NDArray[np.bool_]:
    """Resize a mask (H, W): a pixel is a defect where at least half of it was, but no region is lost altogether."""
    if mask.shape == (height, width):
        return mask
    cover = resize(mask.astype(np.float32), height, width)
    resized: npt.NDArray[np.bool_] = cover >= 0.5
    if mask.any() and not resized.any():
        resized = cover >= cover.max()
    return resized


def resize_zones(zones: npt.NDArray[np.uint8], height: int, width: int) -> npt.NDArray[np.uint8]:
    """Resize zone ids (H, W) by nearest neighbour: an id between two ids means nothing."""
    return cv2.resize(zones, (width, height), interpolation=cv2.INTER_NEAREST_EXACT).astype(np.uint8, copy=False)


def to_rgb(values: Array) -> Array:
    """Give a grey picture (H, W) three equal channels (H, W, 3); leave a colour picture alone."""
    return values if values.ndim == 3 else np.repeat(values[..., None], 3, axis=2)


def _as_array(image: Image.Image) -> Array:
    array = np.array(image)
    return array.astype(np.uint16) if array.dtype.kind == "u" and array.dtype.itemsize == 2 else array


def _is_deep_colour_png(data: bytes) -> bool:
    """Tell whether this is a PNG of 16-bit colours, which Pillow would silently cut to 8 bits (PNG, 11.2.1: IHDR)."""
    return data[:8] == b"\x89PNG\r\n\x1a\n" and len(data) > 25 and data[24] == 16 and data[25] in {2, 6}


def _decode_with_opencv(data: bytes, path: str | Path) -> Array:
    broken = data[:8] == b"\x89PNG\r\n\x1a\n" and b"IEND" not in data[-64:]  # OpenCV would fill the rest with black
    try:
        array = None if broken else cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        array = None
    if array is None or array.dtype.name not in {"uint8", "uint16", "float32"}:
        raise UnreadableImageError(
            path, "is no picture that can be read, or is damaged", "save it again as PNG or TIFF"
        )
    if array.ndim == 3:
        array = np.ascontiguousarray(array[..., 2::-1]) if array.shape[2] >= 3 else array[..., 0]
    picture: Array = array
    return picture


def _narrow(values: npt.NDArray[np.int32], path: str | Path) -> Array:
    if values.min() < 0 or values.max() > np.iinfo(np.uint16).max:
        raise UnreadableImageError(path, "has 32-bit values beyond 16 bits", "save it with 8 or 16 bits")
    return values.astype(np.uint16)
