"""What to judge: files, folders, globs, zip archives, videos; one image at a time, in an order that never changes.

Of a folder, only the names of one level are held at a time; of an archive or a video, one image. A file that is named
is read whatever its suffix; of a folder, a glob or an archive, ``datamodules.files.suffixes`` says what is read, what
is plainly no image, and what is an error of its own.
"""

from __future__ import annotations

import glob
import os
import zipfile
import zlib
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.costs import require_affordable
from datamodules.files.csv_text import written
from datamodules.files.images import Array, decode_image, read_image
from datamodules.files.own_output import own_output
from datamodules.files.regular_files import kind_of
from datamodules.files.suffixes import ARCHIVES, VIDEOS, is_hidden, is_image, unread_file

from .input_image import InputImage, refused
from .videos import LIVE, frames

if TYPE_CHECKING:
    from collections.abc import Container, Iterator, Sequence

UNPACKING = (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error)


class Entry(NamedTuple):
    """What a source names: a path, or the address of a stream; ``chosen`` where it was named by itself."""

    path: Path
    stream: str = ""
    chosen: bool = True


def find_images(sources: Sequence[str], every: int = 1, done: Container[str] = frozenset()) -> Iterator[InputImage]:
    """Yield the images of ``sources``, in their order, and what cannot be judged, which raises when it is read.

    Args:
        sources: Files, folders, globs, zip archives, videos, or addresses of streams such as ``rtsp://camera``.
        every: Of a video, take one frame in so many.
        done: Names to leave out.

    Raises:
        DataError: A source names nothing.
    """
    entries = [entry for source in sources for entry in _expand(source)]
    folders = [entry.path if entry.path.is_dir() else entry.path.parent for entry in entries if not entry.stream]
    base = Path(os.path.commonpath(folders)) if folders else Path()
    for entry in entries:
        place = PurePosixPath("stream") if entry.stream else _place(entry.path, base)
        if not entry.stream and (kind := kind_of(entry.path)):
            if (name := written(str(entry.path))) not in done:
                yield refused(name, place, f"is {kind}, not a file", "give a file")
        elif entry.stream or entry.path.suffix.lower() in VIDEOS:
            yield from frames(entry.stream or str(entry.path), place, every, done)
        elif entry.path.suffix.lower() in ARCHIVES and not _is_archive(entry.path):
            yield refused(
                written(str(entry.path)), place, "is an archive that cannot be opened", "pack it again as ZIP"
            )
        else:
            found = _members(entry.path, place) if _is_archive(entry.path) else _files(entry, base)
            yield from (image for image in found if image.name not in done)


def require_images(sources: Sequence[str]) -> None:
    """Refuse sources that name nothing, before anything is written.

    Raises:
        DataError: One names nothing.
    """
    for source in sources:
        _expand(source)


def _expand(source: str) -> list[Entry]:
    """Turn a source into what it names."""
    if LIVE in source:
        return [Entry(Path(), source)]
    path = Path(source).expanduser()
    if path.exists():
        matches = [Entry(path)]
    else:  # an absolute glob, too
        matches = [Entry(Path(name), chosen=False) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207
    found = [match for match in matches if _names_something(match)]
    if not found:
        nothing = "" if path.exists() or glob.has_magic(source) else ", where there is nothing at all"
        raise DataError(
            f"Expected source to name images, but found none at {source}{nothing}; give a file, a folder, a glob, a "
            "zip archive or a video. Notes, tables and hidden files are passed over."
        )
    return [match._replace(path=match.path.resolve()) for match in found]


def _names_something(entry: Entry) -> bool:
    """Tell whether anything would come of it: an image, or an error that has to be said."""
    if entry.path.is_dir():
        return next(_walk(entry.path), None) is not None
    return entry.chosen or _is_wanted(entry.path) or entry.path.suffix.lower() in VIDEOS | ARCHIVES


def _is_archive(path: Path) -> bool:
    return not is_image(path) and path.is_file() and zipfile.is_zipfile(path)


def _is_wanted(path: Path) -> bool:
    """Tell whether a file is an image, or may be one."""
    return is_image(path) or unread_file(path) is not None


def _files(entry: Entry, base: Path) -> Iterator[InputImage]:
    """Yield the images of a folder, or the file itself."""
    for file in _walk(entry.path) if entry.path.is_dir() else [entry.path]:
        unread = None if entry.chosen and file == entry.path else unread_file(file)
        if unread is not None and not file.is_dir():
            yield refused(written(str(file)), _place(file, base), unread.problem, unread.remedy)
        else:
            yield InputImage(written(str(file)), _place(file, base), partial(read_image, file))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield what is or may be an image below a folder, sorted; an unreadable folder stands for itself, as an error.

    What Loupe wrote is passed over, such as the overlays of the predictions before.
    """
    try:
        with os.scandir(folder) as entries:
            paths = sorted(Path(entry.path) for entry in entries)
    except OSError:
        yield folder
        return
    for path in paths:
        if is_hidden(path):
            continue
        if path.is_dir():
            loops = path.is_symlink() and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path))
            if not loops and not own_output(path):
                yield from _walk(path)
        elif _is_wanted(path):
            yield path


def _members(path: Path, place: PurePosixPath) -> Iterator[InputImage]:
    """Yield the images of an archive; nothing is unpacked to disk."""
    try:
        archive = zipfile.ZipFile(path)
    except UNPACKING as error:
        yield refused(str(path), place, f"is an archive that cannot be opened ({error})", "pack it again")
        return
    for info in sorted(archive.infolist(), key=lambda info: info.filename):
        inside = [part for part in PurePosixPath(info.filename).parts if part not in {"/", ".."}]
        hidden = any(is_hidden(PurePosixPath(part)) for part in inside)
        if not hidden and not info.is_dir() and _is_wanted(Path(info.filename)):
            yield _member(archive, info, f"{path}/{info.filename}", place.joinpath(*inside))


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str, place: PurePosixPath) -> InputImage:
    """Stand for an image of an archive, which stays open as long as any of its images is still to be read."""
    if (unread := unread_file(Path(info.filename))) is not None:
        return refused(name, place, unread.problem, unread.remedy)
    return InputImage(name, place, partial(_unpack, archive, info, name))


def _unpack(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> Array:
    """Read an image of an archive, unless it costs more than any image does."""
    try:
        with archive.open(info) as member:
            require_affordable(member, info.file_size, name)
        data = archive.read(info)
    except UNPACKING as error:
        raise UnreadableImageError(name, f"cannot be unpacked ({error})", "pack it again") from error
    return decode_image(data, name)


def _place(path: Path, base: Path) -> PurePosixPath:
    return PurePosixPath(written(path.relative_to(base).as_posix()))
