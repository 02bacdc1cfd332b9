"""What a test writes: the run's own files, and those of every measure."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from datamodules.errors import DataError
from datamodules.files.csv_text import csv_text

from .run_files import CALIBRATION, ENVIRONMENT, EXCLUDED, METRICS, OWN, OWN_FOLDERS, PREDICTIONS, SAMPLES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from callbacks.measures.results import Results
    from datamodules.base import InspectionDataModule

    from .run_folder import RunFolder


def write_results(
    folder: RunFolder,
    results: Results,
    calibration: Mapping[str, Any],
    environment: Mapping[str, Any],
    datamodule: InspectionDataModule,
) -> None:
    """Write all that a test found, but for the page.

    Args:
        folder: Of the run.
        results: What measures found.
        calibration: Thresholds, in plain values.
        environment: What environment.json holds.
        datamodule: With the samples of the run.

    Raises:
        DataError: A measure would write over a file of the run, or outside of its folder.
    """
    files = {f"{name}.csv": csv_text(table) for name, table in results.tables.items()} | results.files
    for name in files:
        check_name(name)
    folder.write_json(METRICS, results.metrics)
    folder.write_json(CALIBRATION, calibration)
    folder.write_json(ENVIRONMENT, environment)
    folder.write_text(PREDICTIONS, csv_text(results.predictions))
    for name, content in files.items():
        folder.write(name, content)
    folder.write_text(SAMPLES, csv_text(datamodule.samples))
    folder.write_text(EXCLUDED, csv_text(datamodule.excluded))


def check_name(name: str) -> None:
    """Refuse the name of a measure's file where it is not its own to write.

    Raises:
        DataError: Says so.
    """
    path = PurePosixPath(name)
    outside = path.is_absolute() or ".." in path.parts or "\\" in name or not path.parts
    if outside or name in OWN or path.parts[0] in OWN_FOLDERS:
        raise DataError(
            f"Expected the files of a measure to have names of their own in the run folder, but found {name!r}; give "
            "that table or file of its section another name."
        )
