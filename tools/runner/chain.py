"""The metallographic chain: inclusions are marked by one graph and painted over, then boundaries are by another.

Letters: B batch, H and W height and width of the images in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.enhancing.enhancement import read_enhancement
from datamodules.files.fitting import inside_of, without_marks
from models.components.painting import enhanced, painted
from models.components.scan_tiles import ScanTiles

from .result import Prediction
from .tiles import judge_tiles

if TYPE_CHECKING:
    from collections.abc import Callable

    from .network import Array

    Graph = Callable[[Array], Prediction]

BOUNDARY = "boundary"
"""What a chain marks whose second graph is asked, of images without what the first one marks."""


def judge_chain(composition: dict[str, Any], inclusions: Graph, boundaries: Graph, image_B3HW: Array) -> Prediction:
    """Judge images.

    Args:
        composition: ``stages``, of each graph ``scans`` (see ``ScanTiles``) and ``enhance``; ``threshold``, the raw
            value from which a pixel is an inclusion; ``inpaint``, how these are painted over; ``marks``, whose map is
            the answer; ``top_share``, the share of its pixels, the highest, whose mean is the score.
        inclusions: From tiles to raw maps.
        boundaries: From tiles to raw maps.
        image_B3HW: In [0, 1], with padding marked.
    """
    inside_BHW, image_B3HW = inside_of(image_B3HW), without_marks(image_B3HW)
    first, second = composition["stages"]
    map_BHW = _stage(first, inclusions, image_B3HW)
    if composition["marks"] == BOUNDARY:
        over_B3HW = painted(image_B3HW, map_BHW, composition["threshold"], composition["inpaint"])
        map_BHW = _stage(second, boundaries, over_B3HW)
    return Prediction(top_mean(map_BHW, composition["top_share"], inside_BHW), map_BHW)


def _stage(stage: dict[str, Any], graph: Graph, image_B3HW: Array) -> Array:
    enhancement = read_enhancement(stage["enhance"]["entries"], stage["enhance"]["mode"])
    given_B3HW = enhanced(image_B3HW, enhancement)
    if "tiles" in stage:  # earlier bundles, for images of one size
        return judge_tiles(stage["tiles"], graph, given_B3HW).map_BHW
    return ScanTiles(**stage["scans"]).judge(given_B3HW, lambda part_K3hw: graph(part_K3hw).map_BHW)


def top_mean(map_BHW: Array, share: float, inside_BHW: Array) -> Array:
    """Average the highest values of each map (B,): a share of the pixels that are no padding, at least one."""
    return np.array([_top(map_HW[inside], share) for map_HW, inside in zip(map_BHW, inside_BHW, strict=True)])


def _top(value_P: Array, share: float) -> np.float32:
    count = max(1, round(share * len(value_P)))
    return np.float32(np.partition(value_P, -count)[-count:].mean())
