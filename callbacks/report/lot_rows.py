"""Rows of a record of predictions as a page reads them, those that need a person's eye first."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Line:
    """An image of a prediction.

    Attributes:
        name: Short, but not the same as any other's.
        verdict: ``good`` or ``defective``; empty where there is none.
        state: That, or what rules of acceptance say of the part.
        score: Raw; NaN where there is none.
        threshold: That it is compared with.
        defects: Listed on it.
        remarks: What else is to be said.
        probability: Of a defect, in [0, 1], where it was calibrated.
        rank: The share of good calibration images with a lower score; None where none are known.
        page: What its images of the page are called; empty where they were not kept.
        height: Of the image of the page, in pixels.
        width: Likewise.
        error: Why there is no verdict; empty if there is one.
    """

    name: str
    verdict: str = ""
    state: str = ""
    score: float = math.nan
    threshold: float = math.nan
    defects: int = 0
    remarks: tuple[str, ...] = ()
    probability: float | None = None
    rank: float | None = None
    page: str = ""
    height: int = 0
    width: int = 0
    error: str = ""

    @property
    def far(self) -> float:
        """Distance of its score from its threshold; 0 where it has none, since a person has to look at it."""
        return 0.0 if self.error else abs(self.score - self.threshold)


def lines_of(rows: Iterable[Mapping[str, Any]]) -> list[Line]:
    """Turn rows of ``predictions.jsonl`` into lines: those without a verdict, then the nearest to the threshold."""
    found = [_line(row, str(row["image_path"])) for row in rows]
    names = short_names([line.name for line in found])
    lines = [replace(line, name=name) for line, name in zip(found, names, strict=True)]
    return sorted(lines, key=lambda line: (not line.error, line.far, line.name))


def short_names(paths: Sequence[str]) -> list[str]:
    """Leave out the folders that all paths share."""
    folders = [PurePosixPath(path).parts[:-1] for path in paths]
    shared = 0
    for parts in zip(*folders, strict=False):
        if len(set(parts)) > 1:
            break
        shared += 1
    return ["/".join(PurePosixPath(path).parts[shared:]) for path in paths]


def _line(row: Mapping[str, Any], name: str) -> Line:
    if "error" in row:
        return Line(name, error=str(row["error"]))
    shown = page if isinstance(page := row.get("page"), dict) else {}
    remarks = (row.get("kind"), row.get("predicted_type"), row.get("reasons"), row.get("unusual"))
    return Line(
        name=name,
        verdict=str(row["verdict"]),
        state=str(row.get("accepted") or row["verdict"]),
        score=float(row["score"]),
        threshold=float(row["threshold"]),
        defects=len(row["defects"] if "defects" in row else row.get("regions", ())),
        remarks=tuple(str(remark) for remark in remarks if remark),
        probability=row.get("probability"),
        rank=row.get("rank_among_good"),
        page=str(shown.get("name", "")),
        height=int(shown.get("height", 0)),
        width=int(shown.get("width", 0)),
    )
