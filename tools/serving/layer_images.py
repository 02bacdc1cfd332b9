"""Images of judged layers, as a page shows them: as they are on disk, or with what was found drawn over them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from callbacks.report.layers import encode, preview
from datamodules.errors import UnreadableImageError
from datamodules.files.images import read_image
from datamodules.files.suffixes import is_image

EDGE = 640  # pixels along the longer side
MOST_LAYERS = 300
QUALITY = 82


def layer_image(path: str, folder: str, white_level: float | None) -> bytes:
    """Give an image as WebP.

    Args:
        path: Of the image.
        folder: Of predictions that may hold an overlay of it; empty: it is not looked for.
        white_level: Stored value that means white; None: what the type can hold.

    Raises:
        UnreadableImageError: There is none, or it cannot be read.
    """
    source = Path(path)
    drawn = overlay_of(source, Path(folder)) if folder else None
    shown = drawn or source
    if not is_image(shown) or not shown.is_file():
        raise UnreadableImageError(source, "is not there any more", "judge it again")
    return _encoded(shown, shown.stat().st_mtime_ns, None if drawn else white_level)


def overlay_of(path: Path, folder: Path) -> Path | None:
    """Find the overlay that ``loupe predict`` drew of an image; None where there is none."""
    parts = path.parts[1:] if path.is_absolute() else path.parts
    for first in range(len(parts)):  # overlays lie as images lie below their source: the longest that fits
        overlay = folder / "overlays" / Path(*parts[first:-1]) / f"{parts[-1]}.jpg"
        if overlay.is_file():
            return overlay
    return None


@lru_cache(maxsize=MOST_LAYERS)
def _encoded(path: Path, changed: int, white_level: float | None) -> bytes:
    del changed  # an image that changes is read again
    return encode(preview(read_image(path), white_level, EDGE), quality=QUALITY)
