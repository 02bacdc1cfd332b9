"""What a person's verdicts bring: a simulated inspector, who always says the truth, labels and calibrates.

python -m benchmarks.inspector --data FOLDER [--sets NAME ...] [--seeds N] [--out FOLDER]

FOLDER holds ``fiber`` and ``benchmark/screw``. Two tables:

* **labels**: of one model, the test images are halved by group, at random, once per seed. Verdicts are given on
  one half, in rounds of ten: the nearest to the threshold first (one in ten at random, as ``loupe label`` does) or all
  at random; after each round thresholds are chosen anew, as by ``loupe calibrate pool=false``. What was missed and
  falsely alarmed is counted on the other half, beside the best that any threshold could do there. The threshold is
  wrong at first: for other microscopes it is that of the one before; for ``screw``, the lowest score.
* **microscopes**: AUROC on another microscope, by the model as it is, and after ``loupe extend`` by ten good images of
  it, none of which is tested; then ``loupe forget``.

Intervals hold 95 of 100 seeds.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from callbacks.decisions.choosing import Seen
from callbacks.policies.choice import choose_threshold
from callbacks.policies.f1 import F1
from datamodules.files.images import read_image
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.fiber import DEFECTS, draw
from tools.cli import main as loupe
from tools.labelling.queue import Queue, Scored
from tools.labelling.weighing import weights_of
from tools.runs.calibrating import Labelled, evened

from .microscopes import MICROSCOPES, SIDE, cut_face, planted

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from datamodules.files.images import Array

    Floats = npt.NDArray[np.float64]

ROUND = 10  # verdicts after which thresholds are chosen anew
VERDICTS = (0, 10, 20, 30, 50)
NEAREST, RANDOM = 0.1, 1.0  # shares that are picked at random
BRIEF = ("trainer=cpu", "report=false", "data.num_workers=0", "callbacks.evaluation.resamples=10")
QUIET = ("overlay=none", "mask=none", "page=0", "errors=ok")


class Face(NamedTuple):
    """A square end face, its cladding's radius, its label and its group."""

    image: Array
    radius: float
    defective: bool
    group: str


@dataclass
class Pool:
    """Scores of images, whether they are defective, and their groups."""

    score_N: Floats
    bad_N: npt.NDArray[np.bool_]
    group_N: npt.NDArray[np.str_]
    threshold: float

    def half(self, rng: np.random.Generator) -> npt.NDArray[np.bool_]:
        """Draw the half of the groups on which verdicts are given, with half of either class."""
        chosen: set[str] = set()
        for label in (False, True):
            names = np.unique(self.group_N[self.bad_N == label])
            chosen |= set(rng.permutation(names)[: len(names) // 2].tolist())
        return np.isin(self.group_N, sorted(chosen))


def simulate(pool: Pool, share: float, seed: int) -> list[dict[str, float]]:
    """Let an inspector label one half of a pool; count errors on the other."""
    half_N = pool.half(np.random.default_rng(seed))
    score_N, bad_N = pool.score_N[half_N], pool.bad_N[half_N]
    other_N, truth_N = pool.score_N[~half_N], pool.bad_N[~half_N]
    names = [f"{seed}/{place:05}" for place in range(len(score_N))]
    line, found = pool.threshold, []
    first: dict[str, str] = {}
    said: list[str] = []
    order: list[str] = []
    for count in range(max(VERDICTS) + 1):
        if count % ROUND == 0 and said:
            line = _chosen(names, score_N, bad_N, said, first, line)
        if count in VERDICTS:
            found.append({"verdicts": count, **_errors(other_N, truth_N, line), "best": _best(other_N, truth_N)})
        if count % ROUND == 0:
            queue = Queue([Scored(name, float(score), line) for name, score in zip(names, score_N, strict=True)], share)
            first = queue.picked
            order = [one.name for one in queue.order(set(said)) if one.name not in set(said)]
        if order:
            said.append(order.pop(0))
    return found


def _chosen(
    names: list[str],
    score_N: Floats,
    bad_N: npt.NDArray[np.bool_],
    said: list[str],
    picked: dict[str, str],
    line: float,
) -> float:
    """Choose a threshold from what was said, each verdict weighed by what it stands for."""
    images = [Scored(name, float(score), line) for name, score in zip(names, score_N, strict=True)]
    weights, _ = weights_of(images, picked, said)
    place = {name: number for number, name in enumerate(names)}
    labelled = [
        Labelled(name, picked[name], Seen(score_N[place[name]], int(bad_N[place[name]]), np.nan), weights[name])
        for name in said
    ]
    seen = evened(labelled)
    return choose_threshold(F1(), [one.score for one in seen], [one.label_index for one in seen]).value


def _errors(score_N: Floats, bad_N: npt.NDArray[np.bool_], line: float) -> dict[str, float]:
    called_N = score_N.astype(np.float32) >= np.float32(line)
    return {"missed": float((~called_N[bad_N]).mean()), "alarms": float(called_N[~bad_N].mean())}


def _best(score_N: Floats, bad_N: npt.NDArray[np.bool_]) -> float:
    """Return the least mean of both shares that any threshold reaches."""
    lines = [*np.unique(score_N), np.inf]
    return min(sum(_errors(score_N, bad_N, line).values()) / 2 for line in lines)


def told(values: Sequence[float]) -> str:
    """Say a mean over seeds, and where 95 of 100 seeds lie."""
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})"


