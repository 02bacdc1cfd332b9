"""How long the next image takes on the labelling page, from the key to the frame that shows it.

python -m benchmarks.label_page [--count 40] [--height 2048] [--width 2448] [--pause 0.5]

Images are drawn, grey, with a map to each, and Chromium shows them; between keys the person looks for ``--pause``
seconds, while the next two are fetched.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
from playwright.sync_api import sync_playwright

from .site_pictures import BROWSERS
from .site_servers import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_MS = 100
PRESSED = """(key) => new Promise((resolve) => {
    const canvas = document.getElementById("canvas"), before = canvas.dataset.image, started = performance.now();
    const look = () => canvas.dataset.image === before
        ? requestAnimationFrame(look)
        : requestAnimationFrame(() => resolve(performance.now() - started));
    document.body.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true }));
    requestAnimationFrame(look);
})"""


def drawn(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Write images and the table of their scores, as ``loupe predict`` does."""
    rng = np.random.default_rng(0)
    rows = []
    for number in range(count):
        values = cv2.GaussianBlur(rng.normal(110, 60, size), (0, 0), 3).clip(0, 255).astype(np.uint8)
        cv2.circle(values, (200 + 40 * number % size[1], 300), 60, 230, -1)
        if not cv2.imwrite(str(folder / f"{number:03}.png"), values):
            raise OSError(f"Expected to write into {folder}.")
        rows.append({"image_path": f"{number:03}.png", "score": float(rng.normal(10, 2)), "threshold": 11.0})
    pd.DataFrame(rows).to_csv(folder / "predictions.csv", index=False)


def measure(folder: Path, count: int, pause: float) -> list[float]:
    """Press a key for every image but the last; return milliseconds."""
    words = ["label", f"source={folder}", "by=Ada"]
    with serving(words, folder) as address, sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 860})
        page.goto(address)
        page.wait_for_selector("canvas[data-image]")
        found = []
        for _ in range(count - 1):
            page.wait_for_timeout(1000 * pause)
            found.append(float(page.evaluate(PRESSED, "g")))
        browser.close()
        return found


def main(args: Sequence[str] | None = None) -> None:
    """Measure, and say it in one line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--height", type=int, default=2048)
    parser.add_argument("--width", type=int, default=2448)
    parser.add_argument("--pause", type=float, default=0.5)
    options = parser.parse_args(args)
    with tempfile.TemporaryDirectory() as name:
        drawn(Path(name), options.count, (options.height, options.width))
        found = measure(Path(name), options.count, options.pause)
    low, middle, high = min(found), float(np.median(found)), max(found)
    late = sum(value > MOST_MS for value in found)
    print(f"{len(found)} keys: {low:.0f} to {high:.0f} ms, median {middle:.0f}; {late} above {MOST_MS} ms")


if __name__ == "__main__":
    main()
