"""Verdicts by IEC 61300-3-35 on drawn end faces with planted scratches and defects, against those on the truth.

    python -m benchmarks.fiber_verdicts [--faces 10000] [--workers 2] [--seed 0] [--out verdicts.csv]

Every face has scratches and specks of random sizes, in all zones alike and at random places within each, across their
borders as well; the truth of a
part within a zone is measured on a fine grid. A difference is within the size error where the verdict on the truth
turns into the one that was found once all sizes, or the borders of zones, move by the error that docs/fiber.md states:
0.4 um or 10 %. It is a limit that is stated there where it takes no notice of a disc about as large as a lit core of
9 um that lies over its axis, or takes what the image's border cuts off for another type. A file that is there already
is gone on with.
"""

from __future__ import annotations

import argparse
import csv
import math
import time
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np
import yaml

from callbacks.acceptance.facts import DefectFacts, Facts
from callbacks.acceptance.iec_61300 import Iec61300
from datamodules.synthetic.measured_faces import MeasuredFace, Planted, Scratch, Speck
from datamodules.zones.prior import Prior
from tools.lines.fiber_rules import asked_zones
from tools.runner.face import Inspection, classical
from tools.runner.face_facts import facts_of

if TYPE_CHECKING:
    from collections.abc import Iterator

CONNECTORS = {"sm_pc": 9.0, "sm_apc": 9.0, "mm": 50.0, "multifiber": 9.0}  # core, um
REACH = 135.0  # um from the axis, within which things are planted, beyond the last zone, too
APART = 7.0  # um between two of them
STEP = 0.1  # um of the grid that the truth is measured on
SLIVER = 0.15  # square um in a zone: less than that is the border's doing
ERROR, SHARE = 0.4, 0.1  # of sizes, in um or relative
DISC, OFF_AXIS = (0.9, 1.2), 0.1  # diameters of a single mode core: a disc that is taken for its light, and where
LIT = 100.0  # grey levels from which a core is lit


class Outcome(NamedTuple):
    """One face.

    Attributes:
        number: Of the face.
        connector: Whose rules judge.
        planted: Things on it.
        marked: Things that were found.
        true: The verdict on the truth.
        found: The verdict on what was found.
        why: Both differ: ``size`` error, stated ``limit``, or ``unexplained``; empty where they are equal.
        seconds: Of processor time.
    """

    number: int
    connector: str
    planted: int
    marked: int
    true: str
    found: str
    why: str
    seconds: float


@cache
def rules_of(connector: str) -> Iec61300:
    """Read the rules of a connector."""
    path = Path(__file__).parents[1] / "configs" / "acceptance" / f"iec_61300_3_35_{connector}.yaml"
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    del values["_target_"]
    return Iec61300(**values)


def plan(number: int, seed: int) -> tuple[str, MeasuredFace]:
    """Decide on a face: its connector, its light, and what is planted on it."""
    rng = np.random.default_rng([seed, number])
    connector = tuple(CONNECTORS)[number % len(CONNECTORS)]
    planted: list[Planted] = []
    for _ in range(int(rng.integers(0, 9))):
        one = _speck(rng, connector) if rng.random() < 0.72 else _scratch(rng, connector)
        if all(_clear(one, other) for other in planted):
            planted.append(one)
    um = float(rng.uniform(0.42, 0.48))
    return connector, MeasuredFace(
        um_per_pixel=(um * float(rng.choice([1.0, 1.0, 1.06])), um),
        core_um=CONNECTORS[connector],
        shift=(float(rng.uniform(-12, 12)), float(rng.uniform(-12, 12))),
        ferrule=float(rng.uniform(150, 185)),
        cladding=float(rng.uniform(75, 95)),
        core=float(rng.uniform(170, 210)) if rng.random() < 0.7 else 92.0,
        planted=tuple(planted),
        seed=number,
    )


def _depth(rng: np.random.Generator) -> float:
    return float(rng.uniform(45, 70) * rng.choice([-1, -1, 1]))


def _speck(rng: np.random.Generator, connector: str) -> Speck:
    """Draw a speck, of sizes about the limits of its connector."""
    top = 36.0 if connector == "mm" else 13.0
    size = float(np.exp(rng.uniform(math.log(2.0), math.log(top))))
    return Speck(*_place(rng, connector), size, _depth(rng))


