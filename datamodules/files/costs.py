"""What one image may cost: its header is looked at before a large file is read or unpacked."""

from __future__ import annotations

from typing import IO, cast

from PIL import Image, UnidentifiedImageError

from datamodules.errors import UnreadableImageError

SMALL = 4 << 20  # bytes: whatever is no larger is simply read
BESIDE = 64 << 20  # bytes, at most, of all in a file that is not a pixel
MOST_READS = 100_000  # of a header; Pillow looks for the next part of a JPEG byte by byte, for ever if it may
UNKNOWN = 512 << 20  # bytes, at most, of a file whose header tells no size
PER_PIXEL = 16  # bytes, at most, of a file: four channels of 32 bits, uncompressed


class _Patience:
    """A file that may be asked a number of times: what Pillow needs of one, and an end to it.

    Args:
        file: That can be read and sought in.
    """

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._reads = file, 0

    def read(self, size: int = -1) -> bytes:
        """Read, unless that was done too often, or all is asked for."""
        self._reads += 1
        if self._reads > MOST_READS or not 0 <= size <= BESIDE:
            raise ValueError("it has no end")
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        """Move to a position in the file."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """Return the position in the file."""
        return self._file.tell()


def require_affordable(file: IO[bytes], size: int, name: str) -> None:
    """Refuse a file that costs more than any image of its size could.

    Pillow itself refuses headers of more than 179 million pixels, half a GiB in colour.

    Args:
        file: At its beginning; a little of it is read.
        size: Of the file, unpacked, in bytes.
        name: For errors.

    Raises:
        UnreadableImageError: It is too large for what its header says, or says nothing.
    """
    if size <= SMALL:
        return
    mib = f"{size / 2**20:,.0f} MiB"
    try:
        with Image.open(cast("IO[bytes]", _Patience(file))) as image:
            width, height = image.size
    except Image.DecompressionBombError as error:
        raise UnreadableImageError(name, f"is too large ({error})", "cut it into tiles") from error
    except UnidentifiedImageError as error:
        if size > UNKNOWN:
            raise UnreadableImageError(name, f"has {mib}, and no header of an image", "delete it") from error
        return
    except Exception as error:  # Pillow raises nearly every kind on a damaged file
        raise UnreadableImageError(name, f"has {mib} and a damaged header ({error})", "copy it again") from error
    if size > width * height * PER_PIXEL + BESIDE:
        found = f"has {mib} for {width}x{height} pixels, more than any image needs"
        raise UnreadableImageError(name, found, "save it again as PNG or TIFF")
