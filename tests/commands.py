"""Commands as pages write them, and a folder of drawn images for them.

Words in capitals are what a reader puts in: folders of images, runs, a bundle. What is added to a command makes it
small and picks a free port; nothing is left out but TensorBoard, which is not Loupe's.
"""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import Request, urlopen
from uuid import uuid4

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
    return [shlex.split(command, comments=True)[1:] for command in command_lines(ROOT / page)]


def command_lines(page: Path, language: str = r"\w*", begins: tuple[str, ...] = ("loupe ",)) -> list[str]:
    """List the commands in the blocks of a page, in one line each: as they are typed, or behind a prompt."""
    blocks = re.findall(rf"^```{language}\n(.*?)^```", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    found: list[str] = []
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        typed = line.strip().removeprefix("$ ")
        if found and found[-1].count("'") % 2 and "#" not in found[-1]:  # a quoted value over several lines
            found[-1] += f" {typed}"
        elif typed.startswith(begins):
            found.append(typed)
    return found


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


def say(address: str, count: int = 12) -> None:
    """Label images on a page as an inspector does: what lies among the good ones is good."""
    for _ in range(count):
        (name, *_) = [one["image"] for one in ask(f"{address}/label/next?by=Ada")["next"]] or [""]
        if name:
            opinion = {"image": name, "verdict": "good" if "/good/" in name else "defective", "by": "Ada"}
            ask(f"{address}/label/say", {"request": uuid4().hex, **opinion})


def ask(address: str, said: dict[str, str] | None = None) -> dict[str, Any]:
    """Ask a server, or tell it something."""
    body = None if said is None else json.dumps(said).encode()
    request = Request(address, body, {"Content-Type": "application/json"})  # noqa: S310 - our own server
    with urlopen(request, timeout=60) as answer:  # noqa: S310 - as above
        found: dict[str, Any] = json.loads(answer.read())
        return found
