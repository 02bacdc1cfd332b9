"""Names of files as label files write them: of any system, as a path or a URL, in any case and Unicode form."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import unquote

from datamodules.files.names import same_name

if TYPE_CHECKING:
    from collections.abc import Sequence

Parts = tuple[str, ...]

_SCHEME = re.compile(r"^[A-Za-z][A-Za-z0-9+.-]+://[^/\\]*")
_SERVED = re.compile(r"[?&](?:d|path|file|filename)=([^&]+)")  # Label Studio: /data/local-files/?d=images/1.png


def same_parts(parts: Sequence[str]) -> Parts:
    """Do so for every folder and the name of a path."""
    return tuple(map(same_name, parts))


def split_path(path: str) -> Parts:
    """Split a path of any system to its folders and name, without drive, root, ``.`` and ``..``."""
    parts = re.split(r"[\\/]+", path)
    return tuple(part for part in parts if part not in {"", ".", ".."} and not part.endswith(":"))


def spellings(path: str) -> list[Parts]:
    """List what a path in a label file may mean: itself first, then what it is as a URL."""
    found = [split_path(path)]
    if not re.search(r"[%?#]|://", path):
        return [parts for parts in found if parts]
    served = _SERVED.search(path)
    address = served[1] if served else re.split(r"[?#]", _SCHEME.sub("", path))[0] if _SCHEME.match(path) else path
    decoded = split_path(unquote(address))
    return [parts for parts in dict.fromkeys([*found, decoded]) if parts]


def common_parts(first: Sequence[str], second: Sequence[str]) -> int:
    """Count the parts that two paths share, from their ends."""
    pairs = zip(reversed(first), reversed(second), strict=False)
    return next((count for count, (a, b) in enumerate(pairs) if a != b), min(len(first), len(second)))
