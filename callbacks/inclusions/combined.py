"""The combined anomaly of inclusions: large and far away, and odd in shape.

Source: MLography, anomaly_detection.py (shape_and_spatial_anomaly_detection).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .spatial import stretched

if TYPE_CHECKING:
    from .gaps import Floats


def combined(spatial_N: Floats, shape_N: Floats) -> Floats:
    """Return the product of both measures, in [0, 1] among the inclusions of a map.

    The shape's scores are stretched to [0, 1] before, and the product afterwards.
    """
    return stretched(spatial_N * stretched(shape_N))
