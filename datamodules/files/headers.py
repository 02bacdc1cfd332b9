"""What the header of a file says of its values: refuses those that libraries would read, in silence, as something else.

Tried against tifffile and imagecodecs, member by member (tests/datamodules/test_headers.py). TIFF 6.0 gives the tags;
the codestream of JPEG 2000 is ISO/IEC 15444-1, annex A.
"""

from __future__ import annotations

import io
from typing import NamedTuple

from PIL import TiffImagePlugin as Tiff

UNSIGNED, SIGNED, FLOAT, UNTYPED = 1, 2, 3, 4  # the TIFF tag SampleFormat
WHITE_IS_ZERO = 0  # PhotometricInterpretation
SEPARATE = 2  # PlanarConfiguration
UNCOMPRESSED = 1  # Compression
_TIFF = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_JPEG_2000 = (b"\0\0\0\x0cjP  ", b"\xff\x4f\xff\x51")
_SIZE = b"\xff\x4f\xff\x51"  # start of codestream, and its first segment
_COMPONENTS = 40  # bytes from there to the number of components

Refusal = tuple[str, str]
"""A problem, and its remedy."""


class Header(NamedTuple):
    """How a file stores its values.

    Attributes:
        bits: Per value, of each channel.
        kind: ``UNSIGNED``, ``SIGNED``, ``FLOAT`` or ``UNTYPED``, of each channel.
        inverted: Whether 0 is white.
        planar: Whether each channel has a plane of its own.
        swapped: Whether a reader has to exchange bytes after unpacking, which Pillow does twice.
        unread: What nothing here reads at all, whatever its values; or empty.
    """

    bits: tuple[int, ...]
    kind: tuple[int, ...]
    inverted: bool = False
    planar: bool = False
    swapped: bool = False
    unread: str = ""

    @property
    def channels(self) -> int:
        """Count the channels, transparency among them."""
        return len(self.bits)

    @property
    def depth(self) -> int:
        """Bits per value of the deepest channel."""
        return max(self.bits)

    @property
    def signed_bytes(self) -> bool:
        """Tell whether values are of 8 bits and may be below 0."""
        return self.kind[0] == SIGNED and self.depth == 8


def read_header(data: bytes) -> Header | None:
    """Read the header of a TIFF or JPEG 2000; None for any other format, whose values need no check."""
    if data.startswith(_TIFF):
        return _tiff(data)
    return _jpeg_2000(data) if data.startswith(_JPEG_2000) else None


def refusal(header: Header) -> Refusal | None:
    """Say why values stored like this cannot be read as they are; None where they can."""
    if header.unread:
        return header.unread, "save it as PNG, or as a plain TIFF"
    if len(set(header.bits)) > 1 or len(set(header.kind)) > 1:
        return "has channels of different depths", "save it with 8 or 16 bits per channel"
    return _refused_values(header) or (_refused_colours(header) if header.channels > 1 else _refused_order(header))


def _refused_values(header: Header) -> Refusal | None:
    """Look at one value by itself."""
    kind, depth = header.kind[0], header.depth
    if kind not in {UNSIGNED, SIGNED, FLOAT, UNTYPED}:
        return "holds complex numbers", "save their magnitude, with 8 or 16 bits"
    if kind == FLOAT and depth != 32:
        return f"holds {depth}-bit floating-point values", "save it with 16 bits, or as 32-bit floating point"
    if kind != FLOAT and depth not in {1, 2, 4, 8, 16, 32}:
        white = f"data.white_level={2**depth - 1}"
        return f"stores {depth} bits per value", f"save it with 8 bits, or with 16 bits and set {white}"
    if header.inverted and (kind in {SIGNED, FLOAT} or depth > 16):
        return "stores white as 0, but not in 8 or 16 bits", "save it with black as 0"
    return None


def _refused_colours(header: Header) -> Refusal | None:
    """Look at values of several channels."""
    if header.kind[0] == SIGNED:
        return "stores colours as signed values", "save it with 8 or 16 bits, unsigned"
    if header.depth <= 8:
        return None
    if header.planar:
        return f"stores {header.depth}-bit colours in separate planes", "save it with interleaved colours"
    if header.channels == 2:
        return f"stores grey with transparency in {header.depth} bits", "save it without transparency"
    return None


def _refused_order(header: Header) -> Refusal | None:
    """Look at bytes that have to be exchanged, of one channel."""
    if header.swapped and header.depth > 8 and (header.kind[0] in {SIGNED, FLOAT} or header.depth > 16):
        return "is compressed and has its high bytes first", "save it uncompressed, or with low bytes first"
    return None


def _tiff(data: bytes) -> Header:
    """Read the tags of the first page; those that are missing have the values that TIFF 6.0 says."""
    if data.startswith(b"MM\0+"):
        return Header((0,), (UNTYPED,), unread="is a BigTIFF that has its high bytes first")
    big = data.startswith(b"II+")
    directory = Tiff.ImageFileDirectory_v2(data[: 16 if big else 8])
    stream = io.BytesIO(data)
    stream.seek(directory.next)
    directory.load(stream)
    channels = int(directory.get(Tiff.SAMPLESPERPIXEL, 1))
    bits = tuple(directory.get(Tiff.BITSPERSAMPLE, (1,)))
    kind = tuple(directory.get(Tiff.SAMPLEFORMAT, (UNSIGNED,)))
    return Header(
        bits=bits if len(bits) >= channels else bits[:1] * channels,
        kind=kind if len(kind) >= channels else kind[:1] * channels,
        inverted=directory.get(Tiff.PHOTOMETRIC_INTERPRETATION, WHITE_IS_ZERO) == WHITE_IS_ZERO,
        planar=directory.get(Tiff.PLANAR_CONFIGURATION, 1) == SEPARATE,
        swapped=data.startswith(b"MM") and directory.get(Tiff.COMPRESSION, UNCOMPRESSED) != UNCOMPRESSED,
    )


def _jpeg_2000(data: bytes) -> Header:
    """Read depth and sign of every component from the codestream's first segment."""
    start = data.index(_SIZE) + _COMPONENTS
    count = int.from_bytes(data[start : start + 2])
    described = data[start + 2 : start + 2 + 3 * count : 3]
    if not count or len(described) < count:
        raise ValueError("its first segment is cut short")
    return Header(
        bits=tuple((value & 0x7F) + 1 for value in described),
        kind=(UNSIGNED,) * count,
        unread="is a JPEG 2000 of signed values" if any(value & 0x80 for value in described) else "",
    )
