"""Images that a runner might well read or resize in another way than training did: odd, tiny, huge, narrow, deep."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt

HUGE = (3001, 4003)  # pixels: twelve megapixels, and no multiple of anything


def huge_for(composition: dict[str, Any], *, own_sizes: bool) -> tuple[int, int]:
    """Choose height and width of the largest image: twelve megapixels, which any resize has to bring down.

    Where images are judged at their own sizes, nothing is resized, and to graphs every tile is an image: it is just
    large enough that every graph is given tiles.
    """
    tiles = [stage["scans"]["size"] for stage in composition.get("stages", ())] if own_sizes else []
    if not tiles:
        return HUGE
    side = max(tiles)
    return 2 * side + side // 8 + 1, 4 * side + side // 3 + 1


def write_challenges(folder: Path, seed: int = 0, huge: tuple[int, int] = HUGE) -> list[Path]:
    """Draw the images, each in the form that makes it a challenge; return their paths.

    Those of one colour, and the last three, cannot be used, and must be refused on both sides.

    Args:
        folder: That they are written to.
        seed: Of what is drawn.
        huge: Height and width of the largest, in pixels; see ``huge_for``.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    png: dict[str, npt.NDArray[np.integer]] = {
        "pixel": rng.integers(0, 256, (1, 1, 3), dtype=np.uint8),
        "tiny": rng.integers(0, 256, (3, 2, 3), dtype=np.uint8),
        "odd": _texture(rng, 97, 61),
        "wide": _texture(rng, 40, 800),
        "tall": _texture(rng, 800, 40),
        "checkered": np.tile(
            np.array([[0, 255], [255, 0]], np.uint8), (257, 300)
        ),  # tells every resize from every other
        "colours": _two_tone((20, 120, 240), (40, 90, 200)),  # tells BGR from RGB
        "nearly_black": _two_tone((0, 0, 0), (0, 0, 1)),
        "black": np.zeros((128, 128, 3), np.uint8),
        "white": np.full((128, 128, 3), 255, np.uint8),
        "grey": _texture(rng, 150, 170)[..., 0],
        "grey_16": (_texture(rng, 150, 170)[..., 0].astype(np.uint16) * 257) ^ 1,
        "colour_16": (_texture(rng, 90, 130).astype(np.uint16) * 257) ^ 3,
    }
    for name, values in png.items():
        cv2.imwrite(str(folder / f"{name}.png"), values if values.ndim == 2 else values[..., ::-1])
    height, width = huge
    tile = _texture(rng, min(height, 601), min(width, 803))
    repeated = np.tile(tile, (-(-height // tile.shape[0]), -(-width // tile.shape[1]), 1))[:height, :width]
    cv2.imwrite(str(folder / "huge.jpg"), repeated)  # as cameras write it, and read in a third of the time of a PNG
    image = Image.fromarray(_texture(rng, 120, 200))
    turned = Image.Exif()
    turned[0x0112] = 6  # orientation: rotate by a quarter
    image.save(folder / "turned.jpg", exif=turned, quality=90)
    image.quantize(32).save(folder / "palette.png")
    image.convert("RGBA").save(folder / "alpha.png")
    image.save(folder / "photograph.jpg", quality=75)
    image.save(folder / "scan.tif")
    image.convert("CMYK").save(folder / "cmyk.jpg")
    (folder / "cut.png").write_bytes((folder / "odd.png").read_bytes()[:2000])
    (folder / "empty.png").write_bytes(b"")
    return sorted(folder.iterdir())


def _two_tone(most: tuple[int, int, int], rest: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
    """Draw one colour with a stripe of another."""
    drawn = np.full((64, 96, 3), most, np.uint8)
    drawn[40:48] = rest
    return drawn


def _texture(rng: np.random.Generator, height: int, width: int) -> npt.NDArray[np.uint8]:
    """Draw fine and coarse structure in colour: something to lose in every resize."""
    coarse = cv2.resize(rng.random((7, 9, 3)).astype(np.float32), (width, height), interpolation=cv2.INTER_CUBIC)
    row_H11, column_W1 = np.arange(height, dtype=np.float32)[:, None, None], np.arange(width, dtype=np.float32)[:, None]
    fine = np.sin(row_H11 * np.float32(0.9)) * np.cos(column_W1 * np.array([0.7, 1.3, 2.1], np.float32))
    drawn: npt.NDArray[np.uint8] = np.clip(255 * (0.7 * coarse + 0.15 + 0.15 * fine), 0, 255).astype(np.uint8)
    return drawn
