"""End faces cut out about their axis, judged, and laid back onto their images, as the run did it.

Letters: B batch, S side of a cut, H and W height and width of the model's images, all in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.files.fitting import without_marks
from models.components.face_cuts import How, cut_face

from .result import Prediction
from .tiles import shrunk

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .network import Array


def judge_faces(parts: Mapping[str, Any], judge: Callable[[Array], Prediction], image_B3HW: Array) -> Prediction:
    """Judge images by their faces: the score of each cut, and its map laid back.

    Args:
        parts: ``face``, the shape of a cut (polar or disc); its ``size``, ``inner`` and ``reach``.
        judge: From cuts (B, 3, S, S) to raw scores and maps.
        image_B3HW: Images in [0, 1], with padding marked.
    """
    image_B3HW = without_marks(image_B3HW)
    cuts = [cut_face(image, how_of(parts)) for image in image_B3HW]
    found = judge(np.stack([cut.image(image) for cut, image in zip(cuts, image_B3HW, strict=True)]))
    map_BHW = np.stack([cut.back(map_SS) for cut, map_SS in zip(cuts, found.map_BHW, strict=True)])
    embedding_BD = None
    if found.embedding_BD is not None:  # of whole images, as the run describes them
        embedding_BD = judge(shrunk(image_B3HW, parts["size"])).embedding_BD
    return Prediction(found.score_B, map_BHW, embedding_BD=embedding_BD)


def how_of(parts: Mapping[str, Any]) -> How:
    """Read how faces are cut out."""
    return How(parts["face"], parts["size"], parts["inner"], parts["reach"])
