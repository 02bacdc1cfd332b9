"""The line of inclusion maps: from binary maps, without images, to the areas that an expert should look at first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING

from callbacks.inclusions.measures import Mode, measure_map
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.files.object_table import object_table
from datamodules.files.objects import Ground, object_labels
from datamodules.progress import track
from tools.errors import ConfigError

from .inclusions import (
    MeasuredScan,
    Ordered,
    drawn_scan,
    find_scans,
    summary_text,
    write_pages,
    write_problems,
    write_tables,
)
from .line import Judged
from .shapes import ShapeRun

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

WORKERS = 2  # maps measured at a time; OpenCV and NumPy release the interpreter lock
WHAT = "map"


@dataclass(frozen=True, kw_only=True)
class InclusionMapsLine:
    """Measures the inclusions of binary maps; see ``configs/line/inclusion_maps.yaml`` for its keys."""

    mode: Mode = "default"
    ground: Ground = "auto"
    threshold: int = 30
    neighbour: int = 50
    shapes: str | None = None
    um_per_pixel: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.threshold < 255:
            raise ConfigError(f"Expected threshold to be 0 to 254, but found {self.threshold}.")
        if self.neighbour < 1:
            raise ConfigError(f"Expected neighbour to be at least 1, but found {self.neighbour}.")
        if self.um_per_pixel is not None and not 0 < self.um_per_pixel < float("inf"):
            raise ConfigError(f"Expected um_per_pixel to be above 0, or null, but found {self.um_per_pixel}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Measure every map of the sources.

        Raises:
            ConfigError: The run of shapes cannot be used.
            DataError: There is none that can be measured.
        """
        shapes = ShapeRun(self.shapes) if self.shapes else None
        problems: list[UnreadableImageError] = []
        maps = find_scans(sources, problems, "maps of inclusions")
        found: list[MeasuredScan] = []
        with ThreadPoolExecutor(WORKERS) as pool:
            jobs = [pool.submit(self._measure, name, path, shapes, page=page) for name, path in maps.items()]
            for job, path in track(zip(jobs, maps.values(), strict=True), "measuring maps", total=len(jobs)):
                try:
                    found.append(job.result())
                except UnreadableImageError as error:
                    problems.append(error)
                except DataError as error:
                    problems.append(UnreadableImageError(path, f"is not a map: {error}", "see there"))
        write_problems(out, problems)
        if not found:
            raise DataError(f"Expected maps of inclusions, but could measure none; for example: {problems[0]}")
        ordered = Ordered(found)
        write_tables(out, found, ordered, self.um_per_pixel)
        index = write_pages(out, found, ordered, problems, command, WHAT, self.um_per_pixel) if page else None
        return Judged(summary_text(found, ordered), len(problems), index)

    def _measure(self, name: str, path: Path, shapes: ShapeRun | None, *, page: bool) -> MeasuredScan:
        label_HW = object_labels(read_image(path), ground=self.ground, threshold=self.threshold)
        table = object_table(label_HW)
        shape_N = shapes(label_HW, table) if shapes else None
        measured = measure_map(table, mode=self.mode, neighbour=self.neighbour, shape_N=shape_N)
        return drawn_scan(name, label_HW, measured, page=page)
