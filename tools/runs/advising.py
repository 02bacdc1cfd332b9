"""The heavy half of ``loupe advise``: judge the labelled images, compare ways, and say which to take."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from callbacks.decisions.calibration import calibration_of
from callbacks.decisions.choosing import Seen
from callbacks.decisions.scopes import Scoped
from callbacks.statistics.crossed import gain, make_folds, measure
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.boxes import cut, parse_box
from datamodules.files.images import read_image
from datamodules.samples.dataset import image_tensor
from datamodules.table import DEFECTIVE, GOOD, read_table
from tools.runner.sources import find_images

from .alternatives import Material, as_it_is, classifier, head, moved_threshold, swapped
from .calibrating import choose
from .candidates import Unlabelled
from .checkpoint import read_checkpoint, restore
from .options import as_list
from .predicting import judge_of
from .reading import reading_of
from .run_files import SAMPLES
from .run_folder import RunFolder
from .thresholds import calibration_state, learnt_of

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt
    from omegaconf import DictConfig

    from callbacks.statistics.bootstrap import Estimate
    from callbacks.statistics.crossed import Measured
    from datamodules.files.images import Array
    from models.base import InspectionModel

    from .alternatives import Way
    from .candidates import Candidates
    from .trained import Trained

ADVICE, JSON_NAME, CSV_NAME = "advice", "advice.json", "advice.csv"
NOW = "as it is"
COMMANDS = {
    "threshold": "loupe calibrate {run} {labels} pool=false",
    "swap": "loupe train {data} model={swap}",
    "classifier": "loupe train {data} model=patch_classifier",
}


class Compared(NamedTuple):
    """One way, measured, and how much less it errs than the run as it is."""

    name: str
    way: Way
    measured: Measured
    gain: Estimate


def advise(trained: Trained, folder: RunFolder, found: Candidates) -> str:
    """Compare what labels would bring; return it in words, and write it as tables.

    Raises:
        DataError: There are too few labels, or an image cannot be judged.
    """
    config, labelled = trained.config, found.labelled
    label_N, group_N = labelled["label_index"].to_numpy(int), labelled["group"].astype(str).tolist()
    try:
        folds = make_folds(label_N, group_N, int(config.folds), int(config.seed))
    except ValueError as error:
        raise DataError(f"{error} The labels are those of {found.source}.") from error
    material = gather(trained, folder, labelled, folds)
    ways, skipped = _ways(material, folder, config)
    now = ways[NOW].judged
    compared = [
        Compared(name, way, measure(way.judged, label_N, group_N), gain(now, way.judged, label_N, group_N))
        for name, way in ways.items()
    ]
    best = choose_way(compared, label_N, group_N)
    next_images = _next(material, _unlabelled(trained, folder, found), int(config.next))
    out = RunFolder(Path(str(config.out)).expanduser() if config.out is not None else folder.path / ADVICE)
    out.path.mkdir(parents=True, exist_ok=True)
    _write(out, compared, best, next_images, found)
    lines = [
        f"{counted(label_N)} of {found.source}; {len(folds)} folds by group.",
        *_cautions(found),
        *_table(compared),
        *[f"{name} was not compared: {why}." for name, why in skipped.items()],
        _advice(best, compared, trained, found),
        *_named(next_images),
        f"Written to {out.path / JSON_NAME} and {CSV_NAME}.",
    ]
    return "\n".join(lines)


def counted(label_N: npt.NDArray[np.intp]) -> str:
    """Count labels in words."""
    return f"{int((label_N == 0).sum())} good and {int((label_N == 1).sum())} defective labels"


def gather(trained: Trained, folder: RunFolder, labelled: pd.DataFrame, folds: list[Any]) -> Material:
    """Read and judge the labelled images.

    Raises:
        DataError: One cannot be read.
    """
    config = trained.config.copy()
    config.update({"image_threshold": None, "pixel_threshold": None})
    reading = reading_of(config.data)
    values = [_read(row) for row in labelled.to_dict("records")]
    started = time.perf_counter()
    judge = judge_of(trained._replace(config=config), reading)
    seen_N = []
    for row, result in zip(labelled.to_dict("records"), judge.stream(values), strict=True):
        if result.error or result.anomaly_map is None:
            raise DataError(f"Expected to judge every image that is labelled, but {row['image']} {result.error}")
        peak = float(result.placed.frame.of(result.anomaly_map).max())
        seen_N.append(Seen(result.score, int(row["label_index"]), peak, str(row["kind"])))
    seconds = time.perf_counter() - started
    module: InspectionModel = restore(read_checkpoint(trained.checkpoint)).eval()
    state = calibration_state(folder)
    return Material(
        image_N3HW=torch.stack([image_tensor(value, reading) for value in values]),
        seen_N=seen_N,
        scoped=Scoped.from_dict(state["image"]),
        calibration=calibration_of(module),
        module=module,
        folds=folds,
        seconds=seconds,
    )


def choose_way(compared: list[Compared], label_N: Any, group_N: list[str]) -> Compared:
    """Take the cheapest way that the labels cannot tell from the best: mean of missed defects and false alarms."""
    best = min(compared, key=lambda one: (one.measured.errors.value, one.way.minutes))
    for one in sorted(compared, key=lambda one: one.way.minutes):
        worse = gain(one.way.judged, best.way.judged, label_N, group_N)
        if worse.low <= 0:
            return one
    return best


def _ways(material: Material, folder: RunFolder, config: DictConfig) -> tuple[dict[str, Way], dict[str, str]]:
    """Try all that was asked for; say why one was not."""
    known: dict[str, Callable[[], Way]] = {
        "threshold": lambda: moved_threshold(material),
        "swap": lambda: swapped(material, folder, config, swap_of(config)),
        "head": lambda: head(material, int(config.seed)),
        "classifier": lambda: classifier(material, int(config.epochs), int(config.seed)),
    }
    found, skipped = {NOW: as_it_is(material)}, {}
    tiled = material.module.tiling is not None
    for name in config.ways:
        if tiled and name in {"swap", "classifier"}:
            skipped[name] = "the run judges tiles, whose labels nobody knows"
            continue
        try:
            found[name] = known[name]()
        except (DataError, ValueError) as error:
            skipped[name] = str(error).rstrip(".")
    return found, skipped


def swap_of(config: DictConfig) -> str:
    """Name the model that takes the run's place."""
    if config.swap is not None:
        return str(config.swap)
    return "patchcore" if not str(config.model["_target_"]).endswith(".PatchCore") else "padim"


