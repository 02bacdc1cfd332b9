"""EfficientAD with its paper's networks beside PatchCore: what each makes of four data sets, and its time per image.

    python -m benchmarks.efficient_ad --data FOLDER [--sets screw fiber ...] [--models patchcore ...] [--out FOLDER]

FOLDER holds ``benchmark/screw`` and ``fiber``; drawn sets need none. Every model is trained, calibrated, tested and
exported through ``loupe``, on images of 256x256 and the same split; ``efficient_ad_s`` as ``experiment=efficient_ad_s``
has it, in bfloat16. Then all are timed in turns, one image at a time, from image to score and map, in torch and from
the bundle (ONNX Runtime). Finished runs and their bundles are kept in --out, so that an interrupted call goes on where
it stopped.
"""

from __future__ import annotations

import argparse
import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from datamodules.progress import track
from tools.cli import main as loupe
from tools.freed_memory import keep_freed_memory
from tools.runner import Bundle
from tools.runs.checkpoint import read_checkpoint, restore
from tools.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

SIDE = 256
REAL = {"screw": ("data=folder", "benchmark/screw"), "fiber": ("data=fiber", "fiber")}
DRAWN = {"drawn oring": "oring", "drawn print3d": "print3d"}
SETS = (*REAL, *DRAWN)
MODELS = {
    "patchcore": ("model=patchcore",),
    "efficient_ad": ("model=efficient_ad", "data.batch_size=2", "trainer.max_steps=1500", "trainer.max_epochs=-1"),
    "efficient_ad_s": ("experiment=efficient_ad_s", "trainer.precision=bf16-mixed"),
}
ALL = (f"data.image_size=[{SIDE},{SIDE}]", "data.num_workers=0", "trainer.accelerator=cpu", "report=false")
RARELY = "+trainer.check_val_every_n_epoch=1000"  # thresholds are those of the last step in any case
USUAL = ["patchcore", "efficient_ad_s"]
METRICS = {
    "image_auroc": "image AUROC",
    "image_ap": "image AP",
    "pixel_ap": "pixel AP",
    "pixel_aupro_0.05": "AU-PRO 0.05",
}


def keys_of(name: str, data: Path, out: Path) -> list[str]:
    """Say where a set comes from, in keys of ``loupe train``."""
    if name in REAL:
        choice, place = REAL[name]
        return [choice, f"data.root={data / place}"]
    drawn = [f"data.domain={DRAWN[name]}", "data.good=120", "data.defective=40", f"data.size={SIDE}"]
    return ["data=synthetic", f"data.root={out / 'drawn'}", "data.drawing_seed=101", *drawn]


def run_of(name: str, model: str, given: argparse.Namespace) -> RunFolder:
    """Train, test and export, unless that is done; return the run."""
    place = given.out / name.replace(" ", "_") / model
    if not (place / "bundle" / "parity.json").is_file():
        to = [f"out={given.out}", f"name={place.parent.name}", f"id={model}"]
        rarely = [] if model == "patchcore" else [RARELY]
        commands = [
            ["train", *keys_of(name, given.data, given.out), *MODELS[model], *ALL, *rarely, *to, *given.also],
            ["export", f"run={place}"],
        ]
        for command in commands:
            if status := loupe(command):
                raise SystemExit(status)
    return RunFolder.open(place)


def forms_of(run: RunFolder) -> dict[str, Callable[[np.ndarray[Any, Any]], object]]:
    """Return the run and its bundle, from images (B, 3, H, W) in [0, 1] to raw scores and maps."""
    module = restore(read_checkpoint(run.best_checkpoint)).eval()
    return {
        "run": lambda image: module.model(torch.from_numpy(image)),
        "bundle": Bundle(run.path / "bundle", runtime="onnxruntime").infer,
    }


@torch.inference_mode()
def milliseconds(runs: Mapping[str, RunFolder], repeats: int) -> dict[str, dict[str, float]]:
    """Time all forms of all models in turns; return medians by model and form."""
    forms = {(model, form): one for model, run in runs.items() for form, one in forms_of(run).items()}
    images = np.random.default_rng(0).random((repeats, 1, 3, SIDE, SIDE), dtype=np.float32)
    spent: dict[tuple[str, str], list[float]] = {key: [] for key in forms}
    for index in track(range(repeats), "timing"):
        for key, one in forms.items():
            started = time.perf_counter()
            one(images[index])
            spent[key].append(time.perf_counter() - started)
    medians = {key: 1000 * statistics.median(values[2:]) for key, values in spent.items()}
    return {model: {form: medians[model, form] for form in ("run", "bundle")} for model in runs}


def rows(name: str, runs: Mapping[str, RunFolder], cost: Mapping[str, Mapping[str, float]]) -> list[str]:
    """Write the rows of a set: how well, beside the trivial baseline, and at what cost."""
    found = []
    for model, run in runs.items():
        metrics = run.read_json("metrics.json")
        values = [metrics["test"].get(metric) for metric in METRICS]
        texts = ["-" if one is None else f"{one['value']:.3f} [{one['low']:.2f}, {one['high']:.2f}]" for one in values]
        trivial = metrics["baseline"].get("separability", {}).get("value")
        seconds = run.read_json("environment.json")["seconds_of_training"]
        costs = [f"{cost[model][form]:.1f}" for form in ("run", "bundle")]
        found.append([name, model, *texts, "-" if trivial is None else f"{trivial:.3f}", f"{seconds:.0f}", *costs])
    return [f"| {' | '.join(row)} |" for row in found]


def main(args: Sequence[str] | None = None) -> None:
    """Print the table, set by set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(), help="folder with the real sets")
    parser.add_argument("--sets", nargs="+", choices=SETS, default=list(SETS), metavar="SET", help=", ".join(SETS))
    parser.add_argument("--models", nargs="+", choices=MODELS, default=USUAL, help=", ".join(MODELS))
    parser.add_argument("--out", type=Path, default=Path("runs/efficient_ad"), help="runs, bundles and drawn images")
    parser.add_argument("--repeats", type=int, default=12, help="images that are timed; the first two only warm up")
    parser.add_argument("--also", nargs="+", default=[], metavar="KEY=VALUE", help="for every training")
    given = parser.parse_args(args)
    given.out = given.out.resolve()
    keep_freed_memory()
    titles = ["data", "model", *METRICS.values(), "brightness alone", "training, s", "run, ms", "bundle, ms"]
    lines = [f"| {' | '.join(titles)} |", f"|{'---|' * len(titles)}"]
    for name in given.sets:
        runs = {model: run_of(name, model, given) for model in given.models}
        lines += rows(name, runs, milliseconds(runs, given.repeats))
    print("\n".join(lines))


if __name__ == "__main__":
    main()
