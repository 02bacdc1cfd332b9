"""The heavy half of ``loupe calibrate``: judge what people labelled, and choose thresholds from it.

Letters: N labelled images.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from callbacks.decisions.calibration import calibration_of
from callbacks.decisions.choosing import Seen, choose_image_thresholds
from callbacks.decisions.meaning import fit_seen
from callbacks.decisions.moving import follow, set_pixel_threshold
from callbacks.decisions.scopes import Scoped
from callbacks.statistics.bootstrap import wilson
from datamodules.errors import DataError
from datamodules.layouts.label_table import read_labels
from datamodules.layouts.words import WORDS, plain
from datamodules.table import DEFECTIVE, GOOD

from .checkpoint import build_module
from .predicting import judge_of
from .reading import reading_of
from .thresholds import Move, calibration_state, keep_thresholds, learnt_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from callbacks.decisions.calibration import Calibration

    from .run_folder import RunFolder
    from .trained import Trained

LABELS = "calibration_labels.csv"
AUTO, WEIGHTED, RANDOM = "auto", "weighted", "random"
SHOWN = 5
OWN_KEYS = {"image_threshold": None, "pixel_threshold": None}  # that a judge asks for
LABEL_OF = {"good": GOOD, "defective": DEFECTIVE}


class Labelled(NamedTuple):
    """An image that somebody labelled, and what the model makes of it.

    Attributes:
        image: As the table names it.
        picked: How it came to be labelled, in the table's word.
        seen: Its score, label, highest value of its map, and kind.
        weight: How many images it stands for.
    """

    image: str
    picked: str
    seen: Seen
    weight: float = 1.0


def calibrate(trained: Trained, folder: RunFolder, who: str) -> str:
    """Choose thresholds from labels; write them, unless ``dry``; return what changed, in words.

    Raises:
        ConfigError: The run is at work, or its checkpoint is not whole.
        DataError: The labels name no image, one that cannot be judged, or none that counts.
    """
    config = trained.config
    wanted = read_wanted(Path(str(config.labels)).expanduser(), random=config.use == RANDOM)
    weighed = "weight" in wanted and config.use in {AUTO, WEIGHTED}
    if config.use == WEIGHTED and not weighed:
        raise DataError(
            f"Expected {config.labels} to have a column weight, as loupe label writes it, but found none; set "
            "use=all, or use=random."
        )
    wanted, known_ones = _leave_out_learnt(wanted, folder)
    labelled = _judged(trained, wanted)
    state = calibration_state(folder)
    known = [Seen(*row) for row in state["scores"]] if config.pool else []
    before = {level: Scoped.from_dict(state[level]) for level in ("image", "pixel")}
    seen_N = [*known, *(evened(labelled) if weighed else [one.seen for one in labelled])]
    calibration = calibration_of(build_module(config))
    after = choose_again(calibration, before, seen_N, who)
    probability, sentences = refit(calibration, seen_N)
    lines = [
        *known_ones,
        *_cautions(labelled, pooled=len(known), weighed=weighed),
        *_effect(labelled, before["image"], after["image"], weighed=weighed),
        *sentences,
    ]
    if config.dry:
        return "\n".join([*lines, *_values(before, after), "Nothing was changed (dry=true)."])
    note = str(config.note) or f"calibrated by {len(labelled)} labels of {config.labels}"
    note_of_run = keep_thresholds(folder, after, Move(None, None, "", who, note), probability)
    _keep_labels(folder, labelled)
    return "\n".join([*lines, note_of_run])


def read_wanted(path: Path, *, random: bool) -> pd.DataFrame:
    """Read the labels that count: ``image``, ``label_index``, ``file``, ``kind`` and ``picked``.

    Args:
        path: The table.
        random: Leave out what was not picked at random.

    Raises:
        DataError: It is not such a table, a label means nothing, or none is left.
    """
    table = read_labels(path)
    for column in ("kind", "picked"):
        table[column] = table[column].str.strip() if column in table else ""
    words = [WORDS.get(plain(label)) if label.strip() else "unknown" for label in table["label"]]
    for image, label, word in zip(table["image"], table["label"], words, strict=True):
        if word is None:
            raise DataError(f"Expected labels in {path} to be good or defective, but found {label!r} for {image}.")
    table["label_index"] = [LABEL_OF.get(str(word), -1) for word in words]
    table = table[table["label_index"] >= GOOD]
    if random:
        table = table[table["picked"].str.lower() == RANDOM]
    if table.empty:
        which = "picked at random" if random else "good or defective"
        raise DataError(f"Expected {path} to hold labels that are {which}, but found none.")
    table["file"] = [str(path.parent / image) for image in table["image"]]
    if "weight" in table:
        table["weight"] = [
            _weight(weight, image, path) for weight, image in zip(table["weight"], table["image"], strict=True)
        ]
    return table.reset_index(drop=True)


def evened(labelled: Sequence[Labelled]) -> list[Seen]:
    """Make of weighed images a sample like one that was picked at random, class by class and kind by kind.

    It holds as many images as the weights are worth, (sum w)^2 / sum w^2 (Kish, Survey Sampling, 1965, 11.2), at even
    steps of the weighed order of scores: no policy takes more from it than there is.
    """
    groups: dict[tuple[int, str], list[Labelled]] = {}
    for one in labelled:
        groups.setdefault((one.seen.label_index, one.seen.kind), []).append(one)
    found: list[Seen] = []
    for group in groups.values():
        ordered = sorted(group, key=lambda one: one.seen.score)
        weight_N = np.array([one.weight for one in ordered])
        count = max(1, round(worth(weight_N)))
        steps = (np.arange(count) + 0.5) / count * weight_N.sum()
        found += [ordered[place].seen for place in np.searchsorted(np.cumsum(weight_N), steps)]
    return found


def worth(weight_N: npt.NDArray[np.float64]) -> float:
    """Return how many images of a random sample would say as much as these do: Kish's effective size."""
    return float(weight_N.sum() ** 2 / (weight_N**2).sum())


