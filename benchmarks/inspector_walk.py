"""The inspector's half hour, walked: label, calibrate, extend, calibrate, export, by keys and one-line commands.

python -m benchmarks.inspector_walk [--data FOLDER] [--microscope NAME] [--pictures docs/pictures] [--out FOLDER]

A simulated person, who always says the truth, labels end faces of another microscope (``benchmarks.microscopes``):
drawn ones, or with ``--data`` those of a folder laid out like ``data=fiber``. Every command runs as a person runs it,
the page in Chromium. What the commands say is printed, and after each step what the model makes of faces that nobody
labelled; ``--pictures`` photographs the page.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from playwright.sync_api import sync_playwright
from sklearn.metrics import roc_auc_score

from .inspector import BRIEF, Face, command, drawn_faces, line_of, real_faces, scores_of, write
from .microscopes import MICROSCOPES
from .site_pictures import BROWSERS, reduce
from .site_servers import serving

if TYPE_CHECKING:
    from collections.abc import Sequence

    from playwright.sync_api import Page

WIDTH, HEIGHT = 1280, 800
VERDICTS, GROWTH = 30, 10
LABEL = ["label", "run=run/one", "source=new", "by=Ada", "types=[scratch,pit,chip,contamination]"]
OTHER = "(image) => document.getElementById('canvas').dataset.image !== image"
LEARNT = "() => document.getElementById('learnt').textContent.includes('added')"
MAPPED_MS = 3000  # until a map is surely there


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
        self.page.screenshot(path=self.pictures / name)
        reduce(self.pictures / name)

    def open(self, address: str) -> None:
        """Open a page, and wait for its first image."""
        self.page.goto(address)
        self.page.wait_for_selector("canvas[data-image]")

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


def judged(run: Path, what: str) -> None:
    """Say what the model makes of faces that nobody labelled."""
    score_N, bad_N, _ = scores_of(run, Path("rest"), Path("judged") / what.replace(" ", "_"))
    line = line_of(run)
    missed, alarms = int((score_N[bad_N] < line).sum()), int((score_N[~bad_N] >= line).sum())
    print(
        f"== {what}: AUROC {roc_auc_score(bad_N, score_N):.3f}; {missed} of {bad_N.sum()} missed, {alarms} of "
        f"{(~bad_N).sum()} good ones called defective"
    )


def give(walk: Walk) -> None:
    """Give thirty verdicts by keyboard, and let the model learn one false alarm."""
    started, learnt = time.perf_counter(), False
    for _ in range(VERDICTS):
        bad, alarm = "bad/" in walk.image(), "called defective" in walk.page.inner_text("#said")
        if bad or learnt or not alarm:
            walk.press("d" if bad else "g")
            continue
        learnt = True
        walk.press("l")
        walk.page.wait_for_function(LEARNT, timeout=120000)
        walk.photograph("label_learnt.png")
        print(walk.page.inner_text("#learnt"))
    print(f"== {VERDICTS} verdicts by keyboard: {time.perf_counter() - started:.0f} s, learning included")
    walk.page.click("#more")
    walk.page.wait_for_selector("#summary[open]")
    walk.photograph("label_more.png")


def look(walk: Walk) -> None:
    """Photograph a defect with its map and a good image beside it, and what the model marks."""
    while "bad/" not in walk.image():
        walk.press("ArrowRight")
    walk.page.keyboard.press("c")
    walk.page.wait_for_timeout(MAPPED_MS)
    walk.photograph("label_map.png")
    walk.page.keyboard.press("a")
    walk.page.wait_for_timeout(MAPPED_MS)
    walk.photograph("label_mask.png")


def main(args: Sequence[str] | None = None) -> None:
    """Walk, and say what happened."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--microscope", default="ferrule", choices=list(MICROSCOPES))
    parser.add_argument("--pictures", type=Path)
    parser.add_argument("--out", type=Path, default=Path("runs/walk"))
    options = parser.parse_args(args)
    faces = real_faces(options.data) if options.data else drawn_faces(150, 21)
    pictures = None if options.pictures is None else options.pictures.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    os.chdir(options.out)  # names on the page are as they are asked for
    for part, name in zip(halves(faces, 0), ("old", "new", "ten", "rest"), strict=True):
        write(part, Path(name), "" if name == "old" else options.microscope)
    run = Path("run/one")
    command("train", "data.root=old", "model=patchcore", *BRIEF, "out=.", "name=run", "id=one")
    judged(run, "before")
    with sync_playwright() as playwright:
        installed = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=installed, args=["--no-sandbox"])
        work(run, Walk(browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}), pictures))
        browser.close()
    command("export", f"run={run}")


def work(run: Path, walk: Walk) -> None:
    """Label, calibrate, extend, calibrate; look at what is left."""
    calibrate = ("calibrate", f"run={run}", f"journal={run / 'labels' / 'journal.jsonl'}", "pool=false", "by=Ada")
    with serving(LABEL, Path()) as address:
        walk.open(address)
        give(walk)
    judged(run, "one image learnt")
    command(*calibrate)
    judged(run, "calibrated")
    command("extend", f"run={run}", "data=ten/good", "by=Ada", "note=microscope 2")
    judged(run, "extended by ten")
    command(*calibrate)
    judged(run, "calibrated once more")
    with serving(LABEL, Path()) as address:
        walk.open(address)
        look(walk)


if __name__ == "__main__":
    main()
