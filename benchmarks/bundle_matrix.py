"""Every model: trained for a moment on drawn images, exported, and its bundle's verdicts held against the test's.

python -m benchmarks.bundle_matrix [--out FOLDER] [--table FILE] [--rows NAME ...]

Finished rows are kept in ``FOLDER/cells.jsonl``, so that an interrupted run goes on where it stopped; delete the file
to start afresh. What a run printed lies beside it, in ``FOLDER/NAME.log``.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tools.cli import main as loupe
from tools.configuring.config import groups
from tools.runner import Bundle

if TYPE_CHECKING:
    from collections.abc import Sequence

RUNTIMES = ("onnxruntime", "openvino")
BATCHES = (1, 8)
NO_GRAPH = "no graph: see the first two"
EVERYWHERE = (
    *("data=synthetic", "data.domain=oring", "data.size=64", "data.image_size=[64,64]", "data.good=400"),
    *("data.defective=300", "data.batch_size=8", "data.num_workers=0", "trainer=cpu", "trainer.max_epochs=1"),
    *("trainer.max_steps=40", "callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0"),
    *("threshold=fpr", "threshold.policy.rate=0.4"),  # a line amidst the scores, where rounding shows
)
NEEDS = {  # what a model needs beside, to be quick, and to need no file
    "dinomaly": ("backbone=dinov2_small", "backbone.weights=none", "data.image_size=[98,98]"),  # patches of 14 pixels
    "efficient_ad_s": ("model.teacher.weights=none",),
    "efficient_ad_m": ("model.teacher.weights=none",),
    "mask_rcnn": ("model.limit=10",),
    "hybrid": ("model.inspection.limit=10",),
}
NARROW = "data.image_size=[64,48]"  # three tiles instead of nine, each of which takes a detector 0.2 s
TILED_NEEDS = {  # a detector that hardly learnt finds something all the same
    "mask_rcnn": (NARROW, "model.score_threshold=0.001"),
    "hybrid": (NARROW, "model.inspection.score_threshold=0.001"),
}
TILED = {
    f"{model}-tiled": (
        *(f"model={model}", "tiling=hann", "tiling.size=48"),
        *(*NEEDS.get(model, ()), *TILED_NEEDS.get(model, ())),
    )
    for model in ("patchcore", "unet", "mask_rcnn", "hybrid")
}
ROWS = {model: (f"model={model}", *NEEDS.get(model, ())) for model in groups()["model"]} | TILED


@dataclass(frozen=True)
class Row:
    """How the bundle of one model did.

    Attributes:
        name: Of the row.
        overrides: What it was trained with; a row of other overrides is computed again.
        composition: How the bundle's graphs work together.
        score_error: The worst of the parity gate, as a share of the scores' range.
        map_error: The same of the maps.
        seconds: That the export took, gate included.
        pictures: Test pictures that were judged.
        defective: How many of them the test calls defective.
        flips: Verdicts that differ from the test's, by runtime and batch.
        refused: Why there is nothing of this; empty where there is.
    """

    name: str
    overrides: tuple[str, ...]
    composition: str = ""
    score_error: float | None = None
    map_error: float | None = None
    seconds: float | None = None
    pictures: int = 0
    defective: int = 0
    flips: tuple[int, ...] = ()
    refused: str = ""


def main(args: Sequence[str] | None = None) -> None:
    """Fill the missing rows, one after another, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/bundle_matrix"), help="runs and finished rows")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".md"), help="Markdown file to write")
    parser.add_argument("--rows", nargs="+", choices=ROWS, default=list(ROWS), metavar="NAME", help=", ".join(ROWS))
    options = parser.parse_args(args)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "cells.jsonl"
    rows = {(row.name, row.overrides): row for row in read_rows(kept)}
    for name in options.rows:
        overrides = (*EVERYWHERE, *ROWS[name])
        if (name, overrides) not in rows:
            found = fill(name, overrides, options.out.resolve())
            rows[name, overrides] = found
            with kept.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(found)) + "\n")
            print(found, flush=True)
        done = [rows[name, (*EVERYWHERE, *more)] for name, more in ROWS.items() if (name, (*EVERYWHERE, *more)) in rows]
        options.table.write_text(table(done), encoding="utf-8")
    print(f"Table {options.table}")