def _place(rng: np.random.Generator, connector: str) -> tuple[float, float]:
    """Choose a zone, or what lies beyond, and a place in it, evenly over its area."""
    ends = [0.0, *(high / 2 for _, high in rules_of(connector).rings.values()), REACH]
    zone = int(rng.integers(len(ends) - 1))
    away, turn = math.sqrt(rng.uniform(ends[zone] ** 2, ends[zone + 1] ** 2)), float(rng.uniform(0, 2 * math.pi))
    return away * math.cos(turn), away * math.sin(turn)


def _scratch(rng: np.random.Generator, connector: str) -> Scratch:
    width = float(rng.uniform(2.0, 6.5))
    length = float(rng.uniform(max(25.0, 10 * width), 100.0))
    return Scratch(*_place(rng, connector), float(rng.uniform(0, math.pi)), length, width, _depth(rng))


def _clear(one: Planted, other: Planted) -> bool:
    """Tell whether two things lie apart, by points along them."""
    first, second = _spine(one), _spine(other)
    nearest = np.hypot(*(first[:, None] - second[None]).transpose(2, 0, 1)).min()
    return bool(nearest >= APART + _half(one) + _half(other))


def _half(one: Planted) -> float:
    return one.size / 2 if isinstance(one, Speck) else one.width / 2


def _spine(one: Planted) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    if isinstance(one, Speck):
        return np.array([[one.x, one.y]])
    along = np.linspace(-one.length / 2, one.length / 2, 80)
    return np.stack([one.x + along * math.cos(one.angle), one.y + along * math.sin(one.angle)], axis=1)


class Truth(NamedTuple):
    """Points of a planted thing: x and y from the axis, in um; and whether the image shows only a part of it."""

    one: Planted
    x_P: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    y_P: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
    cut: bool = False


def truth_of(one: Planted) -> Truth:
    """Cover a planted thing with points."""
    left, top, right, bottom = one.box
    x, y = np.meshgrid(np.arange(left, right + STEP, STEP), np.arange(top, bottom + STEP, STEP))
    inside = one.inside(x, y)
    return Truth(one, x[inside], y[inside])


def beyond_limits(truths: list[Truth], face: MeasuredFace) -> Iterator[list[Truth]]:
    """Yield the truth as it is to an inspection with the limits that docs/fiber.md states."""
    yield [truth for truth in truths if not _hides_in_the_core(truth.one, face)]
    yield [truth._replace(cut=_is_cut(truth.one, face)) for truth in truths]


def _hides_in_the_core(one: Planted, face: MeasuredFace) -> bool:
    core = face.core_um
    if not isinstance(one, Speck) or core > CONNECTORS["sm_pc"] or face.core < LIT:
        return False
    return DISC[0] <= one.size / core <= DISC[1] and math.hypot(one.x, one.y) <= OFF_AXIS * core


def _is_cut(one: Planted, face: MeasuredFace) -> bool:
    """Tell whether a thing leaves the image."""
    (um_x, um_y), (height, width), (cx, cy) = face.um_per_pixel, face.size, face.centre
    left, top, right, bottom = one.box
    return min(left / um_x + cx, top / um_y + cy) < 0 or right / um_x + cx > width or bottom / um_y + cy > height


def true_facts(truths: list[Truth], rules: Iec61300, larger: float, border: float) -> Facts:
    """Return the facts of what was planted.

    Args:
        truths: All of it.
        rules: Whose zones count.
        larger: -1, 0 or 1 size errors that all sizes grow by.
        border: Micrometres that the borders of zones move outwards.
    """
    return Facts(defects=tuple(_fact(n, one, rules, larger, border) for n, one in enumerate(truths, start=1)))


def _fact(number: int, truth: Truth, rules: Iec61300, larger: float, border: float) -> DefectFacts:
    away_P = np.hypot(truth.x_P, truth.y_P)
    inside: dict[str, dict[str, float | None]] = {}
    for name, (low, high) in rules.rings.items():
        within = (away_P >= low / 2 + (border if low else 0.0)) & (away_P < high / 2 + border)
        if within.sum() * STEP**2 < SLIVER:
            continue
        size = _feret(truth.x_P[within], truth.y_P[within])
        width = truth.one.width if isinstance(truth.one, Scratch) else size
        grown = (value + larger * max(ERROR, SHARE * value) for value in (size, width))
        inside[name] = dict(zip(("size_um", "width_um"), grown, strict=True))
    return DefectFacts(number, {}, "scratch" if isinstance(truth.one, Scratch) and not truth.cut else "pit", inside)