def refit(calibration: Calibration, seen_N: Sequence[Seen]) -> tuple[dict[str, Any] | None, list[str]]:
    """Fit the probability of a defect anew; return what is kept of it, None where nobody asked, and what to say."""
    if calibration.probability is None:
        return None, []
    fitted = fit_seen(calibration.probability, calibration.policy, seen_N)
    if isinstance(fitted, str):
        return None, [f"The probability of a defect stays as it was: {fitted}"]
    entry = {"probability": fitted.to_dict(), "probability_note": ""}
    return entry, [f"The probability of a defect was fitted anew ({fitted.method}). {fitted.promise}"]


def choose(calibration: Calibration, seen_N: Sequence[Seen]) -> Scoped:
    """Choose thresholds of images as the policy of a run does.

    Raises:
        DataError: It cannot choose from them.
    """
    try:
        return choose_image_thresholds(
            calibration.policy,
            calibration.fallback,
            seen_N,
            calibration.min_images,
            by_kind="kind" in calibration.scopes,
            nothing=calibration.nothing,
        )
    except ValueError as error:
        raise DataError(str(error)) from error


def choose_again(
    calibration: Calibration, before: dict[str, Scoped], seen_N: Sequence[Seen], who: str
) -> dict[str, Scoped]:
    """Choose thresholds of images by a policy; those of pixels follow, since labels of images say nothing of pixels.

    Raises:
        DataError: The policy cannot choose from them.
    """
    image = choose(calibration, seen_N)
    pixel = before["pixel"]
    for kind in ("", *pixel.kind):
        threshold = pixel.of_kind(kind)
        value = follow(before["image"].of_kind(kind), image.of_kind(kind), threshold, seen_N)
        if value != threshold:
            pixel = set_pixel_threshold(pixel, value, f"Follows that of images, calibrated anew by {who}.", kind)
    return {"image": image, "pixel": pixel}


def _leave_out_learnt(wanted: pd.DataFrame, folder: RunFolder) -> tuple[pd.DataFrame, list[str]]:
    """Leave out labels of images that the model learnt, which it knows better than any to come; say how many.

    Raises:
        DataError: None is left.
    """
    learnt = {str(Path(path).resolve()) for path in learnt_of(folder)}
    known = wanted["file"].map(lambda file: str(Path(file).resolve()) in learnt)
    if known.all():
        raise DataError(
            f"Expected labels of images that the model did not learn, but it learnt all {len(wanted)} of them: label "
            "others."
        )
    count = int(known.sum())
    remark = (
        f"{count} {'label is' if count == 1 else 'labels are'} of what the model learnt, and left out: it knows that."
    )
    return wanted[~known].reset_index(drop=True), [remark] if count else []


def _judged(trained: Trained, wanted: pd.DataFrame) -> list[Labelled]:
    config = trained.config.copy()
    config.update(OWN_KEYS)
    judge = judge_of(trained._replace(config=config), reading_of(config.data))
    found = []
    for row, result in zip(wanted.to_dict("records"), judge.stream(wanted["file"]), strict=True):
        if result.error or result.anomaly_map is None:
            raise DataError(f"Expected to judge every image that is labelled, but {row['image']} {result.error}")
        seen = Seen(result.score, int(row["label_index"]), float(result.anomaly_map.max()), str(row["kind"]))
        found.append(Labelled(str(row["image"]), str(row["picked"]), seen, float(row.get("weight", 1.0))))
    return found