def read_rows(path: Path) -> list[Row]:
    """Read the rows that are finished."""
    if not path.is_file():
        return []
    found = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Row(**{**row, "overrides": tuple(row["overrides"]), "flips": tuple(row["flips"])}) for row in found]


def fill(name: str, overrides: tuple[str, ...], out: Path) -> Row:
    """Train, test, export and judge with one model; keep the sentence of whatever refuses."""
    run, log = out / name / "one", out / f"{name}.log"
    shutil.rmtree(run, ignore_errors=True)  # of a run that was interrupted
    placed = (f"data.root={out / 'drawn'}", f"out={out}", f"name={name}", "id=one")
    if refused := said(log, ["train", *overrides, *placed]):
        return Row(name, overrides, refused=refused.replace(str(out), "OUT"))
    started = time.perf_counter()
    if refused := said(log, ["export", f"run={run}"]):
        return Row(name, overrides, refused=refused.replace(str(out), "OUT"))
    seconds = time.perf_counter() - started
    forms = json.loads((run / "bundle" / "parity.json").read_text(encoding="utf-8"))["forms"]
    expected = pd.read_csv(run / "predictions.csv")
    runtimes = dict.fromkeys(form["form"].split()[0] for form in forms)  # NumPy alone where there is no graph
    bundles = [Bundle(run / "bundle", runtime=runtime) for runtime in runtimes]
    return Row(
        name,
        overrides,
        bundles[0].spec["composition"]["kind"],
        max(form["score_error"] for form in forms),
        max(form["map_error"] for form in forms),
        seconds,
        len(expected),
        int((expected["verdict"] == "defective").sum()),
        tuple(flips(bundle, expected, batch) for bundle in bundles for batch in BATCHES),
    )


def said(log: Path, args: list[str]) -> str:
    """Run a verb, what it prints going to a file; return the last line where it fails."""
    with (
        log.open("a", encoding="utf-8") as stream,
        contextlib.redirect_stdout(stream),
        contextlib.redirect_stderr(stream),
    ):
        status = loupe(args)
    return log.read_text(encoding="utf-8").strip().splitlines()[-1] if status else ""


def flips(bundle: Bundle, expected: pd.DataFrame, batch: int) -> int:
    """Count the test images on which a bundle's verdict is another than the test's."""
    found = [result.verdict for result in bundle.stream(expected["image_path"], batch_size=batch)]
    return int((expected["verdict"] != found).sum())


def table(rows: Sequence[Row]) -> str:
    """Write Markdown."""
    columns = [f"{runtime}, batch {batch}" for runtime in RUNTIMES for batch in BATCHES]
    head = ["model", "graphs", "score error", "map error", "test pictures (called defective)", *columns, "export"]
    parts = [
        "# Every model as a bundle",
        "",
        f"By `python -m benchmarks.bundle_matrix`: {' '.join(f'`{override}`' for override in EVERYWHERE)}.",
        "Score and map errors are the worst of the parity gate over both runtimes, as shares of the range on the",
        "calibration pictures (allowed: 1e-4 and 1e-3). Then, for each runtime and batch, how many test pictures",
        "the bundle's runner, from file to verdict, judges differently than the test did.",
        "",
        line(head),
        line(["---"] * len(head)),
        *(line(cells(row)) for row in rows),
    ]
    beside = [f"* {row.name}: {' '.join(f'`{override}`' for override in ROWS[row.name][1:])}" for row in rows]
    return "\n".join([*parts, "", "Beside that:", "", *(entry for entry in beside if "`" in entry), ""])


def cells(row: Row) -> list[str]:
    """Write the cells of a row."""
    if row.refused:
        return [row.name, row.refused, *[""] * (4 + len(RUNTIMES) * len(BATCHES))]
    errors = [f"{value or 0:.1e}" for value in (row.score_error, row.map_error)]
    differ = [f"{count} differ" for count in row.flips] + [NO_GRAPH] * (len(RUNTIMES) * len(BATCHES) - len(row.flips))
    judged = f"{row.pictures} ({row.defective})"
    return [row.name, row.composition, *errors, judged, *differ, f"{row.seconds or 0:.0f} s"]


def line(entries: Sequence[str]) -> str:
    """Write a row of a Markdown table."""
    return f"| {' | '.join(entries)} |"


if __name__ == "__main__":
    main()
