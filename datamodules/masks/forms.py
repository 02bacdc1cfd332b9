"""What form a mask file has: how bright its marks are, which side is marked, and how it lies on its image.

Masks of metallography come from many tools. Their marks are 255, or 127, 85 or 31 (255 over the number of objects);
white on black, or black on white; clean, softened at the borders, or noisy from JPEG; and some were exported with a
frame that their image lacks. Each form is told from the values alone, so that a datamodule can convert what it was
asked to, and refuse the rest.

Letters: H and W height and width in pixels.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.files.boxes import Box
from datamodules.masks.checks import MaskFacts, is_inverted

if TYPE_CHECKING:
    from datamodules.files.images import Array

NOISE = 8  # of 255: a mask that is nowhere brighter is black, give or take what JPEG adds
SOFT_SHARE = 0.002  # of the pixels lie between black and white in a softened mask
MOST_OFF = 32  # pixels by which a mask may be larger or smaller than its image and still be aligned
CLEAREST = 0.08  # correlation of mask and image from which an alignment is believed
WINDOW = 640  # pixels along a side of the middle of an image, by which its mask is aligned
SLOW = 25.0  # what varies over more pixels than this is light
REACH = 6  # pixels beyond the difference in size that an alignment is sought


class MaskForm(NamedTuple):
    """The form of a mask.

    Attributes:
        above: A pixel is on where its value is above this: ``mask_on``, or half of the top in a dim mask.
        dim: No value is above ``mask_on``, though some are on.
        soft: Many values lie between black and white: softened borders, or noise. ``above`` decides them.
        white_ground: What is on covers most of the mask and of its border: the marks seem to be black.
        black_ground: The same of what is off: the marks seem to be white.
    """

    above: int
    dim: bool
    soft: bool
    white_ground: bool
    black_ground: bool


def mask_form(values: Array, mask_on: int) -> MaskForm:
    """Tell the form of a mask (H, W) with values up to 255."""
    top = int(values.max())
    dim = NOISE < top <= mask_on
    above = top // 2 if dim else mask_on
    on = values > above
    soft = top > NOISE and ((values > 0.1 * top) & (values < 0.9 * top)).mean() > SOFT_SHARE
    border = np.concatenate([on[0], on[-1], on[:, 0], on[:, -1]])
    facts = MaskFacts(float(on.mean()), float(border.mean()), 1.0, None)
    opposite = MaskFacts(1 - facts.share, 1 - facts.border_share, 1.0, None)
    return MaskForm(above, dim, bool(soft), is_inverted(facts), is_inverted(opposite) and bool(on.any()))


def align(marks_HW: npt.NDArray[np.bool_], grey_HW: Array) -> Box | None:
    """Find where an image lies in a mask of another size, by the correlation of marks and grey values.

    Both are taken pixel by pixel: masks of another size were cropped otherwise than their image, not scaled.

    Args:
        marks_HW: The mask, of any size.
        grey_HW: The image.

    Returns:
        The image's box in the mask; None where the sizes are too far apart, or no place is clearly the best.
    """
    off = np.abs(np.subtract(marks_HW.shape, grey_HW.shape))
    if off.max() > MOST_OFF or marks_HW.all() or not marks_HW.any():
        return None
    grey = grey_HW.astype(np.float32)
    relief = grey - cv2.GaussianBlur(grey, (0, 0), SLOW)
    reach = int(off.max()) + REACH
    top, left = (max(0, (length - WINDOW) // 2) for length in grey.shape)
    part = relief[top : top + WINDOW, left : left + WINDOW]
    padded = np.pad(marks_HW.astype(np.float32), reach)
    around = padded[top : top + part.shape[0] + 2 * reach + off[0], left : left + part.shape[1] + 2 * reach + off[1]]
    fit = np.abs(cv2.matchTemplate(around, part.astype(np.float32), cv2.TM_CCOEFF_NORMED))
    y, x = np.unravel_index(int(fit.argmax()), fit.shape)
    if fit[y, x] < CLEAREST:
        return None
    return Box(int(x) - reach, int(y) - reach, grey_HW.shape[1], grey_HW.shape[0])
