"""Cells of meta-atom arrays, judged one by one by the standards of the training arrays, as ``models/layered.py`` does.

Letters: B batch, H and W height and width of the model's images, S side of a cell, K standards.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.sorter.standard import Standard, cells_of_images, judge_cells, maps_of_images

from .result import Prediction

if TYPE_CHECKING:
    from .network import Array


def judge_layered(rules: dict[str, Any], image_B3HW: Array) -> Prediction:
    """Score cells: raw scores (B,), 1 at the limit, and maps (B, H, W).

    Args:
        rules: ``cell_size``; ``references``, (K, S, S) as nested lists; ``numbers``, of each standard as
            ``Standard.numbers`` gives them; ``factors``, by which the limits of the layers are multiplied.
        image_B3HW: In [0, 1].
    """
    pairs = zip(rules["references"], rules["numbers"], strict=True)
    standards = [Standard.restored(np.array(reference, np.float32), numbers) for reference, numbers in pairs]
    found = judge_cells(cells_of_images(image_B3HW, rules["cell_size"]), standards, rules["factors"])
    size = image_B3HW.shape[2], image_B3HW.shape[3]
    return Prediction(found.score_N4.max(axis=1).astype(np.float32), maps_of_images(found.map_NSS, size))
