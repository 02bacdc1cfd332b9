"""Servers of the labelling page that really run, and a keyboard over them."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from tests.browsing import opened
from tools.labelling.journal import JOURNAL, read_journal
from tools.labelling.queue import Scored, nearest_first

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from tools.labelling.replay import State

pytest.importorskip("fastapi")

MEDIUM = {"width": 1280, "height": 860}
NARROW = {"width": 390, "height": 844}
SHOWN = "(image) => document.getElementById('canvas').dataset.image === image"
MAPS = """(count) => new Set(performance.getEntriesByType("resource").filter(({ name }) => name.includes("part=map"))
    .map(({ name }) => name)).size >= count"""
REDDER = """() => { const canvas = document.getElementById("canvas"), { width, height } = canvas;
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    for (let at = 0; at < data.length; at += 4) if (data[at + 3] && data[at] > data[at + 1] + 40) return true;
    return false; }"""
OTHER = "(image) => document.getElementById('canvas').dataset.image !== image"


def predictions(folder: Path, count: int, size: tuple[int, int] = (60, 80), depth: str = "uint8") -> list[str]:
    """Write images and a table of scores, as ``loupe predict`` does; return names, nearest first."""
    folder.mkdir(parents=True)
    rng, top = np.random.default_rng(0), 4095 if depth == "uint16" else 255
    rows = []
    for number in range(count):
        values = rng.normal(0.4 * top, 0.03 * top, size).clip(0, top).astype(depth)
        cv2.circle(values, (10 + number % 50, 20), 6, top, -1)
        assert cv2.imwrite(str(folder / f"p{number:03}.png"), values)
        rows.append((f"p{number:03}.png", round(float(rng.normal(10, 2)), 2), 11.0))
    with (folder / "predictions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image_path", "score", "threshold"), *rows])
    return nearest_first(Scored(*row) for row in rows)


@dataclass
class Labelling:
    """A server, in a process of its own."""

    process: subprocess.Popen[str]
    port: int
    out: Path

    @property
    def address(self) -> str:
        """Of its page."""
        return f"http://127.0.0.1:{self.port}"

    def journal(self) -> State:
        """Read the journal."""
        return read_journal(self.out / JOURNAL)


def started(source: Path, port: int = 0, *keys: str) -> Labelling:
    """Start to serve the page, and wait until it listens."""
    command = [sys.executable, "-m", "loupe", "label", f"source={source}", f"port={port}", "by=Ada", *keys]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (source / "log").open("a") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment, text=True)
    assert process.stdout is not None
    for said in process.stdout:
        if said.startswith("Labelling"):
            return Labelling(process, int(said.split(" (")[0].rpartition(":")[2]), source / "labels")
    raise AssertionError((source / "log").read_text())


@contextmanager
def labelling(source: Path, *keys: str) -> Iterator[Labelling]:
    """Serve the page until the block ends."""
    server = started(source, 0, "random=0", *keys)
    try:
        yield server
    finally:
        server.process.terminate()
        server.process.wait(30)


@contextmanager
def visiting(
    browser: Browser, server: Labelling, size: dict[str, int] = MEDIUM, *, dark: bool = False, touch: bool = False
) -> Iterator[Page]:
    """Open the page; at the end, nothing foreign was asked and the console is empty."""
    with opened(browser, server.address, "", size, dark=dark, touch=touch) as page:
        page.wait_for_selector("canvas[data-image]")
        yield page


def press(page: Page, key: str) -> tuple[str, str]:
    """Press a key, wait for another image, and name both."""
    before = str(page.get_attribute("#canvas", "data-image"))
    page.keyboard.press(key)
    page.wait_for_function(OTHER, arg=before)
    return before, str(page.get_attribute("#canvas", "data-image"))


def pixel(page: Page, x: float, y: float, canvas: str = "canvas") -> list[int]:
    """Read a pixel of a canvas at a share of its width and height."""
    script = """([name, x, y]) => { const canvas = document.getElementById(name), { width, height } = canvas;
        const copy = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
        copy.drawImage(canvas, -Math.floor(x * width), -Math.floor(y * height));
        return [...copy.getImageData(0, 0, 1, 1).data]; }"""
    found: list[int] = page.evaluate(script, [canvas, x, y])
    return found
