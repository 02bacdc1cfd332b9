"""What a lot of rings leaves on disk: tables, a summary and a page."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from callbacks.report.oring_page import STATES, LotOfRings, render_oring_lot
from callbacks.report.wording import plural
from datamodules.files.csv_text import csv_text
from datamodules.files.whole_files import write_whole
from datamodules.zones.ring_parts import TO_JUDGE
from datamodules.zones.ring_source import LIMITED
from tools.runner.instance_files import write_instances

from .oring_rows import columns_of, limits_by_kind

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .oring_rows import Judge, Row

PARTS, SOURCE, ERRORS, SUMMARY = "parts.csv", "source_measures.csv", "errors.csv", "summary.json"
SOURCE_COLUMNS = ("image", *LIMITED, "center_dx", "center_dy", "max_thickness", "annular_area")
WORDS = {
    "outer_diameter": "Outer diameter",
    "inner_diameter": "Inner diameter",
    "centre_distance": "Distance of the centres",
    "mean_thickness": "Mean thickness",
    "min_thickness": "Least thickness",
    "max_thickness": "Greatest thickness",
    "thickness_range": "Range of thickness",
    "thickness_ratio": "Greatest over least thickness",
    "ovality": "Ovality",
    "flash": "Flash",
    "notch": "Deepest notch",
    "gap": "Gap",
    "circularity": "Circularity",
    "eccentricity": "Eccentricity, % of the mean radius",
    "area": "Area",
}
NO_UNIT = ("circularity", "eccentricity", "thickness_ratio")


def write_results(
    out: Path, entries: Sequence[dict[str, Any]], judge: Judge, *, command: str, page: bool, source: bool
) -> Path | None:
    """Write everything that is made of the record; return the page, if one was asked for."""
    rows = parts_of(entries)
    failed = [entry for entry in entries if "error" in entry]
    empty = [{"image": entry["image"], "error": entry["error"]} for entry in failed]
    table = pd.DataFrame([*rows, *empty], columns=columns_of(rows))
    order = {entry["image"]: place for place, entry in enumerate(entries)}
    table = table.sort_values("image", key=lambda names: names.map(order), kind="stable")
    for column in ("part", "defects", "gaps"):
        table[column] = table[column].astype("Int64")
    write_whole(out / PARTS, csv_text(table).encode())
    if any("instances" in entry for entry in entries):
        searched = [entry for entry in entries if "instances" in entry]
        write_instances(out, [({"image": one["image"]}, tuple(one["size"]), one["instances"]) for one in searched])
    if source:
        measured = [{"image": entry["image"], **entry["source"]} for entry in entries if entry.get("source")]
        write_whole(out / SOURCE, csv_text(pd.DataFrame(measured, columns=list(SOURCE_COLUMNS))).encode())
    errors = out / ERRORS
    if failed:
        listed = pd.DataFrame(empty).rename(columns={"image": "path", "error": "problem"})
        write_whole(errors, csv_text(listed).encode())
    else:
        errors.unlink(missing_ok=True)
    write_whole(out / SUMMARY, (json.dumps(summary_of(entries, judge), indent=2) + "\n").encode())
    if not page:
        return None
    write_whole(out / "index.html", render_oring_lot(_content(entries, rows, failed, judge, command)).encode())
    return out / "index.html"


def parts_of(entries: Sequence[dict[str, Any]]) -> list[Row]:
    """Return the rows of all parts, each with the overlay of its image."""
    return [row | {"overlay": entry.get("overlay", "")} for entry in entries for row in entry.get("parts", ())]


def summary_of(entries: Sequence[dict[str, Any]], judge: Judge) -> dict[str, Any]:
    """Count parts by kind and state, as plain values."""
    rows = parts_of(entries)
    kinds = sorted({row["kind"] for row in rows})
    counted = Counter((row["kind"], row["accepted"]) for row in rows)
    return {
        "images": len(entries),
        "not_measured": sum("error" in entry for entry in entries),
        "parts": len(rows),
        "states": {state: sum(row["accepted"] == state for row in rows) for state in STATES},
        "kinds": {kind: {state: counted[kind, state] for state in STATES} for kind in kinds},
        "notes": notes_of(entries, judge),
    }


def notes_of(entries: Sequence[dict[str, Any]], judge: Judge) -> list[str]:
    """Say what a reader must not miss: rules that were not asked, and tiles that a first stage let pass."""
    tiles, passed = (sum(entry.get(name, 0) for entry in entries) for name in ("tiles", "passed"))
    saved = f"A first stage let {passed} of {tiles} tiles pass; the second never saw them, nor any defect on them."
    return [*judge.notes, *([saved] if passed else [])]


def summary_text(entries: Sequence[dict[str, Any]], judge: Judge, earlier: int) -> str:
    """Say the counts by kind and state."""
    summary = summary_of(entries, judge)
    counted = plural(summary["parts"], "part"), plural(summary["images"], "image")
    lines = [f"{counted[0]} on {counted[1]}, {plural(summary['not_measured'], 'image')} not measured."]
    if earlier:
        lines[0] += f" {earlier} images had been measured before."
    if judge.acceptance is not None:
        lines.append(f"{'type':<16}" + "".join(f"{state:>10}" for state in STATES))
        lines += [
            f"{kind or 'one type':<16}" + "".join(f"{counts[state]:>10}" for state in STATES)
            for kind, counts in summary["kinds"].items()
        ]
    return "\n".join([*lines, *summary["notes"]])


def _content(
    entries: Sequence[dict[str, Any]], rows: Sequence[Row], failed: Sequence[dict[str, Any]], judge: Judge, command: str
) -> LotOfRings:
    limits = limits_by_kind(judge.acceptance)
    scaled = any(name.endswith("_mm") for row in rows for name in row)
    return LotOfRings(
        rows=rows,
        limits=limits,
        measures=_measures(limits, scaled=scaled),
        problems=[(entry["image"], entry["error"]) for entry in failed],
        judged=judge.acceptance is not None,
        notes=notes_of(entries, judge),
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        command=command,
    )


def _measures(limits: dict[tuple[str, str], Any], *, scaled: bool) -> list[tuple[str, str]]:
    """Choose what is charted: in millimetres where the scale is known, unless limits are in pixels."""
    limited = {measure for _, measure in limits}
    chosen = []
    for name in TO_JUDGE:
        unit = "" if name in NO_UNIT else ", square pixels" if name == "area" else ", pixels"
        scale_name = f"{name}_mm2" if name == "area" else f"{name}_mm"
        if scaled and name not in NO_UNIT and name not in limited:
            chosen.append((scale_name, f"{WORDS[name]}{', mm²' if name == 'area' else ', mm'}"))
        else:
            chosen.append((name, f"{WORDS[name]}{unit}"))
    return chosen
