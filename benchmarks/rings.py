"""Geometry of drawn rings whose truth is known: how far measures are off, and whether the three states are right.

python -m benchmarks.rings [--count 200] [--good 60] [--height 2048] [--width 2448] [--seed 1] [--tips] [--record FILE]

Draws rings of two types under one-sided light, with dirt, noise and blur, plain, off centre, oval, with flash or cut
through; learns limits from other good rings of the same types; and judges every ring by them. Times are CPU seconds of
one thread. With ``--tips``, fins are pointed, triangles, rectangles and round by turns. With ``--record``, the same
command goes on where one was interrupted.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections import Counter, defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from callbacks.acceptance.judgement import Acceptance
from datamodules.prepare.oring_limits import LIMITED, OringLimits
from datamodules.synthetic.measured_rings import TIPS, Lot
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


class Outcome(NamedTuple):
    """What was found of one drawn ring.

    Attributes:
        name: Number, type and what is particular.
        seconds: Of processor time.
        measured: Measures and what was drawn; empty where it was not found as one ring.
        states: By its truth, and as measured.
    """

    name: str
    seconds: float
    measured: dict[str, tuple[float, float]]
    states: tuple[str, str]


def judged(lot: Lot, number: int, rules: Acceptance, judge: Judge) -> Outcome:
    """Draw, measure and judge one ring."""
    kind, what, ring = lot.ring(number)
    image = ring.draw()
    started = time.process_time()
    parts = measure_parts(image, "drawn")
    seconds = time.process_time() - started
    name, truth = f"{number} {kind} {what}", true_state(rules, kind, ring)
    if len(parts) != 1:
        return Outcome(name, seconds, {}, (truth, "not found"))
    measured = {measure: (float(parts[0].measures[measure]), ring.truth[measure]) for measure in WITHIN}
    return Outcome(name, seconds, measured, (truth, judge.row(f"{kind}good/{number}.png", parts[0], None)["accepted"]))


def outcomes(options: argparse.Namespace) -> list[Outcome]:
    """Judge all rings but those that the record holds."""
    record = Path(options.record) if options.record else None
    lines = record.read_text(encoding="utf-8").splitlines() if record is not None and record.is_file() else []
    found = [Outcome(*json.loads(line)) for line in lines]
    size = (options.height, options.width)
    rules = learn(size, options.good, options.seed + 1000)
    lot = Lot(size, options.seed, tips=TIPS) if options.tips else Lot(size, options.seed)
    judge = Judge(rules, {}, None, "model2")
    for number in range(len(found), options.count):
        found.append(judged(lot, number, rules, judge))
        if record is not None:
            with record.open("a", encoding="utf-8") as file:
                file.write(json.dumps(found[-1]) + "\n")
    return found


def main() -> None:
    """Draw, measure, judge, and print what was off."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    defaults = {"count": 200, "good": 60, "height": 2048, "width": 2448, "seed": 1}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--tips", action="store_true", help="fins of four forms by turns")
    parser.add_argument("--record", help="file that keeps what was measured, of one size and seed")
    options = parser.parse_args()
    cv2.setNumThreads(1)
    off, states, lines = defaultdict[str, list[float]](list), Counter[tuple[str, str]](), list[str]()
    rings = outcomes(options)
    seconds, missed = [one.seconds for one in rings], sum(not one.measured for one in rings)
    for one in rings:
        for name, (value, truth) in one.measured.items():
            if not 0 < truth < MINIMUM.get(name, 0.0):
                off[name].append(abs(value - truth))
                if abs(value - truth) > WITHIN[name]:
                    lines.append(f"{one.name}: {name} {value:.2f}, drawn {truth:.2f}")
        states[one.states[0], one.states[1]] += 1
        if one.states[0] != one.states[1]:
            lines.append(f"{one.name}: {one.states[1]}, by its truth {one.states[0]}")
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