def _read(row: dict[Any, Any]) -> Array:
    try:
        values = read_image(Path(row["file"]))
    except (OSError, UnreadableImageError) as error:
        raise DataError(f"Expected to read every image that is labelled, but: {error}") from error
    return cut(values, parse_box(row["box"])) if row["box"] else values


def _unlabelled(trained: Trained, folder: RunFolder, found: Candidates) -> list[Unlabelled]:
    """List images that nobody labelled, with scores: those of ``source``, judged now, where it is given.

    What the data of the training calls good or defective is labelled, too, and so is what the model learnt since.
    """
    if trained.config.source is None:
        return found.unlabelled
    table = read_table(folder.path / SAMPLES)
    ours = table["image_path"][table["label_index"].isin([GOOD, DEFECTIVE])]
    known = {str(Path(file).resolve()) for file in (*found.labelled["file"], *ours, *learnt_of(folder))}
    images = [one for one in find_images(as_list(trained.config.source)) if str(Path(one.name).resolve()) not in known]
    config = trained.config.copy()
    config.update({"image_threshold": None, "pixel_threshold": None})
    judge = judge_of(trained._replace(config=config), reading_of(config.data))
    results = judge.stream(one.read() for one in images)
    return [
        Unlabelled(image.name, result.score, result.kind)
        for image, result in zip(images, results, strict=True)
        if not result.error
    ]


