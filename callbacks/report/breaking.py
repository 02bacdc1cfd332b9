"""Names that may be broken into lines, on pages."""

from __future__ import annotations

import re

from markupsafe import Markup


def breakable(name: str) -> Markup:
    """Return a name of a file that may be broken into lines after its separators, escaped for the page."""
    return Markup("<wbr>").join(re.split(r"(?<=[/_\\-])", name))
