"""What a bundle of PatchCore takes for an image: by a graph that compares all of the bank, and by a search.

    python -m benchmarks.bundle_search [--data FOLDER] [--banks 6000 20000 60000] [--threads 1]

Banks and images as in ``benchmarks.patchcore_search``: patches of LoupeNet, 1,024 an image of 256x256. Both kinds of a
bundle's graphs are written, opened by ONNX Runtime and OpenVINO, and asked for the same images one by one, in turns.
Milliseconds of the processor over all threads, and on the wall; by how much scores differ at most, as a share.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from models.components.patchcore_graphs import plan_searched
from models.components.patchcore_model import PatchCoreModel
from models.export_plan import plan_single
from models.features.backbones import Backbone
from tools.bundles.graphs import write_forms
from tools.bundles.shipping import write_checksums
from tools.runner.composition import compose
from tools.runner.network import Form, open_graphs
from tools.runner.searching import array_file, open_arrays

from .patchcore_search import LOUPE_NET, SIDE, bank_of, images, patches

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.export_plan import ExportPlan
    from tools.runner.network import Array
    from tools.runner.result import Prediction

    Judge = Callable[[Array], Prediction]

TURNS = 3


def judges(name: str, plan: ExportPlan, folder: Path, threads: int) -> dict[str, Judge]:
    """Write a plan as a bundle does, and open it, by runtime."""
    folder.mkdir()
    forms = write_forms(plan.graphs, (SIDE, SIDE), folder, ["fp32"], [])
    for array, values in plan.arrays.items():
        np.save(folder / array_file(array), values)
    write_checksums(folder)
    spec = {"composition": dict(plan.composition)}
    found = {}
    for entry in forms:
        form = Form(**entry)
        arrays = open_arrays(folder, spec["composition"])
        found[f"{name}, {form.runtime}"] = compose(spec, open_graphs(folder, form, threads), arrays, threads)
    return found


def milliseconds(judge: Judge, asked: list[Array]) -> tuple[float, float]:
    """Time images one by one: of the processor, and on the wall, per image."""
    spent, wall = time.process_time(), time.perf_counter()
    for image in asked:
        judge(image)
    return 1000 * (time.process_time() - spent) / len(asked), 1000 * (time.perf_counter() - wall) / len(asked)


def main() -> None:
    """Print a row for each bank and way."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of good images; drawn ones by default")
    parser.add_argument("--banks", type=int, nargs="+", default=[6000, 20_000, 60_000])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=8, help="that are judged; they are not in the bank")
    options = parser.parse_args()
    described = patches(options.data)
    apart = max(1, len(described) // options.images)
    asked = [image.unsqueeze(0).numpy() for image in list(images(options.data))[::apart][: options.images]]
    known = torch.cat([part for number, part in enumerate(described) if number % apart])
    print("| bank | way | processor, ms | wall, ms | scores differ by |\n|---|---|---|---|---|")
    for size in options.banks:
        model = PatchCoreModel(Backbone(**LOUPE_NET, weights="bundled"), 9).eval()
        with torch.inference_mode():
            model.set_bank(bank_of(known, size))
        with tempfile.TemporaryDirectory() as root:
            plans = {"all compared": plan_single(model), "search": plan_searched(model, (SIDE, SIDE), None)}
            made = {
                way: judge
                for name, plan in plans.items()
                for way, judge in judges(name, plan, Path(root, name.replace(" ", "_")), options.threads).items()
            }
            scores = {way: np.array([judge(image).score_B[0] for image in asked]) for way, judge in made.items()}
            first = next(iter(scores.values()))
            spent = [{way: milliseconds(judge, asked) for way, judge in made.items()} for _ in range(TURNS)]
        for way in made:
            least = [min(turn[way][place] for turn in spent) for place in (0, 1)]
            differ = float(np.abs(scores[way] / first - 1).max())
            print(f"| {size} | {way} | {least[0]:.1f} | {least[1]:.1f} | {differ:.0e} |", flush=True)


if __name__ == "__main__":
    main()
