"""What a lot of end faces leaves on disk: tables, a summary and a page; and a last look at what does not belong."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pandas as pd

from callbacks.acceptance.judgement import STATES, Judgement
from callbacks.report.fiber_page import LotOfFaces, render_fiber_lot
from datamodules.files.csv_text import csv_text
from datamodules.files.whole_files import write_whole
from datamodules.zones.many import STRAY, usual_radius

from .fiber_rows import DEFECTS, PREDICTIONS, prediction_row
from .fiber_rules import rings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from callbacks.acceptance.judgement import Acceptance

    from .fiber_rows import Row

TABLE, LISTED, ERRORS, SUMMARY = "predictions.csv", "defects.csv", "errors.csv", "summary.json"
WHOLE = ("defect", "fragments")  # columns that hold whole numbers
TYPES = ("scratch", "pit", "chip", "dirt", "unsure")


def write_results(
    out: Path, entries: list[Row], acceptance: Acceptance | None, *, command: str, page: bool
) -> Path | None:
    """Write everything that is made of the record; return the page, if one was asked for."""
    for entry in strays_of(entries):
        write_whole(out / entry["report"], (json.dumps(entry, indent=2, allow_nan=False) + "\n").encode())
    rows = pd.DataFrame(map(prediction_row, entries), columns=list(PREDICTIONS))
    for column in ("defects", "scratches"):
        rows[column] = rows[column].astype("Int64")
    write_whole(out / TABLE, csv_text(rows).encode())
    defects = pd.DataFrame(defect_rows(entries), columns=list(DEFECTS))
    write_whole(out / LISTED, csv_text(defects).encode())
    failed = [(entry["image"], entry["error"]) for entry in entries if "error" in entry]
    if failed:
        write_whole(out / ERRORS, csv_text(pd.DataFrame(failed, columns=["path", "problem"])).encode())
    else:
        (out / ERRORS).unlink(missing_ok=True)
    write_whole(out / SUMMARY, (json.dumps(summary_of(entries, acceptance), indent=2) + "\n").encode())
    if not page:
        return None
    content = LotOfFaces(
        entries=entries,
        rings=rings_of(acceptance),
        standard={} if acceptance is None else acceptance.standard,
        judged=acceptance is not None,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        command=command,
    )
    write_whole(out / "index.html", render_fiber_lot(content).encode())
    return out / "index.html"


def strays_of(entries: Sequence[Row]) -> list[Row]:
    """Take back the verdict on faces whose circle is not a cladding of their kind, and return them.

    Where nearly all claddings of a kind and image size are as large, one that is not is a core under oil, or a circle
    of another kind; nothing that was measured by it holds.
    """
    radii: dict[tuple[Any, ...], list[float]] = {}
    for entry in _with_cladding(entries):
        radii.setdefault(_key(entry), []).append(entry["zones"]["cladding"]["radius"])
    usual = {key: usual_radius(values) for key, values in radii.items()}
    strays = []
    for entry in _with_cladding(entries):
        middle, radius = usual[_key(entry)], entry["zones"]["cladding"]["radius"]
        if middle is None or abs(radius / middle - 1) <= STRAY:
            continue
        why = f"a circle of radius {radius:.0f} pixels is not a cladding, where those of its kind have {middle:.0f}"
        entry["zones"] |= {"found": False, "stray": why}
        if entry["acceptance"] is not None:
            about = {
                key: entry["acceptance"][key] for key in ("name", "edition", "source") if key in entry["acceptance"]
            }
            judged = Judgement("unknown", (why,), (), about)
            entry |= {"accepted": judged.state, "reasons": judged.text, "acceptance": judged.row()}
        strays.append(entry)
    return strays


def _with_cladding(entries: Sequence[Row]) -> list[Row]:
    return [entry for entry in entries if "error" not in entry and entry["zones"]["cladding"] is not None]


def _key(entry: Row) -> tuple[Any, ...]:
    return (entry["kind"], *entry["size"])


def defect_rows(entries: Iterable[Row]) -> list[Row]:
    """Return a row per defect of all images."""
    return [
        {"image_path": entry["image"], "kind": entry["kind"], **defect}
        for entry in entries
        for defect in entry.get("defects") or ()
    ]


def summary_of(entries: Sequence[Row], acceptance: Acceptance | None) -> dict[str, Any]:
    """Count images by state, and defects by type and zone, as plain values."""
    measured = [entry for entry in entries if "error" not in entry]
    rows = defect_rows(entries)
    return {
        "images": len(entries),
        "not_read": len(entries) - len(measured),
        "zones_found": sum(entry["zones"]["found"] for entry in measured),
        "standard": {} if acceptance is None else acceptance.standard,
        "states": {state: sum(entry.get("accepted") == state for entry in entries) for state in STATES}
        if acceptance is not None
        else {},
        "defects": dict(Counter(row["type"] for row in rows)),
        "zones": dict(Counter(zone for row in rows for zone in row["zones"].split())),
    }


def summary_text(entries: Sequence[Row], acceptance: Acceptance | None, earlier: int) -> str:
    """Say what was found, in a few lines."""
    summary = summary_of(entries, acceptance)
    noun = "image" if summary["images"] == 1 else "images"
    lines = [f"{summary['images']} {noun}: zones found in {summary['zones_found']}, {summary['not_read']} not read."]
    if earlier:
        lines[0] += f" {earlier} of them had been inspected before."
    counted = [f"{summary['defects'][name]} {name}" for name in TYPES if name in summary["defects"]]
    lines.append(f"Listed in {LISTED}: {', '.join(counted) or 'nothing'}.")
    if acceptance is None:
        lines.append("Nothing is accepted or rejected without rules; set acceptance=iec_61300_3_35_sm_pc, or another.")
    else:
        states = ", ".join(f"{count} {state}" for state, count in summary["states"].items() if count)
        title = ", edition ".join(filter(None, (acceptance.name, acceptance.edition)))
        lines.append(f"By {title or 'the rules'}: {states}.")
    return "\n".join(lines)
