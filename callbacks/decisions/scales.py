"""Micrometres per pixel that were usual in a run, by kind and size of image, for images that do not tell their own."""

from __future__ import annotations

import pandas as pd

FEWEST = 5  # images whose median is steady
OWN = "image"  # the source of a scale that an image itself told


def learn_scales(samples: pd.DataFrame) -> dict[str, float]:
    """Return the median over images that told their own scale, along y, by ``KIND HEIGHTxWIDTH``.

    Args:
        samples: The sample table; nothing comes of one without ``um_source``.
    """
    if not {"um_source", "um_per_pixel", "kind", "height", "width"} <= set(samples.columns):
        return {}
    own = samples[samples["um_source"] == OWN]
    own = own.assign(um=pd.to_numeric(own["um_per_pixel"]), key=list(map(key_of, *_columns(own))))
    groups = own.groupby("key")["um"]
    return {str(key): round(float(um.median()), 6) for key, um in groups if len(um) >= FEWEST}


def _columns(table: pd.DataFrame) -> tuple[pd.Series, pd.Series, pd.Series]:
    return table["kind"], table["height"].astype(int), table["width"].astype(int)


def key_of(kind: str, height: int, width: int) -> str:
    """Name a kind and a size, as ``Zoning`` looks them up."""
    return f"{kind} {height}x{width}"
