"""What a person's verdicts bring: a simulated inspector, who always says the truth, labels and calibrates.

python -m benchmarks.inspector --data FOLDER [--sets NAME ...] [--splits N] [--first-split N] [--seeds N]
                              [--out FOLDER] [--with K=V ...]

FOLDER holds ``fiber`` and ``benchmark/screw``; drawn end faces need none. Two tables:

* **microscopes**: AUROC on another microscope, by the model as it is, and after ``loupe extend`` by ten good images of
  it, drawn at random and not tested; then ``loupe forget`` (what that leaves is shown of the last one). Beside them
  what can be had: by a model that learnt all its good faces as the other microscope shows them (``own``), and of the
  same tested faces as the first one shows them, by the model as it is (``first``). Then what is missed and falsely
  alarmed after the ten, by a threshold from the calibration images alone, and by the one that ``loupe extend`` chose.
  Each split is a training of its own, on another half of the good faces, or on faces drawn anew: means over splits
  (least to greatest).
* **labels**: of one model, the test images are halved by group, at random, once per seed. Verdicts are given on one
  half, in rounds of ten: the nearest to the threshold first, with one in ten at random or half of them (as by ``loupe
  label``), or all at random; after each round thresholds are chosen anew, as by ``loupe calibrate pool=false``. What
  was missed and falsely alarmed is counted on the other half, beside what a threshold does there that knows all of the
  labelled half (``all``), and the best of all thresholds, chosen on the very images (``any``). The threshold is wrong
  at first: for other microscopes it is that of the one before; for ``screw``, the lowest score. Intervals hold 95 of
  100 seeds.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import cv2
import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

from callbacks.decisions.choosing import Seen
from callbacks.policies.choice import choose_threshold
from callbacks.policies.f1 import F1
from callbacks.policies.normal import Normal
from datamodules.files.images import read_image
from datamodules.synthetic.drawing import Identity
from datamodules.synthetic.fiber import DEFECTS
from tools.cli import main as loupe
from tools.runs.run_folder import RunFolder
from tools.runs.thresholds import calibration_state

from .microscopes import MICROSCOPES, Scene, cut_scene, drawn_scene, first, planted
from .simulated_inspector import Pool, errors_at, simulate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TEN = 10  # good images of the other microscope
WAYS = {"one in ten at random": 0.1, "half at random": 0.5, "random": 1.0}  # others are the nearest to the threshold
BRIEF = ("trainer=cpu", "report=false", "data.num_workers=0", "callbacks.evaluation.resamples=10")
MOST = ("data.test_share=0.1", "data.calibration_share=0.2")  # of few good faces, most are to be learnt
QUIET = ("overlay=none", "mask=none", "page=0", "errors=ok")


class Face(NamedTuple):
    """An end face, its label, and its group."""

    scene: Scene
    defective: bool
    group: str


def told(values: Sequence[float]) -> str:
    """Say a mean over seeds, and where 95 of 100 seeds lie."""
    low, high = np.percentile(values, [2.5, 97.5])
    return f"{np.mean(values):.3f} ({low:.3f} to {high:.3f})"


Rows: TypeAlias = "list[dict[str, object]]"


def table_of(name: str, pools: Sequence[Pool], seeds: int) -> Rows:
    """Simulate with many seeds, spread over pools; one row per way and number of verdicts."""
    rows: Rows = []
    for way, share in WAYS.items():
        found = [row for seed in range(seeds) for row in simulate(pools[seed % len(pools)], share, seed)]
        for count, part in pd.DataFrame(found).groupby("verdicts"):
            row = {column: told(part[column].tolist()) for column in ("missed", "alarms")}
            mean = told(((part["missed"] + part["alarms"]) / 2).tolist())
            limits = {column: told(part[column].tolist()) for column in ("all", "any")}
            rows.append({"set": name, "order": way, "verdicts": count, **row, "mean": mean, **limits})
    return rows


def real_faces(root: Path) -> list[Face]:
    """Take the labelled end faces, and plant a drawn defect on a copy of every good one."""
    labels, rng, found = pd.read_csv(root / "labels.csv"), np.random.default_rng(0), []
    for name, label in zip(labels["image"], labels["label"], strict=True):
        if label in {"good", "defective"}:
            found.append(Face(cut_scene(read_image(root / name)), label == "defective", str(name)))
    for place, face in enumerate([face for face in found if not face.defective]):
        bad = planted(face.scene, DEFECTS[place % len(DEFECTS)], rng.uniform(0.5, 1), rng)
        found.append(Face(bad, True, face.group))
    return found


def drawn_faces(count: int, seed: int) -> list[Face]:
    """Draw end faces, every third of them with a defect."""
    found, rng = [], np.random.default_rng([seed, count])
    for group in range(count):
        defect = DEFECTS[group // 3 % len(DEFECTS)] if group % 3 == 2 else None
        identity = Identity(seed, "fiber", group, 0)
        scene = drawn_scene(identity, defect, rng.uniform(0.5, 1) if defect else 0.0)
        found.append(Face(scene, defect is not None, f"connector_{group}"))
    return found


def write(faces: Sequence[Face], folder: Path, kind: str = "") -> None:
    """Write faces as a folder of classes, as a microscope shows them; none: the first."""
    noise = np.random.default_rng(3)
    show = MICROSCOPES[kind] if kind else first
    for number, face in enumerate(faces):
        shown = show(face.scene, noise)
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


class Second(NamedTuple):
    """What becomes of a second microscope: scores before and after ten images of it are learnt, and forgotten.

    ``first`` are the same faces by the first microscope, ``own`` by a model of the second one; ``plain`` is a threshold
    after the ten, from the calibration images alone.
    """

    first: Pool
    before: Pool
    extended: Pool
    own: Pool
    plain: float
    tested_N: npt.NDArray[np.bool_]
    moved: float

    def auroc(self, pool: Pool) -> float:
        """AUROC on images that were not learnt."""
        return float(roc_auc_score(pool.bad_N[self.tested_N], pool.score_N[self.tested_N]))

    def errors(self, line: float) -> dict[str, float]:
        """Shares of missed and falsely alarmed images after the ten, by a threshold."""
        return errors_at(self.known.score_N, self.known.bad_N, line)

    @property
    def known(self) -> Pool:
        """What is left to be tested of the extended model."""
        pool, tested_N = self.extended, self.tested_N
        return Pool(pool.score_N[tested_N], pool.bad_N[tested_N], pool.group_N[tested_N], pool.threshold)


def microscopes(faces: list[Face], out: Path, kinds: Sequence[str], split: int, words: Sequence[str]) -> list[Second]:
    """Train on one microscope, and see what becomes of others by ten images more."""
    rng = np.random.default_rng(2 + split)
    good = rng.permutation([place for place, face in enumerate(faces) if not face.defective])
    groups = {faces[place].group for place in good[: len(good) // 2]}
    learn = [face for face in faces if face.group in groups and not face.defective]
    rest = [face for face in faces if face.group not in groups]
    write(learn, out / "first")
    train = ["train", f"data.root={out / 'first'}", "model=patchcore", *BRIEF, f"out={out}", "name=run", "id=one"]
    settings = [f"seed={split}", *MOST, *words]
    command(*train, *settings)
    ten = {faces[place].group for place in good[len(good) // 2 :][:TEN]}
    run = out / "run" / "one"
    write(rest, out / "known" / "all")
    first_N, bad_N, names = scores_of(run, out / "known" / "all", out / "known" / "before")
    groups_N = np.array([rest[int(stem)].group for stem in names])
    shown = Pool(first_N, bad_N, groups_N, line_of(run))
    found = []
    for kind in kinds:
        place = out / kind
        write(rest, place / "all", kind)
        write(learn, place / "own", kind)
        own = ["train", f"data.root={place / 'own'}", "model=patchcore", *BRIEF, f"out={place}", "name=run", "id=own"]
        command(*own, *settings)
        own_N, _, _ = scores_of(place / "run" / "own", place / "all", place / "by_own")
        pools = (shown, replace(shown, score_N=own_N))
        found.append(_second(run, pools, ten, place, again=kind == kinds[-1]))
    return found


def line_of(run: Path) -> float:
    """Return the threshold of images that a run has."""
    values = json.loads((run / "calibration.json").read_text(encoding="utf-8"))
    return float(values["image"]["all"]["value"])


def plain_line(run: Path, count: int) -> float:
    """Choose a threshold from so many calibration images of the training alone, by the policy of the run."""
    seen = [Seen(*row) for row in calibration_state(RunFolder(run))["scores"]][:count]
    return choose_threshold(F1(), [one.score for one in seen], [one.label_index for one in seen], Normal(0.99)).value


def _second(run: Path, known: tuple[Pool, Pool], ten: set[str], place: Path, *, again: bool) -> Second:
    line, count = line_of(run), len(calibration_state(RunFolder(run))["scores"])
    group_N = known[0].group_N
    score_N, bad_N, names = scores_of(run, place / "all", place / "before")
    taken_N = ~bad_N & np.isin(group_N, sorted(ten))
    added = [stem for stem, taken in zip(names, taken_N, strict=True) if taken]
    new = [place / "all" / "good" / f"{stem}.png" for stem in added]
    command("extend", f"run={run}", f"data=[{','.join(map(str, new))}]")
    after_N, _, _ = scores_of(run, place / "all", place / "after")
    line_of_ten, plain = line_of(run), plain_line(run, count)
    command("forget", f"run={run}", f"pictures=[{','.join(map(str, new))}]")
    again_N = scores_of(run, place / "all", place / "again")[0] if again else np.full(len(score_N), np.nan)
    before, after = Pool(score_N, bad_N, group_N, line), Pool(after_N, bad_N, group_N, line_of_ten)
    tested_N = ~np.isin(group_N, sorted(ten))
    return Second(known[0], before, after, known[1], plain, tested_N, float(np.abs(again_N - score_N).max()))


SHOWN: dict[str, Callable[[Second], Pool]] = {
    "before": lambda one: one.before,
    "extended by 10": lambda one: one.extended,
    "own": lambda one: one.own,
    "first": lambda one: one.first,
}
LINES: dict[str, Callable[[Second], float]] = {
    "by calibration images": lambda one: one.plain,
    "by the ten, too": lambda one: one.extended.threshold,
}


def row_of(name: str, kind: str, seconds: Sequence[Second]) -> dict[str, object]:
    """Tell of a kind of microscopes, over splits."""
    counts = [(int((one.tested_N & ~one.before.bad_N).sum()), int((one.tested_N & one.before.bad_N).sum()))
              for one in seconds]  # fmt: skip
    return {
        "set": name,
        "microscope": kind,
        **{name: spread([one.auroc(pool(one)) for one in seconds]) for name, pool in SHOWN.items()},
        **{
            f"missed, alarms {name}": ", ".join(
                f"{np.mean([one.errors(line(one))[what] for one in seconds]):.3f}" for what in ("missed", "alarms")
            )
            for name, line in LINES.items()
        },
        "good, defective": "; ".join(f"{good}, {bad}" for good, bad in sorted(set(counts))),
        "largest change of a score after forget": ""
        if np.isnan(seconds[0].moved)
        else max(one.moved for one in seconds),
    }


def spread(values: Sequence[float]) -> str:
    """Say a mean, the least and the greatest."""
    return f"{np.mean(values):.3f} ({min(values):.3f} to {max(values):.3f})"


def screw(root: Path, out: Path, seeds: int) -> Rows:
    """Label test images of one object, from a threshold that calls all of them defective."""
    words = [f"data.root={root}", "model=patchcore", "model.coreset_ratio=0.02", f"out={out}", "name=run", "id=one"]
    command("train", *words, *BRIEF)
    table = pd.read_csv(out / "run" / "one" / "predictions.csv")
    scores = table["score"].to_numpy(float)
    pool = Pool(scores, table["label_index"].to_numpy() == 1, table["name"].to_numpy(str), float(scores.min()))
    return table_of("screw", [pool], seeds)


def fibers(name: str, options: argparse.Namespace) -> tuple[Rows, Rows]:
    """Measure end faces of one set: a table of microscopes, and one of labels for the last of them."""
    found: dict[str, list[Second]] = {kind: [] for kind in options.microscopes}
    real = real_faces(options.data / "fiber") if name == "fiber" else []
    for split in range(options.first_split, options.first_split + options.splits):
        out = options.out / f"{name}_{split}"
        faces = real or drawn_faces(options.drawn, options.first_draw + split)
        seconds = microscopes(faces, out, options.microscopes, split, options.settings)
        for kind, second in zip(options.microscopes, seconds, strict=True):
            found[kind].append(second)
            print(name, kind, split, *(second.auroc(pool(second)) for pool in SHOWN.values()), flush=True)
    rows = [row_of(name, kind, seconds) for kind, seconds in found.items()]
    last = options.microscopes[-1]
    labels = table_of(f"{name}, {last}", [one.before for one in found[last]], options.seeds)
    return rows, labels + table_of(f"{name}, {last}, extended", [one.known for one in found[last]], options.seeds)


def main(args: Sequence[str] | None = None) -> None:
    """Measure, and print two tables in Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path())
    parser.add_argument("--sets", nargs="+", default=["fiber", "drawn", "screw"], choices=["fiber", "drawn", "screw"])
    parser.add_argument("--microscopes", nargs="+", default=list(MICROSCOPES), choices=list(MICROSCOPES))
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--first-split", type=int, default=0, help="number of the first of them")
    parser.add_argument("--seeds", type=int, default=100)
    parser.add_argument("--drawn", type=int, default=90, help="drawn end faces, of each split")
    parser.add_argument("--first-draw", type=int, default=5, help="seed of the first of them")
    parser.add_argument("--with", dest="settings", nargs="+", default=[], help="overrides of the training")
    parser.add_argument("--out", type=Path, default=Path("runs/inspector"))
    options = parser.parse_args(args)
    seen: Rows = []
    labels: Rows = []
    for name in options.sets:
        if name == "screw":
            labels += screw(options.data / "benchmark" / "screw", options.out / name, options.seeds)
            continue
        rows, said = fibers(name, options)
        seen, labels = seen + rows, labels + said
    for table in (seen, labels):
        if table:
            print(pd.DataFrame(table).to_markdown(index=False))


if __name__ == "__main__":
    main()
