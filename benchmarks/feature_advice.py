"""Does the doctor's advice on features, which sees planted defects alone, pick what is best on real ones?

    LOUPE_WEIGHTS=DIR python -m benchmarks.feature_advice --out FOLDER --seed 0 DRAWN...
    LOUPE_WEIGHTS=DIR python -m benchmarks.feature_advice --out FOLDER --data SHARED fiber screw print3d spindle

DRAWN is a drawn domain: fiber, oring, meta_atom, metallography, print3d, as ``drawn_fiber`` and so on. Each candidate
is fitted once, to a bank of 2,000 patches of at most 48 good images, as the doctor does; the same bank then judges
planted defects in good images held out, and all defective and good images that no bank saw. FOLDER gets a JSON file
for each set, as soon as a candidate is measured, with all scores; a line for each is printed.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from callbacks.statistics.intervals import image_intervals
from datamodules.table import DEFECTIVE, TEST
from tools.checks.candidates import Candidate, asked_names, at_hand
from tools.checks.feature_advice import further
from tools.checks.trials import Material, bank_megabytes, choose_material, fit, planted
from tools.configuring.build import build
from tools.configuring.config import compose_config
from tools.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from datamodules.base import InspectionDataModule

REAL = {
    "fiber": ["data=fiber", "data.root={data}/fiber"],
    "screw": ["data=folder", "data.root={data}/benchmark/screw"],
    "print3d": ["data=folder", "data.root={data}/print3d"],
    "spindle": ["data=oring", "data.root={data}/oring/spindle"],
}


def datamodule_of(name: str, args: argparse.Namespace) -> InspectionDataModule:
    """Read one of the sets."""
    if name in REAL:
        overrides = [one.format(data=args.data) for one in REAL[name]]
    else:
        domain = name.removeprefix("drawn_")
        overrides = [
            "data=synthetic",
            f"data.domain={domain}",
            f"data.drawing_seed={args.seed}",
            f"data.root={args.out}/drawn",
        ]
        overrides += [f"data.root={args.out}/drawn", "data.good=160", "data.defective=60"]
    datamodule: InspectionDataModule = build(compose_config("doctor", overrides).data, "data")
    datamodule.setup()
    return datamodule


def test_rows(material: Material) -> pd.DataFrame:
    """Return what no bank saw: the test split, and every defective image."""
    samples = material.datamodule.samples
    labelled = samples[samples["label_index"] >= 0]
    return labelled[(labelled["split"] == TEST) | (labelled["label_index"] == DEFECTIVE)]


def measure(candidate: Candidate, material: Material) -> dict[str, Any]:
    """Fit a candidate once, and judge planted and real defects."""
    started = time.perf_counter()
    fitted = fit(candidate, material)
    planted_N, seconds = fitted.judge(planted(material, fitted.reading))
    spent = time.perf_counter() - started
    rows = test_rows(material)
    dataset = material.datamodule.dataset(rows)
    dataset.reading = fitted.reading
    real_N, _ = fitted.judge(dataset[index] for index in range(len(dataset)))
    return {
        "overrides": list(fitted.candidate.overrides),
        "backbones": list(fitted.candidate.backbones),
        "planted": planted_N.tolist(),
        "real": real_N.tolist(),
        "labels": rows["label_index"].tolist(),
        "groups": rows["group"].astype(str).tolist(),
        "milliseconds": 1000 * seconds / len(planted_N),
        "megabytes": bank_megabytes(fitted, material),
        "seconds": spent,
    }


def run(name: str, args: argparse.Namespace) -> None:
    """Measure all candidates on a set that have not been measured yet."""
    path = args.out / f"{name}-{args.seed}.json"
    rows: list[dict[str, Any]] = json.loads(path.read_text()) if path.is_file() else []
    material = choose_material(datamodule_of(name, args))
    if material is None:
        raise SystemExit(f"Expected more good images in {name}.")
    singles, _ = at_hand(asked_names("all"))
    plan = [*singles, *further(singles, material)]
    for candidate in plan[: args.most]:
        if any(row["overrides"] == list(candidate.overrides) for row in rows):
            continue
        try:
            rows.append(measure(candidate, material))
        except ConfigError as error:
            print(name, candidate.name, error, flush=True)
            continue
        path.write_text(json.dumps(rows))
        print(name, summary(rows[-1]), flush=True)


def summary(row: dict[str, Any]) -> str:
    """Say what was measured."""
    label_N = np.repeat([0, 1], [len(row["planted"]) // 7, 6 * (len(row["planted"]) // 7)])
    seen = image_intervals(row["planted"], label_N, np.arange(len(label_N)))["auroc"].value
    real = image_intervals(row["real"], row["labels"], row["groups"])["auroc"]
    return (
        f"{' '.join(row['overrides']) or 'default'}: planted {seen:.3f}, real {real.value:.3f} ({real.low:.3f} to "
        f"{real.high:.3f}), {row['milliseconds']:.0f} ms, {row['seconds']:.0f} s"
    )


def main() -> None:
    """Read the command line, and measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", nargs="*")
    parser.add_argument("--data", type=Path, default=Path("../shared/data"), help="folder with the real sets")
    parser.add_argument("--out", type=Path, required=True, help="folder for results")
    parser.add_argument("--seed", type=int, default=0, help="of drawn sets")
    parser.add_argument("--most", type=int, default=99, help="candidates")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    for name in args.sets:
        run(name, args)


if __name__ == "__main__":
    main()
