"""Which features to use on a data set, by defects planted into its own good images: no defect and no test is touched.

First all backbones are tried as they are, then the best of them in mirrors, at more levels, with another score, without
the ground about parts, on larger images, and beside the next best, as far as the time goes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from callbacks.report.wording import share, span
from callbacks.statistics.bootstrap import Estimate, Resampling
from callbacks.statistics.intervals import image_intervals
from callbacks.statistics.paired import Judged, paired_differences
from datamodules.progress import tell
from datamodules.zones.foreground import PLAIN, Foreground
from models.errors import WeightsError
from models.features.mirrors import MIRRORS
from tools.errors import ConfigError

from .candidates import BARE, Candidate, at_hand, side_by_side
from .trials import Material, Trial, choose_material, run_trial

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    import numpy.typing as npt

    from callbacks.statistics.curves import FloatArray
    from datamodules.base import InspectionDataModule

ERRS = 0.05  # how often a lead may be believed that is none, over all that are tried
TOO_FEW = "Features: too few good pictures outside the test split to compare any."
LARGER = 1.5  # times the side of the images
FINER = 4  # times as many patches, at stride 4
MOSTLY = 0.75  # of images, on which a part stands out from its ground, so that it is worth trying to leave that out


class Compared(NamedTuple):
    """A trial, and how it stands to the first.

    Attributes:
        trial: Its scores and costs.
        auroc: Of planted defects.
        lead: Over the first, on the same images.
    """

    trial: Trial
    auroc: Estimate
    lead: Estimate


class Advice(NamedTuple):
    """What came of a comparison.

    Attributes:
        compared: All that were tried, the usual features first.
        chosen: The one to use.
        untried: Names of what was not tried, with the reason.
        material: Images that it is about.
    """

    compared: list[Compared]
    chosen: Compared
    untried: dict[str, str]
    material: Material


def advise_features(datamodule: InspectionDataModule, names: Sequence[str], minutes: float) -> Advice | None:
    """Compare features; None where there are too few good images.

    Args:
        datamodule: Divided.
        names: Of backbones, the usual one first.
        minutes: After which no other trial is begun.

    Raises:
        WeightsError: The usual features cannot be had.
    """
    material = choose_material(datamodule)
    if material is None:
        return None
    candidates, untried = at_hand(names)
    trials: list[Trial] = []
    until = time.perf_counter() + 60 * minutes
    for candidate in candidates_of(candidates, trials, material):
        if trials and time.perf_counter() + expected_seconds(candidate, trials) > until:
            untried[candidate.name] = f"the time of {minutes:g} minutes was over (minutes=)"
            continue
        try:
            trials.append(run_trial(candidate, material))
        except (ConfigError, WeightsError, ValueError) as error:
            if not trials:
                raise
            untried[candidate.name] = str(error)
            continue
        tell(in_words(compare([trials[0], trials[-1]], material)[-1]) + time_left(trials, len(candidates)))
    compared = compare(trials, material)
    return Advice(compared, choose(compared), untried, material)


def candidates_of(backbones: Sequence[Candidate], trials: Sequence[Trial], material: Material) -> Iterator[Candidate]:
    """Yield what to try next: ``trials`` is read again as it grows."""
    yield from backbones
    ranked = ranking(trials, material)
    yield from further(ranked[:1], material)
    learnt = [one for one in ranked if one.backbones != (BARE,)]
    if len(learnt) > 1:
        yield side_by_side(*learnt[:2])


def further(backbones: Sequence[Candidate], material: Material) -> Iterator[Candidate]:
    """Yield what else could be done with backbones: mirrors, scores, places, ground, levels, larger images."""
    datamodule = material.datamodule
    stands_out = datamodule.foreground is None and parts_found(material) >= MOSTLY
    for one in backbones:
        if stands_out:
            yield one.also(f"data.foreground={PLAIN}")
        if one.backbones != (BARE,):
            yield one.also("backbone.mirrored=true", pixels=len(MIRRORS))
        yield one.also("model.score=top_mean")
        yield one.also("model.position=1")
        yield one.also("backbone.layers=[1,2,3]", pixels=FINER)
    side = [round(LARGER * length / 2) * 2 for length in datamodule.image_size]
    if (datamodule.samples[["height", "width"]].median() >= side).all():
        for one in backbones:
            yield one.also(f"data.image_size=[{side[0]},{side[1]}]", pixels=LARGER**2)


def expected_seconds(candidate: Candidate, trials: Sequence[Trial]) -> float:
    """Guess how long a trial will take, by those before."""
    per_pixel = [one.seconds / one.candidate.pixels for one in trials]
    return candidate.pixels * sum(per_pixel) / len(per_pixel)


def time_left(trials: Sequence[Trial], backbones: int) -> str:
    """Say how long the backbones that are not tried yet will take, as the others did; empty where there are none."""
    more = backbones - len(trials)
    seconds = more * sum(one.seconds for one in trials) / len(trials)
    return f"; {more} more, about {seconds:.0f} s left" if more > 0 else ""


def ranking(trials: Sequence[Trial], material: Material) -> list[Candidate]:
    """Return the candidates so far, that with the highest AUROC first."""
    return [one.trial.candidate for one in sorted(compare(trials, material), key=lambda one: -one.auroc.value)]


def parts_found(material: Material) -> float:
    """Return the share of the images held out on which a part stands out from a plain ground."""
    dataset = material.datamodule.dataset(material.held)
    dataset.reading = dataset.reading._replace(foreground=Foreground())
    return sum(dataset[index].foreground is not None for index in range(len(dataset))) / len(dataset)


def compare(trials: Sequence[Trial], material: Material) -> list[Compared]:
    """Measure trials, and their leads over the first; images and what was planted into them are drawn together.

    Intervals of leads are as wide as so many questions ask for (Bonferroni).
    """
    labels, first = material.labels, trials[0].score_N
    wide = Resampling(confidence=1 - ERRS / max(1, len(trials) - 1))
    return [
        Compared(
            trial,
            image_intervals(trial.score_N, labels, material.groups)["auroc"],
            widest([lead_over(first, trial.score_N, labels, by, wide) for by in (material.groups, material.images)]),
        )
        for trial in trials
    ]


def lead_over(
    first_N: FloatArray,
    other_N: FloatArray,
    label_N: npt.NDArray[np.int64],
    by_N: npt.NDArray[np.str_],
    resampling: Resampling,
) -> Estimate:
    """Say by how much AUROC other scores lead the first ones (N,), where what ``by_N`` names is drawn anew."""
    nobody = np.zeros(len(label_N), np.bool_)
    return paired_differences(Judged(other_N, nobody), Judged(first_N, nobody), label_N, by_N, resampling)["auroc"]


def widest(estimates: Sequence[Estimate]) -> Estimate:
    """Join intervals of one value: groups that are alike narrow them where there are few, and so do images of one."""
    return Estimate(estimates[0].value, min(one.low for one in estimates), max(one.high for one in estimates))


def choose(compared: Sequence[Compared]) -> Compared:
    """Take the best of those that lead beyond chance; the first, where none does."""
    return max((one for one in compared if one.lead.low > 0), key=lambda one: one.auroc.value, default=compared[0])


def in_words(one: Compared) -> str:
    """Say how a candidate did, in a line."""
    trial = one.trial
    return (
        f"{trial.candidate.name}: AUROC {share(one.auroc.value)} ({span(one.auroc.low, one.auroc.high)}) of planted "
        f"defects, {trial.milliseconds:.0f} ms a picture, bank of {trial.megabytes:.1f} MB, tried in "
        f"{trial.seconds:.0f} s"
    )
