"""Geometry of drawn rings whose truth is known: how far measures are off, and whether the three states are right.

python -m benchmarks.rings [--count 200] [--good 60] [--height 2048] [--width 2448] [--seed 1]

Draws rings of two types under one-sided light, with dirt, noise and blur, plain, off centre, oval, with flash or cut
through; learns limits from other good rings of the same types; and judges every ring by them. Times are CPU seconds of
one thread.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter, defaultdict
from typing import TYPE_CHECKING

import cv2
import numpy as np

from callbacks.acceptance.judgement import Acceptance
from datamodules.prepare.oring_limits import LIMITED, OringLimits
from datamodules.synthetic.measured_rings import Lot
from datamodules.zones.ring_parts import measure_parts
from tools.lines.oring_rows import Judge

if TYPE_CHECKING:
    from datamodules.synthetic.measured_rings import MeasuredRing
    from datamodules.zones.ring_parts import Measures

WITHIN = {
    "outer_diameter": 0.3,
    "inner_diameter": 0.3,
    "centre_distance": 0.2,
    "mean_thickness": 0.4,
    "min_thickness": 0.7,
    "max_thickness": 0.7,
    "ovality": 0.6,
    "flash": 0.8,
    "gap": 1.0,
}
MINIMUM = {"flash": 4.0, "gap": 4.0}  # pixels from which a thing is to be measured; less is only to be seen as less


def learn(size: tuple[int, int], good: int, seed: int) -> Acceptance:
    """Learn limits from good rings, of both types by turns."""
    lot, measured = Lot(size, seed), defaultdict[str, list["Measures"]](list)
    number = 0
    while sum(map(len, measured.values())) < good:
        kind, what, ring = lot.ring(number)
        if what == "plain":
            measured[kind] += [part.measures for part in measure_parts(ring.draw(), "drawn")]
        number += 1
    rules = {}
    for kind, parts in measured.items():
        for entry in OringLimits().learn(kind, parts):
            bounds = {name: value for name, value in (("min", entry.low), ("max", entry.high)) if value is not None}
            state = {"otherwise": entry.limited.state}
            rules[f"{kind} {entry.measure}"] = {"measure": entry.measure, "kinds": [kind], **bounds, **state}
    return Acceptance(rules, otherwise="rework")


def true_state(rules: Acceptance, kind: str, ring: MeasuredRing) -> str:
    """Judge a ring by its truth: what the limits say of the measures that it was drawn with."""
    states = set()
    for rule in rules.rules.values():
        value = ring.truth.get(rule["measure"], math.nan)
        outside = value < rule.get("min", -math.inf) or value > rule.get("max", math.inf)
        if kind in rule["kinds"] and outside:
            states.add(rule["otherwise"])
    return "rejected" if "rejected" in states else "rework" if states else "accepted"


def main() -> None:
    """Draw, measure, judge, and print what was off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"count": 200, "good": 60, "height": 2048, "width": 2448, "seed": 1}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    size = (options.height, options.width)
    rules = learn(size, options.good, options.seed + 1000)
    judge = Judge(rules, {}, None, "model2")
    lot = Lot(size, options.seed)
    off, seconds, states = defaultdict[str, list[float]](list), list[float](), Counter[tuple[str, str]]()
    missed, lines = 0, list[str]()
    for number in range(options.count):
        kind, what, ring = lot.ring(number)
        image = ring.draw()
        started = time.process_time()
        parts = measure_parts(image, "drawn")
        seconds.append(time.process_time() - started)
        if len(parts) != 1:
            missed += 1
            continue
        for name, limit in WITHIN.items():
            truth, value = ring.truth[name], parts[0].measures[name]
            if not 0 < truth < MINIMUM.get(name, 0.0):
                off[name].append(abs(value - truth))
                if abs(value - truth) > limit:
                    lines.append(f"{number} {kind} {what}: {name} {value:.2f}, drawn {truth:.2f}")
        found = judge.row(f"{kind}good/{number}.png", parts[0], None)["accepted"]
        states[true_state(rules, kind, ring), found] += 1
        if true_state(rules, kind, ring) != found:
            lines.append(f"{number} {kind} {what}: {found}, by its truth {true_state(rules, kind, ring)}")
    print(
        f"{options.count} rings, {missed} not found as one; {np.mean(seconds):.3f} CPU s each, "
        f"at most {max(seconds):.3f}"
    )
    print("| measure | median error, px | 99 % | largest | wanted | beyond |\n|---|---|---|---|---|---|")
    for name, limit in WITHIN.items():
        values = np.asarray(off[name])
        figures = (np.median(values), np.quantile(values, 0.99), values.max())
        print(f"| {name} | {' | '.join(f'{value:.3f}' for value in figures)} | {limit} | {(values > limit).sum()} |")
    right = sum(count for (true, found), count in states.items() if true == found)
    print(
        f"States right: {right} of {sum(states.values())}; limits of {len(LIMITED)} measures from {options.good} rings"
    )
    for (true, found), count in sorted(states.items()):
        print(f"  {true} by its truth, {found} as measured: {count}")
    print(*lines, sep="\n")


if __name__ == "__main__":
    main()
