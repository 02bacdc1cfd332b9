"""Milliseconds per picture of one detector in every form, and of anomalib's own exported PatchCore beside it.

python -m benchmarks.bundle_latency RUN [--batches 1 16] [--seconds 5]

RUN is a run of PatchCore on a network of timm (``backbone=resnet18``), with a bundle that holds int8 (``loupe export
run=RUN precisions=[fp32,int8]``). anomalib's model has the same network, layers, picture size and number of patches in
its bank; only speed is compared, so its weights are random. All forms compute on the processor.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import onnxruntime
import timm
import torch
from anomalib.models import Patchcore

from tools.bundles.runner import Bundle
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from datamodules.images import Array

ROUNDS = 3  # forms take turns, so that a busy moment of the machine hits all of them


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batches", type=int, nargs="*", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=5)
    options = parser.parse_args()
    folder = RunFolder.open(options.run)
    with tempfile.TemporaryDirectory() as work, torch.inference_mode():
        forms = ours(folder) | anomalibs(folder, Path(work), options.batches)
        images = np.random.default_rng(0).random((max(options.batches), 3, *sizes(folder)), dtype=np.float32)
        print(
            "| form | "
            + " | ".join(f"batch {batch}: ms per picture | pictures per s" for batch in options.batches)
            + " |"
        )
        print("|" + "---|" * (1 + 2 * len(options.batches)))
        best = {(name, batch): float("inf") for name in forms for batch in options.batches}
        for batch in options.batches:
            for _ in range(ROUNDS):
                for name, run in forms.items():
                    spent = measure(run, images[:batch], options.seconds / ROUNDS) / batch
                    best[name, batch] = min(best[name, batch], spent)
    for name in forms:
        cells = [f"{1000 * best[name, batch]:.2f} | {1 / best[name, batch]:.1f}" for batch in options.batches]
        print(f"| {name} | {' | '.join(cells)} |")


def sizes(folder: RunFolder) -> tuple[int, int]:
    """Return height and width of the run's pictures."""
    height, width = folder.load_config().data.image_size
    return int(height), int(width)


def ours(folder: RunFolder) -> dict[str, Callable[[Array], object]]:
    """Return the run in all its forms, from pictures to raw scores and maps."""
    module = restore(read_checkpoint(folder.best_checkpoint)).eval()
    compiled = torch.compile(module.model, dynamic=False)
    bundles = {
        f"{runtime} {precision}": Bundle(folder.path / "bundle", runtime=runtime, precision=precision)
        for runtime, precision in (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "int8"))
    }
    return {
        "torch, eager": lambda images: module.model(torch.from_numpy(images)),
        "torch, compiled": lambda images: compiled(torch.from_numpy(images)),
        **{name: bundle.infer for name, bundle in bundles.items()},
    }


def anomalibs(folder: RunFolder, work: Path, batches: Sequence[int]) -> dict[str, Callable[[Array], object]]:
    """Return anomalib's PatchCore in ONNX: its own export bakes in a batch of 2, so one is made for each size."""
    height, width = sizes(folder)
    backbone = folder.load_config().backbone
    network: Any = timm.create_model(backbone.name, features_only=True, out_indices=tuple(backbone.layers))
    patches = read_checkpoint(folder.best_checkpoint).state["model.bank_MD"].shape[0]
    forms: dict[str, Callable[[Array], object]] = {}
    for batch in batches:
        peer = Patchcore(backbone=backbone.name, layers=network.feature_info.module_name(), pre_trained=False).eval()
        features = peer.model.generate_embedding(peer.model.feature_extractor(torch.rand(1, 3, height, width)))
        peer.model.memory_bank = torch.rand(patches, features.shape[1])
        path = work / f"anomalib_{batch}.onnx"
        torch.onnx.export(
            peer.model, (torch.rand(batch, 3, height, width),), str(path), dynamo=True, opset_version=18, verbose=False
        )
        session = onnxruntime.InferenceSession(str(path))
        name = session.get_inputs()[0].name
        forms[f"anomalib, onnxruntime, batch {batch} baked in"] = _fixed(session, name, batch)
    return forms


def _fixed(session: onnxruntime.InferenceSession, name: str, batch: int) -> Callable[[Array], object]:
    def run(images: Array) -> object:
        if len(images) != batch:
            raise ValueError(f"Expected a batch of {batch}, but found {len(images)}: it is baked into the graph.")
        return session.run(None, {name: images})

    return run


def measure(run: Callable[[Array], object], images: Array, seconds: float) -> float:
    """Return the least time of one call, in seconds, after a warm-up; infinite where the form cannot take the batch."""
    try:
        run(images)
    except ValueError:
        return float("inf")
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        run(images)
        least = min(least, time.perf_counter() - started)
    return least


if __name__ == "__main__":
    main()
