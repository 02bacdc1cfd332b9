"""``index.html`` of a folder of predictions: made anew from its record whenever a call ends."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from callbacks.report.lot_page import Lot, render_lot
from callbacks.report.lot_rows import lines_of
from datamodules.files.whole_files import write_whole

from .decision import ALL
from .record import whole_rows

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from .judge import Judge
    from .page_images import PageImages

PAGE = "index.html"
HASH = 12  # digits of a hash that a person compares


class Heading(NamedTuple):
    """What stands on the certificate beside what was found; what is empty is left open.

    Attributes:
        lot: Name of the lot or batch.
        part: Part number.
        model: What judges, in words; empty: as the judge calls itself.
    """

    lot: str = ""
    part: str = ""
    model: str = ""


def write_page(record: Path, judge: Judge, images: PageImages, heading: Heading, notes: Sequence[str]) -> Path:
    """Write the page of a folder beside its record; return it.

    Args:
        record: The file of its rows, which is complete.
        judge: Who judged.
        images: Those of the page.
        heading: What else stands on the certificate.
        notes: What a reader must not miss.
    """
    lines = lines_of(whole_rows(record))
    if failed := sum(bool(line.error) for line in lines):
        notes = [f"{failed} of {len(lines)} images could not be judged: look at them first.", *notes]
    kinds = judge.own_thresholds()
    lot = Lot(
        lines=lines,
        lot=heading.lot,
        part=heading.part,
        model=heading.model or _named(judge),
        thresholds={ALL: float(judge.decision.image[ALL])} | {f"kind {kind}": own for kind, (own, _) in kinds.items()},
        promise=_promises(judge),
        notes=notes,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        source=images.address,
        judged=judge.acceptance is not None,
    )
    path = record.with_name(PAGE)
    write_whole(path, render_lot(lot).encode())
    return path


def _promises(judge: Judge) -> str:
    """Say what the threshold promises, or those of the kinds and the one of all others."""
    own = [f"{kind}: {promise}" for kind, (_, promise) in judge.own_thresholds().items()]
    return " ".join([*own, f"Others: {judge.decision.promise}"]) if own else judge.decision.promise


def _named(judge: Judge) -> str:
    """Say what judges, from what it notes of itself."""
    parts = [str(judge.about[key]) for key in ("bundle", "checkpoint", "form") if key in judge.about]
    digits = next((str(judge.about[key])[:HASH] for key in ("spec_sha256", "sha256") if key in judge.about), "")
    return ", ".join([*parts, *([f"SHA-256 {digits}"] if digits else [])]) or "unnamed"
