"""From what an instance graph found to maps, scores and detections, as the instance model itself makes them.

Letters: D detections of an image, M side of a mask in its box, H and W height and width of the model's image.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from models.components.laying import lay

if TYPE_CHECKING:
    from datamodules.samples.detections import Detections

    from .network import Array


def judge_instances(
    found: dict[str, Array], size: tuple[int, int], rules: dict[str, Any], inside_HW: Array | None = None
) -> tuple[Array, Array, Detections]:
    """Lay what a graph found onto its image.

    Args:
        found: ``boxes`` (D, 4) x1, y1, x2, y2 in pixels, ``labels`` (D,), ``scores`` (D,), ``masks`` (D, M, M).
        size: H and W.
        rules: ``score_threshold``, above which a detection counts; ``mask_threshold``, the probability from which on a
            pixel belongs to an instance; and ``part``, the label of the part itself, which is not a defect.
        inside_HW: Which pixels are no padding; None: all.

    Returns:
        The score of the surest defect, (); the map (H, W); and the detections.
    """
    sure = found["scores"] > np.float32(rules["score_threshold"])
    likely = {name: values[sure] for name, values in found.items()}
    map_HW, detections = lay(likely, size, rules["mask_threshold"], rules["part"], inside_HW)
    scores = [one.score for one in detections if one.label != rules["part"]]
    return np.asarray(max(scores, default=0.0), np.float32), map_HW, detections
