"""What to judge: files, folders, globs, zip archives, videos; one picture at a time, in an order that never changes.

Of a folder, only the names of one level are held at a time; of an archive or a video, one picture.
"""

from __future__ import annotations

import glob
import os
import zipfile
import zlib
from datetime import datetime
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, NamedTuple, NoReturn

import cv2

from datamodules.errors import DataError, UnreadableImageError
from datamodules.images import Array, decode_image, read_image
from datamodules.suffixes import is_image

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterator, Sequence

VIDEOS = frozenset({".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".webm"})
LIVE = "://"  # marks the address of a stream
LARGEST_MEMBER = 1 << 31  # bytes, unpacked: what is larger is no picture, but could fill the memory


class Picture(NamedTuple):
    """A picture to be judged.

    Attributes:
        name: Stands in its row: its path, ``archive.zip/member.png``, or ``video.mp4#12`` for the 13th frame.
        place: Where its overlay goes, below the folder of overlays.
        read: Reads it as stored, or raises an ``UnreadableImageError``.
    """

    name: str
    place: PurePosixPath
    read: Callable[[], Array]


def find_pictures(sources: Sequence[str], every: int = 1, done: Container[str] = frozenset()) -> Iterator[Picture]:
    """Yield the pictures of ``sources``, in their order.

    Args:
        sources: Files, folders, globs, zip archives, videos, or addresses of streams such as ``rtsp://camera``.
        every: Of a video, take one frame in so many.
        done: Names to leave out.

    Raises:
        DataError: A source names nothing.
    """
    entries = [entry for source in sources for entry in _expand(source)]
    folders = [path if path.is_dir() else path.parent for path, streamed in entries if not streamed]
    base = Path(os.path.commonpath(folders)) if folders else Path()
    for path, streamed in entries:
        if streamed or path.suffix.lower() in VIDEOS:
            address = streamed or str(path)
            place = PurePosixPath("stream") if streamed else _place(path, base)
            yield from _frames(address, place, every, done)
            continue
        found = _members(path, _place(path, base)) if zipfile.is_zipfile(path) else _files(path, base)
        yield from (picture for picture in found if picture.name not in done)


def require_pictures(sources: Sequence[str]) -> None:
    """Refuse sources that name nothing, before anything is written.

    Raises:
        DataError: One names nothing.
    """
    for source in sources:
        _expand(source)


def _expand(source: str) -> list[tuple[Path, str]]:
    """Turn a source into paths, or into the address of a stream."""
    if LIVE in source:
        return [(Path(), source)]
    path = Path(source).expanduser()
    matches = [path] if path.exists() else [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]  # noqa: PTH207 - absolute ones too
    found = [match for match in matches if not match.is_dir() or next(_walk(match), None) is not None]
    if not found:
        raise DataError(
            f"Expected source to name pictures, but found none at {source}; give a file, a folder, a glob, a zip "
            "archive or a video."
        )
    return [(match.resolve(), "") for match in found]


def _files(path: Path, base: Path) -> Iterator[Picture]:
    for file in _walk(path) if path.is_dir() else [path]:
        yield Picture(str(file), _place(file, base), partial(read_image, file))


def _walk(folder: Path) -> Iterator[Path]:
    """Yield the pictures below a folder, sorted; a folder that cannot be read stands for itself, to become an error."""
    try:
        with os.scandir(folder) as entries:
            paths = sorted(Path(entry.path) for entry in entries)
    except OSError:
        yield folder
        return
    for path in paths:
        if path.is_dir():
            loops = path.is_symlink() and Path(os.path.realpath(folder)).is_relative_to(os.path.realpath(path))
            if not loops:
                yield from _walk(path)
        elif is_image(path):
            yield path


def _members(path: Path, place: PurePosixPath) -> Iterator[Picture]:
    """Yield the pictures of an archive; nothing is unpacked to disk."""
    with zipfile.ZipFile(path) as archive:
        for info in sorted(archive.infolist(), key=lambda info: info.filename):
            if info.is_dir() or not is_image(Path(info.filename)):
                continue
            name = f"{path}/{info.filename}"
            inside = [part for part in PurePosixPath(info.filename).parts if part not in {"/", ".."}]
            read: Callable[[], Array]
            try:
                if info.file_size > LARGEST_MEMBER:
                    raise zipfile.BadZipFile(f"{info.file_size} bytes unpacked")
                # Here, not in `read`: the archive may be closed by then.
                read = partial(decode_image, archive.read(info), name)
            except (OSError, EOFError, RuntimeError, zipfile.BadZipFile, zlib.error) as error:
                read = partial(_refuse, name, f"cannot be unpacked ({error})", "pack it again")
            yield Picture(name, place.joinpath(*inside), read)


def _frames(address: str, place: PurePosixPath, every: int, done: Container[str]) -> Iterator[Picture]:
    """Yield frames, counted from 0, or named by their time where they come live; what is left out is not decoded."""
    video = cv2.VideoCapture(address)
    try:
        if not video.isOpened():
            yield Picture(
                address, place, partial(_refuse, address, "is no video that can be read", "convert it to MP4")
            )
            return
        index = 0
        while video.grab():
            moment = datetime.now().astimezone().isoformat() if LIVE in address else str(index)
            name = f"{address}#{moment}"
            if index % every == 0 and name not in done:
                whole, frame = video.retrieve()
                if whole:
                    values = cv2.cvtColor(frame, cv2.COLOR_BGR2RGB)
                    yield Picture(name, place / f"{index:07}", partial(_same, values))
                else:
                    yield Picture(name, place, partial(_refuse, name, "is a damaged frame", "record it again"))
            index += 1
    finally:
        video.release()


def _place(path: Path, base: Path) -> PurePosixPath:
    return PurePosixPath(path.relative_to(base).as_posix())


def _same(values: Array) -> Array:
    return values


def _refuse(name: str, problem: str, remedy: str) -> NoReturn:
    raise UnreadableImageError(name, problem, remedy)
