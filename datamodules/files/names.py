"""Names of files and folders that mean the same, whatever their case, Unicode form and the words between."""

from __future__ import annotations

import re
import unicodedata

_IMAGE_FOLDERS = {"image", "images", "img", "imgs", "jpegimages", "picture", "pictures", "rgb"}


def same_name(name: str) -> str:
    """Return what equal names have in common when case and Unicode form are left aside."""
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())


def bare_name(name: str) -> str:
    """Return what names have in common that differ in case, Unicode form, spaces, ``-`` and ``_`` alone."""
    return re.sub(r"[-_ ]", "", same_name(name))


def is_image_folder(name: str) -> bool:
    """Tell whether a folder of this name only says that images are in it."""
    return bare_name(name) in _IMAGE_FOLDERS
