"""Defects on rings, by a trained run or a bundle: each ring cut out, its background made even, looked at in tiles.

Letters: h and w height and width of what is cut out.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from datamodules.enhancing.enhancement import Enhancement
from datamodules.files.fitting import network_input
from datamodules.files.images import check_white_level
from datamodules.prepare.tiling import even_background
from tools.runner.instance_rows import on_image

from .oring_tiles import Searched, TileRules, search_tiles

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datamodules.files.images import Array
    from datamodules.samples.detections import Instance, Mask, Region
    from datamodules.zones.ring import Ring
    from tools.runner.decision import Decision
    from tools.runner.result import Prediction

AROUND = 32  # pixels around the part that stay as they are, as ``loupe prepare oring`` leaves them
NEAR = 16  # pixels from the body within which a defect belongs to the part
TURNS = 720


class Seen(NamedTuple):
    """What was found on the parts of an image.

    Attributes:
        defects: Of every part, from the surest, in pixels of the image.
        tiles: That were looked at.
        passed: Of these, the ones that a first stage let pass.
    """

    defects: list[list[Instance]]
    tiles: int
    passed: int


@dataclass(frozen=True)
class Search:
    """Looks for defects on parts.

    Attributes:
        judge: From tiles (1, 3, S, T) in [0, 1] to scores, maps and detections.
        decision: Thresholds: an instance is a defect where its score reaches that of images.
        rules: Tiles.
        scale: Pixels that the model sees per pixel of the image (binned or not), down and across.
        bin: Pixels of the image that become one, down and across.
        even: Make the background even.
        white_level: Stored value that means white.
        enhance: What happens to an image before.
        part: Label of the part itself, which is not a defect.
        classes: Names of labels, from label 1; none: all are defects.
        passed: Score of a tile that a first stage let pass; None: there is one stage.
    """

    judge: Callable[[Array], Prediction]
    decision: Decision
    rules: TileRules
    scale: tuple[float, float] = (1.0, 1.0)
    bin: int = 1
    even: bool = False
    white_level: float | None = None
    enhance: Enhancement = Enhancement()  # noqa: RUF009 - immutable
    part: int = 2
    classes: Sequence[str] = ()
    passed: float | None = None

    def __call__(self, values: Array, name: str, rings: Sequence[Ring], kinds: Sequence[str]) -> Seen:
        """Look at the parts of an image.

        Args:
            values: As stored.
            name: Of the image, for errors.
            rings: Its parts.
            kinds: Of each.

        Raises:
            UnreadableImageError: Values are beyond the white level.
        """
        check_white_level(values, name, self.white_level)
        body_HW = bodies(rings, values.shape[:2], AROUND)
        near = [bodies([ring], values.shape[:2], NEAR) for ring in rings]
        seen = [self._part(values, body_HW, ring, kind) for ring, kind in zip(rings, kinds, strict=True)]
        defects = [[one for one in found if _owner(one, near) == index] for index, (found, _) in enumerate(seen)]
        return Seen(defects, sum(found.tiles for _, found in seen), sum(found.passed for _, found in seen))

    def _part(self, values: Array, body_HW: Mask, ring: Ring, kind: str) -> tuple[list[Instance], Searched]:
        """Search one part; return its defects in pixels of the image."""
        (top, left, bottom, right), factor = self._window(ring, values.shape), self._factor
        crop, body_hw = values[top:bottom, left:right], body_HW[top:bottom, left:right]
        size = tuple(max(round(length * share), 1) for length, share in zip(crop.shape[:2], factor, strict=True))
        evened = even_background(crop, body_hw) if self.even else crop
        enhanced = self.enhance(_binned(evened, self.bin), self.white_level)
        image_3hw = network_input(enhanced, size[0], size[1], None if self.enhance else self.white_level)
        small = cv2.resize(body_hw.astype(np.uint8), size[::-1], interpolation=cv2.INTER_NEAREST) > 0
        found = search_tiles(
            self.judge, lambda map_ST: self.decision.mask(map_ST, kind), self.rules, image_3hw, small, self.passed
        )
        threshold = max(float(self.decision.threshold(kind)), float(np.nextafter(np.float32(0), np.float32(1))))
        sure = [one for one in found.instances if one.label != self.part and one.score >= threshold]
        placed = [on_image(one, (size[0], size[1]), (bottom - top, right - left)) for one in sure]
        return [_moved(one, top, left) for one in placed], found

    @property
    def _factor(self) -> tuple[float, float]:
        return self.scale[0] / self.bin, self.scale[1] / self.bin

    def _window(self, ring: Ring, shape: tuple[int, ...]) -> tuple[int, int, int, int]:
        """Return the ring's box, grown to a whole tile where it is smaller, as far as the image reaches."""
        ends = []
        for low, high, length, size, factor in zip(
            ring.box[:2], ring.box[2:], shape[:2], self.rules.size, self._factor, strict=True
        ):
            missing = max(math.ceil(size / factor) - (high - low), 0)
            first = min(max(low - missing // 2, 0), max(length - (high - low) - missing, 0))
            ends.append((first, min(first + (high - low) + missing, length)))
        return ends[0][0], ends[1][0], ends[0][1], ends[1][1]


def bodies(rings: Sequence[Ring], size: tuple[int, ...], around: float) -> Mask:
    """Draw the bodies of rings, so many pixels wider on both sides: (H, W) of ``size``."""
    angle = np.linspace(0, 2 * math.pi, TURNS, endpoint=False)
    drawn = np.zeros(size[:2], np.uint8)
    for ring in rings:
        outline, reach = ring.outer, ring.outer.at(angle) + around + (ring.fin.height if ring.fin is not None else 0.0)
        _fill(drawn, outline.x + reach * np.cos(angle), outline.y + reach * np.sin(angle), 1)
    for ring in rings:
        reach = ring.inner.at(angle) - around
        if reach.min() > 0:
            _fill(drawn, ring.inner.x + reach * np.cos(angle), ring.inner.y + reach * np.sin(angle), 0)
    return drawn > 0


def _fill(drawn: Array, x: Array, y: Array, value: int) -> None:
    cv2.fillPoly(drawn, [np.rint(np.stack([x, y], axis=1)).astype(np.int32)], value)


def _binned(values: Array, by: int) -> Array:
    """Average squares of pixels; what is left over at the right and at the bottom is averaged with less."""
    if by == 1:
        return values
    size = max(math.ceil(values.shape[1] / by), 1), max(math.ceil(values.shape[0] / by), 1)
    return np.asarray(cv2.resize(values, size, interpolation=cv2.INTER_AREA), dtype=values.dtype)


def _moved(one: Instance, down: int, across: int) -> Instance:
    left, top, right, bottom = one.box
    return one._replace(
        box=(left + across, top + down, right + across, bottom + down),
        region=_shifted(one.region, down, across),
        seen=_shifted(one.seen, down, across),
    )


def _shifted(region: Region, down: int, across: int) -> Region:
    return type(region)(region.top + down, region.left + across, region.bottom + down, region.right + across)


def _owner(one: Instance, near: Sequence[Mask]) -> int | None:
    """Return the part on or beside which most of a defect lies; None where it lies beside all."""
    shares = [int(np.count_nonzero(mask[one.region.slices] & one.mask)) for mask in near]
    return int(np.argmax(shares)) if any(shares) else None
