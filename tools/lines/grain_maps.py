"""The line of grain maps: from drawn boundaries to the size of grains, in ``grains.json``."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from callbacks.grains.closing import grains_of_lines, rim_of_lines
from callbacks.grains.measures import Facts, grain_facts, over_images
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.images import read_image
from datamodules.files.whole_files import write_whole
from datamodules.progress import track
from tools.errors import ConfigError

from .inclusions import find_scans, write_problems
from .line import Judged

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

HALF = 127  # of 255: softened lines are read at half of their height


@dataclass(frozen=True, kw_only=True)
class GrainMapsLine:
    """Measures the grains of drawn maps; see ``configs/line/grain_maps.yaml`` for its keys."""

    lines: Literal["auto", "black", "white"] = "auto"
    um_per_pixel: float | None = None

    def __post_init__(self) -> None:
        if self.um_per_pixel is not None and not 0 < self.um_per_pixel < float("inf"):
            raise ConfigError(f"Expected um_per_pixel to be above 0, or null, but found {self.um_per_pixel}.")

    def predict(self, sources: Sequence[str], out: Path, *, page: bool, command: str) -> Judged:
        """Measure every map of the sources; there is no page.

        Raises:
            DataError: There is none that can be measured.
        """
        del page, command
        problems: list[UnreadableImageError] = []
        found: dict[str, Facts] = {}
        for name, path in track(find_scans(sources, problems, "maps of grain boundaries").items(), "measuring maps"):
            try:
                found[name] = self._measure(path)
            except UnreadableImageError as error:
                problems.append(error)
        write_problems(out, problems)
        if not found:
            raise DataError(f"Expected maps of grain boundaries, but could measure none; for example: {problems[0]}")
        write_grains(out, found)
        return Judged(grains_text(found), len(problems), None)

    def _measure(self, path: Path) -> Facts:
        values = read_image(path)
        if values.dtype != np.uint8:
            raise UnreadableImageError(path, f"holds {values.dtype} values", "save it as 8-bit grey")
        bright = (values if values.ndim == 2 else values[..., :3].max(axis=2)) > HALF
        white = bright.mean() < 0.5 if self.lines == "auto" else self.lines == "white"
        line_HW = bright if white else ~bright
        return grain_facts(grains_of_lines(line_HW), line_HW, self.um_per_pixel, rim_HW=rim_of_lines(line_HW))


def write_grains(out: Path, found: Mapping[str, Facts]) -> None:
    """Write what was measured: by image, and over all."""
    content = {"images": dict(found), "all": over_images(found)}
    write_whole(out / "grains.json", (json.dumps(content, indent=2) + "\n").encode())


def grains_text(found: Mapping[str, Facts]) -> str:
    """Say mean intercepts, and numbers where there is a scale."""
    lines = [f"{'image':<28}{'intercept, px':>14}{'grains':>8}{'anisotropy':>12}{'G, Heyn':>9}{'G, count':>10}"]
    for name, facts in found.items():
        values = (facts["mean_intercept_px"], facts["anisotropy"], facts.get("G_heyn"), facts.get("G_planimetric"))
        mean, anisotropy, heyn, count = (f"{value:.2f}" if isinstance(value, float) else "-" for value in values)
        lines.append(f"{name:<28}{mean:>14}{facts['grains_inside']:>8}{anisotropy:>12}{heyn:>9}{count:>10}")
    return "\n".join(lines)
