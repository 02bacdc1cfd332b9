"""Copies and near-copies: what must be found, and what must not."""

from __future__ import annotations

from itertools import combinations
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from datamodules.files.images import read_image
from datamodules.health.duplicates import MOST_PER_IMAGE, NEAR, describe, exact_copies, near_pairs
from datamodules.health.inspection import SMALL, to_grey
from datamodules.synthetic.domains import DOMAINS, find_domain, good_image

if TYPE_CHECKING:
    from pathlib import Path

Grey = npt.NDArray[np.uint8]


def small(grey: Grey) -> npt.NDArray[np.float32]:
    return cv2.resize(grey, (SMALL, SMALL), interpolation=cv2.INTER_AREA).astype(np.float32)


def part(seed: int) -> Grey:
    """A disc on a lit background, always in nearly the same place, with a texture of its own."""
    rng = np.random.default_rng(seed)
    picture = np.tile(np.linspace(150, 190, 160), (128, 1))
    cv2.circle(picture, (80 + int(rng.integers(-2, 3)), 64), 40, 60.0, -1)
    texture = cv2.GaussianBlur(rng.normal(0, 60, picture.shape), (0, 0), 4)
    return np.asarray((picture + 5 * texture + rng.normal(0, 3, picture.shape)).clip(0, 255), dtype=np.uint8)


def jpeg(grey: Grey) -> Grey:
    return np.asarray(cv2.imdecode(cv2.imencode(".jpg", grey, [cv2.IMWRITE_JPEG_QUALITY, 70])[1], 0), dtype=np.uint8)


CHANGES = {
    "saved as jpeg": jpeg,
    "halved": lambda grey: cv2.resize(grey, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA),
    "brightened": lambda grey: (grey * 1.1 + 8).clip(0, 255).astype(np.uint8),
    "taken again": lambda grey: (
        (grey + np.random.default_rng(9).normal(0, 4, grey.shape)).clip(0, 255).astype(np.uint8)
    ),
    "softer": lambda grey: cv2.GaussianBlur(grey, (0, 0), 1.0),
}


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("count", [12, 150])
def test_a_changed_copy_is_found_among_similar_parts_and_nothing_else(change: str, count: int) -> None:
    greys = [part(seed) for seed in range(count)]
    greys.append(np.asarray(CHANGES[change](greys[3]), dtype=np.uint8))  # type: ignore[no-untyped-call]  # a lambda
    pairs = near_pairs(describe(np.stack([small(grey) for grey in greys])))
    assert list(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == [(3, count)]


def test_blocks_give_what_a_slow_comparison_gives() -> None:
    rng = np.random.default_rng(1)
    base = rng.normal(128, 30, (40, SMALL, SMALL))
    noisy = np.concatenate([base, base[:15] + rng.normal(0, 2, (15, SMALL, SMALL))]).astype(np.float32)
    described = describe(noisy)
    expected = {(a, b) for a, b in combinations(range(len(described)), 2) if float(described[a] @ described[b]) >= NEAR}
    pairs = near_pairs(described, rows=7)
    assert set(zip(pairs.first.tolist(), pairs.second.tolist(), strict=True)) == expected
    assert len(expected) == 15
    assert (np.diff(pairs.similarity) <= 0).all()


def test_a_set_of_copies_alone_stays_bounded() -> None:
    rng = np.random.default_rng(2)
    shot = rng.normal(128, 30, (1, SMALL, SMALL))
    many = (np.repeat(shot, 300, axis=0) + rng.normal(0, 30, (300, SMALL, SMALL))).astype(np.float32)
    assert len(near_pairs(describe(many), threshold=-1.0)) <= 300 * MOST_PER_IMAGE


def test_flat_pictures_and_no_pictures_have_no_duplicates() -> None:
    flat = np.full((5, SMALL, SMALL), 80, np.float32)
    assert not describe(flat).any()
    assert len(near_pairs(describe(flat))) == 0
    assert len(near_pairs(describe(np.zeros((0, SMALL, SMALL), np.float32)))) == 0


def test_exact_copies_come_by_content() -> None:
    assert exact_copies(["a", "b", "a", "c", "b", "a"]) == [[0, 2, 5], [1, 4]]


@pytest.mark.parametrize("domain", ["oring", "print3d"])
def test_drawn_parts_are_all_different(domain: str) -> None:
    assert domain in DOMAINS
    orders = [good_image(domain, 0, number) for number in range(24)]
    images = [find_domain(domain).draw(one.identity, 96, None, one.severity).image for one in orders]
    assert len(near_pairs(describe(np.stack([small(to_grey(image)) for image in images])))) == 0


@pytest.mark.parametrize(
    ("folder", "most"),
    [("benchmark/screw/test", 0), ("metallography/grains/images", 0), ("meta_atom/Array_1Crop", 1)],
)
def test_false_alarms_on_real_pictures_are_rare(shared_data: Path, folder: str, most: int) -> None:
    paths = sorted(path for path in (shared_data / folder).rglob("*") if path.suffix in {".png", ".jpg", ".bmp"})
    described = describe(np.stack([small(to_grey(read_image(path))) for path in paths[:200]]))
    assert len(near_pairs(described)) <= most
