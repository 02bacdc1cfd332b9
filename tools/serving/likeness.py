"""The good image that looks most like another: of a run's training, or of those that a bundle carries."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.report.layers import encode, preview
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.boxes import cut, parse_box
from datamodules.files.images import read_image, resize
from datamodules.files.suffixes import is_image
from tools.runs.run_files import SAMPLES

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from datamodules.files.images import Array

MOST = 96  # good images that are compared
EDGE = 480  # pixels along the longer side, as they are shown
SIDE = 16  # of the grid on which images are compared
GOOD_FOLDER = "good"  # of a bundle


class Source(NamedTuple):
    """Where a good image lies.

    Attributes:
        path: Of its file.
        box: The part of it; empty: all.
        kind: Its sub-population; empty: none.
    """

    path: Path
    box: str = ""
    kind: str = ""


class _Good(NamedTuple):
    """A good image, described and encoded."""

    described: npt.NDArray[np.float32]
    image: bytes
    kind: str


class Likeness:
    """Knows good images; they are read at the first request.

    Args:
        sources: Of these images.
        white_level: Stored value that means white; None: what the type can hold.
    """

    def __init__(self, sources: Sequence[Source], white_level: float | None) -> None:
        self._sources = sources
        self._white = white_level
        self._lock = threading.Lock()
        self._read: list[_Good] | None = None

    @property
    def there(self) -> bool:
        """Whether there are any good images."""
        return bool(self._sources)

    def nearest(self, described: npt.NDArray[np.float32], kind: str) -> bytes | None:
        """Return the most similar good image, of the same kind where there is one, as WebP; None: there is none."""
        with self._lock:
            if self._read is None:
                self._read = [good for source in self._sources if (good := self._open(source)) is not None]
        known = [good for good in self._read if good.kind == kind] or self._read
        return min(known, key=lambda good: float(np.abs(good.described - described).sum()), default=_NONE).image or None

    def _open(self, source: Source) -> _Good | None:
        try:
            values = read_image(source.path)
            part = cut(values, parse_box(source.box)) if source.box else values
        except (UnreadableImageError, DataError):
            return None
        shown = preview(part, self._white, EDGE)
        return _Good(describe(shown), encode(shown), source.kind)


_NONE = _Good(np.zeros(0, np.float32), b"", "")


def describe(image_HW3: Array) -> npt.NDArray[np.float32]:
    """Describe an image roughly, (256,): its grey values on a coarse grid, standardised."""
    grid = resize(image_HW3.astype(np.float32).mean(axis=2), SIDE, SIDE).ravel()
    return np.asarray((grid - grid.mean()) / (float(grid.std()) or 1.0), dtype=np.float32)


def good_of_bundle(folder: Path) -> list[Source]:
    """List the good images that a bundle carries; earlier ones carry none but those among their samples."""
    own = sorted(path for path in (folder / GOOD_FOLDER).glob("*") if is_image(path))
    return [Source(path) for path in own or sorted((folder / "samples").glob("*_good.*")) if is_image(path)]


def good_of_run(folder: Path) -> list[Source]:
    """List good images of a run, those of its training first, spread over all of them."""
    if not (folder / SAMPLES).is_file():
        return []
    from datamodules.table import GOOD, TRAIN, read_table  # noqa: PLC0415 - bundles do without pandas

    table = read_table(folder / SAMPLES)
    good = table[table["label_index"] == GOOD]
    rows = good[good["split"] == TRAIN] if (good["split"] == TRAIN).any() else good
    rows = rows.sort_values("name")
    places = np.unique(np.linspace(0, len(rows) - 1, min(MOST, len(rows))).round().astype(int))
    chosen = rows.iloc[places]
    boxes = chosen["box"] if "box" in chosen else [""] * len(chosen)
    return [
        Source(Path(str(path)), str(box or ""), str(kind or ""))
        for path, box, kind in zip(chosen["image_path"], boxes, chosen["kind"], strict=True)
    ]
