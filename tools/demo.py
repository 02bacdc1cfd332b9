"""``loupe demo``: the whole way from images to a report, on drawn images."""

from __future__ import annotations

import shlex
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from .command import run_verb
from .train import run

if TYPE_CHECKING:
    from collections.abc import Sequence

GREETING = """Drawing pictures, training, calibrating, testing: a minute or two.
For your own pictures: {program} train PATH"""
EPILOG = """examples:
  loupe demo
  loupe demo data.domain=meta_atom"""


def main(args: Sequence[str]) -> int:
    """Run the demo; return the exit status."""
    return run_verb("demo", args, demo, EPILOG)


def demo(overrides: Sequence[str], *, show: bool) -> Path | None:
    """Train on drawn images, and say how to see the outcome at work; return the folder of the run."""
    folder = run(overrides, show=show, verb="demo", greeting=GREETING.format(program=program()))
    if folder is not None:
        print("The drawn defects range from barely visible to gross, so some are missed: the report shows which.")
        print(f"See it judge images in a browser: {program()} serve {_shown(folder)}")
    return folder


def program() -> str:
    """Return what starts this program in the shell of whoever reads it: ``make`` leaves no ``loupe`` on the path."""
    beside = Path(sys.executable).parent
    script, found = shutil.which("loupe", path=str(beside)), shutil.which("loupe")
    if script is None:
        return f"{_shown(Path(sys.executable))} -m loupe"
    return "loupe" if found is not None and Path(found).samefile(script) else _shown(Path(script))


def _shown(folder: Path) -> str:
    """Write a folder as a shell takes it, as short as it can be from here."""
    here = Path.cwd()
    return shlex.quote(str(folder.relative_to(here) if folder.is_relative_to(here) else folder))
