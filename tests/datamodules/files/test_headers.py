"""Values of every way of storing them are read as tifffile and imagecodecs read them, or refused with a remedy."""

from __future__ import annotations

import io
import itertools
from contextlib import suppress
from pathlib import Path
from typing import Any

import imagecodecs
import numpy as np
import numpy.typing as npt
import pytest
import tifffile

from datamodules.errors import UnreadableImageError
from datamodules.files.images import decode_image, read_image

SHARED = Path(__file__).resolve().parents[4] / "shared" / "cases" / "data" / "14_tiff"
HEIGHT, WIDTH = 33, 47
TYPES = "uint8 uint16 uint32 uint64 int8 int16 int32 float16 float32 float64".split()  # noqa: SIM905 - reads better
COMPRESSIONS = (None, "lzw", "zlib", "packbits", "zstd")


def draw(kind: str, channels: int, seed: int = 0) -> npt.NDArray[Any]:
    rng, dtype = np.random.default_rng(seed), np.dtype(kind)
    shape = (HEIGHT, WIDTH) if channels == 1 else (HEIGHT, WIDTH, channels)
    if dtype.kind == "f":
        return rng.random(shape).astype(dtype)
    low, high = max(np.iinfo(dtype).min, -300), min(np.iinfo(dtype).max, 65535)
    return rng.integers(low if dtype == np.int16 else 0, high + 1, shape).astype(dtype)


def as_tiff(values: npt.NDArray[Any], photometric: str, *, separate: bool = False, **options: Any) -> bytes:
    stream = io.BytesIO()
    channels = 1 if values.ndim == 2 else values.shape[2]
    extra = channels - (3 if photometric == "rgb" else 1)
    if extra:
        options["extrasamples"] = ["unassalpha", *["unspecified"] * (extra - 1)]
    if channels > 1:
        options["planarconfig"] = "separate" if separate else "contig"
    stored = np.ascontiguousarray(np.moveaxis(values, 2, 0)) if separate else values
    tifffile.imwrite(stream, stored, photometric=photometric, **options)
    return stream.getvalue()


def expected(values: npt.NDArray[Any], photometric: str) -> npt.NDArray[Any]:
    """What the values mean: colours without what is added to them, black as 0."""
    if values.ndim == 3:
        values = values[..., :3] if photometric == "rgb" else values[..., 0]
    return np.iinfo(values.dtype).max - values if photometric == "miniswhite" else values


def read(data: bytes) -> npt.NDArray[Any] | None:
    """Read a file, or return None where it is refused; any other error ends the test."""
    with suppress(UnreadableImageError):
        return decode_image(data, "x.tif")
    return None


def is_read(data: bytes, meant: npt.NDArray[Any]) -> bool:
    """Tell whether a file is read; if so, value for value."""
    found = read(data)
    if found is None:
        return False
    if meant.ndim == 2 and found.ndim == 3:
        assert (found == found[..., :1]).all()
        found = found[..., 0]
    np.testing.assert_array_equal(found.astype(np.float64), meant.astype(np.float64))
    return True


def jpeg_2000(values: npt.NDArray[Any], codecformat: str = "jp2", bitspersample: int | None = None) -> bytes:
    options: dict[str, Any] = {"level": 0, "reversible": True, "codecformat": codecformat}
    return bytes(imagecodecs.jpeg2k_encode(values, bitspersample=bitspersample, **options))


def predicts(kind: str, compression: str | None) -> bool:
    return compression in {"lzw", "zlib"} and kind != "uint64"


@pytest.mark.parametrize("kind", TYPES)
def test_a_tiff_is_right_or_refused(kind: str) -> None:
    read = 0
    for channels, photometric in ((1, "minisblack"), (1, "miniswhite"), (2, "minisblack"), (3, "rgb"), (4, "rgb")):
        if photometric == "miniswhite" and not kind.startswith("u"):
            continue
        values = draw(kind, channels)
        for compression, order, separate in itertools.product(COMPRESSIONS, "<>", (False, True)):
            if separate and channels == 1:
                continue
            options: dict[str, Any] = {"compression": compression, "byteorder": order}
            ways: list[dict[str, Any]] = [{}, {"tile": (16, 16)}]
            ways += [{"predictor": True}] if predicts(kind, compression) else []
            for more in ways:
                data = as_tiff(values, photometric, separate=separate, **options, **more)
                read += is_read(data, expected(values, photometric))
    assert (read >= 60) == (kind in {"uint8", "uint16"}), f"{read} read"
    assert (read == 0) == (kind in {"uint64", "float16", "float64", "int16"}), f"{read} read"


def test_white_is_zero_in_16_bits_is_turned_round() -> None:
    values = draw("uint16", 1)
    for order, big in (("<", False), (">", False), ("<", True)):
        data = as_tiff(65535 - values, "miniswhite", byteorder=order, bigtiff=big)
        np.testing.assert_array_equal(decode_image(data, "x.tif"), values)
    with pytest.raises(UnreadableImageError, match="BigTIFF that has its high bytes first"):
        decode_image(as_tiff(values, "miniswhite", byteorder=">", bigtiff=True), "x.tif")


