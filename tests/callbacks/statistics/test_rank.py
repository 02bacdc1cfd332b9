"""Where a score lies among good images."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.statistics.rank import GoodScores, rank_among_good


@pytest.mark.parametrize("seed", range(3))
def test_it_is_the_share_that_is_lower(seed: int) -> None:
    rng = np.random.default_rng(seed)
    good = np.sort(np.round(rng.normal(size=37), 1))
    for score in (*good, *np.round(rng.normal(size=20), 1), -np.inf, np.inf):
        assert rank_among_good(float(score), good.tolist()) == pytest.approx(float((good < score).mean()))


def test_kinds_with_scores_of_their_own_are_ranked_among_those() -> None:
    known = GoodScores({"all": [1.0, 2.0, 10.0, 20.0], "kind": {"b": [10.0, 20.0]}})
    assert known.rank(15.0) == 0.75
    assert known.rank(15.0, "b") == 0.5
    assert known.rank(15.0, "a") == 0.75


def test_where_no_good_image_is_known_there_is_no_rank() -> None:
    assert GoodScores({}).rank(1.0) is None
