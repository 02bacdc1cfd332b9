"""What ``loupe prepare oring`` does: tiles for training, or with ``geometry`` the limits of good rings."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.layouts.finding import find_images
from datamodules.layouts.words import parse_folder, verdict_of

from .oring_limits import METHODS, NAME, OringLimits, plain_images, table_parts
from .oring_tiles import OringTiles

if TYPE_CHECKING:
    from collections.abc import Sequence

    from datamodules.errors import UnreadableImageError

    from .oring_limits import Method
    from .preparation import Prepared

YAML = (".yaml", ".yml")
TABLE = ".csv"
DOCUMENTS = (".csv", ".json", ".xml")


@dataclass(frozen=True, kw_only=True)
class OringPreparation(OringTiles):
    """Cuts tiles, unless ``geometry`` asks for limits.

    Args:
        geometry: null: tiles; ``sigma`` or ``quantiles``: limits of the measures of good parts, learned so from
            ``source``, which is then a folder of good parts alone, one in any layout of ``OringDataModule``, of which
            the good ones are taken, or a ``parts.csv`` of good parts. ``out`` is a YAML file, or a folder for one.
        k: Standard deviations from the mean, with ``sigma``.
        tail: Share of good parts that may lie beyond a limit, with ``quantiles``.
        mm_per_pixel: Of all images: limits in millimetres; null: in pixels.
    """

    geometry: str | None = None
    k: float = 2.5
    tail: float = 0.01
    mm_per_pixel: float | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.geometry is not None and self.geometry not in METHODS:
            raise DataError(
                f"Expected geometry to be one of {', '.join(METHODS)}, or null for tiles, but found {self.geometry!r}."
            )
        if not 0 < self.k < float("inf"):
            raise DataError(f"Expected k to be above 0, but found {self.k}.")
        if not 0 <= self.tail < 0.5:
            raise DataError(f"Expected tail to be at least 0 and below 0.5, but found {self.tail}.")
        if self.mm_per_pixel is not None and not 0 < self.mm_per_pixel < float("inf"):
            raise DataError(f"Expected mm_per_pixel to be above 0, or null, but found {self.mm_per_pixel}.")

    def write(self) -> Prepared:
        """Cut tiles, or learn limits.

        Raises:
            DataError: The source holds nothing usable, or ``out`` holds something else.
        """
        if self.geometry is None:
            return super().write()
        method: Method = "sigma" if self.geometry == "sigma" else "quantiles"
        limits = OringLimits(method, self.k, self.tail, self.mm_per_pixel)
        source, out = Path(self.source).expanduser(), limits_file(Path(self.out).expanduser())
        if source.suffix.lower() == TABLE and source.is_file():
            return limits.write_from(table_parts(source, self.kind, self.mm_per_pixel), out)
        if not source.is_dir():
            raise DataError(f"Expected source to be a folder of good parts, or their parts.csv, but found {source}.")
        images, problems = self._good_images(source.resolve())
        return limits.write(images[: self.limit], out, problems)

    def _good_images(self, source: Path) -> tuple[list[tuple[Path, str]], list[UnreadableImageError]]:
        """List path and kind of images of good parts: those called good, or all where nothing says what they show."""
        own = parse_folder(source.name)
        kind = self.kind or (own[1] if own else "")
        images, problems = plain_images(source)
        if not says_which_are_good(source, [path for path, _ in images]):
            return [(path, kind) for path, _ in images], problems
        problems = []
        found = find_images(source, self.bare_kind, problems)
        good = [one for one in found if one.verdict == "good" and self.kind in {None, one.kind or kind}]
        if not good:
            kinds = sorted({one.kind for one in found if one.verdict == "good"} - {""})
            raise DataError(
                f"Expected images of good parts under {source}, but found none"
                + (f" of the kind {self.kind}; there are {', '.join(kinds)}." if self.kind and kinds else ".")
            )
        return [(one.image, one.kind or kind) for one in good], problems


def says_which_are_good(source: Path, images: Sequence[Path]) -> bool:
    """Tell whether folders below the source, or files of labels, say what images show."""
    named = any(verdict_of(image.relative_to(source).parts[:-1]) for image in images)
    return named or any(path.suffix.lower() in DOCUMENTS for path in source.rglob("*"))


def limits_file(out: Path) -> Path:
    """Return the file to write: ``out`` itself where it ends like one, else one in the folder.

    Raises:
        DataError: The file is there as a folder.
    """
    path = out if out.suffix.lower() in YAML else out / NAME
    if path.is_dir():
        raise DataError(f"Expected out to be a YAML file or a folder for one, but {path} is a folder.")
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.resolve()
