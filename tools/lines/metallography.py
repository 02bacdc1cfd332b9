"""The line of metallographic scans: two trained networks, and all that is measured of inclusions and grains.

Beside the tables of ``tools.lines.inclusions`` it writes, by scan, ``masks/`` (inclusions, white on black),
``inpainted/`` (the scan without them), ``boundaries/`` (of closed grains, one pixel wide, white on black), and
``grains.json``.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import cv2
import numpy as np

from callbacks.grains.closing import Grains, boundaries_of, grains_of_logits
from callbacks.grains.counting import whole_areas
from callbacks.grains.measures import Facts, grain_facts
from callbacks.inclusions.measures import Mode, measure_map
from callbacks.report.charts.scan_figures import distribution
from callbacks.report.scan_layers import image_layer, mask_layer
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image, scale
from datamodules.files.object_table import object_table
from datamodules.files.objects import object_labels
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from models.components.fusing import fused
from models.components.inpainting import Method  # noqa: TC001 - as above
from models.components.micrograph import Micrograph, Stage, analyse
from models.components.scan_tiles import STRIDE
from tools.errors import ConfigError
from tools.runs.reading import reading_of
from tools.runs.taken_runs import marking_run

from .grain_maps import grains_text, write_grains
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
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import numpy.typing as npt
    from markupsafe import Markup
    from torch import Tensor

WHAT = "scan"
LINE_COLOUR = (255, 214, 0)  # yellow shows on all etches, and none of the inclusions' colours is like it


class Stages(NamedTuple):
    """The trained networks of the line."""

    inclusions: Stage
    boundaries: Stage
    shapes: ShapeRun | None


@dataclass(frozen=True, kw_only=True)
class MetallographyLine:
    """Measures inclusions and grains of scans; see ``configs/line/metallography.yaml`` for its keys."""

    inclusions: str
    boundaries: str
    inpaint: Method = "navier_stokes"
    mode: Mode = "default"
    neighbour: int = 50
    shapes: str | None = None
    min_area: int = 3
    um_per_pixel: float | None = None

    def __post_init__(self) -> None:
        if self.neighbour < 1 or self.min_area < 0:
            raise ConfigError(
                f"Expected neighbour to be at least 1 and min_area at least 0, but found {self.neighbour} and "
                f"{self.min_area}."
            )
        if self.um_per_pixel is not None and not 0 < self.um_per_pixel < float("inf"):
            raise ConfigError(f"Expected um_per_pixel to be above 0, or null, but found {self.um_per_pixel}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Measure every scan of the sources.

        Raises:
            ConfigError: A run cannot be used.
            DataError: There is no scan that can be measured.
        """
        stages = Stages(
            stage_of(self.inclusions, "inclusions"),
            stage_of(self.boundaries, "boundaries"),
            ShapeRun(self.shapes) if self.shapes else None,
        )
        problems: list[UnreadableImageError] = []
        scans = find_scans(sources, problems, "metallographic scans")
        found: list[MeasuredScan] = []
        grains: dict[str, Facts] = {}
        for name, path in track(scans.items(), "measuring scans"):
            try:
                scan, grains[name] = self.measure(name, read_scan(path), stages, out, page=page)
                found.append(scan)
            except UnreadableImageError as error:
                problems.append(error)
        write_problems(out, problems)
        if not found:
            raise DataError(f"Expected metallographic scans, but could measure none; for example: {problems[0]}")
        ordered = Ordered(found)
        write_tables(out, found, ordered, self.um_per_pixel)
        write_grains(out, grains)
        index = write_pages(out, found, ordered, problems, command, WHAT, self.um_per_pixel) if page else None
        return Judged(f"{summary_text(found, ordered)}\n\n{grains_text(grains)}", len(problems), index)

    def measure(
        self, name: str, image_HW3: npt.NDArray[np.uint8], stages: Stages, out: Path, *, page: bool
    ) -> tuple[MeasuredScan, Facts]:
        """Measure a scan (RGB): its inclusions, with what its page shows, and its grains; write its images."""
        chain = analyse(image_HW3, stages.inclusions, stages.boundaries, method=self.inpaint)
        with ThreadPoolExecutor(1) as beside:  # grains need no other result, and leave the other cores idle
            closing = beside.submit(closed_grains, chain, self.um_per_pixel)
            label_HW = object_labels(chain.inclusion_HW)
            table = object_table(label_HW, min_area=self.min_area)
            shape_N = stages.shapes(label_HW, table) if stages.shapes else None
            measured = measure_map(table, mode=self.mode, neighbour=self.neighbour, shape_N=shape_N)
            scan = drawn_scan(name, label_HW, measured, page=page)
            image = image_layer(image_HW3) if page else ""
            write_images(out, name, {"masks": grey(chain.inclusion_HW), "inpainted": chain.inpainted_HW3[..., ::-1]})
            grain_HW, line_HW, facts = closing.result()
        write_images(out, name, {"boundaries": grey(line_HW)})
        if not page:
            return scan, facts
        layers = {**scan.layers, "boundaries": mask_layer(line_HW, LINE_COLOUR)}
        tables = [grain_table(facts)]
        figures = [("Sizes of grains", grain_figure(grain_HW, self.um_per_pixel))]
        return replace(scan, layers=layers, image=image, tables=tables, figures=figures), facts


