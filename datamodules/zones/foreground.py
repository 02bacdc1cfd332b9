"""The part in the foreground: what a model learns from and judges, where the ground about it must have no vote.

Found on what the model sees, by zones or as what stands out from a plain ground (``ring_ground``), so that training,
prediction and bundles find the same. Where nothing is found, all of the image counts.

Letters: H and W height and width of what a model sees, in pixels.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import cv2
import numpy as np
import numpy.typing as npt

from datamodules.errors import DataError

from .ring_ground import find_ground
from .view import to_grey

if TYPE_CHECKING:
    from datamodules.files.fitting import Part as Rectangle
    from datamodules.files.images import Array

Mask: TypeAlias = npt.NDArray[np.bool_]
PLAIN, SOLID = "plain", "solid"
SMALLEST, LARGEST = 0.01, 0.95  # of an image: less or more is not a part on a ground
PIECE = 0.1  # of the largest piece's area: smaller pieces are specks on the ground
HOLE = 0.25  # of the part's area: smaller holes are pits in it, larger ones show the ground
WIDEST = 0.5  # of the shorter side, that a margin may be


@dataclass(frozen=True)
class Foreground:
    """How the part is found.

    Attributes:
        zones: Ids of the zones that are the part; none: it is what stands out from a plain ground.
        margin: By which it is widened, in shares of the image's shorter side, so that its outline is judged, too.
        solid: Where it stands out from a plain ground: what it encloses belongs to it, and shows no ground.
    """

    zones: tuple[int, ...] = ()
    margin: float = 0.02
    solid: bool = False

    def __post_init__(self) -> None:
        """Refuse what finds no part; take ids as they come from plain values.

        Raises:
            DataError: Ids are none of zones, or the margin is out of range.
        """
        object.__setattr__(self, "zones", tuple(dict.fromkeys(self.zones)))
        if not all(type(one) is int and 0 < one <= np.iinfo(np.uint8).max for one in self.zones):
            raise DataError(f"Expected ids of zones in data.foreground to be from 1 to 255, but found {self.zones!r}.")
        if not (isinstance(self.margin, int | float) and 0 <= self.margin <= WIDEST):
            raise DataError(f"Expected data.foreground_margin to be from 0 to {WIDEST}, but found {self.margin!r}.")

    def find(
        self, image_3HW: npt.NDArray[np.float32], zones_HW: Array | None = None, frame: Rectangle | None = None
    ) -> Mask | None:
        """Find the part on an image, (H, W); None where all of it counts, since no part was found.

        Args:
            image_3HW: In [0, 1].
            zones_HW: Ids of zones, 0 where there are none; None: nobody knows any.
            frame: Where the image lies; elsewhere is padding. None: it lies everywhere.
        """
        if frame is not None:
            rows, columns = frame.slices
            zones = None if zones_HW is None else zones_HW[rows, columns]
            whole_HW, inner = np.zeros(image_3HW.shape[1:], np.bool_), self.find(image_3HW[:, rows, columns], zones)
            whole_HW[rows, columns] = True if inner is None else inner
            return None if inner is None else whole_HW
        found = _of_zones(zones_HW, self.zones) if self.zones else self._standing_out(image_3HW)
        if found is None or not SMALLEST <= float(found.mean()) <= LARGEST:
            return None
        widened: Mask = cv2.dilate(found.astype(np.uint8), self._disc(found.shape)) > 0
        return widened

    def _disc(self, size: tuple[int, ...]) -> npt.NDArray[np.uint8]:
        reach = round(self.margin * min(size))
        disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (2 * reach + 1, 2 * reach + 1))
        return np.asarray(disc, np.uint8)

    def _standing_out(self, image_3HW: npt.NDArray[np.float32]) -> Mask | None:
        """Find what is neither ground nor a speck on it, pits in it filled; None where nothing stands out."""
        grey_HW = to_grey(np.clip(image_3HW, 0, 1).transpose(1, 2, 0))
        small_hw = find_ground(grey_HW).mask_hw
        mask_HW = cv2.resize(small_hw.astype(np.uint8), grey_HW.shape[::-1], interpolation=cv2.INTER_NEAREST)
        closed_HW = cv2.morphologyEx(mask_HW, cv2.MORPH_CLOSE, self._disc(mask_HW.shape))
        pieces = _components(closed_HW > 0, 8)
        if not len(pieces.areas):
            return None
        part_HW = pieces.of_area(PIECE * float(pieces.areas.max()))
        holes = _components(~part_HW, 4)
        ground_HW = holes.touching_the_rim()
        if not self.solid:
            ground_HW |= holes.of_area(HOLE * float(part_HW.sum()))
        part: Mask = ~ground_HW
        return part

    def to_dict(self) -> dict[str, Any]:
        """Plain values, which the constructor takes."""
        return asdict(self) | {"zones": list(self.zones)}


@dataclass(frozen=True)
class _Components:
    """Connected pieces of a mask: of every pixel the number of its piece, from 1, and the areas of pieces."""

    number_HW: npt.NDArray[np.int32]
    areas: npt.NDArray[np.int32]

    def of_area(self, area: float) -> Mask:
        """Return the pieces of so many pixels or more."""
        chosen: Mask = np.concatenate([[False], self.areas >= area])[self.number_HW]
        return chosen

    def touching_the_rim(self) -> Mask:
        """Return the pieces that reach the border of the image."""
        number_HW = self.number_HW
        rim = np.unique(np.concatenate([number_HW[0], number_HW[-1], number_HW[:, 0], number_HW[:, -1]]))
        touching: Mask = np.isin(number_HW, rim[rim > 0])
        return touching


def read_foreground(value: Any, margin: float) -> Foreground | None:
    """Read ``data.foreground`` and ``data.foreground_margin``; None where all of an image counts.

    Raises:
        DataError: One of them means nothing.
    """
    if value in (None, PLAIN, SOLID):
        found = Foreground((), margin, value == SOLID)  # a margin that means nothing is refused in any case
        return None if value is None else found
    ids = [value] if isinstance(value, int) else value
    if not isinstance(ids, list | tuple) or not ids:
        ways = f"{PLAIN}, {SOLID}, ids of zones such as [1, 2], or null"
        raise DataError(f"Expected data.foreground to be {ways}, but found {value!r}.")
    return Foreground(tuple(ids), margin)


def _of_zones(zones_HW: Array | None, zones: tuple[int, ...]) -> Mask | None:
    return None if zones_HW is None else np.asarray(np.isin(zones_HW, zones), np.bool_)


def _components(mask_HW: Mask, neighbours: int) -> _Components:
    _, number_HW, statistics, _ = cv2.connectedComponentsWithStats(mask_HW.astype(np.uint8), connectivity=neighbours)
    return _Components(np.asarray(number_HW, np.int32), np.asarray(statistics[1:, cv2.CC_STAT_AREA], np.int32))
