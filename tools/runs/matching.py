"""Tested runs side by side: the images that all of them judged, whatever their names and places."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from callbacks.statistics.paired import Judged
from datamodules.errors import DataError
from datamodules.files.csv_text import bare, map_texts
from datamodules.table import DEFECTIVE, GOOD, LABEL_NAMES, TEST, read_table

from .run_files import CALIBRATION, ENVIRONMENT, PREDICTIONS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from omegaconf import DictConfig

    from .run_folder import RunFolder


@dataclass(frozen=True)
class TestedRun:
    """A run and what it made of its test images.

    Attributes:
        folder: Of the run.
        config: Resolved.
        calibration: Content of calibration.json.
        environment: Content of environment.json.
        samples: Its sample table.
        judged: One row for each test image, by the hash of its bytes (and a count, where copies share it): ``name``,
            ``label_index``, ``score``, ``called``, ``kind``, ``group``, ``defect``.
    """

    __test__ = False  # for pytest, which takes the name for a test

    folder: RunFolder
    config: DictConfig
    calibration: dict[str, Any]
    environment: dict[str, Any]
    samples: pd.DataFrame
    judged: pd.DataFrame


def read_run(folder: RunFolder) -> TestedRun:
    """Read the tables of a tested run."""
    samples = read_table(folder.samples)
    text = dict.fromkeys(("name", "kind", "group", "defect", "verdict"), "str")
    predictions = pd.read_csv(folder.path / PREDICTIONS, dtype=text, keep_default_na=False)
    predictions = map_texts(predictions, bare)
    judged = predictions.sort_values("name", ignore_index=True)
    hashes = judged["name"].map(samples.set_index("name")["sha256"])
    judged["key"] = hashes + "/" + hashes.groupby(hashes).cumcount().astype(str)
    judged["called"] = judged["verdict"] == LABEL_NAMES[DEFECTIVE]
    if "defect" not in judged:
        judged["defect"] = ""
    return TestedRun(
        folder,
        folder.load_config(),
        folder.read_json(CALIBRATION),
        folder.read_json(ENVIRONMENT),
        samples,
        judged.set_index("key"),
    )


def common_images(runs: Sequence[TestedRun]) -> tuple[pd.DataFrame, list[Judged], list[str]]:
    """Find the test images of all runs, by the hash of their bytes.

    Returns:
        The rows of the first run for these images, sorted by name; what each run made of them, in that order; and
        sentences about what was left out.

    Raises:
        DataError: No image is common to all runs, or none of them is labelled.
    """
    first = runs[0].judged
    common = first.index[[all(key in run.judged.index for run in runs[1:]) for key in first.index]]
    notes = [
        f"{missing} of {len(run.judged)} test pictures of {run.folder.path.name} are not common to all."
        for run in runs
        if (missing := len(run.judged) - len(common))
    ]
    rows = [run.judged.loc[common] for run in runs]
    agreed = np.logical_and.reduce(
        [part["label_index"].to_numpy() == rows[0]["label_index"].to_numpy() for part in rows]
    )
    if disagreed := int((~agreed).sum()):
        notes.append(f"{disagreed} common pictures were left out, since the runs give them different labels.")
    rows = [part[agreed] for part in rows]
    if not rows[0]["label_index"].isin([GOOD, DEFECTIVE]).any():
        raise DataError(
            f"Expected labelled test pictures that all {len(runs)} runs share, byte by byte, but found none; test the "
            "runs on the same pictures first: loupe test run=RUN data.root=PATH"
        )
    return rows[0], [Judged(part["score"].to_numpy(np.float64), part["called"].to_numpy(bool)) for part in rows], notes


def on_test_images(runs: Sequence[TestedRun], earlier: pd.DataFrame, name: str) -> tuple[list[TestedRun], list[str]]:
    """Keep of each run what it made of the test images of one, by the hash of their bytes.

    Args:
        runs: Tested.
        earlier: Sample table of the run whose test is held.
        name: Of that run.

    Returns:
        The runs, and sentences about runs that did not test all of these images.
    """
    held = set(earlier.loc[earlier["split"] == TEST, "sha256"])
    cut = [replace(run, judged=run.judged[[key.split("/", 1)[0] in held for key in run.judged.index]]) for run in runs]
    tested = [len({key.split("/", 1)[0] for key in run.judged.index}) for run in cut]
    return cut, [
        f"{run.folder.path.name} tested {count} of the {len(held)} test images of {name}."
        for run, count in zip(cut, tested, strict=True)
        if count < len(held)
    ]


def trained_on_tests(runs: Sequence[TestedRun]) -> list[str]:
    """Say which runs were trained or calibrated on a test image of another: their lead would be memory."""
    notes = []
    tests = {key.split("/", 1)[0] for run in runs for key in run.judged.index}
    for run in runs:
        seen = run.samples.loc[run.samples["split"] != TEST, "sha256"]
        if count := int(seen.isin(tests).sum()):
            notes.append(f"{run.folder.path.name} was trained or calibrated on {count} test pictures of the others.")
    return notes


def differing_settings(configs: Sequence[dict[str, Any]], ignored: Sequence[str]) -> list[tuple[str, list[str]]]:
    """List the keys whose values differ, with the value in each config; ``ignored`` top-level keys are passed over."""
    flats = [flat(config) for config in configs]
    keys = dict.fromkeys(key for values in flats for key in values)
    rows = [(key, [values.get(key, "\N{EN DASH}") for values in flats]) for key in keys]
    return [(key, values) for key, values in rows if len(set(values)) > 1 and key.split(".", 1)[0] not in ignored]


def flat(config: dict[str, Any], above: str = "") -> dict[str, str]:
    """Turn a nested config into ``a.b.c`` and text."""
    values: dict[str, str] = {}
    for key, value in config.items():
        if isinstance(value, dict):
            values |= flat(value, f"{above}{key}.")
        else:
            values[f"{above}{key}"] = str(value)
    return values
