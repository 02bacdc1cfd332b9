"""How well zones are found on drawn end faces whose truth is known, under every condition.

    python -m benchmarks.fiber_zones [--each 40] [--sizes 512 640 768] [--seed 0]

A wrong answer is one that claims a cladding which overlaps the true one by less than 0.9, or where none can be seen.
Errors are in micrometres on the face. Half of the faces come with the core's size as a prior.
"""

from __future__ import annotations

import argparse
import math
import time
from typing import NamedTuple

import pandas as pd

from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.hard_fiber import CONDITIONS, HardFiber, draw_hard
from datamodules.zones.ellipse import Ellipse, overlap
from datamodules.zones.finding import Zones, find_zones
from datamodules.zones.prior import Prior
from datamodules.zones.view import make_view

WRONG = 0.9


class Outcome(NamedTuple):
    """One face: what was found, against what was drawn; errors in micrometres."""

    condition: str
    visible: bool
    found: bool
    wrong: bool
    support: float
    radius: float
    centre: float
    aspect: float
    core: str
    seconds: float
    overlaps: dict[str, float]


def judge(face: HardFiber, zones: Zones, seconds: float) -> Outcome:
    """Hold what was found against the truth."""
    true = Ellipse(face.cx, face.cy, face.cladding_radius * math.sqrt(face.tilt), face.aspect)
    um_x, um_y = face.um_per_pixel
    found = zones.cladding
    wrong = found is not None and (not face.visible or overlap(found, true) < WRONG)
    overlaps = {
        one.method: 0.0 if one.cladding is None else overlap(_on_disk(one.cladding, face), true)
        for one in zones.detections
    }
    if found is None:
        nothing = math.nan
        return Outcome(
            face.condition, face.visible, False, False, zones.support, nothing, nothing, nothing, "", seconds, overlaps
        )
    return Outcome(
        condition=face.condition,
        visible=face.visible,
        found=True,
        wrong=wrong,
        support=zones.support,
        radius=(found.mean_radius - true.mean_radius) * math.sqrt(um_x * um_y),
        centre=math.hypot((found.cx - true.cx) * um_x, (found.cy - true.cy) * um_y),
        aspect=found.aspect / face.aspect - 1.0,
        core=_core(face, zones),
        seconds=seconds,
        overlaps=overlaps,
    )


def _on_disk(found: Ellipse, face: HardFiber) -> Ellipse:
    """Bring a detection to the image on disk, but for a black frame, which the drawing knows."""
    view = make_view(face.drawing.image)
    return view.on_disk(found)


def _core(face: HardFiber, zones: Zones) -> str:
    """Say what became of the core: right (within 1 um), wrong or unknown."""
    if zones.core is None:
        return "unknown"
    away = abs(zones.core.mean_radius - face.core_radius * math.sqrt(face.aspect * face.tilt)) * face.um_per_pixel[1]
    return "right" if away < 1.0 else "wrong"


def faces(
    each: int, sizes: tuple[int, ...], seed: int, conditions: tuple[str, ...] = tuple(CONDITIONS)
) -> list[tuple[str, Identity, int]]:
    """List the faces to draw: condition, who, and size."""
    return [
        (condition, Identity(seed, "fiber", 1000 * place + number, 0), sizes[number % len(sizes)])
        for place, condition in enumerate(conditions)
        for number in range(each)
    ]


def outcome(condition: str, identity: Identity, size: int) -> Outcome:
    """Draw one face, and find its zones."""
    face = draw_hard(condition, identity, size)
    known = identity.group % 2 == 0
    prior = Prior(face.core_um if known else None, face.cladding_um)
    before = time.process_time()
    zones = find_zones(face.drawing.image, prior)
    return judge(face, zones, time.process_time() - before)


def summary(outcomes: pd.DataFrame) -> pd.DataFrame:
    """Return one row per condition, and one for all in which a cladding can be seen."""
    visible = outcomes[outcomes["visible"]]
    rows = {condition: _row(rows) for condition, rows in outcomes.groupby("condition", sort=False)}
    return pd.DataFrame([*rows.values(), _row(visible)], index=[*rows, "all visible"])


def _row(rows: pd.DataFrame) -> dict[str, object]:
    right = rows[rows["found"] & ~rows["wrong"]]
    radius, centre = right["radius"].abs(), right["centre"]
    cores = right["core"].value_counts()
    return {
        "faces": len(rows),
        "found": round(len(right) / len(rows), 3),
        "wrong": int(rows["wrong"].sum()),
        "radius median, um": round(float(right["radius"].median()), 3),
        "radius p95": round(float(radius.quantile(0.95)), 3),
        "centre p95, um": round(float(centre.quantile(0.95)), 3),
        "aspect p95": round(float(right["aspect"].abs().quantile(0.95)), 4),
        "support p5": round(float(rows["support"].quantile(0.05)), 2),
        "core right/wrong/unknown": "/".join(str(cores.get(name, 0)) for name in ("right", "wrong", "unknown")),
        "CPU s": round(float(rows["seconds"].median()), 3),
    }


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=40)
    parser.add_argument("--sizes", type=int, nargs="+", default=[512, 640, 768])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", help="CSV file for every face")
    options = parser.parse_args()
    table = pd.DataFrame(outcome(*face) for face in faces(options.each, tuple(options.sizes), options.seed))
    if options.out:
        table.to_csv(options.out, index=False)
    print(summary(table).to_string())
    print(f"\n{'detector':12} median overlap, share above 0.9 of those whose cladding is to be seen")
    overlaps = pd.DataFrame(table["overlaps"][table["visible"]].tolist())
    for name in overlaps:
        print(f"{name:12} {overlaps[name].median():.3f} {(overlaps[name] > WRONG).mean():.3f}")


if __name__ == "__main__":
    main()
