"""The pages of print jobs: one for each, with its layers in order, and one that lists them."""

from __future__ import annotations

import csv
import io
import re
from collections import defaultdict
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from callbacks.report.layers import preview
from callbacks.report.page import render_page
from callbacks.report.print_job import Layer, PrintJob
from datamodules.errors import UnreadableImageError
from datamodules.files.csv_text import LINE_END, Rows, guarded
from datamodules.files.images import read_image
from datamodules.files.whole_files import write_whole
from tools.runner.record import whole_rows
from tools.runner.writing import RECORD

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

STYLES = ("page.css", "print_job.css")
JOBS, TABLE, INDEX = "jobs", "jobs.csv", "index.html"
COLUMNS = ("machine", "job", "layers", "newest", "total", "potential_defects", "not_judged", "missing", "changes_at")
EDGE, QUALITY = 480, 82
SHOWN = 60  # suspects of a job that are drawn


def write_pages(
    out: Path, total: Callable[[str], int | None], layer_um: float | None, command: str, *, pages: bool
) -> tuple[list[PrintJob], Path | None]:
    """Write ``jobs.csv`` and, if asked for, pages, from the record of a prediction; return the jobs and the index."""
    jobs = jobs_of(out, total, layer_um)
    _write_table(out / TABLE, jobs)
    if not pages:
        return jobs, None
    named = list(zip(jobs, file_names(jobs), strict=True))
    about = {"date": datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"), "command": command}
    for job, name in named:
        addresses = _draw(job, out, name)
        values = {"job": job, "image": lambda layer, found=addresses: found.get(layer.id, ""), "shown": SHOWN}
        write_whole(out / JOBS / f"{name}.html", render_page("print_job_page.html.j2", about | values, STYLES).encode())
    listed = [(job, f"{JOBS}/{name}.html") for job, name in named]
    write_whole(out / INDEX, render_page("print_jobs.html.j2", about | {"jobs": listed}, STYLES).encode())
    return jobs, out / INDEX


def jobs_of(out: Path, total: Callable[[str], int | None], layer_um: float | None) -> list[PrintJob]:
    """Read the jobs of a record, by machine and name; layers are in the order of their numbers."""
    layers: dict[tuple[str, str], list[Layer]] = defaultdict(list)
    for number, row in enumerate(whole_rows(out / RECORD), start=1):
        layers[str(row.get("machine", "")), str(row.get("job", ""))].append(_layer(number, row))
    ordered = sorted(layers.items())
    return [PrintJob(*key, sorted(found, key=_order), total(key[1]), layer_um) for key, found in ordered]


def _order(layer: Layer) -> tuple[bool, int, str]:
    return layer.layer is None, layer.layer or 0, layer.image_path


def _layer(number: int, row: Mapping[str, Any]) -> Layer:
    words = [str(row.get(name) or "") for name in ("verdict", "reasons", "unusual", "error")]
    return Layer(number, str(row["image_path"]), row.get("layer"), row.get("score"), row.get("threshold"), *words)


def file_names(jobs: Sequence[PrintJob]) -> list[str]:
    """Name the files of jobs, each by its machine and name, and no two alike."""
    names: list[str] = []
    for job in jobs:
        stem = name = re.sub(r"[^A-Za-z0-9_.-]+", "_", "_".join(filter(None, (job.machine, job.job)))) or "no_job"
        count = 1
        while name.lower() in map(str.lower, names):
            count += 1
            name = f"{stem}_{count}"
        names.append(name)
    return names


def _draw(job: PrintJob, out: Path, name: str) -> dict[int, str]:
    """Write small copies of the suspects and their neighbours; return their addresses from the page, by layer."""
    addresses: dict[int, str] = {}
    for suspect in job.suspects[:SHOWN]:
        for layer in suspect:
            if layer is None or layer.id in addresses:
                continue
            source = _overlay(out, layer) if layer.flagged else None
            try:
                values = preview(read_image(source or Path(layer.image_path)), None, EDGE)
            except (UnreadableImageError, OSError):
                continue  # such as a member of an archive: the page says that it is not there
            path = out / JOBS / name / f"{layer.id}.jpg"
            colours = np.ascontiguousarray(values[..., ::-1])
            write_whole(path, cv2.imencode(".jpg", colours, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes())
            addresses[layer.id] = f"{name}/{path.name}"
    return addresses


def _overlay(out: Path, layer: Layer) -> Path | None:
    """Find the overlay of a layer: overlays lie as images lie below their source."""
    parts = Path(layer.image_path).parts
    tries = (out / "overlays" / Path(*parts[first:-1]) / f"{parts[-1]}.jpg" for first in range(1, len(parts)))
    return next((path for path in tries if path.is_file()), None)


def _write_table(path: Path, jobs: Sequence[PrintJob]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(Rows(text), lineterminator=LINE_END)
    writer.writerow(COLUMNS)
    for job in jobs:
        change = job.change_layer
        newest, total = ("" if value is None else value for value in (job.newest, job.total))
        counts = (len(job.layers), newest, total, len(job.suspects), len(job.failed), job.missing)
        writer.writerow([guarded(job.machine), guarded(job.job), *counts, "" if change is None else change])
    write_whole(path, text.getvalue().encode())
