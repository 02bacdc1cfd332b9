"""The matrix of models and domains: its table, and one real row of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from benchmarks.matrix import Cell, main, read_cells, table

if TYPE_CHECKING:
    from pathlib import Path


def test_every_cell_is_filled_or_refused() -> None:
    cells = [
        Cell("fiber", "padim", (), 0.9, 0.81234, 0.6, 1.4, 2.25),
        Cell("oring", "padim", (), 0.8, None, 0.7, 12.0, 30.0),
        Cell("fiber", "dinomaly", (), refused="Expected weights."),
        Cell("oring", "dinomaly", (), refused="Expected weights."),
    ]
    rows = table(cells).splitlines()
    assert "| model | fiber | oring |" in rows
    assert "| brightness alone | 0.600 | 0.700 |" in rows
    assert "| padim | 0.900 / 0.812 | 0.800 / - |" in rows
    assert "| padim | 1 / 2.2 | 12 / 30.0 |" in rows
    assert rows.count("| dinomaly | refused (1) | refused (1) |") == 2
    assert rows[-1] == "1. Expected weights."


@pytest.mark.slow
def test_a_run_goes_on_where_it_stopped(tmp_path: Path) -> None:
    args = ["--out", str(tmp_path), "--table", str(tmp_path / "table.md"), "--domains", "fiber"]
    main([*args, "--models", "dfm"])
    (first,) = read_cells(tmp_path / "cells.jsonl")
    assert first.image_auroc is not None
    assert first.pixel_auroc is not None
    main([*args, "--models", "dfm", "efficient_ad_m"])
    cells = read_cells(tmp_path / "cells.jsonl")
    assert cells[0] == first
    assert "model.teacher.weights" in cells[1].refused
    assert len((tmp_path / "table.md").read_text().split("refused (1)")) == 3
    assert all(json.loads(line) for line in (tmp_path / "cells.jsonl").read_text().splitlines())
