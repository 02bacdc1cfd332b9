"""DeLong's variance and test, against the definition, a published example, and simulation."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from callbacks.statistics.delong import auroc_covariance, compare_aurocs, holm, placements

Floats = npt.NDArray[np.float64]


def naive_covariance(score_KN: Floats, label_N: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """DeLong 1988, equations 4 to 6, pair by pair."""
    count = len(score_KN)
    defective, good = score_KN[:, label_N == 1], score_KN[:, label_N == 0]
    win = (defective[:, :, None] > good[:, None, :]) + 0.5 * (defective[:, :, None] == good[:, None, :])
    auroc, by_defective, by_good = win.mean(axis=(1, 2)), win.mean(axis=2), win.mean(axis=1)
    covariance = np.zeros((count, count))
    for a in range(count):
        for b in range(count):
            s10 = ((by_defective[a] - auroc[a]) * (by_defective[b] - auroc[b])).sum() / (defective.shape[1] - 1)
            s01 = ((by_good[a] - auroc[a]) * (by_good[b] - auroc[b])).sum() / (good.shape[1] - 1)
            covariance[a, b] = s10 / defective.shape[1] + s01 / good.shape[1]
    return auroc, covariance


def drawn(seed: int, good: int, defective: int, ties: bool) -> tuple[Floats, npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    label = rng.permutation(np.repeat([0, 1], [good, defective]))
    score = rng.normal(label * 1.0, 1, (3, label.size)) + rng.normal(0, 1, label.size)
    return (score.round() if ties else score), label


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize(("good", "defective"), [(2, 2), (5, 30), (40, 7), (60, 60)])
def test_midranks_give_the_definition(good: int, defective: int, ties: bool) -> None:
    score, label = drawn(good, good, defective, ties)
    auroc, covariance = auroc_covariance(score, label)
    expected_auroc, expected = naive_covariance(score, label)
    np.testing.assert_allclose(auroc, expected_auroc, atol=1e-12)
    np.testing.assert_allclose(covariance, expected, atol=1e-12)
    assert auroc == pytest.approx([roc_auc_score(label, row) for row in score])


def test_a_published_example() -> None:
    """Ratings of 109 CT images (Hanley and McNeil, Radiology 143, 1982, table 1); Stata's manual, [R] roctab, gives
    area 0.8932, standard error 0.0307 by DeLong, and the 95 % interval 0.83295 to 0.95339 for them."""
    ratings = np.arange(1, 6)
    normal, abnormal = np.repeat(ratings, [33, 6, 6, 11, 2]), np.repeat(ratings, [3, 2, 2, 11, 33])
    score = np.concatenate([normal, abnormal]).astype(np.float64)
    label = np.repeat([0, 1], [normal.size, abnormal.size])
    auroc, covariance = auroc_covariance(score, label)
    error = float(np.sqrt(covariance[0, 0]))
    assert auroc[0] == pytest.approx(0.8932, abs=5e-5)
    assert error == pytest.approx(0.0307, abs=5e-5)
    assert auroc[0] + norm.ppf([0.025, 0.975]) * error == pytest.approx([0.83295, 0.95339], abs=5e-6)


def test_groups_of_one_change_nothing_and_copies_do_not_count_as_evidence() -> None:
    score, label = drawn(1, 30, 20, ties=False)
    auroc, alone = auroc_covariance(score, label)
    assert auroc_covariance(score, label, np.arange(label.size))[1] == pytest.approx(alone)
    copies = np.tile(np.arange(label.size), 4)
    again, copied = auroc_covariance(np.tile(score, 4), np.tile(label, 4), copies)
    assert again == pytest.approx(auroc)
    assert copied == pytest.approx(alone)
    assert auroc_covariance(np.tile(score, 4), np.tile(label, 4))[1][0, 0] < 0.3 * alone[0, 0]


def test_the_clustered_variance_is_that_of_clustered_data() -> None:
    """Parts with a common level, each with good and defective tiles: the spread of 400 AUROCs is the oracle."""
    rng = np.random.default_rng(0)
    group, label = np.repeat(np.arange(40), 6), np.tile([0, 0, 0, 0, 1, 1], 40)
    aurocs, variances = [], []
    for _ in range(400):
        score = rng.normal(label * 1.2, 1) + rng.normal(0, 1, 40)[group]
        auroc, covariance = auroc_covariance(score, label, group)
        aurocs.append(auroc[0])
        variances.append(covariance[0, 0])
    assert np.mean(variances) == pytest.approx(np.var(aurocs), rel=0.2)


def test_the_test_keeps_its_level_and_finds_differences() -> None:
    rng = np.random.default_rng(0)
    label = np.repeat([0, 1], [60, 40])
    same, apart = [], []
    for _ in range(400):
        hard = rng.normal(0, 1, label.size)
        first, second, worse = (rng.normal(label * shift, 1) + hard for shift in (1.5, 1.5, 0.5))
        same.append(compare_aurocs(first, second, label).p_value)
        apart.append(compare_aurocs(first, worse, label).p_value)
    assert 0.02 < np.mean(np.array(same) < 0.05) < 0.09
    assert np.mean(np.array(apart) < 0.05) > 0.6


def test_the_interval_and_the_p_value_agree() -> None:
    score, label = drawn(5, 50, 50, ties=False)
    found = compare_aurocs(score[0], score[1], label, confidence=0.9)
    covariance = auroc_covariance(score[:2], label)[1]
    deviation = np.sqrt(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    assert found.p_value == pytest.approx(2 * norm.sf(abs(found.difference) / deviation))
    assert found.high - found.low == pytest.approx(2 * norm.ppf(0.95) * deviation)


def test_equal_ranks_do_not_differ_and_a_missing_class_says_nothing() -> None:
    score, label = drawn(2, 10, 10, ties=False)
    assert compare_aurocs(score[0], np.exp(score[0]), label).p_value == 1
    assert np.isnan(compare_aurocs(score[0], score[1], np.zeros(20)).p_value)
    assert np.isnan(compare_aurocs([0.0, 1.0, 2.0], [0.0, 2.0, 1.0], [0, 0, 1]).p_value)


def test_unknown_samples_play_no_part() -> None:
    score, label = drawn(3, 10, 10, ties=False)
    mixed = np.concatenate([score, np.full((3, 4), 9.0)], axis=1)
    expected = auroc_covariance(score, label)[1]
    assert auroc_covariance(mixed, np.append(label, [-1] * 4))[1] == pytest.approx(expected)


def test_placements_have_the_auroc_for_their_mean() -> None:
    score, label = drawn(4, 9, 13, ties=True)
    above, below = placements(score[:, label == 1], score[:, label == 0])
    assert above.mean(axis=1) == pytest.approx(below.mean(axis=1))
    assert ((above >= 0) & (above <= 1)).all()


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])  # R: p.adjust(p, "holm")
    adjusted = holm([0.2, float("nan"), 0.9])
    assert adjusted[[0, 2]] == pytest.approx([0.4, 0.9])
    assert np.isnan(adjusted[1])
    assert holm([]).size == 0
