"""What the page of a comparison says: agreement is no difference, and no test is told where it is not defined."""

from __future__ import annotations

import numpy as np
import pytest

from callbacks.report.compare import CompareContent, Contender, render_comparison, verdict
from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.comparison import compare
from callbacks.statistics.paired import Judged

LABELS = np.array([0] * 8 + [1] * 6)


def content(
    *scores: np.ndarray, labels: np.ndarray = LABELS, line: float = 0.5, one_group: bool = False
) -> CompareContent:
    judged = [Judged(score, score >= line) for score in scores]
    groups = np.array(["a"] * len(labels) if one_group else [str(index) for index in range(len(labels))])
    return CompareContent(
        contenders=[Contender(letter, f"model {letter}", letter, {"threshold": "1"}) for letter in "AB"],
        judged=judged,
        label_N=labels,
        comparison=compare(judged, labels, groups, Resampling(50)),
        disputes=[],
        disputed=0,
        settings=[("trainer.max_epochs", ["1", "2"])],
        warnings=[],
        date="",
        command="",
    )


def test_runs_that_agree_raise_no_alarm() -> None:
    scores = np.linspace(0, 1, 14)
    same = content(scores, scores.copy())
    assert verdict(same) == "The runs agree: the same score and the same verdict on every image."
    page = render_comparison(same)
    assert "AUROC by DeLong" not in page
    assert "trainer.max_epochs" in page
    scaled = content(scores, np.where(scores >= 0.5, scores * 2, scores))
    assert verdict(scaled).startswith("All runs call the same images defective. No difference")
    assert "too few" not in render_comparison(scaled)


def test_two_perfect_rankings_have_no_test() -> None:
    perfect = content(LABELS + 0.1, LABELS * 3.0)
    assert "AUROC by DeLong" not in render_comparison(perfect)
    assert "+0.000 to +0.000, p" not in render_comparison(perfect)


@pytest.mark.parametrize(("labels", "missing"), [(np.zeros(14, int), "defective"), (np.ones(14, int), "good")])
def test_a_class_that_is_missing_is_named(labels: np.ndarray, missing: str) -> None:
    rng = np.random.default_rng(0)
    assert f"no {missing} image" in verdict(content(rng.random(14), rng.random(14), labels=labels))


def test_a_test_is_told_where_it_is_defined() -> None:
    rng = np.random.default_rng(1)
    found = content(LABELS + rng.normal(0, 0.6, 14), LABELS + rng.normal(0, 1.5, 14))
    assert "AUROC by DeLong" in render_comparison(found)
    assert "single group" in verdict(content(rng.random(14), rng.random(14), one_group=True))
