"""Milliseconds per picture of one detector in every form, and of anomalib's own export of the same one beside it.

python -m benchmarks.bundle_latency RUN [--batches 1 16] [--seconds 3]

RUN is a run of PatchCore on a network of timm, with a bundle that holds int8, such as that of

    loupe train data=fiber data.root=PATH backbone=mobilenetv2 backbone.weights=FILE
    loupe export run=RUN precisions=[fp32,int8]

anomalib's model is given the network, its weights, the layers, the picture size and the bank of that run, and exported
by its own ``to_onnx`` and ``to_openvino``. All forms compute on the processor, from pictures of the model's size to
scores and maps.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime
import openvino
import torch
from anomalib.models import Patchcore

from models.patchcore import PatchCore, PatchCoreModel
from tools.bundles.runner import Bundle
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from timm.models import FeatureListNet

    from datamodules.images import Array

    Run = Callable[[Array], object]

ROUNDS = 3  # forms take turns, so that a busy moment of the machine hits all of them
FORMS = (("onnxruntime", "fp32"), ("openvino", "fp32"), ("openvino", "int8"))
STATIC: dict[str, Any] = {
    "dynamic_axes": {},
    "opset_version": 18,
}  # by default, anomalib bakes a batch of 2 into PatchCore's graph


def main() -> None:
    """Print a table in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--seconds", type=float, default=3, help="for each form and batch")
    options = parser.parse_args()
    folder = RunFolder.open(options.run)
    module = restore(read_checkpoint(folder.best_checkpoint)).eval()
    if not isinstance(module, PatchCore):
        parser.error(f"expected a run of patchcore, but found one of {type(module).__name__}")
    height, width = folder.load_config().data.image_size
    with tempfile.TemporaryDirectory() as work, torch.inference_mode():
        forms = ours(module, folder) | anomalibs(module.model, (height, width), Path(work))
        images = np.random.default_rng(0).random((max(options.batches), 3, height, width), dtype=np.float32)
        spent = {(name, batch): float("inf") for name in forms for batch in options.batches}
        for batch in options.batches:
            for _ in range(ROUNDS):
                for name, run in forms.items():
                    least = measure(run, images[:batch], options.seconds / ROUNDS)
                    spent[name, batch] = min(spent[name, batch], least / batch)
    titles = [title for batch in options.batches for title in (f"batch {batch}: ms per picture", "pictures per s")]
    print(f"A bank of {len(module.model.bank_MD)} patches of {module.model.bank_MD.shape[1]} values.")
    print(f"| form | {' | '.join(titles)} |\n|{'---|' * (1 + len(titles))}")
    for name in forms:
        cells = [f"{1000 * spent[name, batch]:.1f} | {1 / spent[name, batch]:.1f}" for batch in options.batches]
        print(f"| {name} | {' | '.join(cells)} |")


def ours(module: PatchCore, folder: RunFolder) -> dict[str, Run]:
    """Return the run in all its forms, from pictures to raw scores and maps."""
    compiled = torch.compile(module.model, dynamic=False)
    bundles = {
        f"{runtime} {precision}": Bundle(folder.path / "bundle", runtime=runtime, precision=precision)
        for runtime, precision in FORMS
    }
    return {
        "torch, eager": lambda images: module.model(torch.from_numpy(images)),
        "torch, compiled": lambda images: compiled(torch.from_numpy(images)),
        **{name: bundle.infer for name, bundle in bundles.items()},
    }


def anomalibs(model: PatchCoreModel, size: tuple[int, int], work: Path) -> dict[str, Run]:
    """Return anomalib's PatchCore as it exports it: for one picture at a time, several one after the other."""
    network = cast("FeatureListNet", model.backbone.network)
    name = model.backbone.origin["name"]
    peer = Patchcore(
        backbone=name,
        layers=network.feature_info.module_name(),
        pre_trained=False,
        num_neighbors=model.num_neighbors,
        pre_processor=Patchcore.configure_pre_processor(size),
    ).eval()
    peer.model.feature_extractor.feature_extractor.load_state_dict(network.state_dict())
    peer.model.memory_bank = model.bank_MD
    graph = peer.to_onnx(work, input_size=size, **STATIC)
    session = onnxruntime.InferenceSession(str(graph), providers=["CPUExecutionProvider"])
    form = peer.to_openvino(work, input_size=size, onnx_kwargs=STATIC)
    # Left alone, OpenVINO computes in bfloat16 where the processor can; ours does not.
    compiled = openvino.Core().compile_model(str(form), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    key = session.get_inputs()[0].name
    return {
        "anomalib, onnxruntime": lambda images: [session.run(None, {key: image[None]}) for image in images],
        "anomalib, openvino": lambda images: [compiled({0: image[None]}) for image in images],
    }


def measure(run: Run, images: Array, seconds: float) -> float:
    """Return the least time of one call, in seconds, after a warm-up."""
    run(images)
    least, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        run(images)
        least = min(least, time.perf_counter() - started)
    return least


if __name__ == "__main__":
    main()
