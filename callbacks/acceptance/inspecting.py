"""A closer look at parts, for rules that ask for more than a map tells: what of a mask is measured on the file itself.

Letters: H and W pixels of the image on disk, h and w those of what a model sees.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from callbacks.defects.measured import Defect
    from datamodules.files.fitting import Placement
    from datamodules.files.images import Array

    from .facts import Facts
    from .judgement import Judgement


class Marked(NamedTuple):
    """What a model marks on one image.

    Attributes:
        mask_hw: Where its map reaches the threshold for pixels, whatever the verdict on the image.
        map_hw: Its raw map.
        placement: How the image on disk lies in what the model sees.
        defective: Its verdict.
        um_per_pixel: Micrometres per pixel on disk that somebody gave for this image; None: nobody did.
    """

    mask_hw: npt.NDArray[np.bool_]
    map_hw: npt.NDArray[np.float32]
    placement: Placement
    defective: bool
    um_per_pixel: float | None = None


class Inspected(NamedTuple):
    """What came of a closer look.

    Attributes:
        judgement: What the rules say of the part.
        defects: As they were measured, from the top; numbers in reasons are theirs.
        facts: That the rules went by.
    """

    judgement: Judgement
    defects: tuple[Defect, ...]
    facts: Facts


class Inspector(Protocol):
    """Looks at the part on an image, and judges it by its rules."""

    def __call__(self, values: Array, kind: str, marked: Marked) -> Inspected:
        """Judge the part on an image as stored, (H, W) or (H, W, 3), of a sub-population."""
