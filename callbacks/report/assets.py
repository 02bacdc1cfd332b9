"""Styles and scripts of pages, read from this folder; needs no templates, and ships with bundles."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

FOLDER = Path(__file__).parent


def read_style(*names: str) -> str:
    """Return files of CSS, in order."""
    return "\n".join((FOLDER / name).read_text(encoding="utf-8") for name in names)


def read_script(name: str) -> tuple[str, str]:
    """Return a file of JavaScript, and the hash by which a browser runs it and no other."""
    code = (FOLDER / name).read_text(encoding="utf-8")
    return code, base64.b64encode(hashlib.sha256(code.encode()).digest()).decode("ascii")
