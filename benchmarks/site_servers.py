"""Photographs the pages of ``loupe serve`` and ``loupe label`` as people use them, on drawn images.

Two runs are behind them: that of the demo, and an autoencoder on layers of drawn prints, with rules and a table.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    Steps = Callable[[Page, "Places"], None]

SIDE = 160  # pixels of a drawn layer
LAYERS, OF = 40, 100  # of the job that is printed
SPOILT = (9, 10, 22, 23, 24, 33)  # of these
PIT = 12  # radius in pixels
MACHINE, JOB = "machine_3", "job_1000"


class Places(NamedTuple):
    """Where things lie.

    Attributes:
        faces: Drawn end faces.
        layers: Those of the job.
        watched: A folder that a server watches.
    """

    faces: list[Path]
    layers: list[Path]
    watched: Path


class Shot(NamedTuple):
    """A picture of a page.

    Attributes:
        server: Which of the servers.
        path: Of the page.
        size: Width and height in pixels.
        steps: What a person does before.
    """

    server: str
    path: str
    size: tuple[int, int]
    steps: Steps


def drop(page: Page, files: list[Path]) -> None:
    """Choose files, and wait until all are judged."""
    page.set_input_files("#files", files)
    page.wait_for_selector("#progress[hidden]", state="attached")
    page.wait_for_selector("#table tbody tr")


def judge_faces(page: Page, places: Places) -> None:
    """Judge end faces, and look at the worst."""
    drop(page, places.faces[:14])
    page.locator("#table tbody tr").first.click()
    page.wait_for_load_state("networkidle")


def try_limits(page: Page, places: Places) -> None:
    """Judge layers, and try a larger area."""
    drop(page, places.layers[:12])
    page.click("#try summary")
    area = page.locator("#dials input[type=range]").first
    area.evaluate(
        "one => { one.value = (+one.min + +one.max) / 2; one.dispatchEvent(new Event('input', { bubbles: true })) }"
    )
    page.wait_for_load_state("networkidle")


def see_filters(page: Page, places: Places) -> None:
    """Look at what the network keeps of a layer."""
    drop(page, [places.layers[SPOILT[0] - 1]])
    page.locator("#table tbody tr").first.click()
    page.wait_for_load_state("networkidle")
    page.locator(".views").first.scroll_into_view_if_needed()


def watch(page: Page, places: Places) -> None:
    """Let an image come into the folder."""
    shutil.copy(places.layers[SPOILT[0] - 1], places.watched / "layer_0009.png")
    page.locator("#watch[data-verdict=fail]").wait_for()
    page.wait_for_load_state("networkidle")


def confirm(page: Page, places: Places) -> None:
    """Say of two layers what they show."""
    del places
    page.fill("#by", "Ada")
    for number, verdict in ((0, "defective"), (1, "good")):
        page.locator(".trio").nth(number).locator(f"[data-say={verdict}]").click()
        page.locator(".trio .say", has_text=f"Ada says: {verdict}").wait_for()
    page.evaluate("scrollTo(0, 0)")
    page.wait_for_load_state("networkidle")


def look(page: Page, places: Places) -> None:
    """Wait until all is there."""
    del places
    page.wait_for_load_state("networkidle")


SHOTS = {
    "serve.png": Shot("demo", "/", (1280, 1240), judge_faces),
    "serve_limits.png": Shot("prints", "/", (1160, 1000), try_limits),
    "serve_bottleneck.png": Shot("prints", "/", (390, 680), see_filters),
    "serve_watch.png": Shot("prints", "/watch", (1280, 1000), watch),
    "serve_job.png": Shot("prints", f"/job?machine={MACHINE}&job={JOB}", (1160, 1420), confirm),
    "serve_history.png": Shot("prints", "/history", (1160, 760), look),
    "label.png": Shot("label", "/", (1280, 800), look),
}  # in this order: what is said of a job is counted on the next page


def photograph_servers(out: Path, wanted: set[str], demo: Path, work: Path, browser: str) -> Iterator[Path]:
    """Photograph the pages that are wanted; yield their files.

    Args:
        out: Where pictures go.
        wanted: Their names.
        demo: The run of the demo.
        work: A folder for all else.
        browser: Chromium.
    """
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - no other picture needs it

    shots = {name: shot for name, shot in SHOTS.items() if name in wanted}
    faces = sorted((demo.parents[1] / "drawn").rglob("images/*.png"))
    places = Places(faces, sorted(draw_prints(work / "prints").glob("*.png")), work / "watched")
    places.watched.mkdir(parents=True)
    commands = {"demo": ["serve", str(demo)], "label": ["label", str(demo)]}
    if any(shot.server == "prints" for shot in shots.values()):
        commands["prints"] = ["serve", str(train_prints(work)), f"watch={places.watched}", *job_keys(work)]
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=browser, args=["--no-sandbox"])
        for server in dict.fromkeys(shot.server for shot in shots.values()):
            with serving(commands[server], work) as address:
                for name, shot in shots.items():
                    if shot.server == server:
                        width, height = shot.size
                        page = chromium.new_page(viewport={"width": width, "height": height})
                        page.goto(address + shot.path)
                        shot.steps(page, places)
                        page.screenshot(path=out / name)
                        page.close()
                        yield out / name
        chromium.close()


def draw_prints(root: Path) -> Path:
    """Draw layers to learn from, and those of a job; return the folder of the job."""
    for number in range(96):
        spoilt = number % 8 == 7
        folder = root / "seen" / ("defective" if spoilt else "good") / f"machine_{number % 2 + 1}" / f"job_{number % 4}"
        _write(folder / f"layer_{number:04}.png", draw_layer(number, spoilt=spoilt))
    job = root / "new" / MACHINE / JOB
    for number in range(1, LAYERS + 1):
        _write(job / f"layer_{number:04}.png", draw_layer(1000 + number, spoilt=number in SPOILT))
    return job


def draw_layer(number: int, *, spoilt: bool) -> np.typing.NDArray[np.uint8]:
    """Draw powder with a section of the part in it, (H, W); where it is spoilt, with a bright pit."""
    rng = np.random.default_rng(number)
    values = np.full((SIDE, SIDE), 108.0)
    cv2.ellipse(values, (SIDE // 2, SIDE // 2), (56 + number % 3, 40 + number % 5), 0, 0, 360, 140.0, -1)
    if spoilt:
        x, y = (int(value) for value in rng.integers(SIDE // 3, 2 * SIDE // 3, 2))
        cv2.circle(values, (x, y), int(rng.integers(PIT // 2, PIT)), 240.0, -1)
    return np.asarray((values + rng.normal(0, 6, values.shape)).clip(0, 255), np.uint8)


def train_prints(work: Path) -> Path:
    """Train the autoencoder, and judge the job into a table; return the run."""
    keys = ["model=conv_ae_small", "model.widths=[16,16]", "trainer=cpu", "trainer.max_epochs=20"]
    keys += [f"data.root={work / 'prints' / 'seen'}", "data.image_size=128", "acceptance=no_large_defect"]
    loupe("train", "data=print3d", *keys, "report=false", f"out={work / 'runs'}", "name=prints", "id=one")
    run = work / "runs" / "prints" / "one"
    source = f"source={work / 'prints' / 'new'}"
    loupe("predict", f"run={run}", source, f"out={work / 'judged'}", *job_keys(work)[:1])
    return run


def job_keys(work: Path) -> list[str]:
    """Say where verdicts are kept, and how high the job will be."""
    return [f"table=sqlite:///{work / 'results.db'}", f"layers={{{JOB}: {OF}}}", "layer_um=40"]


def loupe(*words: str) -> None:
    """Run a command to its end."""
    subprocess.run([sys.executable, "-m", "tools", *words], check=True)  # noqa: S603 - ours


@contextmanager
def serving(words: list[str], work: Path) -> Iterator[str]:
    """Serve a page on a free port; yield its address, and end it."""
    command = [sys.executable, "-m", "tools", *words, "port=0"]
    log = work / f"{words[0]}.log"
    with log.open("w") as file:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=file, text=True)  # noqa: S603 - ours
    try:
        for line in process.stdout or ():
            if address := re.search(r"http://[\w.]+:\d+", line):
                yield address[0]
                break
        else:
            raise SystemExit(f"Expected loupe {words[0]} to say where it serves, but it ended; {log} says why.")
    finally:
        process.terminate()
        process.communicate(timeout=60)


def _write(path: Path, values: np.typing.NDArray[np.uint8]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(cv2.imencode(".png", values)[1].tobytes())
