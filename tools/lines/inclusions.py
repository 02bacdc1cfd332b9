"""What lines of inclusions share: from measured scans to tables, a summary, and pages.

``objects.csv``: one row per inclusion: ``map, x, y, area, spatial, shape, combined, area_id``, its centroid and area in
pixels, its measures in [0, 1], and the area it belongs to, empty outside all. ``area_id`` is the rank of the area among
those of all scans. ``inclusions.csv`` says all else of the same rows. ``areas.csv``: one row per area, the first to
look at first, with its fifteen keys. ``summary.json``: sizes, and ratings where there is a scale.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pandas as pd

from callbacks.inclusions.measures import MEASURES, FoundArea, MeasuredMap
from callbacks.inclusions.order_keys import FINAL, KEYS
from callbacks.inclusions.ranking import decile_text, ranked
from callbacks.inclusions.rating import CAVEAT
from callbacks.inclusions.sizes import size_distribution
from callbacks.report.charts.scan_figures import distribution
from callbacks.report.scan_layers import level_map, shrinking, thumbnail, value_layer
from callbacks.report.scan_page import ScanArea, ScanContent, ScansContent, render_scan, render_scans
from datamodules.errors import DataError, UnreadableImageError
from datamodules.files.csv_text import csv_text
from datamodules.files.walking import walk_images
from datamodules.files.whole_files import write_whole
from datamodules.masks.naming import in_mask_folder

from .ratings import rating_notes, rating_of, rating_table, ratings_table

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from markupsafe import Markup

    from callbacks.inclusions.rating import Rating
    from datamodules.files.objects import Labels

OBJECT_COLUMNS = ("map", "x", "y", "area", "spatial", "shape", "combined", "area_id")
AIR = 6  # pixels between the inclusions of an area and its outline


@dataclass(frozen=True)
class MeasuredScan:
    """A scan that was measured, with the images of its page; pixels are not kept.

    Attributes:
        name: Of the scan.
        shape: Height and width in pixels.
        measured: Its inclusions and areas.
        layers: ``data:`` addresses, see ``ScanContent``; none where no page is wanted.
        overview: Small image for the page of all.
        thumbnails: Of its areas.
        image: ``data:`` address of what lies below the layers.
        figures: More of them than those of inclusions.
        tables: More.
        notes: More.
    """

    name: str
    shape: tuple[int, int]
    measured: MeasuredMap
    layers: Mapping[str, str] = field(default_factory=dict)
    overview: str = ""
    thumbnails: Sequence[str] = ()
    image: str = ""
    figures: Sequence[tuple[str, Markup]] = ()
    tables: Sequence[tuple[str, Sequence[str], Sequence[Sequence[str]]]] = ()
    notes: Sequence[str] = ()


def find_scans(sources: Sequence[str], problems: list[UnreadableImageError], what: str) -> dict[str, Path]:
    """List the images that sources name, by names of their own: the stem, with the folder where two share it.

    Raises:
        DataError: A source names none.
    """
    paths: list[Path] = []
    for source in sources:
        path = Path(source).expanduser().resolve()
        found = walk_images(path, problems) if path.is_dir() else [path] if path.is_file() else []
        images = [one for one in found if not path.is_dir() or not in_mask_folder(one.relative_to(path).parts[:-1])]
        if not images:
            raise DataError(f"Expected source to name {what}, but found none at {source}.")
        paths += [one for one in images if one not in paths]
    stems = [path.stem for path in paths]
    names = [path.stem if stems.count(path.stem) == 1 else f"{path.parent.name}/{path.name}" for path in paths]
    return dict(zip(_distinct(names), paths, strict=True))


def _distinct(names: list[str]) -> list[str]:
    seen: dict[str, int] = {}
    for name in names:
        seen[name] = seen.get(name, 0) + 1
    count = dict.fromkeys(seen, 0)
    own = []
    for name in names:
        count[name] += 1
        own.append(name if seen[name] == 1 else f"{name}~{count[name]}")
    return own


def drawn_scan(name: str, label_HW: Labels, measured: MeasuredMap, *, page: bool) -> MeasuredScan:
    """Draw the layers of a scan for its page, if there is to be one."""
    height, width = label_HW.shape
    scan = MeasuredScan(name, (height, width), measured)
    if not page:
        return scan
    table = measured.table
    number_N = table["label"].to_numpy(int)
    layers = {one: value_layer(label_HW, number_N, table[one].to_numpy(float)) for one in MEASURES}
    level_hw = level_map(label_HW, number_N, table["combined"].to_numpy(float))
    factor = shrinking(label_HW.shape)
    boxes = [tuple(part // factor for part in area.box) for area in measured.areas]
    return MeasuredScan(
        name,
        (height, width),
        measured,
        layers=layers,
        overview=thumbnail(level_hw, (0, level_hw.shape[0] - 1, 0, level_hw.shape[1] - 1)),
        thumbnails=[thumbnail(level_hw, (box[0], box[1], box[2], box[3])) for box in boxes],
    )


class Ordered:
    """The areas of all scans in their order.

    Args:
        scans: All of them.
    """

    def __init__(self, scans: Sequence[MeasuredScan]) -> None:
        self.areas = [(scan, area) for scan in scans for area in scan.measured.areas]
        self.values = {name: np.array([area.keys[name] for _, area in self.areas], np.float64) for name in KEYS}
        final = ranked(self.values[FINAL])
        self.number_of = {id(area): int(rank) for (_, area), rank in zip(self.areas, final.rank_A, strict=True)}
        self.decile_of = {id(area): int(one) for (_, area), one in zip(self.areas, final.decile_A, strict=True)}
        self.areas.sort(key=lambda one: self.number_of[id(one[1])])


def write_tables(out: Path, scans: Sequence[MeasuredScan], ordered: Ordered, um_per_pixel: float | None) -> None:
    """Write the tables and the summary."""
    tables = [_with_areas(scan, ordered) for scan in scans]
    whole = pd.concat(tables, ignore_index=True)
    write_whole(out / "objects.csv", csv_text(whole[list(OBJECT_COLUMNS)]).encode())
    write_whole(out / "inclusions.csv", csv_text(whole).encode())
    write_whole(out / "areas.csv", csv_text(areas_table(ordered)).encode())
    write_whole(out / "summary.json", (json.dumps(summary_of(scans, ordered, um_per_pixel), indent=2) + "\n").encode())


def _with_areas(scan: MeasuredScan, ordered: Ordered) -> pd.DataFrame:
    """Return the inclusions of a scan with the area of each; of two areas in ``source`` mode, the first."""
    number_N = pd.array([pd.NA] * len(scan.measured.table), dtype="Int64")
    for area in reversed(scan.measured.areas):
        number_N[np.array(area.members, np.intp)] = ordered.number_of[id(area)]
    table = scan.measured.table.assign(area_id=number_N)
    table.insert(0, "map", scan.name)
    return table


def areas_table(ordered: Ordered) -> pd.DataFrame:
    """Return one row per area: the first to look at first."""
    rows = [
        {
            "area_id": ordered.number_of[id(area)],
            "map": scan.name,
            "percentile": decile_text(ordered.decile_of[id(area)]),
        }
        | dict(zip(("top", "bottom", "left", "right"), area.box, strict=True))
        | {"cores": " ".join(str(label) for label in scan.measured.table["label"].iloc[list(area.cores)])}
        | area.keys
        for scan, area in ordered.areas
    ]
    columns = ["area_id", "map", "percentile", "top", "bottom", "left", "right", "cores", *KEYS]
    return pd.DataFrame(rows, columns=columns)


def summary_of(scans: Sequence[MeasuredScan], ordered: Ordered, um_per_pixel: float | None) -> dict[str, object]:
    """Gather sizes and ratings as plain values."""
    return {
        "inclusions": sum(len(scan.measured.table) for scan in scans),
        "areas": len(ordered.areas),
        "maps": {
            scan.name: {
                "height": scan.shape[0],
                "width": scan.shape[1],
                "areas": [ordered.number_of[id(area)] for area in scan.measured.areas],
                "sizes": size_distribution(scan.measured.table["area"].to_numpy(float), scan.shape, um_per_pixel),
                "e45_like": rating_of(scan.measured.table, scan.shape, um_per_pixel),
                "e45_like_caveat": CAVEAT,
            }
            for scan in scans
        },
    }


def summary_text(scans: Sequence[MeasuredScan], ordered: Ordered, shown: int = 10) -> str:
    """Summarise the scans: which areas to look at first."""
    count = sum(len(scan.measured.table) for scan in scans)
    lines = [f"{count} inclusions in {len(scans)} scans, {len(ordered.areas)} areas", ""]
    lines.append(f"{'rank':>4}  {'map':<28}{'percentile':>11}{'inclusions':>12}{'key':>12}")
    lines += [
        f"{ordered.number_of[id(area)]:>4}  {scan.name:<28}{decile_text(ordered.decile_of[id(area)]):>11}"
        f"{area.keys['amount']:>12}{area.keys[FINAL]:>12.4g}"
        for scan, area in ordered.areas[:shown]
    ]
    return "\n".join(lines)


def write_pages(
    out: Path,
    scans: Sequence[MeasuredScan],
    ordered: Ordered,
    problems: Sequence[UnreadableImageError],
    command: str,
    what: str,
    um_per_pixel: float | None,
) -> Path:
    """Write a page per scan, and the one that leads to them."""
    date = datetime.now().astimezone().strftime("%Y-%m-%d %H:%M")
    ratings = [rating_of(scan.measured.table, scan.shape, um_per_pixel) for scan in scans]
    contents = [
        content_of(scan, ordered, f"{what}s/{_file_name(scan.name)}.html", um_per_pixel, rating)
        for scan, rating in zip(scans, ratings, strict=True)
    ]
    for content in contents:
        text = render_scan(content, what, len(ordered.areas), "../index.html", date)
        write_whole(out / content.address, text.encode())
    left_out = [(problem.path, problem.problem, problem.remedy) for problem in problems]
    table = ratings_table([scan.name for scan in scans], ratings)
    notes = [CAVEAT] if any(ratings) else rating_notes(None, um_per_pixel)
    whole = ScansContent(what, contents, left_out, date, command, [table] if table else [], notes)
    write_whole(out / "index.html", render_scans(whole).encode())
    return out / "index.html"


def _file_name(name: str) -> str:
    return name.replace("/", "_")


def content_of(
    scan: MeasuredScan, ordered: Ordered, address: str, um_per_pixel: float | None, rating: Rating | None
) -> ScanContent:
    """Gather what the page of a scan shows."""
    areas = [
        ScanArea(
            number=ordered.number_of[id(area)],
            members=len(set(area.members)),
            keys=area.keys,
            outline=outline_of(scan.measured.table, area),
            box=area.box,
            thumbnail=image,
        )
        for area, image in zip(scan.measured.areas, scan.thumbnails, strict=True)
    ]
    table = scan.measured.table
    unit = "um" if um_per_pixel else "pixels"
    diameter_N = np.sqrt(4 * table["area"].to_numpy(float) / np.pi) * (um_per_pixel or 1)
    figures = [
        (f"{name} anomaly".capitalize(), distribution(table[name].to_numpy(float), name, "0: usual, 1: anomalous"))
        for name in MEASURES
    ]
    sizes = distribution(diameter_N, "Sizes", f"diameter of a circle of the same area, {unit}", logarithmic=True)
    return ScanContent(
        name=scan.name,
        address=address,
        shape=scan.shape,
        shrunk=shrinking(scan.shape),
        image=scan.image,
        layers=scan.layers,
        overview=scan.overview,
        areas=areas,
        inclusions=len(table),
        tables=[*scan.tables, *([rating_table(rating)] if rating else [])],
        figures=[*scan.figures, *figures, ("Sizes of inclusions", sizes)],
        notes=[*scan.notes, *rating_notes(rating, um_per_pixel)],
    )


def outline_of(table: pd.DataFrame, area: FoundArea) -> list[tuple[float, float]]:
    """Return the corners (x, y) of the convex outline of an area, a little outside its inclusions."""
    some = table.iloc[list(area.members)]
    left, right, top, bottom = (some[side].to_numpy(float) for side in ("left", "right", "top", "bottom"))
    corners = [
        np.stack([x_M, y_M], axis=1) for x_M in (left - AIR, right + 1 + AIR) for y_M in (top - AIR, bottom + 1 + AIR)
    ]
    hull = cv2.convexHull(np.concatenate(corners).astype(np.float32)).reshape(-1, 2)
    return [(float(x), float(y)) for x, y in hull]


def write_problems(out: Path, problems: Sequence[UnreadableImageError]) -> None:
    """List what could not be measured, if anything."""
    if problems:
        rows = [(problem.path, problem.problem, problem.remedy) for problem in problems]
        table = pd.DataFrame(rows, columns=["path", "problem", "remedy"])
        write_whole(out / "errors.csv", csv_text(table).encode())
