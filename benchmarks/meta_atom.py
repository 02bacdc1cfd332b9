"""How well the layered sorter tells the classes of drawn meta-atoms, and whether it finds any in perfect arrays.

python -m benchmarks.meta_atom [--planted 40] [--clean 60] [--seed 101] [--only NAME ...]

Tiles are 4 x 5 to an array, drawn one by one, off centre as in the cases that the sorter was set on, of other seeds.
Whole arrays are drawn on square, oblong, turned and hexagonal lattices and under an electron microscope, and are cut
by the lattice that is found. Defects have severities from 0.4 to 1.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from sklearn.metrics import roc_auc_score

from datamodules.arrays.repeats import LatticeError
from datamodules.synthetic import meta_atom
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.meta_atom_array import Layout, draw_array, scatter
from models.sorter.cells import cells_of_image, cells_of_tiles
from models.sorter.learning import f1_by_class
from models.sorter.sorting import SortedArray, sort_array

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SHARE = 0.2  # of cells that have a defect
MINIMUM = 0.4  # severity
SIDE = 64  # pixels of a tile
TILES = "tiles"
LAYOUTS = {
    "square": Layout(rows=9, columns=11, pitch=48),
    "fine pitch": Layout(rows=9, columns=11, pitch=30),
    "oblong": Layout(rows=8, columns=12, pitch=44, aspect=1.25),
    "turned by 7 degrees": Layout(rows=9, columns=10, pitch=44, angle=7),
    "hexagonal": Layout(rows=10, columns=10, pitch=46, lattice="hexagonal"),
    "electron microscope": Layout(rows=9, columns=11, pitch=46, contrast="sem"),
    "hexagonal, electron microscope": Layout(rows=10, columns=10, pitch=46, lattice="hexagonal", contrast="sem"),
}
NAMES = ("good", *meta_atom.DEFECTS)


class Told(NamedTuple):
    """What was drawn and what was found, cell by cell.

    Attributes:
        truth: Classes, in lower case.
        found: Likewise.
        unlike: Inconsistency, higher is worse.
    """

    truth: list[str]
    found: list[str]
    unlike: list[float]


def tiles_of(seed: int, group: int, share: float) -> tuple[SortedArray, list[str]]:
    """Draw an array of tiles and sort it."""
    rng = np.random.default_rng([seed, group])
    tiles, truth = {}, []
    for slot in range(meta_atom.ROWS * meta_atom.COLUMNS):
        defect = str(rng.choice(meta_atom.DEFECTS)) if rng.random() < share else None
        severity = float(rng.uniform(MINIMUM, 1)) if defect else 0.0
        drawing = meta_atom.draw(Identity(seed, "meta_atom", group, slot), SIDE, defect, severity)
        row, column = divmod(slot, meta_atom.COLUMNS)
        tiles[row + 1, column + 1] = drawing.image
        truth.append(defect or "good")
    return sort_array(cells_of_tiles("tiles", tiles), features=False), truth


def whole_of(layout: Layout, seed: int, group: int, share: float) -> tuple[SortedArray, list[str]]:
    """Draw a whole array, and sort it as its lattice cuts it."""
    identity = Identity(seed, "meta_atom", group, 0)
    flaws = scatter(identity, layout, share)
    drawing = draw_array(identity, layout, flaws)
    found = sort_array(cells_of_image("whole", drawing.image), features=False)
    if found.shape != (layout.rows, layout.columns):
        raise LatticeError(f"Expected {layout.rows} x {layout.columns} cells, but found {found.shape}.")
    places = [(row + 1, column + 1) for row, column in np.ndindex(layout.rows, layout.columns)]
    return found, [flaws[place].defect if place in flaws else "good" for place in places]


def tell(draw: Callable[[int], tuple[SortedArray, list[str]]], groups: Sequence[int]) -> tuple[Told, int]:
    """Sort many arrays; return what was told, and in how many the lattice was not found."""
    told, lost = Told([], [], []), 0

    def one(group: int) -> tuple[SortedArray, list[str]] | None:
        try:
            return draw(group)
        except LatticeError as error:
            print(f"  {group}: {error}")
            return None

    with ThreadPoolExecutor(2) as pool:
        for answer in pool.map(one, groups):
            if answer is None:
                lost += 1
                continue
            found, truth = answer
            told.truth.extend(truth)
            told.found.extend(str(name).lower() for name in found.table["class"])
            told.unlike.extend(found.table["inconsistency"])
    return told, lost


def figures(told: Told) -> str:
    """Return F1 by class, macro-F1, and how well irregular ones rank above good ones (AUROC), as cells of a table."""
    f1 = f1_by_class(told.truth, told.found)
    chosen = [name in ("good", "irregular") for name in told.truth]
    truth = [name == "irregular" for name, wanted in zip(told.truth, chosen, strict=True) if wanted]
    unlike = [value for value, wanted in zip(told.unlike, chosen, strict=True) if wanted]
    values = [f1.get(name, float("nan")) for name in NAMES]
    values += [float(np.mean(list(f1.values()))), float(roc_auc_score(truth, unlike))]
    return " | ".join(f"{value:.3f}" for value in values)


def main() -> None:
    """Print a row per kind of array: what was called in perfect ones, and F1 in others."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--planted", type=int, default=40, help="arrays of tiles with defects; of whole ones a fifth")
    parser.add_argument("--clean", type=int, default=60, help="perfect arrays of tiles; of whole ones a fifth")
    parser.add_argument("--seed", type=int, default=101)
    parser.add_argument("--only", nargs="*", default=[TILES, *LAYOUTS], help=f"of {TILES}, {', '.join(LAYOUTS)}")
    given = parser.parse_args()
    print("| arrays | cells, perfect | called | cells | " + " | ".join(NAMES) + " | macro | AUROC, irregular | s |")
    print("|---" * (len(NAMES) + 7) + "|")
    for name in given.only:
        start = time.perf_counter()
        clean, planted = given.clean, given.planted
        if name != TILES:
            clean, planted = -(-clean // 5), -(-planted // 5)

        def draw(group: int, share: float, name: str = name) -> tuple[SortedArray, list[str]]:
            if name == TILES:
                return tiles_of(given.seed, group, share)
            return whole_of(replace(LAYOUTS[name]), given.seed, group, share)

        perfect, lost = tell(lambda group: draw(group, 0.0), range(clean))
        spoilt, more = tell(lambda group: draw(group, SHARE), range(1000, 1000 + planted))
        called = Counter(said for said in perfect.found if said != "good")
        said = ", ".join(f"{count} {kind}" for kind, count in sorted(called.items())) or "0"
        lattices = f"; {lost + more} lattices not found" if lost + more else ""
        row = [f"{name}{lattices}", f"{len(perfect.truth):,}", said, f"{len(spoilt.truth):,}", figures(spoilt)]
        print(f"| {' | '.join(row)} | {time.perf_counter() - start:.0f} |", flush=True)


if __name__ == "__main__":
    main()
