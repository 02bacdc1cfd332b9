"""Images of whole arrays to one tile per pillar: what ``loupe prepare meta_atom`` writes."""

from __future__ import annotations

import shlex
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from datamodules.arrays.lattice import cut_tiles, find_lattice
from datamodules.arrays.naming import TILE
from datamodules.arrays.repeats import LatticeError
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.csv_text import csv_text
from datamodules.files.images import read_image
from datamodules.files.suffixes import is_image
from datamodules.files.walking import walk_images
from datamodules.progress import track

from .preparation import Prepared

if TYPE_CHECKING:
    from datamodules.files.images import Array

CELLS = "cells.csv"
LABELS = "labels.csv"


@dataclass(frozen=True, kw_only=True)
class MetaAtomTiles:
    """Finds the lattice of every array and cuts a tile for every cell, as ``MetaAtomDataModule`` reads them.

    Under ``out``: ``{array}/{array}_{row},{col}.bmp`` (PNG beyond 8 bits), counted from one; ``cells.csv`` with
    ``array``, ``row``, ``col``, the centre ``x`` and ``y`` in pixels of the array's image, and ``likeness`` to the
    typical cell (-1 to 1: low where a pillar is missing); and the ``labels.csv`` of ``source``, if it has one.

    Args:
        source: An image of an array, or a folder of them.
        out: Folder to write to.
        grid: Rows and columns of every array.
        margin: How much of its neighbours a tile shows on each side, in pitches.
    """

    source: str
    out: str
    grid: tuple[int, int] = (21, 21)
    margin: float = 0.1

    def write(self) -> Prepared:
        """Cut every array that can be read.

        Raises:
            DataError: There is none.
        """
        out = Path(self.out).expanduser().resolve()
        cells, left_out = [], []
        for path in track(self._arrays(), "cutting arrays"):
            try:
                cells.append(self._cut(path, out))
            except LatticeError as error:
                left_out.append(UnreadableImageError(path, f"is not such an array: {error}", "see there"))
            except UnreadableImageError as error:
                left_out.append(error)
        if not cells:
            raise DataError(f"Expected pictures of arrays in {self.source}, but could use none; {left_out[0]}")
        table = pd.concat(cells, ignore_index=True)
        (out / CELLS).write_bytes(csv_text(table).encode())
        labels = Path(self.source).expanduser() / LABELS
        if labels.is_file():
            shutil.copyfile(labels, out / LABELS)
        tiles = {str(array): len(rows) for array, rows in table.groupby("array")}
        return Prepared(
            out, len(cells), tiles, left_out, f"loupe train data=meta_atom {shlex.quote(f'data.root={out}')}"
        )

    def _arrays(self) -> list[Path]:
        source = Path(self.source).expanduser()
        paths = [source] if source.is_file() and is_image(source) else walk_images(source, [])
        paths = [path for path in paths if TILE.match(path.stem) is None]
        if not paths:
            raise DataError(f"Expected {source} to be a picture of an array, or a folder of them, but found none.")
        return paths

    def _cut(self, path: Path, out: Path) -> pd.DataFrame:
        """Write the tiles of one array; return its lines of ``cells.csv``."""
        image = read_image(path)
        lattice = find_lattice(image, (self.grid[0], self.grid[1]))
        tiles, centres = cut_tiles(image, lattice, self.margin), lattice.centres()
        folder = out / path.stem
        folder.mkdir(parents=True, exist_ok=True)
        rows = []
        for row, col in np.ndindex(*lattice.likeness_RC.shape):
            write_tile(folder / f"{path.stem}_{row + 1},{col + 1}", tiles[row, col])
            x, y = centres[row, col].round(2)
            rows.append((path.stem, row + 1, col + 1, x, y, lattice.likeness_RC[row, col].round(3)))
        return pd.DataFrame(rows, columns=["array", "row", "col", "x", "y", "likeness"])


def write_tile(stem: Path, tile: Array) -> None:
    """Write a tile as BMP, or as PNG where it has more than 8 bits.

    Raises:
        UnreadableImageError: It has floating-point values, which neither holds.
    """
    if tile.dtype == np.float32:
        raise UnreadableImageError(stem, "would hold floating-point values", "save the array with 8 or 16 bits")
    suffix = ".bmp" if tile.dtype == np.uint8 else ".png"
    encoded = cv2.imencode(suffix, tile if tile.ndim == 2 else tile[..., ::-1])[1]
    stem.with_name(stem.name + suffix).write_bytes(encoded.tobytes())
