"""The true outline of a region on the image on disk: where the image is half as far from its ground as in the region.

A model's map is coarse and its regions are too large: a window of nine pixels makes 7 um of a speck of 2. Half of a
region's own depth is where a lens leaves the edge of what it blurs.

Letters: H and W pixels of the image on disk, h and w of a part of it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from collections.abc import Iterator

Plane: TypeAlias = npt.NDArray[np.float32]
Mask: TypeAlias = npt.NDArray[np.bool_]

MARGIN = 10  # pixels about a region that say what its ground is like
GROUND = 4  # pixels off a region from which its ground begins
NOISY = 15.0  # per cent of a region's pixels whose height is left to noise, once there are ...
MANY = 100  # ... so many of them; the peak of a speck is its height
NOISE = 5.0  # standard deviations of the ground that a depth must reach
# Defects that one region of a model may hold: a few, one more per so many pixels, at most.
AGAIN, MORE, MOST = 6, 1500, 40
FINE, MEDIUM = 160 * 160, 500 * 500  # pixels up to which a part is measured by quarters, and by halves
# Half of what a ring to be filled may lack, in pixels: the border of a zone cuts rings open.
GAPS = (0.0, 3.5, 8.0, 13.0)
HELD = 0.6  # of the border of what is unmarked, that marks hold, where it is a part of what they mark
HALO = 13  # pixels: side of the square about a thing in which its echoes lie
OPPOSITE, ECHO = 0.6, 0.25  # of its depth: what is weaker than this near it, of the other sign or its own, is its echo
SMALLEST = 2.0  # square pixels


class Patch(NamedTuple):
    """What a region turned out to be.

    Attributes:
        left: Of the fine mask, in pixels of the image on disk from its left border.
        top: The same from its upper border.
        step: Side of a pixel of the fine mask, in pixels on disk.
        inside_hw: (h, w) bool, the fine mask.
        depth: How far the region lies from its ground, in the image's units: above 0 bright, below 0 dark.
        ground: Of the region, in the same units.
        noise: Robust standard deviation of the ground.
    """

    left: float
    top: float
    step: float
    inside_hw: Mask
    depth: float
    ground: float
    noise: float

    @property
    def area(self) -> float:
        """Area in square pixels on disk."""
        return float(self.inside_hw.sum()) * self.step**2

    def pixels(self) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Return x and y of the centres of its fine pixels, in pixels on disk, (0, 0) the image's outer corner."""
        row, column = np.nonzero(self.inside_hw)
        x, y = (first + (place + 0.5) * self.step for first, place in ((self.left, column), (self.top, row)))
        return np.asarray(x, np.float64), np.asarray(y, np.float64)


def outlines(
    plane_HW: Plane, seed_HW: Mask, noise: float = 0.0, faintest_HW: Plane | None = None, largest_filled: int = 150
) -> list[Patch]:
    """Find the true outlines of regions.

    Args:
        plane_HW: The image, grey, in any unit; at best without what is usual (shading, borders of zones).
        seed_HW: Where a model marks something; what a region holds need not fill it.
        noise: Standard deviation that the ground has at least, in the image's unit: rounding alone gives some.
        faintest_HW: How deep a thing has to be at a pixel, where it lies by an edge that is never quite taken away.
        largest_filled: Pixels up to which a region is filled: a filter marks a disc wider than its window at the edge.

    Returns:
        One patch for each thing that stands out within the regions; several where a region holds several.
    """
    filled_HW = _with_plateaus(plane_HW, _filled(seed_HW, largest_filled), NOISE * noise, largest_filled)
    number, label_HW, box_R5, _ = cv2.connectedComponentsWithStats(filled_HW.astype(np.uint8), connectivity=8)
    found: list[Patch] = []
    for region in range(1, number):
        left, top, width, height, _ = (int(value) for value in box_R5[region])
        rows = slice(max(top - MARGIN, 0), top + height + MARGIN)
        columns = slice(max(left - MARGIN, 0), left + width + MARGIN)
        label_hw = label_HW[rows, columns]
        found += _within(plane_HW[rows, columns], label_hw == region, label_hw > 0, (columns.start, rows.start), noise)
    return (
        found if faintest_HW is None else [patch for patch in found if abs(patch.depth) >= _asked(patch, faintest_HW)]
    )