def _next(material: Material, unlabelled: list[Unlabelled], count: int) -> list[dict[str, Any]]:
    """Name the unlabelled images that lie nearest to the threshold that all labels give."""
    scoped = choose(material.calibration, material.seen_N)
    rows: list[dict[str, Any]] = [
        {"image": item.name, "score": item.score, "threshold": scoped.of_kind(item.kind)}
        for item in unlabelled
        if math.isfinite(item.score)
    ]
    rows.sort(key=lambda row: (abs(row["score"] - row["threshold"]), row["image"]))
    return rows[:count]


def _cautions(found: Candidates) -> list[str]:
    lines = []
    near = int((found.labelled["picked"].str.lower() == "nearest").sum())
    if near:
        lines.append(
            f"{near} of them were picked for being near the threshold: they are harder than images to come, for every "
            "way alike; shares below are theirs."
        )
    if found.of_test:
        lines.append("Whatever is chosen by the test images, they cannot test any more: label others for that.")
    return lines


def _table(compared: list[Compared]) -> list[str]:
    head_line = f"  {'':11}{'AUROC':23}{'missed':23}{'false alarms':23}{'mean of both':23}{'minutes':>8}"
    return [head_line, *[f"  {one.name:11}{_figures(one.measured)}{one.way.minutes:8.2f}" for one in compared]]


def _figures(measured: Measured) -> str:
    return "".join(
        f"{f'{one.value:.3f} ({one.low:.3f} to {one.high:.3f})':23}"
        for one in (measured.auroc, measured.missed, measured.alarms, measured.errors)
    )


def _advice(best: Compared, compared: list[Compared], trained: Trained, found: Candidates) -> str:
    fewest = min(compared, key=lambda one: one.measured.errors.value)
    if best.name == NOW:
        advice = "Leave the run as it is: no other way errs less on these labels by more than chance explains."
        return advice if fewest.name == NOW else f"{advice} Label more to tell {fewest.name} from it."
    sure = (
        ""
        if best.gain.low > 0
        else " These labels alone do not show it to be better than the run as it is: label more."
    )
    text = (
        f"Take {best.name} ({best.way.about}): it errs less by {best.gain.value:.3f} ({best.gain.low:.3f} to "
        f"{best.gain.high:.3f}).{sure}"
    )
    if best.name == "head":
        text += " No verb puts such a head into a run yet: it shows that the labels hold more than a threshold can use."
    if best.name in COMMANDS:
        run = trained.folder.path if trained.folder is not None else ""
        source = found.source if not found.of_test else ""
        labels = f"journal={source}" if source.endswith(".jsonl") else f"labels={source}" if source else "labels=CSV"
        data = f"data.root={trained.config.data.root}"
        text += f" Next: {COMMANDS[best.name].format(run=run, labels=labels, data=data, swap=swap_of(trained.config))}"
    return text


def _named(rows: list[dict[str, Any]]) -> list[str]:
    if not rows:
        return ["No unlabelled image with a score is known; set source=IMAGES."]
    names = ", ".join(f"{row['image']} ({row['score']:.6g})" for row in rows)
    return [f"Label next, the nearest to the threshold {rows[0]['threshold']:.6g} that all labels give: {names}."]


def _write(
    out: RunFolder, compared: list[Compared], best: Compared, rows: list[dict[str, Any]], found: Candidates
) -> None:
    table = [
        {
            "way": one.name,
            "about": one.way.about,
            "minutes": one.way.minutes,
            **{
                f"{name}{end}": getattr(estimate, part)
                for name, estimate in (*one.measured.__dict__.items(), ("gain", one.gain))
                for end, part in (("", "value"), ("_low", "low"), ("_high", "high"))
            },
        }
        for one in compared
    ]
    image_rows = pd.DataFrame(
        {"image": found.labelled["image"], "label_index": found.labelled["label_index"]}
        | {f"{one.name} score": one.way.judged.score_N for one in compared}
        | {f"{one.name} called": np.asarray(one.way.judged.called_N, int) for one in compared}
    )
    advice = {"labels": found.source, "take": best.name, "ways": table, "next": rows}
    out.write_text(JSON_NAME, json.dumps(advice, indent=2, ensure_ascii=False) + "\n")
    out.write_text(CSV_NAME, image_rows.to_csv(index=False, lineterminator="\n"))
