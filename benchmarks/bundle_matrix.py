"""Every model of configs/model: train on drawn pictures, export, and hold the bundle's verdicts against the test's.

python -m benchmarks.bundle_matrix [--models patchcore padim] [--size 64] [--epochs 1]
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import pandas as pd

from tools.bundles.runner import Bundle
from tools.cli import main as loupe
from tools.config import groups

RUNTIMES = ("onnxruntime", "openvino")
BATCHES = (1, 8)


def main() -> None:
    """Print a table: errors of the parity gate, and verdicts that differ from the test's, in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", default=groups()["model"])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=1)
    parser.add_argument("--options", nargs="*", default=[], help="further overrides of the training")
    options = parser.parse_args()
    columns = [f"{runtime}, batch {batch}" for runtime in RUNTIMES for batch in BATCHES]
    print(f"| model | score error | map error | export | {' | '.join(columns)} |")
    print("|" + "---|" * (4 + len(columns)), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        for model in options.models:
            print(row(model, Path(folder), options), flush=True)


def row(model: str, folder: Path, options: argparse.Namespace) -> str:
    """Train, export and judge with one model; say what went wrong where something did."""
    size = f"[{options.size},{options.size}]"
    status = loupe(
        [
            "train",
            "data=synthetic",
            f"model={model}",
            f"data.root={folder / 'drawn'}",
            f"out={folder / 'runs'}",
            f"name={model}",
            "id=one",
            f"data.size={options.size}",
            f"data.image_size={size}",
            "data.good=400",
            "data.defective=160",
            "data.num_workers=0",
            "trainer=cpu",
            f"trainer.max_epochs={options.epochs}",
            "callbacks.evaluation.resamples=10",
            *options.options,
        ]
    )
    if status:
        return f"| {model} | could not be trained: exit status {status} |"
    run = folder / "runs" / model / "one"
    started = time.perf_counter()
    if status := loupe(["export", f"run={run}"]):
        return f"| {model} | could not be exported: exit status {status} |"
    seconds = time.perf_counter() - started
    forms = json.loads((run / "bundle" / "parity.json").read_text(encoding="utf-8"))["forms"]
    worst = [max(form[name] for form in forms) for name in ("score_error", "map_error")]
    expected = pd.read_csv(run / "predictions.csv")
    cells = []
    for runtime in RUNTIMES:
        bundle = Bundle(run / "bundle", runtime=runtime)
        for batch in BATCHES:
            found = [result.verdict for result in bundle.stream(expected["image_path"], batch_size=batch)]
            cells.append(f"{(expected['verdict'] != found).sum()} of {len(found)} differ")
    return f"| {model} | {worst[0]:.1e} | {worst[1]:.1e} | {seconds:.0f} s | {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
