"""Runs that ``data.split_from=`` names in a sweep, and what a small split says of itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd
import pytest

from datamodules.folder import FolderDataModule
from tools.cli import main
from tools.errors import ConfigError
from tools.runs.first_lines import first_lines
from tools.runs.held_splits import name_held_runs

if TYPE_CHECKING:
    from pathlib import Path


def folder_of(root: Path, seeds: range) -> FolderDataModule:
    for index in seeds:
        path = root / "good" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = np.random.default_rng(index).integers(60, 200, (24, 24), np.uint8)
        assert cv2.imwrite(str(path), values)
    data = FolderDataModule(root=str(root), image_size=(24, 24), test_share=0.3)
    data.setup("fit")
    return data


def test_what_a_small_split_borrowed_is_said(tmp_path: Path) -> None:
    few, many = folder_of(tmp_path / "few", range(2, 5)), folder_of(tmp_path / "many", range(2, 62))
    moved = [line for line in first_lines(few) if "borrowed" in line]
    assert few.borrowed  # none of these three draws the test
    assert all(name in moved[0] for name in few.borrowed_groups[:2])
    assert not many.borrowed
    assert not [line for line in first_lines(many) if "borrowed" in line]


def test_what_an_earlier_run_borrowed_stays_when_images_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def trained(seeds: range) -> pd.Series:
        folder_of(tmp_path / "parts", seeds)
        keys = ["data.image_size=32", "data.num_workers=0", "trainer=cpu", "report=false", f"id=run{seeds.stop}"]
        assert main(["train", "parts", *keys, "callbacks.evaluation.resamples=10"]) == 0
        table = pd.read_csv(tmp_path / "runs" / "folder-patchcore" / f"run{seeds.stop}" / "samples.csv")
        return table.set_index("name")["split"]

    before = trained(range(6, 11))  # one of these is borrowed
    natural = folder_of(tmp_path / "again", range(6, 40)).samples.set_index("name")["split"]
    assert (natural[before.index] != before).any()  # by its hash alone, what was borrowed would go back
    for stop in (12, 18, 40):
        after = trained(range(6, stop))
        assert (after[before.index] == before).all()
        assert len(after) == stop - 6
        before = after


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for name in ("2026-01-01_00-00-00", "2026-01-02_00-00-00"):
        folder = tmp_path / "runs" / "folder-patchcore" / name
        (folder / "checkpoints").mkdir(parents=True)
        (folder / "config.yaml").write_text("seed: 0\n", encoding="utf-8")
        (folder / "samples.csv").write_text("name,split\n", encoding="utf-8")
        (folder / "checkpoints" / "best.ckpt").touch()
        (folder / "environment.json").write_text(f'{{"state": "finished", "started": "{name}"}}', encoding="utf-8")
    return tmp_path / "runs"


def test_names_become_folders(runs: Path) -> None:
    first, last = sorted(path.resolve() for path in runs.glob("*/*"))
    words = [f"out={runs}", "seed=0,1", "data.split_from=latest"]
    assert name_held_runs(words) == [*words[:2], f"data.split_from={last}"]
    several = [f"out={runs}", f"data.split_from=null,{first.name},{last}"]
    assert name_held_runs(several)[1] == f"data.split_from=null,{first},{last}"


def test_a_run_that_is_not_there_is_named(runs: Path) -> None:
    with pytest.raises(ConfigError, match="nowhere"):
        name_held_runs([f"out={runs}", "data.split_from=nowhere"])
