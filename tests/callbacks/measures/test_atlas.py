"""The atlas: a fair, bounded draw of images, and maps of their embeddings."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from sklearn.manifold import TSNE
from threadpoolctl import threadpool_info, threadpool_limits

from callbacks.measures.atlas import EDGE, Atlas, AtlasMaker, thumbnail
from callbacks.report.embeddings import embedding_maps
from datamodules.samples.batch import InspectionBatch, Sample, collate


def batch_of(numbers: list[int]) -> InspectionBatch:
    return collate([Sample(torch.full((3, 120, 60), n / 255), f"{n:03}.png", "", 0) for n in numbers])


def atlas_of(parts: list[list[int]], size: int) -> Atlas:
    maker = AtlasMaker(size)
    for numbers in parts:
        batch = batch_of(numbers)
        wanted = maker.wanted(batch.name)
        maker.update(batch, wanted, np.array([[numbers[i], 1.0] for i in wanted], dtype=np.float32))
    atlas = maker.atlas()
    assert atlas is not None
    return atlas


def test_the_draw_depends_on_names_alone() -> None:
    whole = atlas_of([list(range(60))], 20)
    order = np.random.default_rng(0).permutation(60).tolist()
    parts = atlas_of([order[i : i + 7] for i in range(0, 60, 7)], 20)
    assert len(whole.names) == 20
    assert whole.names == parts.names
    assert np.array_equal(whole.thumbnail_AhwC, parts.thumbnail_AhwC)
    assert whole.embedding_AD is not None
    assert parts.embedding_AD is not None
    assert np.array_equal(whole.embedding_AD, parts.embedding_AD)


def test_pictures_and_embeddings_stay_with_their_names() -> None:
    atlas = atlas_of([[3, 200], [77]], 10)
    assert atlas.names == ("003.png", "077.png", "200.png")
    assert atlas.thumbnail_AhwC.shape == (3, EDGE, EDGE // 2, 3)
    assert atlas.thumbnail_AhwC[:, 0, 0, 0].tolist() == [3, 77, 200]
    assert atlas.embedding_AD is not None
    assert atlas.embedding_AD[:, 0].tolist() == [3, 77, 200]


def test_images_of_several_sizes_have_thumbnails_of_one() -> None:
    maker = AtlasMaker(5)
    for number, size in ((7, (120, 60)), (9, (50, 300)), (11, (20, 20))):
        batch = collate([Sample(torch.full((3, *size), number / 255), f"{number:03}.png", "", 0)])
        maker.update(batch, maker.wanted(batch.name), None)
    atlas = maker.atlas()
    assert atlas is not None
    assert atlas.thumbnail_AhwC.shape == (3, EDGE, EDGE // 2, 3)
    assert atlas.thumbnail_AhwC[:, 5, 5, 0].tolist() == [7, 9, 11]


def test_without_embeddings_there_are_thumbnails_still() -> None:
    maker = AtlasMaker(5)
    batch = batch_of([1, 2])
    maker.update(batch, maker.wanted(batch.name), None)
    atlas = maker.atlas()
    assert atlas is not None
    assert atlas.embedding_AD is None
    assert AtlasMaker(0).wanted(batch.name) == []
    assert AtlasMaker(0).atlas() is None


def test_a_small_picture_is_its_own_thumbnail() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert np.array_equal(thumbnail(picture), picture)


def clusters(seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (np.repeat(np.eye(3, 20) * 30, 15, axis=0) + rng.normal(0, 1, (45, 20))).astype(np.float32)


def test_both_maps_keep_clusters_apart_and_repeat_themselves() -> None:
    embedding = clusters()
    first, second = embedding_maps(embedding, 1), embedding_maps(embedding, 1)
    assert [one.name for one in first] == ["PCA", "t-SNE"]
    cluster = np.repeat(range(3), 15)
    for one, again in zip(first, second, strict=True):
        assert np.array_equal(one.place_N2, again.place_N2)
        distance = np.linalg.norm(one.place_N2[:, None] - one.place_N2[None], axis=2)
        assert distance[cluster[:, None] == cluster].max() < distance[cluster[:, None] != cluster].min()


@pytest.mark.parametrize(
    "embedding",
    [None, np.zeros((4, 3), np.float32), np.ones((20, 3), np.float32), np.full((20, 3), np.nan, np.float32)],
)
def test_what_cannot_be_laid_out_has_no_map(embedding: np.ndarray | None) -> None:
    assert embedding_maps(embedding) == ()


def test_few_pictures_and_one_value_each_have_maps() -> None:
    maps = embedding_maps(np.arange(6, dtype=np.float32)[:, None])
    assert [one.place_N2.shape for one in maps] == [(6, 2), (6, 2)]


def test_one_thread_lays_images_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two that share busy cores took forty times as long for 300 images."""
    threads: set[int] = set()
    lay_out = TSNE.fit_transform

    def counted(method: TSNE, values: npt.NDArray[np.float64]) -> Any:
        threads.update(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "openmp")
        return lay_out(method, values)

    monkeypatch.setattr(TSNE, "fit_transform", counted)
    with threadpool_limits(2, user_api="openmp"):
        assert embedding_maps(np.random.default_rng(0).normal(size=(12, 3)).astype(np.float32))
    assert threads == {1}