def _asked(patch: Patch, faintest_HW: Plane) -> float:
    """Return how deep a patch has to be: what is asked for at most of its pixels."""
    x_P, y_P = patch.pixels()
    return float(np.median(faintest_HW[y_P.astype(int), x_P.astype(int)]))


def of_mask(mask_HW: Mask) -> list[Patch]:
    """Take the regions of a mask for what they are, without looking at the image."""
    number, label_HW, box_R5, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=8)
    found = []
    for region in range(1, number):
        left, top, width, height, _ = (int(value) for value in box_R5[region])
        inside_hw = label_HW[top : top + height, left : left + width] == region
        found.append(Patch(float(left), float(top), 1.0, inside_hw, 1.0, 0.0, 0.0))
    return found


def _filled(seed_HW: Mask, largest: int) -> Mask:
    """Fill the holes of regions that are not wider than ``largest`` pixels; a ring about a zone holds no defect.

    A ring may have gaps: where a zone ends within a defect, a filter says less of its edge.
    """
    filled_HW = seed_HW.astype(np.uint8)
    for gap in GAPS:
        closed_HW = _closed(filled_HW, gap)
        contours, parents = cv2.findContours(closed_HW, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        for contour, (_, _, _, parent) in zip(contours, parents[0] if contours else (), strict=True):
            if parent >= 0 and max(cv2.boundingRect(contours[parent])[2:]) <= largest:
                cv2.drawContours(filled_HW, [contour], -1, 1, cv2.FILLED)
    return filled_HW > 0


def _with_plateaus(plane_HW: Plane, seed_HW: Mask, faintest: float, largest: int) -> Mask:
    """Add what lies bright or dark between a region's arcs: a filter marks the edge of a wide disc, and not all of it.

    Args:
        plane_HW: The image, about 0 where nothing is.
        seed_HW: What is marked.
        faintest: That a pixel differs by.
        largest: Pixels of what is added, across.
    """
    found_HW = seed_HW.copy()
    if not faintest or not seed_HW.any():
        return found_HW
    beside_HW = cv2.dilate(seed_HW.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    smooth_HW = cv2.GaussianBlur(plane_HW, (0, 0), 1.0)
    for sign in (-1.0, 1.0):
        unmarked_HW = (sign * smooth_HW >= faintest) & ~seed_HW
        number, label_HW, box_R5, _ = cv2.connectedComponentsWithStats(unmarked_HW.astype(np.uint8), connectivity=4)
        edge_HW = (cv2.erode(unmarked_HW.astype(np.uint8), np.ones((3, 3), np.uint8)) == 0) & unmarked_HW
        edge_R = np.bincount(label_HW[edge_HW], minlength=number)
        held_R = np.bincount(label_HW[edge_HW & beside_HW], minlength=number)
        between_R = (held_R >= HELD * edge_R) & (box_R5[:, 2:4].max(axis=1) <= largest)
        between_R[0] = False
        found_HW |= between_R[label_HW]
    return found_HW


def _within(
    plane_hw: Plane, region_hw: Mask, marked_hw: Mask, corner: tuple[int, int], floor: float
) -> Iterator[Patch]:
    """Find what stands out in one region, the strongest first."""
    reach = np.ones((2 * GROUND + 1, 2 * GROUND + 1), dtype=np.uint8)
    near_hw = cv2.dilate(marked_hw.astype(np.uint8), reach) > 0
    ground_hw = plane_hw[~near_hw] if (~near_hw).sum() >= 30 else plane_hw[~region_hw]
    if not ground_hw.size:
        ground_hw = plane_hw.ravel()
    ground = float(np.median(ground_hw))
    noise = max(1.4826 * float(np.median(np.abs(ground_hw - ground))), floor)
    smooth_hw = cv2.GaussianBlur(plane_hw, (0, 0), 0.7) - ground
    left_hw = region_hw.copy()
    for _ in range(min(AGAIN + int(region_hw.sum()) // MORE, MOST)):
        if not left_hw.any():
            return
        place = int(np.argmax(np.where(left_hw, np.abs(smooth_hw), 0)))
        peak = float(smooth_hw.flat[place])
        if not peak or abs(peak) < NOISE * noise:  # on a plane without noise, nothing differs by nothing
            return
        sign = 1.0 if peak > 0 else -1.0
        patch, used_hw = _grown(sign * (plane_hw - ground), sign * smooth_hw, left_hw, place, corner)
        if patch.area >= SMALLEST:
            yield patch._replace(depth=sign * patch.depth, ground=ground, noise=noise)
        left_hw &= ~(used_hw | _halo(sign * smooth_hw, used_hw, abs(patch.depth)))


def _halo(value_hw: Plane, used_hw: Mask, depth: float) -> Mask:
    """Return what sharpening and compression leave about a thing: its weaker opposite, and faint echoes."""
    near_hw = cv2.dilate(used_hw.astype(np.uint8), np.ones((HALO, HALO), np.uint8)) > 0
    echo: Mask = near_hw & (value_hw > -OPPOSITE * depth) & (value_hw < ECHO * depth)
    return echo


def _grown(
    value_hw: Plane, smooth_hw: Plane, region_hw: Mask, place: int, corner: tuple[int, int]
) -> tuple[Patch, Mask]:
    """Grow one thing from its highest pixel down to half of its depth; return it, and the pixels that it takes."""
    height, width = value_hw.shape
    rough_hw = _component(region_hw & (smooth_hw > 0.5 * float(smooth_hw.flat[place])), place)
    depth = float(np.percentile(smooth_hw[rough_hw], 100.0 - NOISY * min(rough_hw.sum() / MANY, 1.0)))
    factor = 4 if value_hw.size <= FINE else 2 if value_hw.size <= MEDIUM else 1
    allowed_hw = cv2.dilate(region_hw.astype(np.uint8), np.ones((3, 3), np.uint8))
    size = (width * factor, height * factor)
    fine_hw = cv2.resize(cv2.GaussianBlur(value_hw, (0, 0), 0.5), size, interpolation=cv2.INTER_CUBIC)
    allowed_fine = cv2.resize(allowed_hw, size, interpolation=cv2.INTER_NEAREST) > 0
    over_hw = (fine_hw > 0.5 * depth) & allowed_fine
    row, column = divmod(place, width)
    fine_place = (row * factor + factor // 2) * size[0] + column * factor + factor // 2
    inside_hw = _filled_holes(_component(over_hw, fine_place))
    rows, columns = np.flatnonzero(inside_hw.any(axis=1)), np.flatnonzero(inside_hw.any(axis=0))
    if not len(rows):
        return Patch(0.0, 0.0, 1.0, np.zeros((1, 1), np.bool_), depth, 0.0, 0.0), rough_hw
    cut = inside_hw[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    left, top = corner[0] + columns[0] / factor, corner[1] + rows[0] / factor
    used = cv2.resize(inside_hw.astype(np.uint8), (width, height), interpolation=cv2.INTER_AREA) > 0
    wide = cv2.dilate((used | rough_hw).astype(np.uint8), np.ones((5, 5), np.uint8)) > 0
    return Patch(float(left), float(top), 1.0 / factor, cut, depth, 0.0, 0.0), wide


def _component(mask_hw: Mask, place: int) -> Mask:
    """Return the region of a mask that holds a pixel; only that pixel where the mask does not."""
    _, label_hw = cv2.connectedComponents(mask_hw.astype(np.uint8), connectivity=8)
    label = label_hw.flat[place]
    chosen: Mask = label_hw == label if label else np.zeros(mask_hw.shape, np.bool_)
    return chosen


def _closed(mask_HW: npt.NDArray[np.uint8], reach: float) -> npt.NDArray[np.uint8]:
    """Close a mask by a disc: by distances, which cost the same for any radius."""
    if not reach or not mask_HW.any():
        return mask_HW
    side = int(reach) + 2
    padded = cv2.copyMakeBorder(mask_HW, side, side, side, side, cv2.BORDER_CONSTANT, value=0)
    wide = (cv2.distanceTransform(1 - padded, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) <= reach).astype(np.uint8)
    closed = cv2.distanceTransform(wide, cv2.DIST_L2, cv2.DIST_MASK_PRECISE) > reach
    return np.asarray(closed[side:-side, side:-side] | (mask_HW > 0), np.uint8)


def _filled_holes(mask_hw: Mask) -> Mask:
    contours, _ = cv2.findContours(mask_hw.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    return cv2.drawContours(np.zeros(mask_hw.shape, np.uint8), contours, -1, 1, cv2.FILLED) > 0