def _feret(
    x_P: np.ndarray[tuple[int, ...], np.dtype[np.float64]], y_P: np.ndarray[tuple[int, ...], np.dtype[np.float64]]
) -> float:
    hull_P2 = cv2.convexHull(np.stack([x_P, y_P], axis=1).astype(np.float32))[:, 0]
    return float(np.hypot(*(hull_P2[:, None] - hull_P2[None]).transpose(2, 0, 1)).max()) + STEP


def judge(number: int, seed: int) -> Outcome:
    """Draw a face, inspect it, and compare verdicts."""
    cv2.setNumThreads(1)
    connector, face = plan(number, seed)
    rules, truths = rules_of(connector), [truth_of(one) for one in face.planted]
    true = rules(true_facts(truths, rules, 0, 0.0)).state
    image = face.draw()
    before = time.process_time()
    looked = Inspection(classical, dict(rules.rings))(image, Prior(face.core_um))
    found = rules(facts_of(looked, "", asked_zones(rules))).state
    seconds = time.process_time() - before
    why = "" if found == true else _why(truths, face, rules, found)
    return Outcome(number, connector, len(truths), len(looked.defects or ()), true, found, why, round(seconds, 3))


def _why(truths: list[Truth], face: MeasuredFace, rules: Iec61300, found: str) -> str:
    """Name what explains a verdict that is not the one on the truth."""
    moves = list(product((-1, 0, 1), (-ERROR, 0.0, ERROR)))
    if any(rules(true_facts(truths, rules, *move)).state == found for move in moves):
        return "size"
    seen = beyond_limits(truths, face)
    return "limit" if any(rules(true_facts(one, rules, 0, 0.0)).state == found for one in seen) else "unexplained"


def judge_range(numbers: range, seed: int) -> list[Outcome]:
    """Judge several faces in one process."""
    return [judge(number, seed) for number in numbers]


def summary(rows: list[dict[str, str]]) -> str:
    """Say how many verdicts are equal, by connector."""
    heads = ("passed wrongly", "failed wrongly", "size", "limit", "unexplained")
    lines = [f"{'connector':12}{'faces':>7}{'equal':>9}" + "".join(f"{head:>{len(head) + 2}}" for head in heads)]
    for name in (*CONNECTORS, "all"):
        some = [row for row in rows if name in (row["connector"], "all")]
        if not some:
            continue
        equal = sum(row["true"] == row["found"] for row in some) / len(some)
        passed = sum(row["true"] == "rejected" and row["found"] == "accepted" for row in some)
        failed = sum(row["true"] == "accepted" and row["found"] == "rejected" for row in some)
        size, limit, odd = (sum(row["why"] == why for row in some) for why in ("size", "limit", "unexplained"))
        lines.append(f"{name:12}{len(some):7}{equal:9.4f}{passed:16}{failed:16}{size:6}{limit:7}{odd:13}")
    true = sum(row["true"] == "accepted" for row in rows)
    seconds = float(np.median([float(row["seconds"]) for row in rows]))
    return "\n".join([*lines, f"{true} accepted by the truth; {seconds:.2f} s of processor time a face (median)"])


def main() -> None:
    """Judge, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faces", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("verdicts.csv"))
    options = parser.parse_args()
    done = 0
    if options.out.is_file():
        with options.out.open(newline="") as file:
            done = len(list(csv.DictReader(file)))
    with options.out.open("a", newline="") as file, ProcessPoolExecutor(options.workers) as pool:
        writer = csv.DictWriter(file, Outcome._fields)
        if not done:
            writer.writeheader()
        blocks = [range(n, min(n + 20, options.faces)) for n in range(done, options.faces, 20)]
        for outcomes in pool.map(judge_range, blocks, [options.seed] * len(blocks)):
            writer.writerows(outcome._asdict() for outcome in outcomes)
            file.flush()
    with options.out.open(newline="") as file:
        print(summary(list(csv.DictReader(file))))


if __name__ == "__main__":
    main()
