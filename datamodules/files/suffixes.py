"""What the name of a file says: an image that is read, a file that is plainly none, or one that has to be named.

Three kinds, so that nothing is left out in silence. Files that are plainly no images (notes, tables, annotations, what
systems leave behind) are passed over; all others that are not read, such as `.heic`, `.gif` or a name without a suffix,
may hold an image, and become an error that says what to do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datamodules.errors import UNPRINTABLE, UnreadableImageError

if TYPE_CHECKING:
    from pathlib import PurePath

_PLAIN = {".bmp", ".dib", ".pbm", ".pgm", ".png", ".pnm", ".ppm", ".tif", ".tiff", ".webp"}
_JPEG = {".jfif", ".jpe", ".jpeg", ".jpg"}
_JPEG_2000 = {".j2c", ".j2k", ".jp2", ".jpc", ".jpf", ".jpx"}
SUFFIXES = frozenset(_PLAIN | _JPEG | _JPEG_2000)
VIDEOS = frozenset({".avi", ".m4v", ".mjpeg", ".mkv", ".mov", ".mp4", ".webm"})
ARCHIVES = frozenset({".7z", ".bz2", ".gz", ".rar", ".tar", ".tgz", ".xz", ".zip", ".zst"})

_TEXTS = {".css", ".doc", ".docx", ".htm", ".html", ".log", ".md", ".odt", ".rst", ".rtf", ".tex", ".txt", ".url"}
_TABLES = {".csv", ".db", ".json", ".jsonl", ".ods", ".sql", ".sqlite", ".tsv", ".xls", ".xlsx", ".xml"}
_SETTINGS = {".cff", ".cfg", ".conf", ".ini", ".lnk", ".toml", ".xmp", ".yaml", ".yml"}  # .xmp: of a raw converter
_PROGRAMS = {".bat", ".ipynb", ".js", ".md5", ".ps1", ".py", ".sh", ".sha256"}
_PLAINLY_NONE = frozenset(_TEXTS | _TABLES | _SETTINGS | _PROGRAMS)
_PLAINLY_NONE_BY_NAME = frozenset(
    {"authors", "changelog", "copying", "licence", "license", "makefile", "notice", "readme", "version"}
)
_NAMED = (
    (frozenset({""}), ("has no suffix that says what it is", "add that of its format, such as .png")),
    (VIDEOS, ("is a video among images", "judge it by itself: loupe predict source=VIDEO")),
    (ARCHIVES, ("is an archive among images", "unpack it, or judge it by itself")),
)
_SYSTEM = frozenset(
    {
        *("#recycle", "#snapshot", "$recycle.bin", "@eadir", "@recycle", "__macosx", "__pycache__", "desktop.ini"),
        *("lost+found", "recycled", "recycler", "system volume information", "thumbs.db"),
        *("thumb", "thumbnail", "thumbnails", "thumbs"),  # small copies that viewers keep
    }
)


def unusable_name(path: PurePath) -> UnreadableImageError | None:
    """Say what is wrong with a name that no table can hold: line ends, control characters, bytes that are not text."""
    found = UNPRINTABLE.search(str(path))
    if found is None:
        return None
    odd = "bytes that are not UTF-8" if found[0] >= "\ud800" else "a line end or another control character"
    return UnreadableImageError(path, f"has {odd} in its name", "rename it")


def is_hidden(path: PurePath) -> bool:
    """Tell whether a file or folder is none of the user's own: hidden, or left behind by a system."""
    return path.name.startswith(".") or path.name.lower() in _SYSTEM


def is_image(path: PurePath) -> bool:
    """Tell whether the name of ``path`` says that it is an image that is read (any case); hidden files are not."""
    return path.suffix.lower() in SUFFIXES and not is_hidden(path)


def unread_file(path: PurePath) -> UnreadableImageError | None:
    """Say why a file is not read and what to do; None where it is read, or plainly no image."""
    suffix = path.suffix.lower()
    if is_hidden(path) or suffix in _PLAINLY_NONE or (not suffix and path.name.lower() in _PLAINLY_NONE_BY_NAME):
        return None
    if suffix in SUFFIXES:
        return unusable_name(path)
    named = next((words for suffixes, words in _NAMED if suffix in suffixes), None)
    problem, remedy = named or (f"is in a format that is not read ({suffix})", "convert it to PNG or TIFF")
    return UnreadableImageError(path, problem, remedy)
