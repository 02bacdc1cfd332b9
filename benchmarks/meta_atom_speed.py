"""What sorting the cells of arrays costs: by all features with pages, by classes alone, and by the number of cells.

python -m benchmarks.meta_atom_speed [--cells 441 1323 10000 100000]

Arrays are drawn once and cut by their lattice; larger ones repeat the cells of the drawn one, each with noise of its
own. Seconds are of processor time, all threads together, so that a busy machine does not count; of two cores, a run
takes half of them at best.
"""

from __future__ import annotations

import argparse
import math
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.meta_atom_array import Layout, draw_array, scatter
from models.sorter.cells import ArrayCells, cells_of_image
from models.sorter.sorting import sort_array
from tools.lines.meta_atom import MetaAtomLine

LAYOUT = Layout(rows=21, columns=21, pitch=54)
ARRAYS = 3  # of 441 cells: the 1,323 of the notebook


def line_seconds(folder: Path, *, features: bool) -> tuple[float, float]:
    """Return processor and wall seconds of the whole line, from files to table (and pages, with features)."""
    with tempfile.TemporaryDirectory() as out:
        start, wall = time.process_time(), time.perf_counter()
        MetaAtomLine(features=features).predict([str(folder)], Path(out), page=features, command="")
        return time.process_time() - start, time.perf_counter() - wall


def repeated(cells: ArrayCells, count: int) -> ArrayCells:
    """Return an array of about so many cells, made of those of another."""
    columns = round(math.sqrt(count))
    rows = -(-count // columns)
    rng = np.random.default_rng(0)
    index_N = np.arange(rows * columns) % len(cells.grey_NSS)
    noise = rng.standard_normal((1, *cells.grey_NSS.shape[1:]), dtype=np.float32)
    grey_NSS = cells.grey_NSS[index_N]
    for number in range(len(grey_NSS)):  # one by one: noise for all of them would take as much memory again
        grey_NSS[number] += 0.004 * np.roll(noise[0], rng.integers(64, size=2), (0, 1))
    centre_N2 = np.zeros((len(grey_NSS), 2))
    return replace(cells, grey_NSS=grey_NSS, shape=(rows, columns), centre_N2=centre_N2, window_N4=None)


def main() -> None:
    """Print seconds by what is asked for, and by the number of cells."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cells", type=int, nargs="*", default=[441, 1_323, 10_000, 100_000])
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for group in range(ARRAYS):
            identity = Identity(1, "meta_atom", group, 0)
            drawing = draw_array(identity, LAYOUT, scatter(identity, LAYOUT, 0.1))
            cv2.imwrite(str(folder / f"{drawing.group}.png"), drawing.image[..., ::-1])
        cells = cells_of_image("drawn", drawing.image)
        print("| 1,323 cells of three arrays, from files | processor, s | wall, s |\n|---|---|---|")
        for features in (False, True):
            processor, wall = line_seconds(folder, features=features)
            what = "all features, pages" if features else "classes alone"
            print(f"| {what} | {processor:.1f} | {wall:.1f} |", flush=True)
    print("\n| cells of one array | classes, s of processor | ms a cell |\n|---|---|---|")
    for count in given.cells:
        many = repeated(cells, count)
        start = time.process_time()
        sort_array(many, features=False)
        seconds = time.process_time() - start
        print(f"| {len(many.grey_NSS):,} | {seconds:.2f} | {1000 * seconds / len(many.grey_NSS):.2f} |", flush=True)


if __name__ == "__main__":
    main()
