"""A training of each kind: one run for all images, one for every kind that has enough of its own, and one page."""

from __future__ import annotations

import re
import shlex
import sys
from datetime import datetime
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd
from omegaconf import DictConfig, OmegaConf
from scipy.stats import binomtest

from callbacks.measures.images import RATES, image_estimates
from callbacks.measures.plain import plain
from callbacks.report.by_kind import ByKindContent, KindRow, render_by_kind
from callbacks.report.facts import confusion, verdict
from callbacks.statistics.bootstrap import Resampling
from callbacks.statistics.paired import Judged, paired_differences
from datamodules.files.csv_text import csv_text
from datamodules.kinds import FindsKinds, KindByName
from datamodules.table import CALIBRATION as HELD
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, TRAIN, UNKNOWN
from tools.configuring.build import build
from tools.errors import ConfigError
from tools.signals import keeping_note

from .environment import describe_command
from .ownership import owned
from .pooling import read_predictions
from .reporting import subject
from .resuming import resume
from .run_files import BY_KIND, CALIBRATION, CONFIG, ENVIRONMENT, METRICS, PREDICTIONS, REPORT, SAMPLES, SHARED
from .run_folder import RunFolder
from .run_state import note_state, state_of
from .training import train

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from datamodules.base import InspectionDataModule

FEWEST_TRAIN, FEWEST_CALIBRATION = 10, 5
"""Training images, and good calibration images, from which on a kind has a model of its own."""


LEVEL = 0.05
"""Of the test against the shared model."""


class Kinds(NamedTuple):
    """What becomes of the kinds of a data set.

    Attributes:
        own: Name of the part of each kind with a model of its own.
        shared: Why each other kind has none.
    """

    own: dict[str, str]
    shared: dict[str, str]


def train_by_kind(config: DictConfig, overrides: Sequence[str] = (), begun: RunFolder | None = None) -> RunFolder:
    """Train a model for all kinds and one for each that has enough images; sum up by the kinds of the test images.

    With ``begun``, or the ``id`` of such a run that was stopped, finished parts are kept, and the others go on.

    Raises:
        ConfigError: A value is wrong.
        DataError: The data cannot be used, or its images have no kinds.
    """
    _check(config)
    datamodule: InspectionDataModule = build(config.data, "data")
    datamodule.setup()
    kinds = sort_kinds(datamodule)
    parent = begun or _create(config, overrides)
    print(f"Run {parent.path}")
    for kind, reason in kinds.shared.items():
        print(f"{kind or 'Images without a kind'}: judged by the shared model, since {reason}.")
    with owned(parent.path), keeping_note(lambda: f"go on with: loupe train resume={parent.path}"):
        finder = datamodule.kind_finder() if isinstance(datamodule, FindsKinds) else by_folders(datamodule.samples)
        parent.write_json(
            BY_KIND,
            {
                "own": kinds.own,
                "fallback": kinds.shared,
                "finder": None if finder is None else finder.to_dict(),
            },
        )
        parts: list[tuple[str, str | None]] = [(SHARED, None), *((part, kind) for kind, part in kinds.own.items())]
        for name, own in parts:
            print(f"{name}: {'all kinds' if own is None else own}")
            _train_part(parent, name, part_of(config, parent, name, own), overrides, own)
        _sum_up(config, parent, kinds)
        note_state(parent, "finished")
    return parent


def by_folders(samples: pd.DataFrame) -> KindByName | None:
    """Tell kinds by folders named like them, where those of all samples are: types of rings, sizes of cores."""
    known = samples[samples["kind"] != ""]
    named = zip(known["name"], known["kind"], strict=True)
    if known.empty or not all(str(kind) in PurePosixPath(str(name)).parts[:-1] for name, kind in named):
        return None
    words = "|".join(sorted({re.escape(str(kind)) for kind in known["kind"]}, key=len, reverse=True))
    return KindByName(rf"(?:.*/|^)({words})/")


