"""What a model sees in an image, computed when somebody looks at it, and what a good image beside it would look like.

Nobody waits for it: verdicts need no model.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.report.layers import map_layer
from datamodules.errors import UnreadableImageError

from .entries import GOOD
from .queue import draw
from .seeing import png_of, stored, thumbnail_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    from tools.runner.judge import Judge

    from .desk import Desk
    from .items import Item

MOST_LAYERS = 16
CANDIDATES = 48  # good images that are compared


class Layers(NamedTuple):
    """What a model sees: PNG files, the map in colours, transparent where it is low, and the mask, white on black."""

    map: bytes
    mask: bytes


class BusyError(Exception):
    """The model is being opened, or looks at another image: ask again."""


class Lens:
    """Looks at images by a model that is opened when it is first needed.

    Args:
        opener: Opens the model; None: there is none.
    """

    def __init__(self, opener: Callable[[], Judge] | None) -> None:
        self._opener = opener
        self._judge: Judge | None = None
        self._lock = threading.Lock()
        self._layers: OrderedDict[str, Layers] = OrderedDict()

    @property
    def there(self) -> bool:
        """Whether there is a model at all."""
        return self._opener is not None

    def warm(self) -> None:
        """Open the model in a thread of its own, so that nobody waits for it."""
        if self._opener is not None:
            threading.Thread(target=self._open, name="model", daemon=True).start()

    def see(self, item: Item) -> Layers | None:
        """Judge an image for its layers; None where there is no model, or it cannot judge it.

        Nobody waits for another's layers: a browser has few lines to a server, and verdicts need one.

        Raises:
            BusyError: The model is being opened, or judges another image.
            UnreadableImageError: The image cannot be read.
        """
        if self._opener is None:
            return None
        if (layers := self._layers.get(item.name)) is not None:
            return layers
        if not self._lock.acquire(blocking=False):
            raise BusyError
        try:
            judge = self._open_now()
            values = stored(item.path, item.box)
            (result,) = judge.stream([values])
            if result.anomaly_map is None or result.mask is None:
                return None
            layer = map_layer(result.anomaly_map, *result.map_range)
            if not result.placed.whole:
                layer = result.placed.values_on_disk(layer)
            drawn = Layers(png_of(layer), png_of(result.placed.mask_on_disk(result.mask).astype(np.uint8) * 255))
            self._layers[item.name] = drawn
            while len(self._layers) > MOST_LAYERS:
                self._layers.popitem(last=False)
            return drawn
        finally:
            self._lock.release()

    def reopen(self) -> None:
        """Look by the model as it is on the disk by now; what was seen by the one before is forgotten."""
        with self._lock:
            self._judge = None
            self._layers.clear()
            self._open_now()

    def _open(self) -> None:
        with self._lock:
            self._open_now()

    def _open_now(self) -> Judge:
        if self._judge is None:
            if self._opener is None:
                raise TypeError("Expected a model to open.")
            self._judge = self._opener()
        return self._judge


class Alike:
    """Finds the good image that looks most like another: one that people called good, or else one far below.

    Args:
        desk: With the images.
    """

    def __init__(self, desk: Desk) -> None:
        self.desk = desk
        self._lock = threading.Lock()
        self._thumbnails: dict[str, npt.NDArray[np.float32] | None] = {}

    def nearest_good(self, name: str) -> str:
        """Name it; empty where there is none."""
        own = self._thumbnail(name)
        if own is None:
            return ""
        thumbnails = {other: self._thumbnail(other) for other in self._candidates(name)}
        apart = {other: float(np.abs(drawn - own).sum()) for other, drawn in thumbnails.items() if drawn is not None}
        return min(apart, key=lambda other: (apart[other], other), default="")

    def _candidates(self, name: str) -> list[str]:
        desk, item = self.desk, self.desk.item(name)
        known, below = [], []
        for other in desk.gathered.items.values():
            if other.name == name or other.kind != item.kind:
                continue
            label = desk.journal.state.label(other.name)
            mark = label.mark if label is not None and not label.disputed else other.given if label is None else None
            if mark is not None and mark.verdict == GOOD:
                known.append(other.name)
            elif mark is None and label is None and _below(other):
                below.append((other.score or 0.0, other.name))
        known.sort(key=lambda other: draw(other, desk.seed + 2))
        return (known or [other for _, other in sorted(below)])[:CANDIDATES]

    def _thumbnail(self, name: str) -> npt.NDArray[np.float32] | None:
        with self._lock:
            if name not in self._thumbnails:
                item = self.desk.item(name)
                try:
                    self._thumbnails[name] = thumbnail_of(item.path, item.box)
                except UnreadableImageError:
                    self._thumbnails[name] = None
            return self._thumbnails[name]


def _below(item: Item) -> bool:
    return item.score is not None and item.threshold is not None and item.score < item.threshold