def stage_of(run: str, key: str) -> Stage:
    """Restore the model of a run, calibrated, as a stage of the chain.

    Raises:
        ConfigError: There is no run, it cannot be read, or its model marks no pixels.
    """
    module, threshold, config = marking_run(run, key)
    enhance = reading_of(config.data).enhance
    module.model = fused(module.model)

    def logits(image_K3SS: Tensor) -> Tensor:
        found, _ = module.predict(image_K3SS)
        if found.anomaly_map is None:
            raise TypeError("Expected a map of every image, but the model returned none.")
        return found.anomaly_map

    multiple = math.lcm(module.size_multiple, STRIDE)
    return Stage(logits, threshold, lambda image_HW3: as_rgb(enhance(image_HW3)), multiple)


def read_scan(path: Path) -> npt.NDArray[np.uint8]:
    """Read a scan as (H, W, 3) uint8, RGB.

    Raises:
        UnreadableImageError: It cannot be read.
    """
    values = scale(read_image(path), None)
    eight = values if values.dtype == np.uint8 else np.rint(values * 255)
    return as_rgb(np.asarray(eight, np.uint8))


def as_rgb(values: npt.NDArray[np.generic]) -> npt.NDArray[np.uint8]:
    """Repeat grey values to three channels."""
    eight = np.asarray(values, np.uint8)
    return np.ascontiguousarray(np.repeat(eight[..., None], 3, axis=2) if eight.ndim == 2 else eight[..., :3])


def closed_grains(chain: Micrograph, um_per_pixel: float | None) -> tuple[Grains, npt.NDArray[np.bool_], Facts]:
    """Close and measure the grains of a scan; return them, their boundaries, one pixel wide, and what was measured."""
    grain_HW = grains_of_logits(chain.boundary_logit_HW)
    return grain_HW, boundaries_of(grain_HW), grain_facts(grain_HW, chain.boundary_HW, um_per_pixel)


def grey(mask_HW: npt.NDArray[np.bool_]) -> npt.NDArray[np.uint8]:
    """Draw a mask white on black."""
    return mask_HW.astype(np.uint8) * 255


def write_images(out: Path, name: str, images: Mapping[str, npt.NDArray[np.uint8]]) -> None:
    """Write images of a scan (BGR, or grey) as PNG, each into a folder of its own."""
    file = f"{name.replace('/', '_')}.png"
    for folder, image in images.items():
        done, content = cv2.imencode(".png", np.ascontiguousarray(image))
        if not done:
            raise DataError(f"Expected to write {out / folder / file}, but its image could not be encoded.")
        write_whole(out / folder / file, content.tobytes())


def grain_table(facts: Facts) -> tuple[str, list[str], list[list[str]]]:
    """Say the sizes of grains as a table of the page."""
    known = {
        "mean intercept, pixels": facts["mean_intercept_px"],
        "mean intercept, um": facts.get("mean_intercept_um"),
        "grain size number G by intercepts (ASTM E112)": facts.get("G_heyn"),
        "grain size number G by count (ASTM E112)": facts.get("G_planimetric"),
        "grains wholly inside": facts["grains_inside"],
        "grains cut by the border": facts["grains_cut"],
        "anisotropy: longest mean intercept by shortest": facts["anisotropy"],
        "marked boundary that could not be closed": facts["open_share"],
        "closed boundary that was not marked": facts["bridged_share"],
    }
    by_direction = facts["by_direction_px"]
    if isinstance(by_direction, dict):
        known |= {f"mean intercept along a {name}, pixels": value for name, value in by_direction.items()}
    rows = [
        [name, f"{value:,.3g}" if isinstance(value, float) else f"{value}"]
        for name, value in known.items()
        if value is not None
    ]
    interval = facts["mean_intercept_interval_px"]
    if isinstance(interval, list):
        rows.insert(1, ["its interval by blocks of the scan, 95 %", f"{interval[0]:.3g} to {interval[1]:.3g}"])
    return "Grains", ["measure", "value"], rows


def grain_figure(grain_HW: Grains, um_per_pixel: float | None) -> Markup:
    """Draw how large grains are."""
    unit = "um" if um_per_pixel else "pixels"
    diameter_G = np.sqrt(4 * whole_areas(grain_HW) / np.pi) * (um_per_pixel or 1)
    return distribution(diameter_G, "Sizes of grains", f"diameter of a circle of the same area, {unit}")
