"""What tests of several rooms share: small folders of drawn images, and the real ones where there are any."""

from __future__ import annotations

import gc
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest
import torch

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser


def pytest_configure() -> None:
    """Share the cores among the processes of tests, whose tensors would otherwise each ask for all of them."""
    if workers := os.environ.get("PYTEST_XDIST_WORKER_COUNT"):
        threads = max(1, (os.cpu_count() or 1) // int(workers))
        torch.set_num_threads(threads)
        os.environ.setdefault("OMP_NUM_THREADS", str(threads))  # of the processes that tests start


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whole procedures; begin with the files that take longest: side by side, the short ones fill the end."""
    for item in items:
        if any(room in item.path.as_posix() for room in PROCEDURES):
            item.add_marker(pytest.mark.procedure)
    items.sort(key=lambda item: next(place for place, room in enumerate(LONGEST) if room in item.path.as_posix()))


def pytest_collection_finish() -> None:
    """Have the collector of garbage pass over what was imported and collected, which stays until the end."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the collector have all that, as libraries wish that count what is left at the end."""
    gc.unfreeze()


# Rooms and files whose tests train, export, serve, sweep or end whole commands, mostly in processes of their own.
PROCEDURES = (
    "tests/faults/",
    *(f"tests/tools/{room}/" for room in ("bundles", "labelling", "lines", "runs", "serving", "sweeps")),
    *(f"tests/tools/test_{name}.py" for name in ("distill", "found_zones", "growing", "kept_epoch", "precision")),
    *(f"tests/tools/test_{name}.py" for name in ("python_page", "resuming", "signals", "stages", "tiling")),
    *(f"tests/tools/test_{name}.py" for name in ("calibrate", "compare", "experiments", "extend", "repeating")),
    "tests/tools/test_train_efficient_ad.py",
    "tests/models/test_side_by_side.py",
    "tests/test_docs.py",
)
LONGEST = (
    *("tests/test_docs.py", "tests/models/test_contract.py", "tests/tools/runs/test_by_kind.py"),  # a minute each
    *("tests/tools/labelling/test_page.py", "tests/tools/test_"),
    *("tests/tools/", "tests/faults/", "tests/loupe/", "tests/models/"),
    *("tests/benchmarks/", "tests/datamodules/", ""),
)
REAL_DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
PATIENCE_MS = 180_000  # for a browser to start on a busy machine


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A browser, once for all tests of a file: its loop must not be there when other files run theirs."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    if CHROMIUM is None:
        pytest.skip("no chromium, chromium-browser or google-chrome is installed")
    with playwright.sync_playwright() as driver:
        started = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE_MS)
        yield started
        started.close()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real images beside the checkout."""
    if not REAL_DATA.is_dir():
        pytest.skip("real pictures are absent: expected them in ../shared/data")
    return REAL_DATA


@pytest.fixture
def picture_folder(tmp_path: Path) -> Path:
    """Twenty good plates, four with a bright pit and its mask, and two of unknown state, in the flat layout."""
    root = tmp_path / "plates"
    for index in range(26):
        folder = "good" if index < 20 else "pit" if index < 24 else "unknown"
        values, mask = draw_plate(index, pit=folder == "pit")
        write(root / folder / f"{index:03}.png", values)
        if folder == "pit":
            write(root / "masks" / "pit" / f"{index:03}_mask.png", mask)
    return root


def draw_plate(seed: int, *, pit: bool = False) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8]]:
    """Draw a noisy grey plate of 48x40 pixels and the mask of its pit, if it has one."""
    rng = np.random.default_rng(seed)
    values = rng.normal(110, 8, (48, 40, 3)).clip(0, 255).astype(np.uint8)
    mask = np.zeros((48, 40), dtype=np.uint8)
    if pit:
        center = int(rng.integers(8, 32)), int(rng.integers(8, 40))
        cv2.circle(mask, center, 4, 255, -1)
        values[mask > 0] = 220
    return values, mask


def write(path: Path, values: npt.NDArray[np.integer]) -> Path:
    """Write an image, folders included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), values)
    return path
