"""Draws the pictures of the documentation anew: ``make pictures``.

    python -m benchmarks.site_pictures [NAME ...] [--out docs/pictures]

Drawn parts come from ``site_drawings``, pages of servers from ``site_servers``, those of an inspector at work from
``inspector_walk``; the demo is run as anybody runs it.
Pages are photographed by the Chromium that is installed. All images are drawn: no data need be there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from PIL import Image

from benchmarks.site_drawings import SHEETS, draw_sheets
from benchmarks.site_servers import SHOTS, loupe, photograph_servers

COLOURS = 64
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
REPORT, RING = "report.png", "oring.png"
SIZE = (1280, 2000)
WALKED = ("label_learnt.png", "label_mask.png")
NAMES = (REPORT, RING, *SHEETS, *SHOTS, *WALKED)


def main() -> None:
    """Draw what is wanted: all, where nothing is named."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}; all, where none is named")
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    asked = parser.parse_args()
    out, wanted = asked.out, set(asked.names or NAMES)
    if unknown := wanted - set(NAMES):
        raise SystemExit(f"Expected names of {', '.join(NAMES)}, but found {', '.join(sorted(unknown))}.")
    out.mkdir(parents=True, exist_ok=True)
    for path in draw_sheets(out, wanted):
        print(path)
    if wanted & {REPORT, *SHOTS}:
        photograph_pages(out, wanted)
    if wanted & set(WALKED):
        photograph_walk(out, wanted)


def photograph_pages(out: Path, wanted: set[str]) -> None:
    """Run what leaves pages, and photograph them."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"Expected one of {', '.join(BROWSERS)} to be installed, but found none.")
    with tempfile.TemporaryDirectory() as folder:
        runs = Path(folder) / "demo"
        loupe("demo", f"out={runs}")
        (page,) = runs.glob("*/*/report/index.html")
        if REPORT in wanted:
            photograph(browser, page, out / REPORT, SIZE)
            print(out / REPORT)
        for path in photograph_servers(out, wanted, page.parents[1], Path(folder) / "servers", browser):
            reduce(path)
            print(path)


def photograph_walk(out: Path, wanted: set[str]) -> None:
    """Let an inspector label drawn faces, and take the photographs that are wanted of it."""
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "taken"
        taken.mkdir()
        words = ["--pictures", str(taken), "--out", str(Path(folder) / "walk")]
        subprocess.run([sys.executable, "-m", "benchmarks.inspector_walk", *words], check=True)  # noqa: S603 - our own
        for name in WALKED:
            if name in wanted:
                print(shutil.copy(taken / name, out / name))


def photograph(browser: str, page: Path, picture: Path, size: tuple[int, int]) -> None:
    """Photograph the top of a page."""
    flags = ["--headless", "--hide-scrollbars", "--force-device-scale-factor=1", f"--window-size={size[0]},{size[1]}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium's sandbox refuses to be root's
    command = [browser, *flags, f"--screenshot={picture.resolve()}", page.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603 - the page is ours
    reduce(picture)


def reduce(picture: Path) -> None:
    """Keep a picture in few colours, so that the repository stays small."""
    Image.open(picture).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
