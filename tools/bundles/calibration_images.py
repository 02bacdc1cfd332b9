"""The images of a run, as far as an export needs them: those it was calibrated on, and what is known of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from datamodules.errors import DataError
from datamodules.table import CALIBRATION, complete_table, read_table
from tools.configuring.build import build

if TYPE_CHECKING:
    from datamodules.base import InspectionDataModule
    from tools.runs.trained import Trained


class CalibrationImages(NamedTuple):
    """Images of a run.

    Attributes:
        datamodule: Holds the calibration images, checked to be those of the run.
        splits: How many images each split of the run has.
        notes: What a reader must not miss about the data.
    """

    datamodule: InspectionDataModule
    splits: dict[str, int]
    notes: list[str]


def find_calibration_images(trained: Trained) -> CalibrationImages:
    """Find the images that the run was calibrated on; the others need not be there any more.

    Raises:
        DataError: They are not where they were.
    """
    datamodule: InspectionDataModule = build(trained.config.data, "data")
    saved = trained.folder.samples if trained.folder is not None else None
    known = read_table(saved) if saved is not None and saved.is_file() else pd.DataFrame()
    if known.empty:
        datamodule.setup()
    else:
        datamodule.samples = complete_table(known)
    splits = {str(split): int(count) for split, count in datamodule.samples["split"].value_counts().items()}
    notes = datamodule.notes()
    if not known.empty:
        datamodule.use_samples(known[known["split"] == CALIBRATION].reset_index(drop=True))
    if datamodule.split_samples(CALIBRATION).empty:
        raise DataError(
            f"Expected the calibration pictures of the run in {datamodule.root}, but found none that is unchanged; the "
            "export compares checkpoint and bundle on them: set data.root=PATH, or restore them."
        )
    return CalibrationImages(datamodule, splits, notes)
