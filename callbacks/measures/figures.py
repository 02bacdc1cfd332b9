"""What measures hand over to be drawn, as plain data: how it looks is for the page to say.

Letters: P points of a line, H and W pixels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .atlas import Atlas

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy as np
    import numpy.typing as npt
    import pandas as pd

    from .examples import Example


@dataclass(frozen=True)
class Line:
    """A line of a chart.

    Attributes:
        name: What it shows.
        x_P: Ascending or not, finite.
        y_P: As many.
        guide: Whether it is only there to compare with, such as a diagonal: drawn dashed, without dots.
    """

    name: str
    x_P: Sequence[float]
    y_P: Sequence[float]
    guide: bool = False


@dataclass(frozen=True)
class Chart:
    """Lines over a common axis: the figure for whatever has no figure of its own.

    Attributes:
        title: A few words.
        x_name: What the horizontal axis shows, with its unit.
        y_name: What the vertical axis shows.
        lines: At least one, with at least one point.
        caption: What to see in it, in a sentence or two; or empty.
    """

    title: str
    x_name: str
    y_name: str
    lines: Sequence[Line]
    caption: str = ""


@dataclass(frozen=True)
class ImageFigure:
    """An image, for what no chart can show.

    Attributes:
        title: A few words.
        image_HW3: (H, W, 3) uint8, RGB.
        caption: What to see in it; or empty.
    """

    title: str
    image_HW3: npt.NDArray[np.uint8]
    caption: str = ""


@dataclass(frozen=True)
class Examples:
    """Images that show how the detector decides; worst first in each category."""

    members: tuple[Example, ...]


@dataclass(frozen=True)
class DefectFigures:
    """Defects by size and by place.

    Attributes:
        marked: One row per marked defect: ``side`` in pixels on disk, and ``found``; empty where none is marked.
        heat_map: (H, W) in how many images a defect was found at each pixel; None where there are none.
    """

    marked: pd.DataFrame
    heat_map: npt.NDArray[np.int64] | None


Figure = Chart | ImageFigure | Examples | DefectFigures | Atlas
"""Whatever a measure may hand over to be drawn."""
