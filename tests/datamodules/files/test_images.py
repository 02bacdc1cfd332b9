from __future__ import annotations

import io
import os
import shutil
import struct
import zlib
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import tifffile
from PIL import Image

from datamodules.errors import UnreadableImageError
from datamodules.files.images import (
    check_white_level,
    decode_image,
    read_image,
    read_zones,
    scale,
    to_rgb,
)
from datamodules.masks.reading import read_mask

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (40, 50), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (40, 50, 3), dtype=np.uint8)
GREY_16 = RNG.integers(0, 65536, (40, 50), dtype=np.uint16)
COLOUR_16 = RNG.integers(0, 65536, (40, 50, 3), dtype=np.uint16)
FLOATS = RNG.normal(size=(40, 50)).astype(np.float32)


def with_pillow(image: npt.NDArray[Any] | Image.Image, kind: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(stream, kind, **options)
    return stream.getvalue()


def as_tiff(values: npt.NDArray[Any], **options: Any) -> bytes:
    stream = io.BytesIO()
    tifffile.imwrite(stream, values, **{"photometric": "rgb" if values.shape[-1] in {3, 4} else "minisblack"} | options)
    return stream.getvalue()


def as_png_16(values: npt.NDArray[np.uint16], colour_type: int) -> bytes:
    """Write a PNG of 16 bits by hand (PNG, 5): nothing at hand writes grey with alpha."""
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    height, width = values.shape[:2]
    chunks = {
        b"IHDR": struct.pack(">IIBBBBB", width, height, 16, colour_type, 0, 0, 0),
        b"IDAT": zlib.compress(rows),
        b"IEND": b"",
    }
    parts = [
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
        for kind, body in chunks.items()
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def as_pnm(values: npt.NDArray[Any], white: int) -> bytes:
    header = f"P{6 if values.ndim == 3 else 5}\n# by a camera\n{values.shape[1]} {values.shape[0]}\n{white}\n"
    return header.encode() + values.astype(">u2" if white > 255 else np.uint8).tobytes()


def alpha(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    return np.dstack([values, np.flip(values.reshape(40, 50, -1)[..., 0])])


EXACT: dict[str, tuple[bytes, npt.NDArray[Any]]] = {
    "grey PNG": (with_pillow(GREY, "PNG"), GREY),
    "grey BMP": (with_pillow(GREY, "BMP"), GREY),
    "grey TIFF": (as_tiff(GREY), GREY),
    "colour PNG": (with_pillow(COLOUR, "PNG"), COLOUR),
    "colour BMP": (with_pillow(COLOUR, "BMP"), COLOUR),
    "colour TIFF": (as_tiff(COLOUR), COLOUR),
    "colour TIFF, LZW": (with_pillow(COLOUR, "TIFF", compression="tiff_lzw"), COLOUR),
    "colour TIFF, planes": (as_tiff(np.moveaxis(COLOUR, 2, 0), photometric="rgb", planarconfig="separate"), COLOUR),
    "colour WebP": (with_pillow(COLOUR, "WEBP", lossless=True), COLOUR),
    "colour PPM": (as_pnm(COLOUR, 255), COLOUR),
    "alpha PNG": (with_pillow(alpha(COLOUR), "PNG"), COLOUR),
    "alpha TIFF": (as_tiff(alpha(COLOUR), extrasamples=["unassalpha"]), COLOUR),
    "grey alpha PNG": (with_pillow(Image.fromarray(GREY).convert("LA"), "PNG"), GREY),
    "palette PNG": (with_pillow(Image.fromarray(GREY).convert("P"), "PNG"), to_rgb(GREY)),
    "bits PNG": (with_pillow(Image.fromarray(GREY > 99), "PNG"), np.where(GREY > 99, 255, 0).astype(np.uint8)),
    "bits TIFF": (with_pillow(Image.fromarray(GREY > 99), "TIFF"), np.where(GREY > 99, 255, 0).astype(np.uint8)),
    "16-bit grey PNG": (with_pillow(GREY_16, "PNG"), GREY_16),
    "16-bit grey TIFF": (as_tiff(GREY_16), GREY_16),
    "16-bit grey TIFF, big-endian": (as_tiff(GREY_16, byteorder=">"), GREY_16),
    "16-bit grey TIFF, deflated": (as_tiff(GREY_16, compression="zlib"), GREY_16),
    "16-bit grey PGM": (as_pnm(GREY_16, 65535), GREY_16),
    "12-bit grey PGM": (as_pnm(GREY_16 // 16, 4095), GREY_16 // 16),
    "16-bit colour PNG": (as_png_16(COLOUR_16, 2), COLOUR_16),
    "16-bit alpha PNG": (as_png_16(alpha(COLOUR_16), 6), COLOUR_16),
    "16-bit grey alpha PNG": (as_png_16(alpha(GREY_16), 4), to_rgb(GREY_16)),
    "16-bit colour TIFF": (as_tiff(COLOUR_16), COLOUR_16),
    "16-bit colour TIFF, big-endian": (as_tiff(COLOUR_16, byteorder=">"), COLOUR_16),
    "16-bit colour TIFF, deflated": (as_tiff(COLOUR_16, compression="zlib"), COLOUR_16),
    "16-bit colour TIFF, LZW": (cv2.imencode(".tif", COLOUR_16[..., ::-1])[1].tobytes(), COLOUR_16),
    "16-bit alpha TIFF": (as_tiff(alpha(COLOUR_16), extrasamples=["unassalpha"]), COLOUR_16),
    "16-bit colour PPM": (as_pnm(COLOUR_16, 65535), COLOUR_16),
    "32-bit TIFF of 16-bit values": (as_tiff(GREY_16.astype(np.uint32)), GREY_16),
    "float TIFF": (as_tiff(FLOATS), FLOATS),
    "float colour TIFF": (as_tiff(np.dstack([FLOATS] * 3)), np.dstack([FLOATS] * 3)),
}


@pytest.mark.parametrize("kind", EXACT)
def test_values_are_read_exactly(kind: str) -> None:
    data, values = EXACT[kind]
    found = decode_image(data, "a picture")
    assert found.dtype == values.dtype
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_lossy_pictures_are_read_as_other_readers_do(kind: str) -> None:
    data = with_pillow(cv2.GaussianBlur(COLOUR, (0, 0), 4), kind, quality=95)
    theirs = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
    assert theirs is not None
    assert np.abs(decode_image(data, "a picture").astype(int) - theirs[..., ::-1]).max() <= 3


# What a viewer does to show the image upright (EXIF 2.32, tag 274).
UPRIGHT: dict[int, Callable[[npt.NDArray[Any]], npt.NDArray[Any]]] = {
    1: lambda x: x,
    2: np.fliplr,
    3: lambda x: np.rot90(x, 2),
    4: np.flipud,
    6: lambda x: np.rot90(x, -1),
    8: np.rot90,
}


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_the_orientation_tag_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[274] = orientation
    tag = [(274, "H", 1, orientation, True)]
    for data, values in (
        (with_pillow(COLOUR, "PNG", exif=exif), COLOUR),
        (as_tiff(GREY_16, extratags=tag), GREY_16),
        (as_tiff(COLOUR_16, extratags=tag), COLOUR_16),
    ):
        np.testing.assert_array_equal(decode_image(data, "a picture"), UPRIGHT[orientation](values))
    smooth = cv2.GaussianBlur(COLOUR, (0, 0), 4)
    photo = decode_image(with_pillow(smooth, "JPEG", quality=100, exif=exif), "a photo")
    assert np.abs(photo.astype(int) - UPRIGHT[orientation](smooth)).max() <= 4


@pytest.mark.parametrize(
    ("data", "problem", "remedy"),
    [
        (with_pillow(Image.fromarray(COLOUR).convert("CMYK"), "JPEG"), "colour mode CMYK", "save it as grey or RGB"),
        (with_pillow(Image.fromarray(COLOUR).convert("LAB"), "TIFF"), "colour mode LAB", "save it as grey or RGB"),
        (as_tiff(np.stack([GREY, GREY])), "holds 2 pages", "one picture per file"),
        (as_tiff(GREY.astype(np.uint32) + 65536), "beyond 16 bits", "8 or 16 bits"),
        (as_tiff(-GREY.astype(np.int16)), "below 0", "8 or 16 bits"),
        (as_tiff(np.where(GREY > 99, np.nan, FLOATS).astype(np.float32)), "not numbers", "replace them"),
        (as_tiff(np.dstack([GREY_16] * 5), planarconfig="contig"), "not a picture that can be read", "PNG or TIFF"),
        (
            as_tiff(np.dstack([GREY_16] * 2), planarconfig="contig"),
            "with transparency in 16 bits",
            "without transparency",
        ),
        (
            as_tiff(np.moveaxis(COLOUR_16, 2, 0), photometric="rgb", planarconfig="separate"),
            "in separate planes",
            "interleaved",
        ),
        (b"image,label\na.png,good\n", "not a picture", "save it again"),
        (b"\x89PNG\r\n\x1a\n", "not a picture", "save it again"),
    ],
)
def test_what_would_be_a_guess_is_refused_with_its_remedy(data: bytes, problem: str, remedy: str) -> None:
    with pytest.raises(UnreadableImageError) as caught:
        decode_image(data, "parts/a.tif")
    assert caught.value.path == "parts/a.tif"
    assert problem in caught.value.problem
    assert remedy in caught.value.remedy
    assert str(caught.value) == f"parts/a.tif: {caught.value.problem}; {caught.value.remedy}"


WHOLE = {kind: data for kind, (data, _) in EXACT.items()} | {"JPEG": with_pillow(COLOUR, "JPEG")}


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
@pytest.mark.parametrize("kind", WHOLE)
def test_a_file_cut_short_is_refused_or_read_whole(kind: str) -> None:
    """The last bytes of some formats hold no pixels; but what is read must never be half an image."""
    data = WHOLE[kind]
    whole = decode_image(data, "a picture")
    refused = 0
    lengths = {len(data) * part // 16 for part in range(1, 16)} | {len(data) - cut for cut in (1, 5, 12, 30, 100)}
    for length in sorted(length for length in lengths if length > 0):
        try:
            np.testing.assert_array_equal(decode_image(data[:length], "a picture"), whole)
        except UnreadableImageError:
            refused += 1
    assert refused >= 12


@pytest.mark.filterwarnings("ignore::UserWarning:PIL", "ignore::PIL.Image.DecompressionBombWarning")
def test_damage_anywhere_raises_nothing_but_the_one_error() -> None:
    rng = np.random.default_rng(1)
    outcomes = set()
    for data in WHOLE.values():
        for _ in range(12):
            damaged = bytearray(data)
            for place in rng.integers(0, min(len(data), 500), 3):
                damaged[place] = rng.integers(0, 256)
            try:
                outcomes.add(decode_image(bytes(damaged), "a picture").dtype.name)
            except UnreadableImageError as error:
                outcomes.add(type(error).__name__)
    assert outcomes == {"uint8", "uint16", "float32", "UnreadableImageError"}


def test_too_many_pixels_is_called_that(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)
    with pytest.raises(UnreadableImageError, match=r"too large .* cut it into tiles"):
        decode_image(EXACT["colour PNG"][0], "a scan")


def test_names_may_hold_anything(tmp_path: Path) -> None:
    for name in ("with space, and comma.PNG", "größe µm.Png", "a.b.c.pNg", "100%;'x'.png"):
        (tmp_path / name).write_bytes(EXACT["colour PNG"][0])
        np.testing.assert_array_equal(read_image(tmp_path / name), COLOUR)


@pytest.mark.parametrize("suffix", ["jpg", "png", "tif", "bmp"])
def test_files_that_are_no_pictures_are_named(tmp_path: Path, suffix: str) -> None:
    empty, text, folder, missing = (tmp_path / f"{name}.{suffix}" for name in ("empty", "text", "folder", "missing"))
    empty.touch()
    text.write_text("this was an error page once")
    folder.mkdir()
    for path, problem in (
        (empty, r"is empty \(0 bytes\)"),
        (text, "is not a picture"),
        (folder, r"cannot be opened \(Is a directory\)"),
        (missing, r"cannot be opened \(No such file"),
    ):
        with pytest.raises(UnreadableImageError, match=problem) as caught:
            read_image(path)
        assert caught.value.path == str(path)
        assert caught.value.remedy


def save(folder: Path, values: npt.NDArray[Any], name: str = "mask.png") -> Path:
    (folder / name).write_bytes(with_pillow(values, "PNG"))
    return folder / name


def test_masks_mark_what_lies_above_the_level(tmp_path: Path) -> None:
    np.testing.assert_array_equal(read_mask(save(tmp_path, GREY)), GREY > 127)
    np.testing.assert_array_equal(read_mask(save(tmp_path, GREY), mask_on=0), GREY > 0)
    np.testing.assert_array_equal(read_mask(save(tmp_path, COLOUR), mask_on=200), COLOUR.max(axis=2) > 200)
    np.testing.assert_array_equal(read_mask(save(tmp_path, np.zeros_like(GREY))), np.zeros((40, 50), dtype=bool))
    np.testing.assert_array_equal(
        read_mask(save(tmp_path, 255 - np.where(GREY > 99, 255, 0).astype(np.uint8))), GREY <= 99
    )


def test_a_mask_of_low_values_is_refused_with_a_remedy_that_works(tmp_path: Path) -> None:
    path = save(tmp_path, np.where(GREY > 200, 31, 0).astype(np.uint8))
    with pytest.raises(UnreadableImageError, match=r"value 31 at most, none above data\.mask_on=127") as caught:
        read_mask(path)
    level = int(caught.value.remedy.rpartition("data.mask_on=")[2])
    np.testing.assert_array_equal(read_mask(path, level), GREY > 200)


def test_zones_are_read_as_ids_or_refused(tmp_path: Path) -> None:
    zones = (GREY // 64).astype(np.uint8)
    np.testing.assert_array_equal(read_zones(save(tmp_path, zones)), zones)
    with pytest.raises(UnreadableImageError, match="holds colours instead of zone ids; save it as 8-bit grey"):
        read_zones(save(tmp_path, COLOUR))
    with pytest.raises(UnreadableImageError, match="holds uint16 instead of zone ids"):
        read_zones(save(tmp_path, GREY_16))


def test_white_is_one() -> None:
    assert scale(GREY) is GREY  # 8 bits stay what they are until they are a tensor
    np.testing.assert_allclose(scale(GREY_16), GREY_16 / 65535, atol=1e-7)
    np.testing.assert_allclose(scale(GREY_16 // 16, 4095), (GREY_16 // 16) / 4095, atol=1e-6)
    np.testing.assert_allclose(scale(GREY, 100), np.minimum(GREY / 100, 1), atol=1e-6)
    np.testing.assert_allclose(scale(FLOATS, 2.0), np.clip(FLOATS / 2, 0, 1), atol=1e-6)


def test_floats_need_a_white_level() -> None:
    with pytest.raises(UnreadableImageError, match=r"floating-point values; set data\.white_level"):
        check_white_level(FLOATS, "a.tif", None)
    check_white_level(FLOATS, "a.tif", 1.0)
    check_white_level(GREY_16, "a.tif", None)


def test_grey_becomes_three_equal_channels() -> None:
    np.testing.assert_array_equal(to_rgb(GREY), np.dstack([GREY] * 3))
    assert to_rgb(COLOUR) is COLOUR


def test_real_pictures_that_make_readers_stumble(shared_data: Path, tmp_path: Path) -> None:
    """Odd tiles, folders with spaces, a mask of value 31."""
    tile = next((shared_data / "meta_atom" / "Array_1Crop").glob("*.bmp"))
    assert read_image(tile).ndim == 3
    assert read_image(next((shared_data / "print3d" / "Powder Uneven_With_Scratch").iterdir())).shape[0] == 1024
    low = [
        path
        for path in sorted((shared_data / "metallography" / "inclusions" / "masks").glob("*.png"))[:60]
        if 0 < read_image(path).max() < 127
    ]
    assert low
    with pytest.raises(UnreadableImageError, match=r"set data\.mask_on"):
        read_mask(low[0])
    shutil.copy(tile, tmp_path / "A B.BMP")
    np.testing.assert_array_equal(read_image(tmp_path / "A B.BMP"), read_image(tile))


def test_a_pipe_that_is_named_like_an_image_is_an_error_and_no_wait(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.png")
    with pytest.raises(UnreadableImageError, match="is a pipe"):
        read_image(tmp_path / "x.png")


def test_no_memory_is_an_error_with_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(Image, "open", fail)
    with pytest.raises(UnreadableImageError, match="too large for the memory; cut it into tiles"):
        decode_image(EXACT["colour PNG"][0], "a scan")
