"""The images of a prediction's page: shrunk, with the map as a layer of its own, and never more than asked for.

They lie on disk from the moment an image is judged, so that a call that goes on finds those of the one before.
"""

from __future__ import annotations

import base64
import heapq
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import cv2
import numpy as np

from callbacks.report.layers import encode, found_layer
from datamodules.files.whole_files import write_whole

if TYPE_CHECKING:
    from pathlib import Path

    from .result import Result

FOLDER = "page"
EDGE = 800  # pixels along the longer side of an image of the page
EMBEDDED = 12 << 20  # bytes of images that the page itself holds; the others lie in the folder beside it
IMAGE, LAYER = ".jpg", ".map.webp"
_QUALITY = 82
_TYPES = {IMAGE: "image/jpeg", LAYER: "image/webp"}


class PageImages:
    """Keeps the images of a page.

    Defective ones go before good ones, and of each the nearest to the threshold first: what is too much leaves.

    Args:
        folder: Of the results.
        most: Images at most; 0: none.
    """

    def __init__(self, folder: Path, most: int) -> None:
        self.folder = folder / FOLDER
        self.most = most
        self._waiting: list[tuple[bool, float, str]] = []
        self._held = 0

    def keep(self, result: Result) -> dict[str, Any] | None:
        """Write the files of an image; return what its row says of them, or None where there are none."""
        if not self.most or result.shown is None or result.anomaly_map is None:
            return None
        name, size = result.place.as_posix(), (result.shown.shape[0], result.shown.shape[1])
        mask = result.mask if result.marks else None
        layer = encode(found_layer(result.anomaly_map, mask, result.map_range, result.placed, size), quality=_QUALITY)
        colours = np.ascontiguousarray(result.shown[..., ::-1])
        _, image = cv2.imencode(IMAGE, colours, [cv2.IMWRITE_JPEG_QUALITY, _QUALITY])
        write_whole(self.folder / f"{name}{IMAGE}", image.tobytes())
        write_whole(self.folder / f"{name}{LAYER}", layer)
        return {"name": name, "height": size[0], "width": size[1]}

    def note(self, row: dict[str, Any]) -> None:
        """Learn of a row that is written; drop the images of another where there are too many."""
        if not self.most or not isinstance(page := row.get("page"), dict):
            return
        called = row.get("verdict") == "defective"
        heapq.heappush(self._waiting, (called, -abs(row["score"] - row["threshold"]), str(page["name"])))
        while len(self._waiting) > self.most:
            _, _, name = heapq.heappop(self._waiting)
            if ".." not in name.split("/") and not name.startswith("/"):  # a record may have been edited
                for suffix in (IMAGE, LAYER):
                    (self.folder / f"{name}{suffix}").unlink(missing_ok=True)

    def address(self, name: str) -> str:
        """Return the address of a file of the page, by its name; empty where there is none.

        The first ones that are asked for are in the page itself, up to a bound.
        """
        path = self.folder / name
        try:
            size = path.stat().st_size
        except OSError:
            return ""
        if self._held + size > EMBEDDED:
            return quote(f"{FOLDER}/{name}")
        self._held += size
        kind = next(kind for suffix, kind in _TYPES.items() if name.endswith(suffix))
        return f"data:{kind};base64,{base64.b64encode(path.read_bytes()).decode('ascii')}"
