"""``loupe demo``: the whole way from images to a report, on drawn images."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from .command import run_verb
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
    return run_verb("demo", args, demo, EPILOG)


def demo(overrides: Sequence[str], *, show: bool) -> Path | None:
    """Train on drawn images, and say how to see the outcome at work; return the folder of the run."""
    folder = run(overrides, show=show, verb="demo", greeting=GREETING)
    if folder is not None:
        print("The drawn defects range from barely visible to gross, so some are missed: the report shows which.")
        print(f"See it judge images in a browser: loupe serve {_shown(folder)}")
    return folder


def _shown(folder: Path) -> str:
    """Write a folder as a shell takes it, as short as it can be from here."""
    here = Path.cwd()
    return shlex.quote(str(folder.relative_to(here) if folder.is_relative_to(here) else folder))
