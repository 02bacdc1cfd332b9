"""Drawings of recent images for the page, held in memory under names that cannot be guessed.

The oldest are dropped first, when there is no more room or their time is over.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np

from callbacks.report.layers import encode, map_layer, outline_layer, preview
from datamodules.files.images import resize

from .drawing import SMALL, views_drawn, zone_layer
from .likeness import describe

if TYPE_CHECKING:
    import numpy.typing as npt

    from datamodules.files.fitting import Placement
    from tools.runner.input_image import InputImage
    from tools.runner.judge import Judge
    from tools.runner.network import Array
    from tools.runner.result import Result

    from .catalogue import Served

NAME_BYTES = 16


@dataclass
class Shown:
    """A judged image, as the page shows it.

    Attributes:
        result: What was found; its arrays are drawn and gone.
        model: What judged it.
        drawn: Images by name, encoded.
        input_3HW: What the model saw, where it can show what it went by.
        described: What it looks like, to find good images that look alike; None where it could not be read.
        at: When it was put here.
    """

    result: Result
    model: str
    drawn: dict[str, bytes]
    input_3HW: Array | None = None
    described: npt.NDArray[np.float32] | None = None
    at: float = field(default_factory=time.monotonic)

    @property
    def size(self) -> int:
        """Bytes that it holds, nearly."""
        return sum(map(len, self.drawn.values())) + (0 if self.input_3HW is None else self.input_3HW.nbytes)


class Shelf:
    """Holds what is shown.

    Args:
        room: Bytes, at most.
        seconds: That something stays, at most.
    """

    def __init__(self, room: int, seconds: float = 3600.0) -> None:
        self.room = room
        self.seconds = seconds
        self._held: OrderedDict[str, Shown] = OrderedDict()
        self._lock = threading.Lock()
        self._size = 0

    def put(self, shown: Shown) -> str:
        """Hold something; return its name."""
        name = secrets.token_urlsafe(NAME_BYTES)
        with self._lock:
            self._held[name] = shown
            self._size += shown.size
            while self._held and (self._size > self.room or self._first().at < time.monotonic() - self.seconds):
                _, gone = self._held.popitem(last=False)
                self._size -= gone.size
        return name

    def find(self, name: str) -> Shown | None:
        """Find something; None where it has left, or never was."""
        shown = self._held.get(name)
        return shown if shown is not None and shown.at >= time.monotonic() - self.seconds else None

    def _first(self) -> Shown:
        return next(iter(self._held.values()))


class Sight:
    """Keeps a small copy of an image when a judge reads it.

    Args:
        image: What is to be judged.
        judge: By whom.

    Attributes:
        image: To be judged in its place.
    """

    def __init__(self, image: InputImage, judge: Judge) -> None:
        self.image = image._replace(read=self._read)
        self._source = image
        self._white = judge.white_level
        self._small: Array | None = None

    def _read(self) -> Array:
        values = self._source.read()
        if values.dtype != "float32" or self._white is not None:
            self._small = preview(values, self._white)
        return values

    def draw(self, result: Result, served: Served) -> Shown:
        """Draw what was found on the image."""
        small = self._small if self._small is not None else result.image
        drawn: dict[str, bytes] = {}
        if small is not None:
            drawn["image"] = encode(small)
            drawn["small"] = encode(_thumbnail(small))
            if result.anomaly_map is not None and result.mask is not None:
                layer = map_layer(result.anomaly_map, *result.map_range)
                mask_HW, size = result.mask & result.marks, (small.shape[0], small.shape[1])
                if not result.placed.whole:
                    layer = result.placed.values_on_disk(layer, size)
                    mask_HW = result.placed.mask_on_disk(mask_HW)
                drawn["map"] = encode(layer, lossless=True)
                drawn["outline"] = encode(outline_layer(mask_HW, size), lossless=True)
                if result.zones_HW is not None and result.zones_HW.any():
                    drawn["zones"] = encode(zone_layer(_zones(result.zones_HW, result.placed), size), lossless=True)
        input_3HW = result.input_3HW if served.judge.responsible(result.kind).views is not None else None
        plain = replace(
            result, input_3HW=None, anomaly_map=None, mask=None, detections=(), zones_HW=None, read=None, shown=None
        )
        return Shown(plain, served.name, drawn, input_3HW, None if small is None else describe(small))


def views_of(shown: Shown, served: Served) -> dict[str, bytes]:
    """Draw what the model went by; empty where it shows nothing."""
    views = served.judge.responsible(shown.result.kind).views
    return (
        {} if shown.input_3HW is None or views is None else views_drawn(views(shown.input_3HW[None]), shown.input_3HW)
    )


def _zones(zones_hw: Array, placed: Placement) -> Array:
    """Lay zone ids onto the image on disk, where that differs in its proportions from what the model saw."""
    if placed.whole:
        return zones_hw
    zones_HW = np.zeros(placed.size, np.uint8)
    for zone in np.unique(zones_hw[zones_hw > 0]):
        zones_HW[placed.mask_on_disk(zones_hw == zone)] = zone
    return zones_HW


def _thumbnail(image_HW3: Array) -> Array:
    height, width = image_HW3.shape[:2]
    factor = min(1.0, SMALL / max(height, width))
    return resize(image_HW3, max(1, round(height * factor)), max(1, round(width * factor)))
