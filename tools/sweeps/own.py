"""Which commands in a journal this user typed, on this machine: they bear a mark that nobody else can make.

A journal that came from elsewhere may name code to run; one's own may, too, and means it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import secrets
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BYTES = 32


def mark_of(args: Sequence[str]) -> str:
    """Return the mark of a command; empty where this user has no place to keep a key."""
    try:
        key = _key(Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "loupe" / "key")
    except (OSError, RuntimeError):  # a home that cannot be written to, or none
        return ""
    return hmac.new(key, json.dumps(list(args)).encode(), hashlib.sha256).hexdigest()[:32]


def is_own(args: Sequence[str], mark: str) -> bool:
    """Tell whether a mark is this user's, for this command."""
    return bool(mark) and hmac.compare_digest(mark, mark_of(args))


def _key(path: Path) -> bytes:
    """Read the user's key; make it at first use, readable by this user alone."""
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        os.write(file, secrets.token_bytes(_BYTES))
        os.close(file)
        try:
            os.link(part, path)  # whoever comes first
        except FileExistsError:
            pass
        finally:
            part.unlink()
    return path.read_bytes()
