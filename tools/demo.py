"""``loupe demo``: the whole way from pictures to a report, on drawn pictures."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from .command import open_door
from .train import run

if TYPE_CHECKING:
    from collections.abc import Sequence

GREETING = """Drawing pictures, training, calibrating, testing: a minute or two.
For your own pictures: loupe train PATH"""
EPILOG = """examples:
  loupe demo
  loupe demo data.domain=meta_atom"""


def main(args: Sequence[str]) -> int:
    """Run the demo; return the exit status."""
    return open_door("demo", args, partial(run, verb="demo", greeting=GREETING), EPILOG)
