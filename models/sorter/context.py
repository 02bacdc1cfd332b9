"""Features of every cell, one column each: what the cell is, and how it differs from the cells around it.

All are taken on the full grid, whatever class a cell has, so that a hole does not change its neighbours' mean. Those of
the clustering notebook (see docs/meta_atom.md) keep its names; grey values in them are 0 to 255, as there.

Letters: N cells, S side of a cell in pixels, R and C rows and columns.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pandas as pd

from .blocks import blocks
from .outline import half_shift, outline_features, outlines, polar, radial_features, radial_profiles
from .seed_features import centre_features, darkness_features, step_features

if TYPE_CHECKING:
    from .judging import JudgedArray
    from .layers import Places
    from .measures import Gauge

Floats = npt.NDArray[np.floating]
Plane = npt.NDArray[np.float32]

TENSOR = 2.0  # pixels: the structure tensor is averaged over
WINDOW = 7  # pixels along a side of the windows of structural similarity (Wang et al. 2004)
BESIDE = ("mean", "std", "area", "circularity", "likeness")  # features that are also compared with the neighbours'


def describe(grey_NSS: Plane, judged: JudgedArray) -> pd.DataFrame:
    """Return all features, one row per cell.

    Args:
        grey_NSS: Grey values in [0, 1], as they lie.
        judged: What the layers say of them.
    """
    parts = [
        own_features(grey_NSS[part], judged.aligned.cell_NSS[part], judged.gauge) for part in blocks(len(grey_NSS))
    ]
    measures = judged.measures
    columns: dict[str, Floats] = {
        "likeness": measures.likeness,
        "absence": measures.absence,
        "darkness": measures.darkness,
        "seam": measures.seam,
        "misfit": np.exp(measures.misfit),
    }
    columns |= {name: np.concatenate([own[name] for own, _ in parts]) for name in parts[0][0]}
    columns |= radial_features(np.concatenate([profile_NB for _, profile_NB in parts]))
    columns |= {f"{name}_residual": residual(columns[name], judged.places) for name in BESIDE}
    columns["neighbour_deviation"] = neighbour_deviation(columns)
    return pd.DataFrame(columns)


def own_features(grey_NSS: Plane, aligned_NSS: Plane, gauge: Gauge) -> tuple[dict[str, Floats], Floats]:
    """Return the features that no other cell has a part in, and radial profiles.

    Args:
        grey_NSS: Grey values in [0, 1], as they lie.
        aligned_NSS: Relief with the pillar in the middle.
        gauge: Of the array.
    """
    level_NSS = grey_NSS * 255.0
    polar_NTK = polar(aligned_NSS, gauge.radius)
    radius_NT = outlines(polar_NTK, polar(gauge.reference_SS[None], gauge.radius)[0], gauge.radius)
    columns: dict[str, Floats] = {
        "amplitude": amplitude(aligned_NSS, gauge),
        "half_shift": half_shift(aligned_NSS, gauge),
        "mean": level_NSS.mean(axis=(1, 2)),
        "std": level_NSS.std(axis=(1, 2)),
    }
    columns |= outline_features(radius_NT) | rotation_features(aligned_NSS) | tensor_features(aligned_NSS, gauge)
    columns |= centre_features(level_NSS) | darkness_features(level_NSS) | step_features(level_NSS)
    return columns, radial_profiles(polar_NTK)


def amplitude(aligned_NSS: Plane, gauge: Gauge) -> Floats:
    """Return the contrast of every pillar in parts of the reference's, by projection."""
    reference_P = gauge.reference_SS[gauge.near_SS]
    reference_P = reference_P - reference_P.mean()
    cell_NP = aligned_NSS[:, gauge.near_SS]
    return np.asarray(
        (cell_NP - cell_NP.mean(axis=1, keepdims=True)) @ reference_P / max(reference_P @ reference_P, 1e-12)
    )


