"""Milliseconds per image of one detector in every form, and of anomalib's own export of the same one beside it.

python -m benchmarks.bundle_latency RUN [--batches 1 16] [--seconds 3] [--processor-time] [--table FILE]

RUN is a run of PatchCore on a network of timm, with a bundle that holds int8, such as that of

    loupe train data=fiber data.root=PATH backbone=mobilenetv2 backbone.weights=FILE
    loupe export run=RUN precisions=[fp32,int8]

anomalib's model is given the network, its weights, the layers, the image size and the bank of that run, and exported
by its own ``to_onnx`` and ``to_openvino``. All forms compute on the processor, from images of the model's size to
scores and maps. ``--processor-time`` gives each of them one thread and counts the time that the processor spent on it,
which holds on a machine in use, too.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnxruntime
import torch
from anomalib.models import Patchcore

from models.patchcore import PatchCore
from tools.runner import Bundle
from tools.runner.network import openvino_core
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable

    from timm.models import FeatureListNet

    from datamodules.files.images import Array
    from models.components.patchcore_model import PatchCoreModel

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
    parser.add_argument("--processor-time", action="store_true", help="of one thread, instead of the clock's")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".md"), help="Markdown file to write")
    options = parser.parse_args()
    clock, threads = (time.process_time, 1) if options.processor_time else (time.perf_counter, None)
    torch.set_num_threads(threads or torch.get_num_threads())
    folder = RunFolder.open(options.run)
    module = restore(read_checkpoint(folder.best_checkpoint)).eval()
    if not isinstance(module, PatchCore):
        parser.error(f"expected a run of patchcore, but found one of {type(module).__name__}")
    height, width = folder.load_config().data.image_size
    with tempfile.TemporaryDirectory() as work, torch.inference_mode():
        forms = ours(module, folder, threads) | anomalibs(module.model, (height, width), Path(work), threads)
        images = np.random.default_rng(0).random((max(options.batches), 3, height, width), dtype=np.float32)
        spent = {(name, batch): float("inf") for name in forms for batch in options.batches}
        for batch in options.batches:
            for _ in range(ROUNDS):
                for name, run in forms.items():
                    least = measure(run, images[:batch], options.seconds / ROUNDS, clock)
                    spent[name, batch] = min(spent[name, batch], least / batch)
    command = (
        "`python -m benchmarks.bundle_latency RUN --processor-time`"
        if threads
        else "`python -m benchmarks.bundle_latency RUN`"
    )
    kind = "processor time of one thread" if threads else "time by the clock"
    origin, (patches, values) = module.model.backbone.origin["name"], module.model.bank_MD.shape
    lines = [
        "# Bundles beside torch, and beside anomalib's own export",
        "",
        f"By {command}: {kind}, per picture, the least of many calls, on {processor()}.",
        f"PatchCore on {origin}, pictures of {height} x {width}, a bank of {patches:,} patches of {values} values.",
        "anomalib's graph is exported for one picture, since by default it holds for two alone; it takes them in turn.",
        "",
        f"| form | {' | '.join(f'batch {batch}' for batch in options.batches)} |",
        f"|{'---|' * (1 + len(options.batches))}",
    ]
    for name in forms:
        cells = [
            f"{1000 * spent[name, batch]:.1f} ms, {1 / spent[name, batch]:.1f} pictures/s" for batch in options.batches
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    options.table.write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("\n".join(lines))


def ours(module: PatchCore, folder: RunFolder, threads: int | None) -> dict[str, Run]:
    """Return the run in all its forms, from images to raw scores and maps."""
    compiled = torch.compile(module.model, dynamic=False)
    bundles = {
        f"{runtime} {precision}": Bundle(folder.path / "bundle", runtime=runtime, precision=precision, threads=threads)
        for runtime, precision in FORMS
    }
    return {
        "torch, eager": lambda images: module.model(torch.from_numpy(images)),
        "torch, compiled": lambda images: compiled(torch.from_numpy(images)),
        **{name: bundle.infer for name, bundle in bundles.items()},
    }


def anomalibs(model: PatchCoreModel, size: tuple[int, int], work: Path, threads: int | None) -> dict[str, Run]:
    """Return anomalib's PatchCore as it exports it: for one image at a time, several one after the other."""
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
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads or 0  # 0: as many as there are
    session = onnxruntime.InferenceSession(str(graph), settings, providers=["CPUExecutionProvider"])
    form = peer.to_openvino(work, input_size=size, onnx_kwargs=STATIC)
    # Left alone, OpenVINO computes in bfloat16 where the processor can; ours does not.
    hints: dict[str, Any] = {"INFERENCE_PRECISION_HINT": "f32"}
    if threads:
        hints["INFERENCE_NUM_THREADS"] = threads
    compiled = openvino_core().compile_model(str(form), "CPU", hints)
    key = session.get_inputs()[0].name
    return {
        "anomalib, onnxruntime": lambda images: [session.run(None, {key: image[None]}) for image in images],
        "anomalib, openvino": lambda images: [compiled({0: image[None]}) for image in images],
    }


def measure(run: Run, images: Array, seconds: float, clock: Callable[[], float]) -> float:
    """Return the least time of one call, in seconds, after a warm-up."""
    run(images)
    least, end = float("inf"), clock() + seconds
    while clock() < end:
        started = clock()
        run(images)
        least = min(least, clock() - started)
    return least


def processor() -> str:
    """Name what computes."""
    found = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
    return f"{os.cpu_count()} cores of {found[1] if found else platform.machine()}"


if __name__ == "__main__":
    main()