def sort_kinds(datamodule: InspectionDataModule) -> Kinds:
    """Tell which kinds have enough images for a model of their own.

    Raises:
        ConfigError: There are not two kinds.
    """
    names = sorted(set(datamodule.samples["kind"]))
    if len(names) < 2:
        raise ConfigError(
            f"Expected images of two kinds or more for by_kind=true, but found {names[0]!r} alone; say "
            " what the kinds are (data.kind_pattern, data.layer_groups), or leave by_kind out."
        )
    trained, calibrated = datamodule.split_samples(TRAIN), datamodule.split_samples(HELD)
    good = calibrated[calibrated["label_index"] == GOOD]
    own: dict[str, str] = {}
    shared: dict[str, str] = {}
    for kind in names:
        here, held = int((trained["kind"] == kind).sum()), int((good["kind"] == kind).sum())
        if kind and here >= FEWEST_TRAIN and held >= FEWEST_CALIBRATION:
            own[kind] = _part_name(kind, own.values())
        elif kind:
            shared[kind] = (
                f"{here} training images and {held} good calibration images are too few "
                f"({FEWEST_TRAIN} and {FEWEST_CALIBRATION} at least)"
            )
        else:
            shared[kind] = "nobody says what they are"
    return Kinds(own, shared)


def _part_name(kind: str, taken: Any) -> str:
    stem = name = f"kind-{re.sub(r'[^A-Za-z0-9_.-]+', '_', kind)}"
    count = 1
    while name in taken:
        count += 1
        name = f"{stem}_{count}"
    return name


def part_of(config: DictConfig, parent: RunFolder, name: str, kind: str | None) -> DictConfig:
    """Return the config of a part: that of a run by hand with ``data.kinds=[KIND]``."""
    own = config.copy()
    if kind is not None:
        own.data.kinds = [kind]
    OmegaConf.resolve(own)  # before out changes, since data may lie below it
    own.update({"by_kind": False, "name": parent.path.name, "id": name})
    own.out = str(parent.path.parent)
    return own


def _train_part(parent: RunFolder, name: str, config: DictConfig, overrides: Sequence[str], kind: str | None) -> None:
    begun = RunFolder(parent.path / name)
    if begun.config.is_file() and state_of(begun) == "finished":
        print(f"{name}: finished already, kept")
    elif begun.config.is_file():
        resume(begun, begun.load_config())
    else:
        train(config, overrides=[*overrides, *([] if kind is None else [f"data.kinds=[{kind}]"])])


def _check(config: DictConfig) -> None:
    if config.repeat != 1 or config.folds is not None:
        raise ConfigError("Expected by_kind=true without repeat and folds, but found one of them; leave it out.")
    if config.data.kinds is not None:
        raise ConfigError("Expected by_kind=true with all kinds, but found data.kinds; leave one of the two out.")


def _create(config: DictConfig, overrides: Sequence[str]) -> RunFolder:
    """Go on with the run of this id, or make a new one."""
    settings = OmegaConf.to_yaml(config, resolve=True)
    if config.id and (asked := RunFolder.at(config)).config.is_file():
        if asked.config.read_text(encoding="utf-8") != settings:
            raise ConfigError(
                f"Expected the settings of {asked.path} to go on with it, but found others; choose another id=."
            )
        return asked
    parent = RunFolder.create(config)
    parent.write_text(CONFIG, settings)
    parent.write_json(ENVIRONMENT, {"state": "training", **describe_command(), "overrides": [*overrides]})
    return parent


def _sum_up(config: DictConfig, parent: RunFolder, kinds: Kinds) -> None:
    """Write samples, predictions, metrics and the page of all kinds."""
    shared = read_predictions(parent.path / SHARED / PREDICTIONS)
    table = judged_by_kind(
        shared,
        {kind: read_predictions(parent.path / part / PREDICTIONS) for kind, part in kinds.own.items()},
        kinds.own,
    )
    evaluation = config.callbacks.evaluation
    resampling = Resampling(evaluation.resamples, float(evaluation.confidence), config.seed)
    metrics = compare(table, kinds, resampling)
    parent.write_text(SAMPLES, (parent.path / SHARED / SAMPLES).read_text(encoding="utf-8"))
    parent.write_text(PREDICTIONS, csv_text(table))
    parent.write_json(METRICS, metrics)
    content = ByKindContent(
        title=f"{config.choices.model} on {subject(config)}",
        verdict=verdict(confusion(table)),
        paired=metrics["by_kind"]["paired"]["sentence"],
        rows=[KindRow(**row, rests_on=_rests_on(parent.path / row["part"])) for row in metrics["by_kind"]["kinds"]],
        notes=[
            f"{kind or 'Images without a kind'}: the shared model, since {why}." for kind, why in kinds.shared.items()
        ],
        shared=f"../{SHARED}/{REPORT}",
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        command=shlex.join(["loupe", *sys.argv[1:]]),
    )
    path = parent.write_text(REPORT, render_by_kind(content))
    print(f"{content.verdict}\n{content.paired}\nReport {path}")


