"""Whole drawn arrays as a datamodule: any lattice, either microscope, chosen severities, and perfect ones beside."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.csv_text import csv_text
from datamodules.files.whole_files import write_whole
from datamodules.meta_atom import MetaAtomDataModule
from datamodules.progress import track

from .drawing import DrawingError, Identity
from .meta_atom import DEFECTS
from .meta_atom_array import Contrast, Lattice, Layout, draw_array, scatter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

LABELS = "labels.csv"


@dataclass(kw_only=True, eq=False)
class DrawnArraysDataModule(MetaAtomDataModule):
    """Arrays of meta-atoms, drawn whole when first needed, and kept.

    On disk, under ``root``, one folder per setting: ``array_0000.png`` and so on, ``masks/`` with one mask per array
    that has defects (255 where they are), and ``labels.csv`` with ``array, row, col, class, severity`` of every cell,
    which comes last. ``loupe predict line=meta_atom`` takes the folder as it is.

    Args:
        arrays: How many have defects.
        clean: How many are perfect.
        share: Of cells that have a defect, in arrays that have any, 0 to 1.
        severity: Least and most for every class, 0 barely visible to 1 gross; a class that is not named, or is null,
            is not drawn.
        lattice: ``square`` or ``hexagonal``.
        pitch: Distance of neighbours in a row, in pixels.
        aspect: Distance of rows over that, for square lattices.
        angle: By how many degrees rows sink to the right.
        contrast: ``optical``, or ``sem`` for a scanning electron microscope.
        seams: Through every array, where shots were joined.
        drawing_seed: Decides the arrays; ``seed`` decides their splits.
    """

    arrays: int = 4
    clean: int = 2
    share: float = 0.1
    severity: Mapping[str, Sequence[float] | None] = field(default_factory=lambda: dict.fromkeys(DEFECTS, (0.2, 1.0)))
    lattice: Lattice = "square"
    pitch: float = 48.0
    aspect: float = 1.0
    angle: float = 0.0
    contrast: Contrast = "optical"
    seams: int = 0
    drawing_seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if min(self.arrays, self.clean) < 0 or self.arrays + self.clean < 1:
            raise DataError(
                f"Expected data.arrays and data.clean to be 0 or more, and one of them at least 1, but found "
                f"{self.arrays} and {self.clean}."
            )
        if not 0 <= self.share <= 1:
            raise DataError(f"Expected data.share to be 0 to 1, but found {self.share}.")
        check_severities(self.severity)

    def sample_table(self) -> tuple[pd.DataFrame, list[UnreadableImageError]]:
        """Draw what has not been drawn yet, and list the cells as of any other arrays."""
        place = Path(self.root).expanduser().resolve()
        try:
            drawn = draw_arrays(place, self)
        except DrawingError as error:
            raise DataError(str(error)) from error
        self.root = str(drawn)
        try:
            return super().sample_table()
        finally:
            self.root = str(place)

    @property
    def layout(self) -> Layout:
        """How every array is laid out."""
        rows, columns = self.grid
        return Layout(
            rows, columns, self.pitch, self.aspect, self.lattice, self.angle, contrast=self.contrast, seams=self.seams
        )

    @property
    def ranges(self) -> dict[str, tuple[float, float]]:
        """Severities of the classes that are drawn."""
        return {name: (ends[0], ends[1]) for name in DEFECTS if (ends := self.severity.get(name)) is not None}


def check_severities(severity: Mapping[str, Sequence[float] | None]) -> None:
    """Refuse severities of no class, or out of range.

    Raises:
        DataError: Says which.
    """
    if strangers := sorted(set(severity) - set(DEFECTS)):
        raise DataError(f"Expected data.severity to name {', '.join(DEFECTS)}, but found {strangers[0]!r}.")
    for name, ends in severity.items():
        if ends is not None and not (len(ends) == 2 and 0 <= ends[0] <= ends[1] <= 1):
            raise DataError(f"Expected data.severity.{name} to be [least, most], 0 to 1, or null, but found {ends}.")


def draw_arrays(root: Path, wanted: DrawnArraysDataModule) -> Path:
    """Draw the arrays of a data set that are not there yet; return their folder.

    Raises:
        DrawingError: They cannot be drawn so.
    """
    layout, ranges = wanted.layout, wanted.ranges
    setting = asdict(layout) | {"share": wanted.share, "severity": ranges}
    key = hashlib.sha256(json.dumps(setting, sort_keys=True).encode()).hexdigest()[:8]
    folder = root / f"arrays-{wanted.arrays}-{wanted.clean}-{wanted.drawing_seed}-{key}"
    if (folder / LABELS).is_file():
        return folder
    rows: list[dict[str, object]] = []
    for group in track(range(wanted.arrays + wanted.clean), "drawing arrays"):
        identity = Identity(wanted.drawing_seed, "meta_atom", group, 0)
        flaws = scatter(identity, layout, wanted.share, ranges) if group < wanted.arrays and ranges else {}
        drawing = draw_array(identity, layout, flaws)
        write_whole(folder / f"{drawing.group}.png", png(drawing.image[..., ::-1] if layout.colour else drawing.image))
        if flaws:
            write_whole(folder / "masks" / f"{drawing.group}.png", png(drawing.mask.astype(np.uint8) * np.uint8(255)))
        for row, column in np.ndindex(layout.rows, layout.columns):
            flaw = flaws.get((row + 1, column + 1))
            cell = {"array": drawing.group, "row": row + 1, "col": column + 1}
            rows.append({**cell, "class": flaw.defect if flaw else "good", "severity": flaw.severity if flaw else 0.0})
    write_whole(folder / LABELS, csv_text(pd.DataFrame(rows).round({"severity": 4})).encode())
    return folder


def png(image: npt.NDArray[np.uint8]) -> bytes:
    """Encode an image, in OpenCV's order of channels, as PNG."""
    return cv2.imencode(".png", np.ascontiguousarray(image))[1].tobytes()