def _weight(text: str, image: str, path: Path) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise DataError(f"Expected weights in {path} to be above 0 and finite, but found {text!r} for {image}.")
    return found


def _cautions(labelled: Sequence[Labelled], pooled: int, *, weighed: bool) -> list[str]:
    """Say what the thresholds rest on, and how far that can be trusted."""
    counts = {name: sum(one.seen.label_index == label for one in labelled) for name, label in LABEL_OF.items()}
    lines = [
        f"{counts['good']} good and {counts['defective']} defective labels"
        + (
            f", beside {pooled} calibration images (of the training, and added since)."
            if pooled
            else ", and nothing else."
        )
    ]
    biased = [one for one in labelled if one.picked.lower() != RANDOM]
    if weighed:
        worths, total = worth(np.array([one.weight for one in labelled])), sum(one.weight for one in labelled)
        lines.append(
            f"Each counts for as many images as it stands for (column weight): {total:.0f} in all; that is worth "
            f"{worths:.1f} images picked at random."
        )
    elif biased:
        lines.append(
            f"{len(biased)} of {len(labelled)} labels were not picked at random (column picked): if they were picked "
            "for being near the threshold, what is promised of new images does not hold; use=random leaves them out, "
            "and the labels.csv of loupe label says how many images each stands for."
        )
    if counts["good"] + pooled < 10:
        lines.append("Fewer than ten images, good ones among them, are too few to say what is usual; label more.")
    return lines


def _effect(labelled: Sequence[Labelled], before: Scoped, after: Scoped, *, weighed: bool) -> list[str]:
    """Say what old and new thresholds make of the labelled images, with intervals, and which verdicts change."""
    scopes = (("before", before), ("after", after))
    lines = [f"  {name}: {_rates(labelled, scoped)}" for name, scoped in scopes]
    if weighed:
        lines += [
            f"  {name}, of all images that they stand for: {_shares(labelled, scoped)}" for name, scoped in scopes
        ]
    flips = [one for one in labelled if _called(one, before) != _called(one, after)]
    names = ", ".join(f"{one.image} ({one.seen.score:.6g})" for one in flips[:SHOWN])
    more = f" and {len(flips) - SHOWN} more" if len(flips) > SHOWN else ""
    return [*lines, f"Verdicts that change: {f'{len(flips)}: {names}{more}' if flips else 'none'}."]


def _rates(labelled: Sequence[Labelled], scoped: Scoped) -> str:
    rates = []
    for label, what in ((DEFECTIVE, "defective found"), (GOOD, "good called defective")):
        called = [_called(one, scoped) for one in labelled if one.seen.label_index == label]
        if called:
            low, high = wilson(float(np.mean(called)), len(called))
            rates.append(f"{sum(called)} of {len(called)} {what} (95 % interval {low:.3f} to {high:.3f})")
    return "; ".join(rates)


def _shares(labelled: Sequence[Labelled], scoped: Scoped) -> str:
    rates = []
    for label, what in ((DEFECTIVE, "defective found"), (GOOD, "good called defective")):
        group = [one for one in labelled if one.seen.label_index == label]
        if group:
            weight_N = np.array([one.weight for one in group])
            share = float(np.average([_called(one, scoped) for one in group], weights=weight_N))
            low, high = wilson(share, worth(weight_N))
            rates.append(f"{100 * share:.3g} % {what} (95 % interval {low:.3f} to {high:.3f})")
    return "; ".join(rates)


def _called(one: Labelled, scoped: Scoped) -> bool:
    return bool(np.float32(one.seen.score) >= np.float32(scoped.of_kind(one.seen.kind)))


def _values(before: dict[str, Scoped], after: dict[str, Scoped]) -> list[str]:
    return [
        f"{level} threshold of all: {before[level].all.value:.6g} -> {after[level].all.value:.6g}" for level in before
    ]


def _keep_labels(folder: RunFolder, labelled: Sequence[Labelled]) -> None:
    """Keep what the thresholds rest on beside them."""
    rows: list[dict[str, Any]] = [
        {"image": one.image, "picked": one.picked, "weight": one.weight, **one.seen._asdict()} for one in labelled
    ]
    folder.write_text(LABELS, pd.DataFrame(rows).to_csv(index=False, lineterminator="\n"))