def _rests_on(part: Path) -> str:
    """Say which calibration images the threshold of a part was chosen by."""
    chosen = RunFolder(part).read_json(CALIBRATION)["image"]["all"]
    return f"{chosen['n_good']:,} good, {chosen['n_defective']:,} defective"


def judged_by_kind(shared: pd.DataFrame, own: Mapping[str, pd.DataFrame], parts: Mapping[str, str]) -> pd.DataFrame:
    """Put the predictions of all kinds together: each test image by the model that is responsible for it.

    Args:
        shared: Of the shared model, on all test images.
        own: Of the models of kinds, each on its own test images.
        parts: Their names, by kind.

    Returns:
        Sorted by name, with ``part``, and what the shared model made of each image (``shared_score`` and
        ``shared_verdict``).
    """
    rest = shared[~shared["kind"].isin(list(own))].assign(part=SHARED)
    table = pd.concat([rest, *(rows.assign(part=parts[kind]) for kind, rows in own.items())], ignore_index=True)
    about = shared.set_index("name").reindex(table["name"])
    table["shared_score"], table["shared_verdict"] = about["score"].to_numpy(), about["verdict"].to_numpy()
    return table.sort_values("name", ignore_index=True)


def compare(table: pd.DataFrame, kinds: Kinds, resampling: Resampling) -> dict[str, Any]:
    """Return the content of metrics.json: rates over all kinds, by kind, and against the shared model.

    Scores of different models cannot be ranked together: there is no AUROC over all kinds.
    """
    estimates = image_estimates(table.astype({"score": float}), resampling)
    known = table[table["label_index"] != UNKNOWN]
    right_N, shared_N = (
        ((known[column] == LABEL_NAMES[DEFECTIVE]) == (known["label_index"] == DEFECTIVE)).to_numpy()
        for column in ("verdict", "shared_verdict")
    )
    better, worse = int((right_N & ~shared_N).sum()), int((~right_N & shared_N).sum())
    p = float(binomtest(better, better + worse).pvalue) if better + worse else 1.0  # McNemar, exact
    own, other = (
        Judged(called_N.astype(np.float64), called_N)
        for called_N in ((known[name] == LABEL_NAMES[DEFECTIVE]).to_numpy() for name in ("verdict", "shared_verdict"))
    )
    differences = paired_differences(own, other, known["label_index"], known["group"], resampling)
    sentence = (
        f"Of {len(known):,} test images, the models of kinds judge {better:,} rightly that the shared one judges "
        f"wrongly, and {worse:,} the other way round (exact McNemar test: p = {p:.3g}){_meaning(better, worse, p)}."
    )
    return {
        "test": {f"image_{name}": plain(estimates[f"image_{name}"]) for name in RATES},
        "by_kind": {
            "kinds": [_row(kind, rows, kinds) for kind, rows in table.groupby("kind", sort=True)],
            "paired": {
                "better": better,
                "worse": worse,
                "p": p,
                "sentence": sentence,
                "less_shared": {name: plain(differences[name]) for name in ("recall", "fpr", "f1")},
            },
        },
    }


def _meaning(better: int, worse: int, p: float) -> str:
    """Say what the test shows, where it does not show that models of kinds are better."""
    if p >= LEVEL:
        return ", which does not show that either is better"
    return "" if better > worse else ", which shows that the shared one is better"


def _row(kind: Any, rows: pd.DataFrame, kinds: Kinds) -> dict[str, Any]:
    found = confusion(rows)
    other = confusion(rows.assign(verdict=rows["shared_verdict"]))
    name = str(kind)
    return {
        "kind": name,
        "part": kinds.own.get(name, SHARED),
        "images": len(rows),
        "found": found.tp,
        "missed": found.fn,
        "false_alarms": found.fp,
        "shared_missed": other.fn,
        "shared_false_alarms": other.fp,
    }
