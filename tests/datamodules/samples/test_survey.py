from __future__ import annotations

import hashlib
from functools import partial
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest

from datamodules.errors import UnreadableImageError
from datamodules.samples.survey import ImageFacts, survey, survey_beside, survey_image, survey_mask, survey_zones

if TYPE_CHECKING:
    from pathlib import Path

    import numpy.typing as npt


def save(path: Path, values: npt.NDArray[np.integer | np.floating]) -> str:
    assert cv2.imwrite(str(path), values)
    return str(path)


def test_facts_say_what_the_file_holds(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    colour = rng.integers(0, 256, (30, 20, 3), dtype=np.uint8)
    deep = rng.integers(0, 65536, (8, 9), dtype=np.uint16)
    path = save(tmp_path / "a.png", colour)
    digest = hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    facts = survey_image(path)
    assert isinstance(facts, ImageFacts)
    assert (facts.height, facts.width, facts.channels, facts.bits, facts.sha256) == (30, 20, 3, 8, digest)
    assert facts.brightness == pytest.approx(colour.mean() / 255)
    facts = survey_image(save(tmp_path / "b.tif", deep))
    assert isinstance(facts, ImageFacts)
    assert (facts.height, facts.width, facts.channels, facts.bits) == (8, 9, 1, 16)
    assert facts.brightness == pytest.approx(deep.mean() / 65535, rel=1e-6)


def test_floats_are_used_only_with_a_white_level(tmp_path: Path) -> None:
    path = save(tmp_path / "a.tif", np.full((8, 9), 50, dtype=np.float32))
    refused = survey_image(path)
    assert isinstance(refused, UnreadableImageError)
    assert "data.white_level" in refused.remedy
    facts = survey_image(path, white_level=200.0)
    assert isinstance(facts, ImageFacts)
    assert facts.brightness == pytest.approx(0.25)
    assert facts.bits == 32


def test_order_is_kept_and_what_is_bad_is_an_error_in_its_place(tmp_path: Path) -> None:
    paths = [save(tmp_path / f"{index}.png", np.full((4 + index, 5), index, np.uint8)) for index in range(60)]
    (tmp_path / "7.png").write_bytes(b"")
    (tmp_path / "31.png").write_bytes((tmp_path / "31.png").read_bytes()[:40])
    (tmp_path / "50.png").unlink()
    looks = survey(paths)
    bad = {index for index, look in enumerate(looks) if isinstance(look, UnreadableImageError)}
    assert bad == {7, 31, 50}
    for index, look in enumerate(looks):
        if isinstance(look, UnreadableImageError):
            assert look.path == paths[index]
        else:
            assert look.height == 4 + index
            assert look.brightness == pytest.approx(index / 255)
    assert survey([]) == []


def test_masks_and_zones_are_held_against_their_pictures(tmp_path: Path) -> None:
    mask = np.zeros((20, 30), dtype=np.uint8)
    mask[4:9, 3:8] = 255
    good = save(tmp_path / "good.png", mask)
    small = save(tmp_path / "small.png", mask[:10])
    empty = save(tmp_path / "empty.png", mask * 0)
    low = save(tmp_path / "low.png", mask // 8)
    missing = str(tmp_path / "missing.png")
    paths = [good, small, empty, good, low, missing]
    problems = survey_beside(paths, [(20, 30)] * 6, partial(survey_mask, mask_on=127), "reading masks")
    assert [problem.path for problem in problems] == [small, empty, low, missing]
    texts = ["mask of 30x10 pixels for a picture of 30x20", "marks nothing", "value 31 at most", "cannot be opened"]
    assert all(text in problem.problem for text, problem in zip(texts, problems, strict=True))
    assert all(problem.remedy for problem in problems)
    assert survey_mask(low, (20, 30), mask_on=0) is None

    problems = survey_beside(paths, [(20, 30)] * 6, survey_zones, "reading zones")
    assert [problem.path for problem in problems] == [small, missing]  # an image may have no zone at all
    assert "zone map of 30x10 pixels for a picture of 30x20" in problems[0].problem


def test_a_file_that_changed_is_looked_at_again(tmp_path: Path) -> None:
    before = survey_image(save(tmp_path / "a.png", np.zeros((4, 5), dtype=np.uint8)))
    assert survey_image(str(tmp_path / "a.png")) == before
    after = survey_image(save(tmp_path / "a.png", np.full((4, 5), 9, dtype=np.uint8)))
    assert isinstance(after, ImageFacts)
    assert after.brightness == pytest.approx(9 / 255)
    (tmp_path / "a.png").unlink()
    assert isinstance(survey_image(str(tmp_path / "a.png")), UnreadableImageError)
    mask = save(tmp_path / "m.png", np.full((4, 5), 255, dtype=np.uint8))
    assert survey_mask(mask, (4, 5), 127) is None
    save(tmp_path / "m.png", np.zeros((4, 5), dtype=np.uint8))
    assert isinstance(survey_mask(mask, (4, 5), 127), UnreadableImageError)
