"""An inspector who always says the truth: what thresholds do once some of the images are labelled.

Letters: N images.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from callbacks.decisions.choosing import Seen
from callbacks.policies.choice import choose_threshold
from callbacks.policies.f1 import F1
from tools.labelling.queue import Queue, Scored
from tools.labelling.weighing import weights_of
from tools.runs.calibrating import Labelled, evened

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ROUND = 10  # verdicts after which thresholds are chosen anew
VERDICTS = (0, 10, 20, 30, 50)


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
            every = float(np.mean([*errors_at(other_N, truth_N, _of_all(score_N, bad_N)).values()]))
            best = _best(other_N, truth_N)
            found.append({"verdicts": count, **errors_at(other_N, truth_N, line), "all": every, "any": best})
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


def _of_all(score_N: Floats, bad_N: npt.NDArray[np.bool_]) -> float:
    """Choose a threshold from all images of a half."""
    return choose_threshold(F1(), score_N, bad_N.astype(int)).value


def errors_at(score_N: Floats, bad_N: npt.NDArray[np.bool_], line: float) -> dict[str, float]:
    """Return the shares of defective images that are missed, and of good ones that are called defective."""
    called_N = score_N.astype(np.float32) >= np.float32(line)
    return {"missed": float((~called_N[bad_N]).mean()), "alarms": float(called_N[~bad_N].mean())}


def _best(score_N: Floats, bad_N: npt.NDArray[np.bool_]) -> float:
    """Return the least mean of both shares that any threshold reaches."""
    lines = [*np.unique(score_N), np.inf]
    return min(sum(errors_at(score_N, bad_N, line).values()) / 2 for line in lines)
