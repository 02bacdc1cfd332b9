"""Runs that ``data.split_from=`` names in a sweep."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.errors import ConfigError
from tools.runs.held_splits import name_held_runs

if TYPE_CHECKING:
    from pathlib import Path


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
