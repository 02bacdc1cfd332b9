"""The truth that only some domains have: zones, outlines, rows and columns."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw

from datamodules.synthetic import DrawingError, Identity, fiber, meta_atom, oring
from datamodules.synthetic.defects import outlines, solid


@pytest.mark.parametrize("group", range(6))
def test_fiber_zones_are_concentric_discs_in_proportion(group: int) -> None:
    drawing = fiber.draw(Identity(0, "fiber", group, 0), 256)
    assert drawing.zones is not None
    assert set(np.unique(drawing.zones)) == {1, 2, 3}
    core, cladding = (np.argwhere(drawing.zones <= zone) for zone in (1, 2))
    np.testing.assert_allclose(core.mean(axis=0), cladding.mean(axis=0), atol=0.5)
    assert np.sqrt(len(core) / len(cladding)) == pytest.approx(
        fiber.CORES_UM[drawing.kind] / fiber.CLADDING_UM, abs=0.012
    )
    for disc in (core, cladding):
        height, width = np.ptp(disc, axis=0) + 1
        assert abs(height - width) <= 1
        assert len(disc) == pytest.approx(np.pi / 4 * height * width, rel=0.12)


def test_fiber_zones_fit_the_picture() -> None:
    """Ferrule is brighter than cladding, and the step lies at the border of the zones."""
    for group in range(6):
        drawing = fiber.draw(Identity(0, "fiber", group, 0), 128)
        assert drawing.zones is not None
        assert drawing.image[drawing.zones == 3].mean() > drawing.image[drawing.zones == 2].mean() + 30


@pytest.mark.parametrize("defect", oring.DEFECTS)
@pytest.mark.parametrize("size", [48, 160])
def test_oring_outlines_fill_to_the_mask(defect: str, size: int) -> None:
    for group in range(4):
        for severity in (0.0, 0.4, 1.0):
            drawing = oring.draw(Identity(0, "oring", group, 0), size, defect, severity)
            picture = Image.new("1", (size, size))
            for outline in drawing.polygons:
                assert len(outline) >= 3
                assert 0 <= outline.min() <= outline.max() <= size - 1
                ImageDraw.Draw(picture).polygon([(float(x), float(y)) for x, y in outline], fill=1, outline=1)
            np.testing.assert_array_equal(np.asarray(picture), drawing.mask)


def test_good_orings_have_no_outlines() -> None:
    assert oring.draw(Identity(0, "oring", 0, 0), 64).polygons == ()


def test_solid_masks_survive_the_round_trip_through_outlines() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        mask = solid(cv2.GaussianBlur(rng.random((40, 40)), (0, 0), rng.uniform(0.3, 3)) > rng.uniform(0.5, 0.75))
        again = np.zeros(mask.shape, dtype=np.uint8)
        cv2.fillPoly(again, [outline.astype(np.int32) for outline in outlines(mask)], 1)
        np.testing.assert_array_equal(again.astype(bool), mask)
        assert all(len(outline) >= 3 for outline in outlines(mask))


def test_meta_atoms_number_their_array_row_by_row() -> None:
    places = [
        (drawing.row, drawing.col)
        for drawing in (meta_atom.draw(Identity(0, "meta_atom", 0, slot), 32) for slot in range(20))
    ]
    assert places == [(row, col) for row in range(1, 5) for col in range(1, 6)]
    with pytest.raises(DrawingError, match="slot below 20"):
        meta_atom.draw(Identity(0, "meta_atom", 0, 20), 32)
