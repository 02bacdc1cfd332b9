"""Draws the images of the documentation that show pages: ``make pictures``.

    python -m benchmarks.site_pictures [--out docs/pictures]

The demo is run as anybody runs it, and its pages are photographed by the Chromium that is installed.
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

COLOURS = 64
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGES = {
    "report.png": ("demo", "*/*/report/index.html", (1280, 2000)),
}


def main() -> None:
    """Run what leaves pages, and photograph them."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("docs/pictures"))
    out: Path = parser.parse_args().out
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        raise SystemExit(f"Expected one of {', '.join(BROWSERS)} to be installed, but found none.")
    with tempfile.TemporaryDirectory() as folder:
        for name, (verb, pattern, size) in PAGES.items():
            runs = Path(folder) / verb
            subprocess.run([sys.executable, "-m", "tools", verb, f"out={runs}"], check=True)  # noqa: S603 - ours
            (page,) = runs.glob(pattern)
            photograph(browser, page, out / name, size)
            print(out / name)


def photograph(browser: str, page: Path, picture: Path, size: tuple[int, int]) -> None:
    """Photograph the top of a page, in few colours, so that the repository stays small."""
    flags = ["--headless", "--hide-scrollbars", "--force-device-scale-factor=1", f"--window-size={size[0]},{size[1]}"]
    if os.geteuid() == 0:
        flags.append("--no-sandbox")  # Chromium's sandbox refuses to be root's
    command = [browser, *flags, f"--screenshot={picture.resolve()}", page.resolve().as_uri()]
    subprocess.run(command, check=True, capture_output=True, timeout=120)  # noqa: S603 - the page is ours
    Image.open(picture).convert("RGB").quantize(COLOURS).save(picture, optimize=True)


if __name__ == "__main__":
    main()
