"""The defects that ``loupe predict`` finds: defects.csv row by row as they come, and the same as JSON in the end."""

from __future__ import annotations

import csv
import json
from typing import TYPE_CHECKING, Any

import pandas as pd

from callbacks.defects import MEASURES, DefectRules, PictureScale, find_defects
from tools.build import build

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Self

    from omegaconf import DictConfig

    from tools.bundles.runner.result import Result

ABOUT = ("image_path", "kind")
COLUMNS = (*ABOUT, *MEASURES)


class DefectFiles:
    """Writes defects.csv and defects.json; a call that goes on where one was interrupted adds to both.

    Args:
        folder: Where to.
        rules: What counts as a defect, and how severe it is.
        good_peaks: The highest map value of each good calibration picture.
        um_per_pixel: Micrometres per pixel of the files, where known.

    Attributes:
        table: The path of defects.csv.
        count: How many defects it lists, once the files are closed.
    """

    def __init__(
        self, folder: Path, rules: DefectRules, good_peaks: Sequence[float], um_per_pixel: float | None
    ) -> None:
        self.table = folder / "defects.csv"
        self.count = 0
        self._rules = rules
        self._good_peaks = sorted(good_peaks)
        self._um_per_pixel = um_per_pixel

    def __enter__(self) -> Self:
        """Open the table, behind what an earlier call wrote."""
        begun = self.table.is_file()
        self._stream = self.table.open("a", newline="", encoding="utf-8")
        self._writer = csv.DictWriter(self._stream, COLUMNS, lineterminator="\n")
        if not begun:
            self._writer.writeheader()
        return self

    def __exit__(self, *args: object) -> None:
        """Close the table, drop rows that an interrupted call wrote twice, and write the JSON."""
        self._stream.close()
        table = pd.read_csv(self.table, dtype={"image_path": "str", "kind": "str", "severity": "str"})
        table = table.drop_duplicates(["image_path", "defect"], keep="last").fillna({"kind": "", "severity": ""})
        table.to_csv(self.table, index=False)
        rows = {"defects": json.loads(table.to_json(orient="records", double_precision=15))}
        self.table.with_suffix(".json").write_text(json.dumps(rows, indent=2, allow_nan=False) + "\n", encoding="utf-8")
        self.count = len(table)

    def write(self, result: Result) -> None:
        """Measure the defects of a judged picture in pixels of its file, and add their rows."""
        if result.mask is None or result.anomaly_map is None:
            return
        height, width = result.mask.shape
        scale = PictureScale(result.size[1] / width, result.size[0] / height, self._um_per_pixel)
        found = find_defects(
            result.mask, result.anomaly_map, self._rules, scale, kind=result.kind, good_peaks=self._good_peaks
        )
        about: dict[str, Any] = {"image_path": result.picture, "kind": result.kind}
        self._writer.writerows([about | defect.to_dict() for defect in found.defects])
        self._stream.flush()


def rules_of(config: DictConfig) -> DefectRules:
    """Build the rules by which the run's test listed its defects."""
    evaluation = config.callbacks.evaluation
    rules: DefectRules = build(evaluation.defects, "callbacks.evaluation.defects")
    return rules
