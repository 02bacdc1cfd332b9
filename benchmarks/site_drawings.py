"""Draws the images of the documentation that show drawn parts: good ones above, defective ones outlined below.

Everything is drawn from a seed, by the domains of ``datamodules.synthetic``: no real image is needed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from PIL import Image

from datamodules.prepare.tiling import even_background, find_part, tiles_of
from datamodules.synthetic.domains import DOMAINS, Order, defective_image, good_image

if TYPE_CHECKING:
    from pathlib import Path

    from datamodules.synthetic.drawing import Drawing

Bytes = npt.NDArray[np.uint8]

SEED = 7
FIN = "flash"
GAP = 4  # pixels between images, white
RED, CYAN, BLUE = (232, 72, 60), (60, 190, 230), (30, 110, 220)
RING, TILE, OVERLAP, MARGIN = 280, 136, 20, 10  # pixels: side of the ring's image, of its tiles, and what they share


class Sheet(NamedTuple):
    """Good images above defective ones.

    Attributes:
        domain: Of ``datamodules.synthetic``.
        columns: Images in a row.
        side: Of an image in pixels.
        drawn: The side at which it is drawn, before it is made smaller.
        colour: Of the outlines.
    """

    domain: str
    columns: int
    side: int
    drawn: int
    colour: tuple[int, int, int]


SHEETS = {
    "fiber.png": Sheet("fiber", 6, 152, 256, CYAN),
    "meta_atom.png": Sheet("meta_atom", 6, 96, 64, RED),
    "metallography.png": Sheet("metallography", 4, 128, 128, RED),
    "print3d.png": Sheet("print3d", 4, 144, 256, RED),
}


def draw_sheets(out: Path, wanted: set[str]) -> list[Path]:
    """Draw the images that are wanted; return their files."""
    drawn = {name: sheet_of(sheet) for name, sheet in SHEETS.items() if name in wanted}
    if "oring.png" in wanted:
        drawn["oring.png"] = ring_and_tiles()
    for name, values in drawn.items():
        Image.fromarray(values).quantize(128).save(out / name, optimize=True)
    return [out / name for name in drawn]


def sheet_of(sheet: Sheet) -> Bytes:
    """Draw a sheet: its defects in their order, each clearly to be seen."""
    defects = DOMAINS[sheet.domain].defects
    apart = DOMAINS[sheet.domain].good_per_group  # one of each group: groups look different
    rows = [[good_image(sheet.domain, SEED, apart * number) for number in range(sheet.columns)]]
    placed = [defective_image(sheet.domain, SEED, number).identity for number in range(sheet.columns)]
    rows.append([Order(one, defects[place % len(defects)], 0.8) for place, one in enumerate(placed)])
    return np.vstack([np.hstack([_framed(_shown(order, sheet)) for order in row]) for row in rows])


def ring_and_tiles() -> Bytes:
    """Draw a ring with a defect; the same with its background made even, and its tiles; two tiles with the defect."""
    drawing = draw(Order(defective_image("oring", SEED, 0).identity, FIN, 0.9), RING)
    image = _colour(drawing.image)
    outlined = _outlined(image, drawing.mask, RED)
    even = even_background(image, find_part(image[..., 1], MARGIN))
    cut = even.copy()
    tiles = tiles_of(RING, RING, TILE, OVERLAP)
    for tile in tiles:
        cv2.rectangle(cut, (tile.x, tile.y), (tile.x + tile.width - 1, tile.y + tile.height - 1), BLUE, 1)
    shown = sorted(tiles, key=lambda tile: -int(tile.cut(drawing.mask).sum()))[:2]
    parts = [_outlined(tile.cut(even), tile.cut(drawing.mask), RED) for tile in shown]
    between = np.full((RING - 2 * TILE, TILE, 3), 255, np.uint8)
    beside = np.full((RING, 2 * GAP, 3), 255, np.uint8)
    column = np.vstack([parts[0], between, parts[-1]])
    return np.hstack([outlined, beside, _outlined(cut, drawing.mask, RED), beside, column])


def draw(order: Order, side: int) -> Drawing:
    """Draw an image."""
    return DOMAINS[order.identity.domain].draw(order.identity, side, order.defect, order.severity)


def _shown(order: Order, sheet: Sheet) -> Bytes:
    drawing = draw(order, sheet.drawn)
    size = (sheet.side, sheet.side)
    image = np.asarray(cv2.resize(_colour(drawing.image), size, interpolation=cv2.INTER_AREA), np.uint8)
    mask = cv2.resize(drawing.mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST_EXACT) > 0
    return _outlined(image, mask, sheet.colour)


def _colour(image: Bytes) -> Bytes:
    return image if image.ndim == 3 else np.repeat(image[..., None], 3, axis=2)


def _outlined(image: Bytes, mask: npt.NDArray[np.bool_], colour: tuple[int, int, int]) -> Bytes:
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    drawn = np.ascontiguousarray(image)
    return np.asarray(cv2.drawContours(drawn.copy(), contours, -1, colour, 1, cv2.LINE_AA), np.uint8)


def _framed(image: Bytes) -> Bytes:
    return np.pad(image, ((GAP // 2, GAP // 2), (GAP // 2, GAP // 2), (0, 0)), constant_values=255)
