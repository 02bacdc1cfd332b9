"""How an image on disk lies in what a model sees, and back: squashed, letterboxed, cropped, at its own scale or size.

Letters: H and W height and width of the image on disk, h and w those of what the model sees.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar, get_args

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

from .images import resize, resize_mask, resize_zones, scale, to_rgb

if TYPE_CHECKING:
    from .images import Array

Fit = Literal["squash", "letterbox", "crop", "keep", "own"]
FITS: tuple[str, ...] = get_args(Fit)
SQUASH: Fit = "squash"
KEEP: Fit = "keep"
OWN: Fit = "own"
PADDED: tuple[Fit, ...] = ("letterbox", KEEP)
MARK = -1.0  # a value v in [0, 1] of padding is MARK - v, and of ground the first channel alone; networks look for that
Size = tuple[int, int]  # height, width
T = TypeVar("T", bound=np.generic)


class Part(NamedTuple):
    """A rectangle of whole pixels; the last two are not part of it."""

    top: int
    left: int
    bottom: int
    right: int

    @property
    def size(self) -> Size:
        """Height and width."""
        return self.bottom - self.top, self.right - self.left

    @property
    def area(self) -> int:
        """Count its pixels."""
        return self.size[0] * self.size[1]

    @property
    def slices(self) -> tuple[slice, slice]:
        """Rows and columns."""
        return slice(self.top, self.bottom), slice(self.left, self.right)

    def seen_from(self, top: int, left: int, side: int) -> Part:
        """Return what of it a square shows, in the square's own pixels; an empty part where it shows nothing.

        Args:
            top: First row of the square.
            left: First column.
            side: Of the square.
        """
        rows = min(max(self.top - top, 0), side), min(max(self.bottom - top, 0), side)
        columns = min(max(self.left - left, 0), side), min(max(self.right - left, 0), side)
        return Part(rows[0], columns[0], rows[1], columns[1])

    def of(self, values: npt.NDArray[T]) -> npt.NDArray[T]:
        """Cut it out of an array whose first two axes are rows and columns."""
        return values[self.slices]


class Placement(NamedTuple):
    """Where an image lies in what the model sees.

    Attributes:
        size: Height and width on disk.
        seen: Height and width of what the model sees.
        part: Of the image on disk, what the model sees of it.
        frame: Of what the model sees, where that part lies; padding is outside.
    """

    size: Size
    seen: Size
    part: Part
    frame: Part

    @property
    def scale(self) -> tuple[float, float]:
        """Pixels on disk per pixel of what the model sees, along a column and along a row."""
        return self.part.size[0] / self.frame.size[0], self.part.size[1] / self.frame.size[1]

    @property
    def origin(self) -> tuple[float, float]:
        """Where the model's upper left corner lies on the image on disk, in pixels from the top and from the left."""
        down, across = self.scale
        return self.part.top - self.frame.top * down, self.part.left - self.frame.left * across

    @property
    def share(self) -> float:
        """How many images such as this one the part would need to be cut from: 1 where it is whole, more where not."""
        return self.size[0] * self.size[1] / self.part.area

    @property
    def whole(self) -> bool:
        """Tell whether the model sees all of the image, and nothing else."""
        return not self.padded and self.part.size == self.size

    @property
    def padded(self) -> bool:
        """Tell whether some of what the model sees is padding."""
        return self.frame.size != self.seen

    def inside(self) -> npt.NDArray[np.bool_]:
        """Tell which pixels (h, w) of what the model sees show the image."""
        inside_hw = np.zeros(self.seen, dtype=np.bool_)
        self.frame.of(inside_hw)[:] = True
        return inside_hw

    def box(self, box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
        """Turn left, top, right and bottom of a box in the model's pixels into those on disk, within the image."""
        (down, across), (top, left) = self.scale, self.origin
        height, width = self.size
        return (
            min(max(left + box[0] * across, 0.0), width),
            min(max(top + box[1] * down, 0.0), height),
            min(max(left + box[2] * across, 0.0), width),
            min(max(top + box[3] * down, 0.0), height),
        )

    def mask_on_disk(self, mask_hw: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Lay a mask (h, w) onto the image on disk, (H, W); what the model did not see is not marked."""
        whole_HW = np.zeros(self.size, dtype=np.uint8)
        part_hw = np.ascontiguousarray(self.frame.of(mask_hw), dtype=np.uint8)
        self.part.of(whole_HW)[:] = cv2.resize(part_hw, self.part.size[::-1], interpolation=cv2.INTER_NEAREST_EXACT)
        return whole_HW > 0

    def values_on_disk(self, values_hw: npt.NDArray[T], size: Size | None = None) -> npt.NDArray[T]:
        """Lay values (h, w) or (h, w, C) onto the image, smoothly; zero where the model did not see it.

        Args:
            values_hw: At the model's size.
            size: Height and width of the image as it is to be shown; None: as on disk.
        """
        height, width = size or self.size
        down, across = height / self.size[0], width / self.size[1]
        top, left = round(self.part.top * down), round(self.part.left * across)
        bottom, right = max(top + 1, round(self.part.bottom * down)), max(left + 1, round(self.part.right * across))
        whole: npt.NDArray[T] = np.zeros((height, width, *values_hw.shape[2:]), dtype=values_hw.dtype)
        part = np.ascontiguousarray(self.frame.of(values_hw))
        whole[top:bottom, left:right] = cv2.resize(part, (right - left, bottom - top), interpolation=cv2.INTER_LINEAR)
        return whole


def place(size: Size, seen: Size, fit: Fit = SQUASH) -> Placement:
    """Say how an image lies in what a model sees.

    ``squash`` changes its proportions, ``letterbox`` pads the shorter side, ``crop`` cuts the longer one, both evenly;
    ``keep`` pads both and changes no scale, unless the image is larger than what the model sees; ``own`` changes
    nothing at all, and the model sees every image at its own size, whatever ``seen`` is.

    Args:
        size: Height and width on disk.
        seen: Height and width of what the model sees.
        fit: Which of the five.
    """
    seen = size if fit == OWN else seen
    (height, width), (tall, wide) = size, seen
    part, frame = Part(0, 0, height, width), Part(0, 0, tall, wide)
    if fit in PADDED:
        factor = min(tall / height, wide / width, 1.0 if fit == KEEP else math.inf)
        frame = _centred(seen, (_side(height * factor, tall), _side(width * factor, wide)))
    elif fit == "crop":
        factor = min(height / tall, width / wide)
        part = _centred(size, (_side(tall * factor, height), _side(wide * factor, width)))
    return Placement(size, seen, part, frame)


def require_fit(found: Any) -> Fit:
    """Return a fit that is one of those there are.

    Raises:
        DataError: It is not.
    """
    if found not in FITS:
        raise DataError(f"Expected data.fit to be one of {', '.join(FITS)}, but found {found!r}.")
    fit: Fit = found
    return fit


def fit_values(values: Array, placement: Placement) -> Array:
    """Bring an image (H, W) or (H, W, 3) to what the model sees; padding repeats the image's edge.

    A colour of its own would draw an edge there that no image has, and some detectors look for edges.
    """
    return _padded(resize(placement.part.of(values), *placement.frame.size), placement, cv2.BORDER_REPLICATE)


def fit_mask(mask_HW: npt.NDArray[np.bool_], placement: Placement) -> npt.NDArray[np.bool_]:
    """Bring a mask to what the model sees; padding is not marked."""
    resized = resize_mask(placement.part.of(mask_HW), *placement.frame.size)
    return _padded(resized.astype(np.uint8), placement, cv2.BORDER_CONSTANT) > 0


def fit_zones(zones_HW: npt.NDArray[np.uint8], placement: Placement) -> npt.NDArray[np.uint8]:
    """Bring zone ids to what the model sees; padding is 0, no zone."""
    resized = resize_zones(placement.part.of(zones_HW), *placement.frame.size)
    return _padded(resized, placement, cv2.BORDER_CONSTANT)


def network_input(
    values: Array, height: int, width: int, white_level: float | None = None, fit: Fit = SQUASH
) -> npt.NDArray[np.float32]:
    """Turn stored values, (H, W) or (H, W, 3), into what every model takes: (3, height, width) float32 in [0, 1]."""
    placement = place((values.shape[0], values.shape[1]), (height, width), fit)
    rgb = to_rgb(fit_values(scale(values, white_level), placement))
    planes = np.ascontiguousarray(rgb.transpose(2, 0, 1))
    return planes.astype(np.float32) / np.float32(255) if planes.dtype == np.uint8 else planes


def mark_padding(image_3HW: npt.NDArray[np.float32], placement: Placement) -> npt.NDArray[np.float32]:
    """Mark the padding of an image in [0, 1]: a value v there becomes -1 - v, which says both that it is, and v."""
    return np.where(placement.inside(), image_3HW, np.float32(MARK) - image_3HW)


def mark_ground(image_3HW: npt.NDArray[np.float32], foreground_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """Mark the ground of an image, whose padding may be marked, in the first channel alone: what is not foreground."""
    marked_3HW = image_3HW.copy()
    marked_3HW[0] = np.where(foreground_HW | (image_3HW[0] < MARK / 2), image_3HW[0], np.float32(MARK) - image_3HW[0])
    return marked_3HW


def inside_of(image_B3HW: npt.NDArray[np.float32]) -> npt.NDArray[np.bool_]:
    """Tell which pixels (B, H, W) are neither padding nor ground, where these are marked."""
    return np.asarray(image_B3HW[:, 0] > MARK / 2)


def without_marks(image_B3HW: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return images as they were before ``mark_padding`` and ``mark_ground``."""
    return np.where(image_B3HW > MARK / 2, image_B3HW, np.float32(MARK) - image_B3HW)


def _side(length: float, most: int) -> int:
    return min(max(round(length), 1), most)


def _centred(size: Size, inner: Size) -> Part:
    top, left = (size[0] - inner[0]) // 2, (size[1] - inner[1]) // 2
    return Part(top, left, top + inner[0], left + inner[1])


def _padded(values: npt.NDArray[Any], placement: Placement, border: int) -> npt.NDArray[Any]:
    if not placement.padded:
        return values
    frame, (height, width) = placement.frame, placement.seen
    sides = (frame.top, height - frame.bottom, frame.left, width - frame.right)
    return np.asarray(cv2.copyMakeBorder(values, *sides, border, value=0))
