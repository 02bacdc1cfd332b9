"""A data set as the doctor sees it: every image looked at once, split as training would split it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from callbacks.report.doctor import Sheet, Shot
from datamodules.errors import DataError, UnreadableImageError
from datamodules.health.duplicates import Pairs, describe, exact_copies, near_pairs
from datamodules.health.inspection import Inspection, inspect_table
from datamodules.samples.left_out import leave_out_blank
from datamodules.table import LABEL_NAMES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    import numpy.typing as npt
    import pandas as pd

    from datamodules.base import InspectionDataModule
    from datamodules.samples.batch import Sample
    from datamodules.samples.dataset import Reading

LEFT_OUT = "left out"
_EDGE = 320  # longest edge of an image on a contact sheet, in pixels


@dataclass(frozen=True)
class Examined:
    """What was seen of a data set.

    Attributes:
        datamodule: With ``samples`` and ``excluded`` as training would have them.
        supplied: Split that the data itself gives each of the N readable images, or empty.
        table: Their rows, with facts, and the split that training would give them, or ``left out``.
        inspection: What the look at each of them showed.
        described_ND: What each of them looks like, of length 1.
        copies: Rows of every file content that is there more than once.
        near: Pairs that look alike without being copies.
    """

    datamodule: InspectionDataModule
    supplied: list[str]
    table: pd.DataFrame
    inspection: Inspection
    described_ND: npt.NDArray[np.float32]
    copies: list[list[int]]
    near: Pairs

    def name(self, row: int) -> str:
        """Return the name of an image."""
        return str(self.table["name"].iloc[row])

    def column(self, name: str, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.object_]:
        """Return the values of a column in some rows."""
        return self.table[name].to_numpy(dtype=object)[rows]

    def sheet(self, title: str, rows: Iterable[int], captions: Sequence[str] = (), together: int = 1) -> Sheet:
        """Read images again, as training sees them, to look at."""
        shots = []
        for index, row in enumerate(rows):
            caption = captions[index] if captions else self.name(row)
            shots.append(self._shot(row, caption))
        return Sheet(title, shots, together)

    def pair_sheet(self, title: str, pairs: Sequence[tuple[int, int]]) -> Sheet:
        """Show pairs side by side, with split and label."""
        rows = [row for pair in pairs for row in pair]
        label = [LABEL_NAMES[int(value)] for value in self.table["label_index"]]
        captions = [f"{self.name(row)} ({self.table['split'].iloc[row]}, {label[row]})" for row in rows]
        return self.sheet(title, rows, captions, together=2)

    def _shot(self, row: int, caption: str) -> Shot:
        one = self.table.iloc[[row]]
        height, width = int(one["height"].iloc[0]), int(one["width"].iloc[0])
        factor = min(1.0, _EDGE / max(height, width))
        reading = self.datamodule.reading._replace(
            height=max(1, round(factor * height)), width=max(1, round(factor * width))
        )
        try:
            sample = self._read(one, reading)
        except UnreadableImageError:  # its mask or outlines: the image itself was read before
            bare = one.assign(mask_path="", annotation_path="", zones_path="")
            sample = self._read(bare, reading)
        image = sample.image.mul(255).round().byte().permute(1, 2, 0).numpy()
        mask = sample.mask.numpy() if sample.mask is not None and sample.mask.any() else None
        return Shot(caption, np.ascontiguousarray(image), mask)

    def _read(self, one: pd.DataFrame, reading: Reading) -> Sample:
        """Read a row as training does, but at another size."""
        dataset = self.datamodule.dataset(one)
        dataset.reading = reading
        return dataset[0]


def examine(datamodule: InspectionDataModule) -> Examined:
    """Look at every image once, and split what training would use, as training would.

    Raises:
        DataError: There is no data, or no image can be used.
    """
    listed, problems = datamodule.listing()
    inspection = inspect_table(listed, datamodule.reading)
    table = inspection.table
    usable = table.drop(index=list(inspection.unusable))
    usable, blank = leave_out_blank(usable)
    problems = [*problems, *inspection.unreadable, *inspection.unusable.values(), *blank]
    if usable.empty:
        first = problems[0] if problems else "there are no pictures at all"
        raise DataError(f"Expected at least one usable picture, but found none; for example: {first}")
    datamodule.divide(usable.reset_index(drop=True), problems)
    supplied = table["split"].tolist()
    split = table["name"].map(datamodule.samples.set_index("name")["split"]).fillna(LEFT_OUT)
    described_ND = describe(inspection.small_NSS)
    near = near_pairs(described_ND)
    digest = table["sha256"].to_numpy(dtype=object)
    return Examined(
        datamodule=datamodule,
        supplied=supplied,
        table=table.assign(split=split),
        inspection=inspection,
        described_ND=described_ND,
        copies=exact_copies(table["sha256"].tolist()),
        near=near.where((digest[near.first] != digest[near.second]).astype(np.bool_)),
    )
