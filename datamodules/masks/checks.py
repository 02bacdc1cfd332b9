"""Masks that cannot be what was meant: inverted, or shifted against the image they belong to.

A mask that is unreadable, empty or of another size than its image is refused when files are surveyed; what is checked
here still trains, and quietly spoils every pixel figure.

Letters: H and W height and width in pixels, R reach of the search for a shift, M masks.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Sequence

Mask = npt.NDArray[np.bool_]
Surface = npt.NDArray[np.float32]

WORKING_EDGE = 512
"""Longest edge of an image in which a shift is searched, in pixels; larger ones are shrunk."""
REACH = 16
"""How far a shift is searched, in pixels of that size: 3 % of a large image."""

_INVERTED_SHARE, _INVERTED_BORDER = 0.5, 0.75
_SURE = 0.6  # of the agreement at the best place, above which one mask alone says that it is shifted
_MISPLACED = 0.5  # of that agreement is left at most where the mask lies
_FEWEST = 8  # masks that may speak together
_COMMON_GAIN = 1.25  # by which their mean agreement grows when all of them are moved alike


class MaskFacts(NamedTuple):
    """What one mask looks like beside its image.

    Attributes:
        share: Of the image that is marked, in (0, 1].
        border_share: Of the image's outermost pixels that are marked, in [0, 1].
        scale: Pixels of the image per pixel of ``surface``.
        surface: (2 R + 1, 2 R + 1) agreement of mask and image for every shift, in [0, 1]; None for a mask that
            leaves nothing to compare with.
    """

    share: float
    border_share: float
    scale: float
    surface: Surface | None


class Shift(NamedTuple):
    """How far a mask would have to move to lie on what it marks, in pixels of the image; right and down count up."""

    right: float
    down: float


def mask_facts(mask_HW: Mask, grey_HW: npt.NDArray[np.uint8]) -> MaskFacts:
    """Measure a mask with at least one mark beside its image of the same size."""
    border = np.concatenate([mask_HW[0], mask_HW[-1], mask_HW[:, 0], mask_HW[:, -1]])
    scale = max(1.0, max(mask_HW.shape) / WORKING_EDGE)
    surface = shift_surface(mask_HW, grey_HW, scale)
    return MaskFacts(float(mask_HW.mean()), float(border.mean()), scale, surface)


def is_inverted(facts: MaskFacts) -> bool:
    """Tell whether a mask marks the background: most of the image, and nearly all around its border.

    A defect as large as that would reach over the part and its surroundings alike.
    """
    return facts.share > _INVERTED_SHARE and facts.border_share > _INVERTED_BORDER


def shift_surface(mask_HW: Mask, grey_HW: npt.NDArray[np.uint8], scale: float) -> Surface | None:
    """Compare a mask with its image at every shift within the reach.

    The measure is the absolute normalised cross-correlation of the mask, with a margin around its marks, and the grey
    values under it: 1 where everything marked has one grey value and everything around it another.

    Args:
        mask_HW: At least one mark.
        grey_HW: The image.
        scale: How many times to shrink both, at least 1.

    Returns:
        (2 R + 1, 2 R + 1) in [0, 1]; entry (R + down, R + right) is for the mask moved by so many shrunk pixels. None
        where the marks fill the whole frame, margin included.

    Source: Lewis, "Fast normalized cross-correlation", Vision Interface 1995.
    """
    size = max(1, round(mask_HW.shape[1] / scale)), max(1, round(mask_HW.shape[0] / scale))
    mask = cv2.resize(mask_HW.astype(np.float32), size, interpolation=cv2.INTER_AREA)
    grey = cv2.resize(grey_HW, size, interpolation=cv2.INTER_AREA).astype(np.float32)
    rows, cols = (np.flatnonzero(mask.max(axis=axis) > 0) for axis in (1, 0))
    margin = max(4, round(0.25 * min(np.ptp(rows), np.ptp(cols))))
    pad = margin + REACH
    top, bottom = int(rows[0]) + pad - margin, int(rows[-1]) + pad + margin + 1
    left, right = int(cols[0]) + pad - margin, int(cols[-1]) + pad + margin + 1
    template = _padded(mask, pad)[top:bottom, left:right]
    if template.std() < 1e-3:
        return None
    window = _padded(grey, pad)[top - REACH : bottom + REACH, left - REACH : right + REACH]
    found = cv2.matchTemplate(window, template, cv2.TM_CCOEFF_NORMED)
    return np.abs(np.nan_to_num(np.asarray(found, dtype=np.float32), posinf=0.0, neginf=0.0)).clip(0, 1)


def find_shift(facts: MaskFacts) -> Shift | None:
    """Say how far a mask is shifted, if it is certain: it fits well in one place, and badly where it lies."""
    if facts.surface is None:
        return None
    return _best(facts.surface, facts.scale, minimum=_SURE, gain=1 / _MISPLACED)


def find_common_shift(masks: Sequence[MaskFacts]) -> Shift | None:
    """Say how far all masks of a set are shifted, as by a wrong crop or a second camera.

    The mean over many masks shows what a single one, of a faint defect, does not.
    """
    surfaces = [(facts.surface, facts.scale) for facts in masks if facts.surface is not None]
    if len(surfaces) < _FEWEST or len({scale for _, scale in surfaces}) > 1:
        return None
    mean = np.stack([surface for surface, _ in surfaces]).mean(axis=0)
    return _best(mean, surfaces[0][1], minimum=0.0, gain=_COMMON_GAIN)


def _best(surface: Surface, scale: float, minimum: float, gain: float) -> Shift | None:
    """Return the best place, if it lies inside the reach, agrees enough, and gains enough over where the mask is."""
    down, right = (int(index) for index in np.unravel_index(int(surface.argmax()), surface.shape))
    # The mask may lie up to two pixels off: annotation is no more precise than that.
    here = float(surface[REACH - 2 : REACH + 3, REACH - 2 : REACH + 3].max())
    inside = min(down, right) > 0 and max(down, right) < 2 * REACH
    best = float(surface[down, right])
    if not inside or best < minimum or best < gain * here:
        return None
    return Shift((right - REACH) * scale, (down - REACH) * scale)


def _padded(array: npt.NDArray[np.generic], pad: int) -> Surface:
    """Continue an array beyond its border with the values found there, so that shifts never run out of image."""
    return np.pad(array, pad, mode="edge").astype(np.float32, copy=False)
