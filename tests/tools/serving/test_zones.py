"""Zones on the page: drawn where a run finds them, and named where a defect lies."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.synthetic.measured_faces import MeasuredFace, Speck
from tools.cli import main

from .conftest import serving
from .test_page import drop, open_row, until, visiting

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

ACROSS = (300, 260)  # height and width; no square, so that a layer that is turned or stretched shows
UM = 1.0
SHIFT = (12.0, -9.0)  # of the axis, x and y
SKY = np.array([86, 180, 233])


def face(seed: int, *planted: Speck) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return MeasuredFace(ACROSS, (UM, UM), core_um=50.0, blur=1.2, shift=SHIFT, planted=planted, seed=seed).draw()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that finds zones on every image."""
    root, out = tmp_path_factory.mktemp("faces"), tmp_path_factory.mktemp("runs_of_faces")
    lines = ["image,label,group"]
    for number in range(30):
        marks = (Speck(20.0, -70.0, 16.0),) if number % 6 == 0 else ()
        cv2.imwrite(str(root / f"{number:02}.png"), face(number, *marks))
        lines.append(f"{number:02}.png,{'defective' if marks else 'good'},g{number}")
    (root / "labels.csv").write_text("\n".join(lines) + "\n")
    words = [f"data.root={root}", "data.zones=find", "data.core_um=50", "data.image_size=[64,64]", "report=false"]
    model = ["data=fiber", "model.coreset_ratio=0.02", "threshold.min_images=2", "trainer=cpu", "data.num_workers=0"]
    quick = ["callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", f"out={out}"]
    assert main(["train", *words, *model, *quick, "id=one"]) == 0
    return out / "fiber-patchcore" / "one"


def test_zones_are_drawn_where_they_lie_and_named_in_the_list_of_defects(
    browser: Browser, run: Path, tmp_path: Path
) -> None:
    path = tmp_path / "marked.png"
    cv2.imwrite(str(path), face(90, Speck(-30.0, 85.0, 26.0, 90.0)))
    with serving(tmp_path, f"run={run}") as server, visiting(browser, server) as page:
        drop(page, [path])
        shown = open_row(page, path.name)
        until(page, "document.getElementById('zones').naturalWidth > 0")
        address = shown.locator("#zones").get_attribute("src")
        assert address is not None
        layer = cv2.imdecode(np.frombuffer(server.get(address).body, np.uint8), cv2.IMREAD_UNCHANGED)
        assert layer is not None
        assert layer.shape == (*ACROSS, 4)
        rows, columns = np.nonzero(layer[..., 3])
        assert (layer[rows, columns, :3][:, ::-1] == SKY).all()
        radius = np.hypot(rows - ACROSS[0] / 2 - SHIFT[1], columns - ACROSS[1] / 2 - SHIFT[0])
        near = [np.abs(radius * UM - edge) < 7 for edge in (25.0, 62.5)]  # a model's pixel is 4.7 of these
        assert (near[0] | near[1]).mean() > 0.98
        assert min(one.sum() for one in near) > 100
        assert "ferrule" in shown.locator(".defects tbody").inner_text()
        assert shown.locator("#zones").is_visible()
        shown.locator("#show-zones").uncheck()
        assert not shown.locator("#zones").is_visible()