def residual(value_N: Floats, places: Places) -> Floats:
    """Return every value less the median of its up to eight neighbours."""
    value_RC = places.spread_out(value_N)
    padded = np.pad(value_RC, 1, constant_values=np.nan)
    beside = [
        padded[1 + down : 1 + down + value_RC.shape[0], 1 + right : 1 + right + value_RC.shape[1]]
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
        if (down, right) != (0, 0)
    ]
    stack = np.stack(beside)
    alone = ~np.isfinite(stack).any(axis=0)
    usual_RC = np.where(alone, value_RC, np.nanmedian(np.where(alone, 0.0, stack), axis=0))
    return (value_RC - usual_RC).ravel()[places.index_N]


def neighbour_deviation(columns: dict[str, Floats]) -> Floats:
    """Join the deviations of mean, spread, area and circularity from the neighbours, each in its own usual measure."""
    parts = []
    for name in BESIDE[:4]:
        away_N = np.abs(columns[f"{name}_residual"])
        parts.append(away_N / max(float(np.median(away_N)), 1e-9))
    return np.asarray(np.mean(parts, axis=0))


def rotation_features(aligned_NSS: Plane) -> dict[str, Floats]:
    """Compare every cell with itself turned by 90 and 180 degrees: all pairs of quarter turns are these two."""
    far, similar = [], []
    for quarter in (1, 2):
        turned_NSS = np.rot90(aligned_NSS, quarter, axes=(1, 2))
        far.append(np.sqrt(((aligned_NSS - turned_NSS) ** 2).mean(axis=(1, 2))))
        similar.append(
            np.array(
                [
                    similarity(cell, np.ascontiguousarray(turned))
                    for cell, turned in zip(aligned_NSS, turned_NSS, strict=True)
                ]
            )
        )
    unlike = 1 - np.array(similar)
    return {
        "rotation_l2_mean": np.mean(far, axis=0),
        "rotation_l2_max": np.max(far, axis=0),
        "rotation_ssim_mean": unlike.mean(axis=0),
        "rotation_ssim_worst": unlike.max(axis=0),
    }


def similarity(first_SS: Plane, second_SS: Plane) -> float:
    """Return the mean structural similarity of two cells (Wang et al. 2004), of relief with a range of 1."""
    size = (WINDOW, WINDOW)
    mean_1, mean_2 = cv2.blur(first_SS, size), cv2.blur(second_SS, size)
    var_1 = cv2.blur(first_SS * first_SS, size) - mean_1**2
    var_2 = cv2.blur(second_SS * second_SS, size) - mean_2**2
    both = cv2.blur(first_SS * second_SS, size) - mean_1 * mean_2
    low, high = 0.01**2, 0.03**2
    top = (2 * mean_1 * mean_2 + low) * (2 * both + high)
    return float((top / ((mean_1**2 + mean_2**2 + low) * (var_1 + var_2 + high))).mean())


def tensor_features(aligned_NSS: Plane, gauge: Gauge) -> dict[str, Floats]:
    """Describe the direction of the slopes near the pillar by the structure tensor, averaged over 2 pixels."""
    rows = [_tensor(cell, gauge.near_SS) for cell in aligned_NSS]
    names = ("anisotropy", "coherence", "orientation", "tensor_ratio")
    return {name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _tensor(cell_SS: Plane, near_SS: npt.NDArray[np.bool_]) -> tuple[float, float, float, float]:
    right, down = cv2.Sobel(cell_SS, cv2.CV_32F, 1, 0), cv2.Sobel(cell_SS, cv2.CV_32F, 0, 1)
    xx, yy, xy = (
        cv2.GaussianBlur(plane, (0, 0), TENSOR)[near_SS] for plane in (right * right, down * down, right * down)
    )
    half, split = (xx + yy) / 2, np.sqrt(((xx - yy) / 2) ** 2 + xy**2)
    large, small = half + split, np.maximum(half - split, 0)
    part = (large - small) / np.maximum(large + small, 1e-12)
    angle = np.abs(0.5 * np.arctan2(2 * xy, xx - yy))
    ratio = large / np.maximum(small, 1e-6 + 1e-3 * large)
    return float(part.mean()), float((part**2).mean()), float(angle.mean()), float(ratio.mean())
