"""The inspector's half hour, walked: label, calibrate, extend, calibrate, export, by keys and one-line commands.

python -m benchmarks.inspector_walk [--data FOLDER] [--microscope NAME] [--pictures docs/pictures] [--out FOLDER]

A simulated person, who always says the truth, labels end faces of another microscope (``benchmarks.microscopes``):
drawn ones, or with ``--data`` those of a folder laid out like ``data=fiber``. Every command runs as a person runs it,
the page in Chromium. What the commands say is printed, and after each step what the model makes of faces that nobody
labelled; ``--pictures`` photographs the page.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright
from sklearn.metrics import roc_auc_score

from .inspector import BRIEF, Face, command, drawn_faces, line_of, real_faces, scores_of, write
from .microscopes import MICROSCOPES
from .site_pictures import BROWSERS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

WIDTH, HEIGHT = 1280, 800
COLOURS = 128
VERDICTS, GROWTH = 30, 10
OTHER = "(image) => document.getElementById('canvas').dataset.image !== image"
MAP = """() => performance.getEntriesByType("resource").some(({ name }) => name.includes("part=map"))"""


class Walk:
    """A person at work: their page, and where photographs of it go."""

    def __init__(self, page: Page, pictures: Path | None) -> None:
        self.page = page
        self.pictures = pictures

    def photograph(self, name: str) -> None:
        """Photograph the page, in few colours, so that the repository stays small."""
        if self.pictures is None:
            return
        self.page.wait_for_timeout(500)  # maps and images fade in
        path = self.pictures / name
        self.page.screenshot(path=path)
        Image.open(path).convert("RGB").quantize(COLOURS).save(path, optimize=True)

    def image(self) -> str:
        """Name the image that is shown."""
        return str(self.page.get_attribute("#canvas", "data-image"))

    def press(self, key: str) -> None:
        """Press a key, and wait for the next image."""
        before = self.image()
        self.page.keyboard.press(key)
        self.page.wait_for_function(OTHER, arg=before)


def halves(faces: Sequence[Face], seed: int) -> tuple[list[Face], list[Face], list[Face], list[Face]]:
    """Divide faces: to train with, to label, ten good ones to learn, and those that nobody sees before the end."""
    groups = np.random.default_rng(seed).permutation(sorted({face.group for face in faces if not face.defective}))
    first, ten = set(groups[: len(groups) // 2]), set(groups[len(groups) // 2 :][:GROWTH])
    rest = [face for face in faces if face.group not in first | ten]
    learn = [face for face in faces if face.group in first and not face.defective]
    return learn, rest[::2], [face for face in faces if face.group in ten and not face.defective], rest[1::2]


def judged(run: Path, folder: Path, what: str) -> None:
    """Say what the model makes of faces that nobody labelled."""
    score_N, bad_N, _ = scores_of(run, folder, run / "walk" / what.replace(" ", "_"))
    line = line_of(run)
    missed, alarms = int((score_N[bad_N] < line).sum()), int((score_N[~bad_N] >= line).sum())
    print(
        f"== {what}: AUROC {roc_auc_score(bad_N, score_N):.3f}; {missed} of {bad_N.sum()} missed, {alarms} of "
        f"{(~bad_N).sum()} good ones called defective"
    )


def label(run: Path, folder: Path, walk: Walk) -> None:
    """Give thirty verdicts by keyboard, and let the model learn one false alarm."""
    words = [f"run={run}", f"source={folder}", "port=0", "by=Ada", "types=[scratch,pit,chip,contamination]"]
    server = subprocess.Popen([sys.executable, "-m", "loupe", "label", *words], stdout=subprocess.PIPE, text=True)  # noqa: S603
    try:
        if server.stdout is None:
            raise RuntimeError("Expected the server to say where it listens.")
        said = next(line for line in server.stdout if line.startswith("Labelling"))
        give(walk, said.split(" (")[0].rpartition(" ")[2])
    finally:
        server.terminate()
        server.wait(30)


def give(walk: Walk, address: str) -> None:
    """Open the page and press keys."""
    page, learnt, marked = walk.page, False, False
    page.goto(address)
    page.wait_for_selector("canvas[data-image]")
    page.keyboard.press("m")
    page.keyboard.press("c")
    started = time.perf_counter()
    for number in range(VERDICTS):
        bad = "bad/" in walk.image()
        if number == 0:
            page.wait_for_function(MAP, timeout=60000)
            walk.photograph("label.png")
        if bad and not marked:
            page.keyboard.press("a")
            walk.photograph("label_mask.png")
            marked = True
        alarm = "called defective" in page.inner_text("#said")
        walk.press("d" if bad else "l" if alarm and not learnt else "g")
        if alarm and not bad and not learnt:
            page.wait_for_function("document.getElementById('learnt').textContent.includes('added')", timeout=120000)
            walk.photograph("label_learnt.png")
            print(page.inner_text("#learnt"))
            learnt = True
    print(f"== {VERDICTS} verdicts by keyboard: {time.perf_counter() - started:.0f} s, learning included")
    page.click("#more")
    page.wait_for_selector("#summary[open]")
    walk.photograph("label_more.png")


def main(args: Sequence[str] | None = None) -> None:
    """Walk, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--microscope", default="ferrule", choices=list(MICROSCOPES))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/walk"))
    options = parser.parse_args(args)
    out: Path = options.out
    faces = real_faces(options.data) if options.data else drawn_faces(150, 21)
    for part, name in zip(halves(faces, 0), ("old", "new", "ten", "rest"), strict=True):
        write(part, out / name, "" if name == "old" else options.microscope)
    run = out / "run" / "one"
    command("train", f"data.root={out / 'old'}", "model=patchcore", *BRIEF, f"out={out}", "name=run", "id=one")
    judged(run, out / "rest", "before")
    with sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        label(run, out / "new", Walk(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), options.pictures))
        browser.close()
    judged(run, out / "rest", "one image learnt")
    command("calibrate", f"run={run}", f"journal={run / 'labels' / 'journal.jsonl'}", "pool=false", "by=Ada")
    judged(run, out / "rest", "calibrated")
    command("extend", f"run={run}", f"data={out / 'ten' / 'good'}", "by=Ada", "note=microscope 2")
    judged(run, out / "rest", "extended by ten")
    command("calibrate", f"run={run}", f"journal={run / 'labels' / 'journal.jsonl'}", "pool=false", "by=Ada")
    judged(run, out / "rest", "calibrated once more")
    command("export", f"run={run}")


if __name__ == "__main__":
    main()