Rows: TypeAlias = "list[dict[str, object]]"


def table_of(name: str, pool: Pool, seeds: int) -> Rows:
    """Simulate with many seeds; one row per way and number of verdicts."""
    rows: Rows = []
    for way, share in (("nearest first", NEAREST), ("random", RANDOM)):
        table = pd.DataFrame([row for seed in range(seeds) for row in simulate(pool, share, seed)])
        for count, part in table.groupby("verdicts"):
            row = {column: told(part[column].tolist()) for column in ("missed", "alarms")}
            mean = told(((part["missed"] + part["alarms"]) / 2).tolist())
            rows.append(
                {"set": name, "order": way, "verdicts": count, **row, "mean": mean, "any": told(part["best"].tolist())}
            )
    return rows


def real_faces(root: Path) -> list[Face]:
    """Cut the labelled end faces, and plant a drawn defect on a copy of every other good one."""
    labels, rng, found = pd.read_csv(root / "labels.csv"), np.random.default_rng(0), []
    for name, label in zip(labels["image"], labels["label"], strict=True):
        if label not in {"good", "defective"}:
            continue
        values, radius = cut_face(read_image(root / name))
        found.append(Face(values, radius, label == "defective", str(name)))
    for place, face in enumerate([face for face in found if not face.defective]):
        if place % 2:
            kind = DEFECTS[place // 2 % len(DEFECTS)]
            bad = planted(face.image, face.radius, kind, rng.uniform(0.5, 1), rng)
            found.append(Face(bad, face.radius, True, face.group))
    return found


def drawn_faces(count: int) -> list[Face]:
    """Draw end faces, every third of them with a defect."""
    found, rng = [], np.random.default_rng(1)
    for group in range(count):
        defect = DEFECTS[group // 3 % len(DEFECTS)] if group % 3 == 2 else None
        drawing = draw(Identity(5, "fiber", group, 0), SIDE, defect, rng.uniform(0.5, 1) if defect else 0.0)
        radius = 0.29 * SIDE
        found.append(Face(drawing.image, radius, defect is not None, drawing.group))
    return found


def write(faces: Sequence[Face], folder: Path, kind: str = "") -> None:
    """Write faces as a folder of classes, as another microscope shows them."""
    noise = np.random.default_rng(3)
    for number, face in enumerate(faces):
        shown = MICROSCOPES[kind](face.image, face.radius, noise) if kind else face.image
        path = folder / ("bad" if face.defective else "good") / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        if not cv2.imwrite(str(path), shown):
            raise OSError(f"Expected to write {path}.")


def command(*words: object) -> None:
    """Run a verb.

    Raises:
        RuntimeError: It failed.
    """
    if loupe([str(word) for word in words]):
        raise RuntimeError(f"Expected loupe {words[0]} to end well, but it did not.")


def scores_of(run: Path, folder: Path, out: Path) -> tuple[Floats, npt.NDArray[np.bool_], list[str]]:
    """Judge a folder of classes: scores, which are defective, and names."""
    command("predict", f"run={run}", f"source={folder}", f"out={out}", *QUIET)
    table = pd.read_csv(out / "predictions.csv")
    names = [Path(path).stem for path in table["image_path"]]
    bad = np.array([Path(path).parent.name == "bad" for path in table["image_path"]])
    return table["score"].to_numpy(float), bad, names


def microscopes(name: str, faces: list[Face], out: Path, seeds: int, wanted: Sequence[str]) -> tuple[Rows, Rows]:
    """Train on one microscope, and see what becomes of another: by labels, and by ten images more."""
    rng = np.random.default_rng(2)
    good = rng.permutation([place for place, face in enumerate(faces) if not face.defective])
    groups = {faces[place].group for place in good[: len(good) // 2]}
    learn = [face for face in faces if face.group in groups]
    rest = [face for face in faces if face.group not in groups]
    write(learn, out / "first")
    command("train", f"data.root={out / 'first'}", "model=patchcore", *BRIEF, f"out={out}", "name=run", "id=one")
    run, rows, labels = out / "run" / "one", [], []
    line = float(pd.read_json(run / "calibration.json", typ="series")["image"]["all"]["value"])
    ten = {face.group for face in [face for face in rest if not face.defective][:10]}
    for kind in wanted:
        place = out / kind
        write(rest, place / "all", kind)
        score_N, bad_N, names = scores_of(run, place / "all", place / "before")
        group_N = np.array([rest[int(stem)].group for stem in names])
        added = [stem for stem, bad in zip(names, bad_N, strict=True) if not bad and rest[int(stem)].group in ten]
        new = [place / "all" / "good" / f"{stem}.png" for stem in added]
        tested_N = ~np.isin(group_N, sorted(ten))
        command("extend", f"run={run}", f"data=[{','.join(map(str, new))}]")
        after_N, _, _ = scores_of(run, place / "all", place / "after")
        command("forget", f"run={run}", f"pictures=[{','.join(map(str, new))}]")
        again_N, _, _ = scores_of(run, place / "all", place / "again")
        rows.append(
            {
                "set": name,
                "microscope": kind,
                "before": _auroc(score_N, bad_N, tested_N),
                "extended by 10": _auroc(after_N, bad_N, tested_N),
                "good, defective": f"{int((tested_N & ~bad_N).sum())}, {int((tested_N & bad_N).sum())}",
                "largest change of a score after forget": float(np.abs(again_N - score_N).max()),
            }
        )
        if kind == wanted[-1]:
            labels = table_of(f"{name}, {kind}", Pool(score_N, bad_N, group_N, line), seeds)
            extended = Pool(after_N[tested_N], bad_N[tested_N], group_N[tested_N], line)
            labels += table_of(f"{name}, {kind}, extended", extended, seeds)
    return rows, labels


def _auroc(score_N: Floats, bad_N: npt.NDArray[np.bool_], tested_N: npt.NDArray[np.bool_]) -> str:
    return f"{roc_auc_score(bad_N[tested_N], score_N[tested_N]):.3f}"


def screw(root: Path, out: Path, seeds: int) -> Rows:
    """Label test images of one object, from a threshold that calls all of them defective."""
    words = [f"data.root={root}", "model=patchcore", "model.coreset_ratio=0.02", f"out={out}", "name=run", "id=one"]
    command("train", *words, *BRIEF)
    table = pd.read_csv(out / "run" / "one" / "predictions.csv")
    scores = table["score"].to_numpy(float)
    pool = Pool(scores, table["label_index"].to_numpy() == 1, table["name"].to_numpy(str), float(scores.min()))
    return table_of("screw", pool, seeds)


def main(args: Sequence[str] | None = None) -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", default=["fiber", "drawn", "screw"], choices=["fiber", "drawn", "screw"])
    parser.add_argument("--microscopes", nargs="+", default=list(MICROSCOPES), choices=list(MICROSCOPES))
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--drawn", type=int, default=150, help="drawn end faces")
    parser.add_argument("--out", type=Path, default=Path("runs/inspector"))
    options = parser.parse_args(args)
    seen: Rows = []
    labels: Rows = []
    for name in options.sets:
        out = options.out / name
        if name == "screw":
            labels += screw(options.data / "benchmark" / "screw", out, options.seeds)
            continue
        faces = real_faces(options.data / "fiber") if name == "fiber" else drawn_faces(options.drawn)
        rows, said = microscopes(name, faces, out, options.seeds, options.microscopes)
        seen, labels = seen + rows, labels + said
    for table in (seen, labels):
        if table:
            print(pd.DataFrame(table).to_markdown(index=False))


if __name__ == "__main__":
    main()
