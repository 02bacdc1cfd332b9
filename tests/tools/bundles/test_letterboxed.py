"""Every model that knows what padding is, trained on letterboxed images: its run and its bundle judge alike.

Those that cannot tell padding refuse it before anything is trained (``tests/models/test_padding.py``).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.models.test_padding import REFUSED, WIDE
from tests.tools.bundles.test_models import STAY, export
from tools.cli import main
from tools.configuring.config import groups

if TYPE_CHECKING:
    from pathlib import Path

FEW = ("data.good=56", "data.defective=28", "trainer.max_steps=4", "report=false", "data.fit=letterbox")
SHAPES = {"square": (64, 64), "wide": (40, 64), "tall": (64, 28), "odd": (61, 47)}  # height and width

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("drawn")


def cut(images: list[str], folder: Path) -> Path:
    """Cut images of a test to several shapes, so that padding lies on either side, on both, or above and below."""
    folder.mkdir()
    for index, path in enumerate(images):
        values = cv2.imread(path)
        assert values is not None
        for name, (height, width) in SHAPES.items():
            assert cv2.imwrite(str(folder / f"{index:02}_{name}.png"), values[:height, :width])
    return folder


@pytest.mark.parametrize("model", [name for name in groups()["model"] if name not in REFUSED | STAY])
def test_a_letterboxed_run_and_its_bundle_judge_alike(model: str, drawn: Path, tmp_path: Path) -> None:
    run = export(model, drawn, tmp_path, f"data.image_size={WIDE.get(model, '[64,96]')}", *FEW)
    parity = json.loads((run / "bundle" / "parity.json").read_text())
    assert parity["passed"]
    assert not any(form["flips"] for form in parity["forms"])
    spec = json.loads((run / "bundle" / "spec.json").read_text())
    assert spec["input"]["resize"]["fit"] == "letterbox"
    source = cut(pd.read_csv(run / "predictions.csv")["image_path"].tolist()[:12], tmp_path / "source")
    tables: list[pd.DataFrame] = []
    for judge in (f"run={run}", *(f"bundle={run / 'bundle'} runtime={form['runtime']}" for form in spec["forms"])):
        out = tmp_path / f"by_{len(tables)}"
        assert main(["predict", *judge.split(), f"source={source}", f"out={out}", "page=0"]) == 0
        tables.append(pd.read_csv(out / "predictions.csv", keep_default_na=False))
    expected, *found = tables
    assert len(found) == len({form["runtime"] for form in spec["forms"]}) >= 1
    spread = np.ptp(expected["score"])
    for table in found:
        assert table["verdict"].tolist() == expected["verdict"].tolist()
        np.testing.assert_allclose(table["score"], expected["score"], atol=1e-4 * spread, rtol=1e-4)
