"""Commands as pages write them, and a folder of drawn images for them.

Words in capitals are what a reader puts in: folders of images, runs, a bundle. What is added to a command makes it
small and picks a free port; nothing is left out but TensorBoard, which is not Loupe's.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import cv2

from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.meta_atom_array import Layout, draw_array
from datamodules.synthetic.write import write_dataset
from tests.conftest import draw_plate

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

ROOT = Path(__file__).resolve().parents[1]
QUICK = ["data.image_size=32", "data.num_workers=0", "trainer=cpu", "callbacks.evaluation.resamples=20"]
SMALL = {
    "doctor": ["data.num_workers=0"],
    "train": [*QUICK, "trainer.max_epochs=1"],
    "sweep": [*QUICK, "sweep.workers=1"],
    "serve": ["port=0"],
    "label": ["port=0"],
}
SERVED = ("serve", "label")  # until somebody ends them


def commands(page: str) -> list[list[str]]:
    """Return the commands of a page's blocks, as words behind ``loupe``."""
    lines = (ROOT / page).read_text(encoding="utf-8").splitlines()
    return [shlex.split(line, comments=True)[1:] for line in lines if line.startswith("loupe ")]


def draw_folder(here: Path) -> None:
    """Draw what words in capitals stand for, and ``labels.csv``."""
    places = {"parts": range(48), "more/good": range(60, 64)}
    for place, seeds in places.items():
        for seed in seeds:
            pit = place == "parts" and seed >= 34
            path = here / place / ("" if "/" in place else "scratch" if pit else "good") / f"{seed:03}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            assert cv2.imwrite(str(path), draw_plate(seed, pit=pit)[0])
    (here / "labels.csv").write_text(
        "image,label\n"
        + "".join(f"parts/good/{seed:03}.png,good\n" for seed in range(12))
        + "parts/scratch/040.png,bad\n",
        encoding="utf-8",
    )
    (here / "arrays").mkdir()
    drawing = draw_array(Identity(22, "meta_atom", 4, 0), Layout(10, 12, pitch=46))
    assert cv2.imwrite(str(here / "arrays" / "A1.png"), drawing.image)
    write_dataset(here / "drawn", "fiber", 256, 2, 2, 0)
    (here / "drawn" / "images").rename(here / "faces")


def filled_in(words: list[str], here: Path) -> list[str]:
    """Put folders, runs and a bundle where a page has words in capitals."""
    best = [path.parents[1] for path in here.glob("runs/*/*/checkpoints/best.ckpt")]
    runs = sorted(best, key=lambda path: (path / "samples.csv").stat().st_mtime)
    bundle = next(here.glob("runs/*/*/bundle"), here / "none")
    meanings = {"PATH": "parts", "MORE": "more", "BUNDLE": str(bundle), "ARRAYS": "arrays", "FACES": "faces"}
    meanings |= {"OTHER": str(runs[-1]), "RUN": str(runs[0])} if runs else {}
    twice = words.count("RUN") == 2
    found, found_words = [], list[str]()
    for word in words:
        key, _, value = word.rpartition("=")
        value = meanings["OTHER"] if twice and word in found_words else meanings.get(value, value)
        found_words.append(word)
        found.append(f"{key}={value}" if key else value)
    return [*found, *SMALL.get(words[0], [])]


def serve_and_end(
    command: Sequence[str],
    here: Path,
    environment: Mapping[str, str],
    use: Callable[[str], None] | None = None,
) -> int:
    """Start what serves a page, wait for its address, use it, and end it as Ctrl-C does."""
    process = subprocess.Popen(
        command, cwd=here, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert process.stdout is not None
    told = []
    for line in process.stdout:
        told.append(line)
        if address := re.search(r"http://[\w.]+:\d+", line):
            if use is not None:
                use(address[0])
            process.send_signal(signal.SIGINT)
            break
    process.communicate(timeout=60)
    assert any("http://" in line for line in told), told
    return process.returncode