@pytest.mark.parametrize("bits", [10, 12, 14])
def test_packed_values_are_refused_with_their_white_level(bits: int) -> None:
    data = as_tiff(draw("uint16", 1) >> (16 - bits), "minisblack", bitspersample=bits)
    with pytest.raises(UnreadableImageError, match=rf"stores {bits} bits .* data\.white_level={2**bits - 1}"):
        decode_image(data, "x.tif")


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_fewer_bits_than_8_span_black_to_white(bits: int) -> None:
    values = draw("uint8", 1) >> (8 - bits)
    data = as_tiff(values, "minisblack", bitspersample=bits)
    np.testing.assert_array_equal(decode_image(data, "x.tif"), values * (255 // (2**bits - 1)))


def test_signed_bytes_are_read_up_to_127_only() -> None:
    values = draw("int8", 1)
    np.testing.assert_array_equal(decode_image(as_tiff(values, "minisblack"), "x.tif"), values)
    with pytest.raises(UnreadableImageError, match="below 0"):
        decode_image(as_tiff(-1 - values, "minisblack"), "x.tif")


@pytest.mark.parametrize("codec", ["jp2", "j2k"])
@pytest.mark.parametrize(("kind", "channels"), [("uint8", 1), ("uint8", 3), ("uint16", 1), ("uint16", 3)])
def test_jpeg_2000_is_read_value_for_value(kind: str, channels: int, codec: str) -> None:
    values = draw(kind, channels)
    data = jpeg_2000(values, codec)
    found = decode_image(data, "x.jp2")
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize(
    ("values", "bits", "problem"),
    [
        (draw("uint16", 1) >> 4, 12, "stores 12 bits"),
        (draw("uint16", 3) >> 6, 10, "stores 10 bits"),
        (draw("int16", 1), None, "below 0|signed|sign"),
        (draw("uint16", 2), None, "with transparency in 16 bits"),
    ],
)
def test_other_depths_of_jpeg_2000_are_refused(values: npt.NDArray[Any], bits: int | None, problem: str) -> None:
    data = jpeg_2000(values, bitspersample=bits)
    with pytest.raises(UnreadableImageError, match=problem):
        decode_image(data, "x.jp2")


MADE = {
    "tif": as_tiff(draw("uint16", 1), "miniswhite", compression="zlib"),
    "big tif": as_tiff(draw("uint8", 3), "rgb", bigtiff=True, tile=(16, 16)),
    "jp2": imagecodecs.jpeg2k_encode(draw("uint8", 3), level=0),
    "png": imagecodecs.png_encode(draw("uint16", 3)),
    "jpg": imagecodecs.jpeg_encode(draw("uint8", 3)),
    "webp": imagecodecs.webp_encode(draw("uint8", 3)),
    "bmp": imagecodecs.bmp_encode(draw("uint8", 1)),
}


@pytest.mark.parametrize("kind", MADE)
def test_no_damage_ends_in_anything_but_an_error_with_a_remedy(kind: str) -> None:
    whole, rng = MADE[kind], np.random.default_rng(3)
    for _ in range(150):
        data = bytearray(whole[: rng.integers(1, len(whole) + 1)])
        for place in rng.integers(0, min(len(data), 200), 3):
            data[place] = rng.integers(256)
        found = read(bytes(data))
        assert found is None or found.dtype.name in {"uint8", "uint16", "float32"}


EQUAL = ("g16_white", "g16_white_be", "bigtiff", "lzw", "pred16_zlib", "pyramid_subifd")
REFUSED = ("i8_neg", "f16", "f64", "ga16", "ga16_white", "g12")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared cases")
def test_cases_equal_the_plain_one_or_are_refused() -> None:
    plain = read_image(SHARED / "g16_black.tif")
    for name in EQUAL:
        np.testing.assert_array_equal(read_image(SHARED / f"{name}.tif"), plain)
    for name in REFUSED:
        with pytest.raises(UnreadableImageError):
            read_image(SHARED / f"{name}.tif")


@pytest.mark.parametrize("kind", ["float16", "float64"])
@pytest.mark.parametrize("channels", [1, 3])
def test_half_and_double_floats_are_refused_and_what_to_save_instead_is_read(kind: str, channels: int) -> None:
    values, photometric = draw(kind, channels), "rgb" if channels == 3 else "minisblack"
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(as_tiff(values, photometric), "x.tif")
    assert caught.value.problem == f"holds {8 * values.itemsize}-bit floating-point values"
    assert caught.value.remedy == "save it with 16 bits, or as 32-bit floating point"
    assert is_read(as_tiff(values.astype(np.float32), photometric), values.astype(np.float32))


@pytest.mark.parametrize("order", ["<", ">"])
def test_grey_with_alpha_in_16_bits_is_refused_and_read_without(order: str) -> None:
    values = draw("uint16", 2)
    with pytest.raises(UnreadableImageError, match="grey with transparency in 16 bits; save it without transparency"):
        decode_image(as_tiff(values, "minisblack", byteorder=order), "x.tif")
    assert is_read(as_tiff(values[..., 0], "minisblack", byteorder=order), values[..., 0])
