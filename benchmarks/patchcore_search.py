"""Time to find the nearest patch of a bank, beside anomalib and FAISS, on the same patches in the same run.

    python -m benchmarks.patchcore_search [--data FOLDER] [--banks 1000 6000 20000] [--dimensions 128 384 1536]

Patches of 128 dimensions are those of LoupeNet: of the images in a folder, or of drawn fiber end faces. Wider ones are
made of them, for no such network ships with Loupe: a random layer, a ramp, and noise of a hundredth. They spread along
few directions, as features do; how many is a guess. Banks are greedy coresets up to 20,000, larger ones a random draw
of the patches, again and again with noise where there are too few. FAISS is timed where it is installed, and with it
what Loupe makes of HNSW for model.search=hnsw, which searches for the worst patches again, exactly. Times are those
of the processor over all threads, so that other work on the machine counts little, for each image of 1,024 patches;
searches take turns, and medians are told. Numbers in brackets say how far distances are from those in double
precision, at most, and where that is more than rounding, of how many patches the nearest was found.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import torch
from anomalib.models.image.patchcore.torch_model import PatchcoreModel

from datamodules.synthetic.domains import good_image
from datamodules.synthetic.fiber import draw
from models.components.coreset import k_center_greedy
from models.components.graph_search import GraphSearch, settle
from models.components.nearest import TensorSearch, search_plainly
from models.components.patchcore_model import PatchCoreModel, is_worth_arranging
from models.features.backbones import Backbone

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor

    Search = Callable[[Tensor], Tensor]

SIDE = 256
GREEDY = 20_000
LOUPE_NET: dict[str, Any] = {"name": "loupe_net", "layers": [2, 3], "mean": [0.5] * 3, "std": [0.5] * 3}
DRAWN = 60
ROUNDING = 1e-3  # of a distance, which plain search in single precision may be off by


def images(folder: Path | None) -> Iterator[Tensor]:
    """Read or draw good images (3, H, W) in [0, 1]."""
    if folder is None:
        for number in range(DRAWN):
            yield torch.from_numpy(draw(good_image("fiber", 0, number).identity, SIDE).image).expand(3, -1, -1) / 255
        return
    for path in sorted(folder.rglob("*.*")):
        if (image := cv2.imread(str(path))) is not None:
            image = cv2.resize(image, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
            yield torch.from_numpy(np.ascontiguousarray(image[..., ::-1])).permute(2, 0, 1) / 255


@torch.inference_mode()
def patches(folder: Path | None) -> Tensor:
    """Describe images by the patches that PatchCore has of them: (images, patches, 128)."""
    model = PatchCoreModel(Backbone(**LOUPE_NET, weights="bundled"), 1).eval()
    return torch.cat([model.embed(image.unsqueeze(0)).flatten(2).transpose(1, 2) for image in images(folder)])


def widened(patch_NPD: Tensor, dimensions: int) -> Tensor:
    """Make patches of more dimensions, that spread along as few directions."""
    if dimensions == patch_NPD.shape[-1]:
        return patch_NPD
    generator = torch.Generator().manual_seed(0)
    layer = torch.randn(patch_NPD.shape[-1], dimensions, generator=generator) / patch_NPD.shape[-1] ** 0.5
    wide: Tensor = (patch_NPD @ layer).relu()
    return wide + 0.01 * wide.std() * torch.randn(wide.shape, generator=generator)


def bank_of(patch_ND: Tensor, size: int) -> Tensor:
    """Choose a bank: a greedy coreset, where that is quick."""
    if size <= min(GREEDY, len(patch_ND) // 2):
        return patch_ND[list(k_center_greedy(patch_ND, size, 0))]
    generator = torch.Generator().manual_seed(0)
    if size <= len(patch_ND):
        return patch_ND[torch.randperm(len(patch_ND), generator=generator)[:size]]
    drawn = patch_ND[torch.randint(len(patch_ND), (size,), generator=generator)]
    return drawn + 0.05 * patch_ND.std(dim=0) * torch.randn(drawn.shape, generator=generator)


def searches(bank_MD: Tensor) -> dict[str, Search]:
    """Build every search: from patches to their distances (N,)."""
    square_M = bank_MD.square().sum(dim=1)
    arranged = TensorSearch(bank_MD) if is_worth_arranging(bank_MD) else None
    peer = PatchcoreModel(["layer2"], "resnet18", pre_trained=False)
    peer.memory_bank = bank_MD
    built: dict[str, Search] = {
        "plain": lambda asked: search_plainly(asked, bank_MD, square_M).sqrt(),
        "Loupe": lambda asked: (
            search_plainly(asked, bank_MD, square_M) if arranged is None else arranged(asked).square_N
        ).sqrt(),
        "anomalib": lambda asked: peer.nearest_neighbors(asked, n_neighbors=1)[0],
    }
    return built | (_faiss(bank_MD, built["Loupe"]) if importlib.util.find_spec("faiss") else {})


def _faiss(bank_MD: Tensor, exact: Search) -> dict[str, Search]:
    faiss: Any = importlib.import_module("faiss")  # not everybody has it

    faiss.omp_set_num_threads(torch.get_num_threads())
    flat, graph = faiss.IndexFlatL2(bank_MD.shape[1]), faiss.IndexHNSWFlat(bank_MD.shape[1], 32)
    for index in (flat, graph):
        index.add(bank_MD.numpy())
    walks = GraphSearch(bank_MD)

    def walk(asked_PD: Tensor) -> Tensor:
        def again(_: Tensor, patch_RT: Tensor) -> Tensor:
            return exact(asked_PD[patch_RT.flatten()]).square().view(patch_RT.shape)

        return settle(walks(asked_PD).unsqueeze(0), [len(asked_PD)], 1, None, again)[0].sqrt()

    return {
        "FAISS flat": lambda asked: torch.from_numpy(flat.search(asked.numpy(), 1)[0][:, 0]).clamp_min(0).sqrt(),
        "FAISS HNSW": lambda asked: torch.from_numpy(graph.search(asked.numpy(), 1)[0][:, 0]).clamp_min(0).sqrt(),
        "Loupe HNSW": walk,
    }


def milliseconds(built: dict[str, Search], asked_NPD: Tensor, at_once: int, turns: int) -> dict[str, float]:
    """Time searches per image, ``at_once`` images in each; they take turns, after one to warm up; medians."""
    spent: dict[str, list[float]] = {name: [] for name in built}
    parts = [part_BPD.flatten(0, 1) for part_BPD in torch.split(asked_NPD, at_once)]
    for turn in range(turns + 1):
        for name, search in built.items():
            started = time.process_time()
            for part_ND in parts:
                search(part_ND)
            if turn:
                spent[name].append((time.process_time() - started) * 1000 / len(asked_NPD))
    return {name: statistics.median(times) for name, times in spent.items()}


def quality(found_N: Tensor, true_N: Tensor) -> str:
    """Say how far distances are from the true ones at most; where rounding is not all, how many are right."""
    apart_N = (found_N - true_N).abs()
    right = float((apart_N <= ROUNDING * true_N.clamp_min(1)).float().mean())
    return f"{float(apart_N.max()):.0e}" + (f", {100 * right:.1f} % found" if right < 1 else "")


def main() -> None:
    """Print a table: a row for each bank, a column for each search."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of good images; drawn ones by default")
    parser.add_argument("--banks", type=int, nargs="+", default=[1000, 6000, 20_000, 60_000, 200_000])
    parser.add_argument("--dimensions", type=int, nargs="+", default=[128, 384, 1536])
    parser.add_argument("--images", type=int, default=8, help="that are searched for; they are not in the bank")
    parser.add_argument("--at-once", type=int, default=1, help="images that are searched for in one call")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--without", nargs="+", default=[], help="searches to leave out, such as 'FAISS HNSW'")
    options = parser.parse_args()
    described = patches(options.data)
    apart = max(1, len(described) // options.images)
    print(f"{len(described)} images, {torch.get_num_threads()} threads")
    for dimensions in options.dimensions:
        wide = widened(described, dimensions)
        asked = wide[::apart][: options.images]
        known = torch.cat([part for number, part in enumerate(wide) if number % apart])
        for size in options.banks:
            bank = bank_of(known, size)
            true = torch.cat([torch.cdist(one.double(), bank.double()).amin(dim=1) for one in asked])
            built = {name: search for name, search in searches(bank).items() if name not in options.without}
            times = milliseconds(built, asked, options.at_once, options.turns)
            found = {name: torch.cat([search(one) for one in asked]) for name, search in built.items()}
            told = [f"{name} {times[name]:.1f} ({quality(found[name], true)})" for name in built]
            print(f"| {dimensions} | {size} | {' | '.join(told)} |", flush=True)


if __name__ == "__main__":
    main()
