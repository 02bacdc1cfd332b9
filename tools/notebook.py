"""What a notebook shows of a run and of its predictions: figures and images, in HTML that needs nothing else."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING, Any

import numpy as np

from callbacks.report.overlays import RgbImage, data_uri
from datamodules.errors import UnreadableImageError
from datamodules.files.images import Array, read_image, scale, to_rgb

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    import pandas as pd

SHOWN = 12  # images
EDGE = 224  # pixels along the longer side
_CELL = 'style="display:inline-block;vertical-align:top;width:224px;margin:0 12px 12px 0"'


def metrics_html(path: Path, metrics: pd.DataFrame, report: Path) -> str:
    """Show the figures of a run, and where its report lies."""
    rows = [
        f"<tr><td>{html.escape(str(name))}</td><td>{_number(row['value'])}</td>"
        f"<td>{_number(row['low'])} to {_number(row['high'])}</td></tr>"
        for name, row in metrics.iterrows()
        if row["low"] == row["low"]  # those that have an interval; NaN differs from itself
    ]
    page = f'<p>Report: <a href="{html.escape(report.as_uri())}">{html.escape(str(report))}</a></p>'
    return (
        f"<p><b>Run</b> {html.escape(str(path))}</p>"
        f"<table><tr><th>on test images</th><th>value</th><th>interval</th></tr>{''.join(rows)}</table>"
        f"{page if report.is_file() else ''}"
    )


def predictions_html(path: Path, rows: Sequence[Mapping[Any, Any]]) -> str:
    """Show the first images with their verdicts: what was found is drawn over them where it was written."""
    cells = [_cell(path, row) for row in rows[:SHOWN]]
    more = f"<p>and {len(rows) - SHOWN} more, in {html.escape(str(path))}</p>" if len(rows) > SHOWN else ""
    return f"<div>{''.join(cells)}</div>{more}"


def _cell(path: Path, row: Mapping[Any, Any]) -> str:
    name = html.escape(str(row["image_path"]))
    if row["error"]:
        return f"<div {_CELL}><b>not judged</b><br>{name}<br>{html.escape(str(row['error']))}</div>"
    caption = f"<b>{row['verdict']}</b>: score {_number(row['score'])}, threshold {_number(row['threshold'])}"
    return f"<div {_CELL}>{_image(path, str(row['image_path']))}{caption}<br>{name}</div>"


def _image(path: Path, name: str) -> str:
    """Draw the overlay of an image, else the image itself; nothing where neither is a file any more."""
    drawn = [found for found in (path / "overlays").rglob("*.jpg") if name.endswith(_place(path, found))]
    try:
        values = read_image(drawn[0] if len(drawn) == 1 else name)
    except UnreadableImageError:
        return ""
    return f'<img src="{data_uri(_eight_bit(values), EDGE)}" style="max-width:100%;display:block">'


def _eight_bit(values: Array) -> RgbImage:
    scaled = to_rgb(scale(values))
    return scaled if scaled.dtype == np.uint8 else np.rint(scaled.clip(0, 1) * 255).astype(np.uint8)


def _place(path: Path, overlay: Path) -> str:
    """Name the image that an overlay belongs to, below its source."""
    return overlay.relative_to(path / "overlays").as_posix().removesuffix(".jpg")


def _number(value: float) -> str:
    return f"{value:.4g}"
