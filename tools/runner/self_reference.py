"""Images judged by themselves, as ``models/self_reference.py`` does it: no graph can fit a model to each of them.

Letters: C channels, H and W pixels, k side of a patch, D = C k k values of a patch, P patches.
"""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import numpy as np

from datamodules.files.fitting import inside_of, without_marks

from .chain import top_mean
from .result import Prediction

if TYPE_CHECKING:
    from .network import Array


def judge_alone(rules: dict[str, Any], image_B3HW: Array) -> Prediction:
    """Score images: raw scores (B,) and maps (B, H, W), about 1 where nothing stands out.

    Args:
        rules: ``patch_size``, ``block_size``, ``step``, ``ridge`` and ``top_share`` as in the model's config;
            ``weights``, what each colour counts in the grey that is judged, or None: colours are judged;
            ``quantum``, the variance that rounding to 8 bits adds.
        image_B3HW: In [0, 1], with padding marked.
    """
    inside_BHW = inside_of(image_B3HW)
    maps = np.stack([_judge_inside(rules, *pair) for pair in zip(image_B3HW, inside_BHW, strict=True)])
    return Prediction(top_mean(maps, rules["top_share"], inside_BHW), maps)


def _judge_inside(rules: dict[str, Any], image_3HW: Array, inside_HW: Array) -> Array:
    """Judge an image without its padding, where the map (H, W) is 0; with it, where it is too narrow."""
    if inside_HW.all():
        return judge_image(rules, image_3HW)
    rows, columns = (np.flatnonzero(inside_HW.any(axis=axis)) for axis in (1, 0))
    if not _suffices(rules, (len(rows), len(columns))):
        return np.asarray(judge_image(rules, without_marks(image_3HW[None])[0]) * inside_HW)
    inner = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    map_HW = np.zeros(inside_HW.shape, np.float32)
    map_HW[inner] = judge_image(rules, image_3HW[:, *inner])
    return map_HW


def _suffices(rules: dict[str, Any], shape: tuple[int, int]) -> bool:
    """Tell whether every kind of block leaves as many patches as a patch has values; a single block leaves none."""
    if min(shape) <= max(rules["block_size"], rules["patch_size"]):
        return False
    fewest = min(int(_reference(shape, kind, rules).sum()) for kind in product((0, 1), (0, 1)))
    return bool(fewest >= (3 if rules["weights"] is None else 1) * rules["patch_size"] ** 2)


def judge_image(rules: dict[str, Any], image_3HW: Array) -> Array:
    """Judge one image: its map (H, W). Each of the four kinds of blocks is judged by a model of its own."""
    size, side, step = rules["patch_size"], rules["block_size"], rules["step"]
    seen_CHW = image_3HW
    if rules["weights"] is not None:
        weight_311 = np.array(rules["weights"], np.float32)[:, None, None]
        seen_CHW = (image_3HW * weight_311).sum(axis=0, keepdims=True)
    radius = size // 2
    padded = np.pad(seen_CHW, ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
    patch_HWCkk = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(1, 2)).transpose(1, 2, 0, 3, 4)
    fitted_PD = _flat(patch_HWCkk[::step, ::step])
    height, width = seen_CHW.shape[1:]
    map_HW = np.zeros((height, width), np.float32)
    for kind in product((0, 1), (0, 1)):
        mean_D, whiten_DD = fit(fitted_PD[_reference((height, width), kind, rules)], rules)
        for top in range(kind[0] * side, height, 2 * side):
            for left in range(kind[1] * side, width, 2 * side):
                block = patch_HWCkk[top : top + side, left : left + side]
                white_PD = (_flat(block) - mean_D) @ whiten_DD.T
                distance_P = np.sqrt(np.square(white_PD).mean(axis=1))
                map_HW[top : top + side, left : left + side] = distance_P.reshape(block.shape[:2])
    return map_HW


def fit(patch_PD: Array, rules: dict[str, Any]) -> tuple[Array, Array]:
    """Fit a normal distribution: its mean (D,), and what turns a difference from it to one of unit variance (D, D)."""
    mean_D = patch_PD.mean(axis=0)
    centred_PD = patch_PD - mean_D
    covariance_DD = centred_PD.T @ centred_PD / len(patch_PD)
    added = rules["ridge"] * np.diagonal(covariance_DD).mean() + rules["quantum"]
    covariance_DD[np.diag_indices_from(covariance_DD)] += added
    return mean_D, np.linalg.inv(np.linalg.cholesky(covariance_DD))


def _flat(patches: Array) -> Array:
    """Turn patches (rows, columns, C, k, k) into (P, D), in double precision."""
    flat_PD: Array = patches.reshape(patches.shape[0] * patches.shape[1], -1).astype(np.float64)
    return flat_PD


def _reference(shape: tuple[int, int], kind: tuple[int, int], rules: dict[str, Any]) -> Array:
    """Tell which of the fitted patches share no pixel with any patch of a kind's blocks, (P,)."""
    near = []
    for length, parity in zip(shape, kind, strict=True):
        centre = np.arange(0, length, rules["step"])[:, None]
        starts = np.arange(parity * rules["block_size"], max(length, 1), 2 * rules["block_size"])
        reach = rules["patch_size"] - 1
        after = centre <= starts + rules["block_size"] - 1 + reach
        near.append(((centre >= starts - reach) & after).any(axis=1))
    apart_P: Array = ~(near[0][:, None] & near[1]).ravel()
    return apart_P
