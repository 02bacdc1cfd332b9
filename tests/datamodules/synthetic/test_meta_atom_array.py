"""Whole drawn arrays: their places, defects and seams are where they say, whatever the lattice."""

from __future__ import annotations

import numpy as np
import pytest

from datamodules.arrays.lattice import find_lattice
from datamodules.synthetic.drawing import DrawingError, Identity
from datamodules.synthetic.meta_atom import DEFECTS
from datamodules.synthetic.meta_atom_array import Flaw, Layout, draw_array, scatter

LAYOUTS = [
    Layout(6, 8),
    Layout(6, 8, pitch=36, aspect=1.3),
    Layout(7, 6, lattice="hexagonal"),
    Layout(6, 9, lattice="hexagonal", angle=-7, contrast="sem"),
    Layout(6, 7, contrast="sem", pitch=60, angle=4),
]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_lattice_is_found_where_it_was_drawn(layout: Layout) -> None:
    drawing = draw_array(Identity(4, "meta_atom", 2, 0), layout)
    lattice = find_lattice(drawing.image, (layout.rows, layout.columns))
    away = np.hypot(*(lattice.centres().reshape(-1, 2) + 0.5 - drawing.centre_N2).T)
    assert away.max() < 0.3 * layout.pitch  # one-sided light draws the nodes to a pillar's bright or dark side
    assert np.ptp(lattice.centres().reshape(-1, 2) - drawing.centre_N2, axis=0).max() < 0.1 * layout.pitch
    wrong = (layout.rows + 2, layout.columns)
    with pytest.raises(ValueError, match=f"but found {layout.rows}x{layout.columns}"):
        find_lattice(drawing.image, wrong)


@pytest.mark.parametrize("contrast", ["optical", "sem"])
@pytest.mark.parametrize("defect", DEFECTS)
def test_a_defect_changes_its_own_cell_alone_and_more_the_severer_it_is(contrast: str, defect: str) -> None:
    layout, identity = Layout(4, 5, contrast=contrast), Identity(5, "meta_atom", 1, 0)  # type: ignore[arg-type]
    clean = draw_array(identity, layout).image.astype(int)
    changes = []
    for severity in (0.1, 0.5, 1.0):
        drawing = draw_array(identity, layout, {(2, 3): Flaw(defect, severity)})
        away = np.abs(drawing.image.astype(int) - clean)
        y, x = np.nonzero((away if away.ndim == 2 else away.max(axis=2)) > 4)
        middle = drawing.centre_N2[1 * 5 + 2]
        assert max(np.abs(x - middle[0]).max(), np.abs(y - middle[1]).max()) < 0.62 * layout.pitch
        rows, columns = np.nonzero(drawing.mask)
        assert np.hypot(rows.mean() - middle[1], columns.mean() - middle[0]) < 0.4 * layout.pitch
        changes.append(float(away.sum()))
    assert changes == sorted(changes)


def test_equal_identities_draw_equal_arrays() -> None:
    layout = Layout(4, 4, seams=2)
    first, second = (draw_array(Identity(1, "meta_atom", 3, 0), layout, {(1, 1): Flaw("missing", 1)}) for _ in "ab")
    np.testing.assert_array_equal(first.image, second.image)
    assert [seam.upright for seam in first.seams] == [True, False]


def test_flaws_are_scattered_over_all_cells_and_defects() -> None:
    flaws = scatter(Identity(2, "meta_atom", 0, 0), Layout(30, 30), 0.2, (0.5, 0.6))
    assert 120 <= len(flaws) <= 240
    assert {flaw.defect for flaw in flaws.values()} == set(DEFECTS)
    assert all(0.5 <= flaw.severity <= 0.6 for flaw in flaws.values())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"rows": 1}, "at least 2 rows"),
        ({"lattice": "round"}, "square or hexagonal"),
        ({"contrast": "x-ray"}, "optical or sem"),
        ({"angle": 60}, "at most 40 degrees"),
    ],
)
def test_what_cannot_be_drawn_is_refused(options: dict[str, object], said: str) -> None:
    with pytest.raises(DrawingError, match=said):
        Layout(**options)  # type: ignore[arg-type]
    with pytest.raises(DrawingError, match="within 4 rows"):
        draw_array(Identity(0, "meta_atom", 0, 0), Layout(4, 4), {(5, 1): Flaw("missing", 1)})
