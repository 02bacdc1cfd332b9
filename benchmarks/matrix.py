"""Every model on every drawn domain, at tiny size, through the very door of ``loupe train``: a table of what came out.

python -m benchmarks.matrix [--out FOLDER] [--table FILE] [--models NAME ...] [--domains NAME ...]

A cell that a model refuses holds the sentence it was refused with. Finished cells are kept in ``FOLDER/cells.jsonl``,
so that an interrupted run goes on where it stopped; delete the file to start afresh.
"""

from __future__ import annotations

import argparse
import contextlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datamodules.errors import DataError
from datamodules.synthetic.domains import DOMAINS
from models.errors import WeightsError
from tools.configuring.config import compose_config, groups, require_values
from tools.errors import ConfigError
from tools.runs.training import train

if TYPE_CHECKING:
    from collections.abc import Sequence

EVERYWHERE = (
    *("data=synthetic", "data.size=96", "data.image_size=[96,96]", "data.good=80", "data.defective=40"),
    *("data.batch_size=8", "data.num_workers=0", "trainer=cpu", "trainer.max_epochs=10"),
    *("callbacks.evaluation.resamples=100", "callbacks.evaluation.atlas=0"),
)
NEEDS = {"dinomaly": ("backbone=dinov2_small", "data.image_size=[98,98]")}  # patches of 14 pixels
BASELINE = "brightness alone"


@dataclass(frozen=True)
class Cell:
    """What one model did on one domain.

    Attributes:
        domain: Which images.
        model: Its config's name.
        overrides: What it was trained with; a cell of other overrides is computed again.
        image_auroc: Of the test images; None where undefined.
        pixel_auroc: Of their pixels.
        baseline_auroc: Of the images' mean brightness, in its better direction.
        fit_seconds: Training and calibration.
        milliseconds: Inference, per image.
        refused: Why there is nothing of this; empty where there is.
    """

    domain: str
    model: str
    overrides: tuple[str, ...]
    image_auroc: float | None = None
    pixel_auroc: float | None = None
    baseline_auroc: float | None = None
    fit_seconds: float | None = None
    milliseconds: float | None = None
    refused: str = ""


def main(args: Sequence[str] | None = None) -> None:
    """Fill the missing cells, one after another, and write the table after each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("runs/matrix"), help="runs and finished cells")
    parser.add_argument("--table", type=Path, default=Path(__file__).with_suffix(".md"), help="Markdown file to write")
    parser.add_argument("--models", nargs="+", default=groups()["model"])
    parser.add_argument("--domains", nargs="+", default=list(DOMAINS))
    options = parser.parse_args(args)
    options.out.mkdir(parents=True, exist_ok=True)
    kept = options.out / "cells.jsonl"
    cells = read_cells(kept)
    for model in options.models:
        for domain in options.domains:
            overrides = (f"model={model}", f"data.domain={domain}", *EVERYWHERE, *NEEDS.get(model, ()))
            if (domain, model, overrides) not in {(cell.domain, cell.model, cell.overrides) for cell in cells}:
                cells.append(fill(domain, model, overrides, options.out))
                with kept.open("a", encoding="utf-8") as stream:
                    stream.write(json.dumps(asdict(cells[-1])) + "\n")
                print(cells[-1].refused or cells[-1], flush=True)
            shown = [cell for cell in cells if cell.model in options.models and cell.domain in options.domains]
            options.table.write_text(table(shown), encoding="utf-8")
    print(f"Table {options.table}")


def read_cells(path: Path) -> list[Cell]:
    """Read the cells that are finished."""
    if not path.is_file():
        return []
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [Cell(**{**row, "overrides": tuple(row["overrides"])}) for row in rows]


def fill(domain: str, model: str, overrides: tuple[str, ...], out: Path) -> Cell:
    """Train, calibrate and test one model on one domain; keep what the run wrote about itself."""
    log = out / f"{domain}-{model}.log"
    try:
        config = compose_config("train", [*overrides, f"out={out.resolve()}"])
        require_values(config)
        with (
            log.open("w", encoding="utf-8") as stream,
            contextlib.redirect_stdout(stream),
            contextlib.redirect_stderr(stream),
        ):
            folder = train(config)
    except (ConfigError, DataError, WeightsError) as error:
        return Cell(domain, model, overrides, refused=str(error))
    metrics, environment = folder.read_json("metrics.json"), folder.read_json("environment.json")
    return Cell(
        domain,
        model,
        overrides,
        metrics["test"]["image_auroc"]["value"],
        metrics["test"].get("pixel_auroc", {}).get("value"),
        metrics["baseline"].get("separability", {}).get("value"),
        environment["seconds_of_training"],
        environment["milliseconds_per_picture"],
    )


def table(cells: Sequence[Cell]) -> str:
    """Write Markdown: how well, how fast, and what was refused and why."""
    latest = {(cell.model, cell.domain): cell for cell in cells}
    models, domains = dict.fromkeys(model for model, _ in latest), dict.fromkeys(domain for _, domain in latest)
    refused: dict[str, None] = dict.fromkeys(cell.refused for cell in latest.values() if cell.refused)
    numbers = {reason: number for number, reason in enumerate(refused, 1)}
    known = [cell for cell in latest.values() if cell.baseline_auroc is not None]
    baseline = {cell.domain: cell.baseline_auroc for cell in reversed(known)}  # of the first model, the most images

    def rows(first: str, second: str, digits: tuple[int, int]) -> list[str]:
        def text(cell: Cell | None) -> str:
            if cell is None or cell.refused:
                return "" if cell is None else f"refused ({numbers[cell.refused]})"
            return " / ".join(
                shown(getattr(cell, name), digit) for name, digit in zip((first, second), digits, strict=True)
            )

        return [line([model, *(text(latest.get((model, domain))) for domain in domains)]) for model in models]

    head = [line(["model", *domains]), line(["---"] * (len(domains) + 1))]
    brightness = line([BASELINE, *(shown(baseline.get(domain), 3) for domain in domains)])
    parts = [
        "# Every model on every drawn domain",
        "",
        f"By `make matrix`: {' '.join(f'`{override}`' for override in EVERYWHERE)}; all else as the configs have it.",
        "A check that everything runs on everything, at a size that takes minutes: no ranking of methods, which larger",
        "pictures, trained backbones and longer trainings would turn around. Supervised models are tested on fewer",
        "pictures: they learn from a part of the defective ones.",
        "",
        "AUROC of pictures / of pixels, on test pictures:",
        "",
        *head,
        brightness,
        *rows("image_auroc", "pixel_auroc", (3, 3)),
        "",
        "Seconds to fit / milliseconds per picture to judge it:",
        "",
        *head,
        *rows("fit_seconds", "milliseconds", (0, 1)),
    ]
    if numbers:
        parts += ["", "Refused:", "", *(f"{number}. {reason}" for reason, number in numbers.items())]
    return "\n".join([*parts, ""])


def line(cells: Sequence[str]) -> str:
    """Write a row of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def shown(value: float | None, digits: int) -> str:
    """Write a number, or a dash where there is none."""
    return "-" if value is None else f"{value:.{digits}f}"


if __name__ == "__main__":
    main()
