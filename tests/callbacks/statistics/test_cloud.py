"""The distance of an embedding, against the covariance written out, and what it tells of fresh and of other images."""

from __future__ import annotations

import json

import numpy as np
import numpy.typing as npt
import pytest

from callbacks.statistics.cloud import AXES, Cloud, left_out


def drawn(count: int, size: int, seed: int = 0) -> npt.NDArray[np.float32]:
    """Embeddings that vary along a few directions, and a little along all."""
    rng, fixed = np.random.default_rng(seed), np.random.default_rng(size)
    along = fixed.normal(size=(4, size)) * np.array([3.0, 2.0, 1.0, 0.5])[:, None]
    values_ND: npt.NDArray[np.float64] = (
        rng.normal(size=(count, 4)) @ along + 0.1 * rng.normal(size=(count, size)) + 5.0
    )
    return values_ND.astype(np.float32)


@pytest.mark.parametrize(("count", "size"), [(60, 12), (40, 40), (30, 200), (7, 5), (5, 1)])
def test_the_distance_is_mahalanobis_by_the_covariance_written_out(count: int, size: int) -> None:
    embedding_ND, asked_ND = drawn(count, size), drawn(9, size, seed=1) + 0.5
    cloud = Cloud.fit(embedding_ND)
    whole_DD = np.atleast_2d(np.cov(embedding_ND.astype(float), rowvar=False))
    value_D, vector_DD = np.linalg.eigh(whole_DD)
    axes = len(cloud.variance_K)
    kept = np.argsort(value_D)[::-1][:axes]
    rest = (np.trace(whole_DD) - value_D[kept].sum()) / (size - axes)
    cov_DD = rest * np.eye(size) + (vector_DD[:, kept] * (value_D[kept] - rest)) @ vector_DD[:, kept].T
    away_ND = asked_ND.astype(float) - embedding_ND.astype(float).mean(axis=0)
    expected = np.sqrt(np.einsum("nd,nd->n", away_ND @ np.linalg.inv(cov_DD), away_ND) / size)
    assert cloud.distances(asked_ND) == pytest.approx(expected, rel=1e-3)
    assert axes <= AXES


def test_fresh_images_lie_as_far_out_as_those_that_were_left_out_and_others_further() -> None:
    embedding_ND = drawn(40, 64)
    cloud, distances = Cloud.fit(embedding_ND), left_out(embedding_ND, np.arange(40))
    fresh, other = cloud.distances(drawn(200, 64, seed=2)), cloud.distances(drawn(200, 64, seed=3) + 1.0)
    assert np.median(distances) == pytest.approx(np.median(fresh), rel=0.15)
    assert np.median(cloud.distances(embedding_ND)) < np.median(distances)
    assert min(other) > max(fresh)


def test_no_group_is_measured_by_itself() -> None:
    level_GD = 3 * np.random.default_rng(4).normal(size=(6, 32))
    group_N = np.repeat(np.arange(6), 10)
    embedding_ND = level_GD[group_N] + 0.01 * np.random.default_rng(5).normal(size=(60, 32))
    by_group, by_image = left_out(embedding_ND, group_N), left_out(embedding_ND, np.arange(60))
    assert min(by_group) > 3 * max(by_image)


def test_a_single_group_or_a_handful_of_images_tell_nothing() -> None:
    assert np.isnan(left_out(drawn(20, 8), np.zeros(20, np.int64))).all()
    assert np.isnan(left_out(drawn(5, 8), np.arange(5))).all()
    with pytest.raises(ValueError, match="at least 5 embeddings, but found 4"):
        Cloud.fit(drawn(4, 8))


def test_embeddings_that_never_vary_are_near_themselves_alone() -> None:
    cloud = Cloud.fit(np.ones((10, 6), np.float32))
    same, other = cloud.distances(np.array([np.ones(6), np.full(6, 1.1)]))
    assert same == 0
    assert other > 1


def test_it_travels_as_plain_values() -> None:
    cloud = Cloud.fit(drawn(40, 16))
    again = Cloud.from_dict(json.loads(json.dumps(cloud.to_dict())))
    assert again.distances(drawn(5, 16, seed=6)) == cloud.distances(drawn(5, 16, seed=6))


@pytest.mark.parametrize(
    "change", [{"rest": 0.0}, {"axes": [[1.0]]}, {"mean": [float("nan")] * 16}, {"variances": None}]
)
def test_whatever_else_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Expected where embeddings lie"):
        Cloud.from_dict(Cloud.fit(drawn(40, 16)).to_dict() | change)


def test_what_is_not_finite_has_no_distance() -> None:
    (found,) = Cloud.fit(drawn(40, 16)).distances(np.full((1, 16), np.nan, np.float32))
    assert np.isnan(found)
