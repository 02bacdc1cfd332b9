"""Sheets of examples: everything on them, small or large, and a mark of one pixel still there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from callbacks.measures.examples import Example
from callbacks.report.overlays import MARKED_COLOUR
from callbacks.tracking.sheets import CAPTION, GAP, PANEL, by_category, example_sheet


def example(height: int, width: int, name: str = "a.png") -> Example:
    mask = np.zeros((height, width), dtype=bool)
    mask[height // 2, width // 2] = True
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    return Example("miss", name, 1.5, image, np.zeros((height, width), dtype=np.float32), mask, mask)


@pytest.mark.parametrize(("height", "width"), [(16, 16), (100, 60), (128, 128), (300, 700), (1100, 900)])
def test_a_sheet_holds_every_example_at_the_size_of_a_panel(height: int, width: int) -> None:
    sheet = example_sheet([example(height, width)] * 3, 0.0, 1.0)
    panel = (sheet.shape[0] - CAPTION - 3 * (CAPTION + GAP)) / 3
    across = (sheet.shape[1] - 5 * GAP) / 4
    assert PANEL / 2 < max(panel, across) <= PANEL
    assert panel / across == pytest.approx(height / width, rel=0.05)
    cyan = (np.abs(sheet.astype(int) - MARKED_COLOUR).sum(axis=2) < 60).sum()
    assert cyan >= 3  # of one marked pixel each


def test_examples_of_several_sizes_share_a_sheet() -> None:
    sheet = example_sheet([example(64, 128), example(128, 32)], 0.0, 1.0)
    assert sheet.shape == (CAPTION + 64 + 128 + 2 * (CAPTION + GAP), 4 * 128 + 5 * GAP, 3)


def test_examples_are_grouped_in_their_order() -> None:
    first, other, last = example(8, 8, "1"), replace(example(8, 8, "2"), category="hit"), example(8, 8, "3")
    grouped = by_category([first, other, last])
    assert {category: [one.name for one in members] for category, members in grouped.items()} == {
        "miss": ["1", "3"],
        "hit": ["2"],
    }
