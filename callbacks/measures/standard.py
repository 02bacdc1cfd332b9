"""The measures of runs whose config names none: those of every run before configs listed them.

The list stays as it is, so that an old run, tested again, is measured as it was. New measures stand in
``configs/callbacks`` alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .baseline import Baseline
from .embeddings import Embeddings
from .gallery import Gallery
from .images import Images
from .instances import DetectedInstances
from .model_account import ModelAccount
from .objects import Objects
from .parts import Parts
from .pixels import Pixels
from .probabilities import Probabilities
from .timing import Timing
from .types import Types
from .unusual import Unusual

if TYPE_CHECKING:
    from .measure import Measure


def standard_measures() -> dict[str, Measure]:
    """Build one of each, by the names that configs give them, in the order of the page."""
    return {
        "images": Images(),
        "probabilities": Probabilities(),
        "pixels": Pixels(),
        "baseline": Baseline(),
        "objects": Objects(),
        "types": Types(),
        "unusual": Unusual(),
        "parts": Parts(),
        "instances": DetectedInstances(),
        "gallery": Gallery(),
        "embeddings": Embeddings(),
        "timing": Timing(),
        "model": ModelAccount(),
    }
