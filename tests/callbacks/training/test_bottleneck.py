from __future__ import annotations

import numpy as np

from callbacks.training.bottleneck import bottleneck_grid


def test_maps_lie_on_a_grid_each_stretched_to_its_own_range() -> None:
    maps = np.random.default_rng(0).random((5, 3, 4)) * np.array([1, 10, 100, 0, 5])[:, None, None]
    grid = bottleneck_grid(maps)
    assert grid.shape == (2 * 4 - 1, 3 * 5 - 1)
    for index, (top, left) in enumerate(((0, 0), (0, 5), (0, 10), (4, 0), (4, 5))):
        part = grid[top : top + 3, left : left + 4]
        if index == 3:
            assert not part.any()  # a dead filter is black
            continue
        wanted = 255 * (maps[index] - maps[index].min()) / np.ptp(maps[index])
        np.testing.assert_allclose(part, wanted, atol=0.51)
    assert (grid[3] == 255).all()
    assert (grid[4:, 10:] == 255).all()  # nothing left to show
