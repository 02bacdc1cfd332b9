"""Ratings of inclusions as tables of pages."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

from callbacks.inclusions.rating import CAVEAT, ELONGATED, ROUND, SERIES, SEVEREST, SILICATE, STRINGER, e45_like

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from callbacks.inclusions.rating import Rating

Table: TypeAlias = "tuple[str, list[str], list[list[str]]]"

TITLE = "Rating, like that of ASTM E45"
WORDS = {
    ELONGATED: "elongated, were they sulphides",
    STRINGER: "fragments in rows",
    SILICATE: "elongated, were they silicates",
    ROUND: "globular",
}
NO_SCALE = f"{TITLE}: none, for no scale is known; give um_per_pixel."
NO_FIELD = f"{TITLE}: none, for nothing here is as large as one field of 0.50 mm2."
NO_ROWS = "Its elongated inclusions share no direction, so that no rows of fragments were looked for."


def rating_of(table: pd.DataFrame, shape: tuple[int, int], um_per_pixel: float | None) -> Rating | None:
    """Rate the inclusions of a scan; None where its scale is not known, or it is smaller than a field."""
    return e45_like(table, shape, um_per_pixel) if um_per_pixel else None


def rating_table(rating: Rating) -> Table:
    """Say the rating of a scan, and the length or the number in the worst field that it rests on."""
    worst = cast("dict[str, float]", rating["worst"])
    head = ["type", "thin", "heavy"]
    rows = []
    for kind in SERIES:
        unit = "" if kind is ROUND else " um"
        keys = f"{kind.name}_thin", f"{kind.name}_heavy"
        cells = [f"{severity_text(cast('float', rating[key]))} ({worst[key]:.0f}{unit})" for key in keys]
        rows.append([f"{kind.type}: {WORDS[kind]}", *cells])
    fields = "the one field" if rating["fields"] == 1 else f"the worst of {rating['fields']} fields"
    return f"{TITLE}: {fields} of 0.50 mm2", head, rows


def rating_notes(rating: Rating | None, um_per_pixel: float | None) -> list[str]:
    """Say what the rating is worth, or why there is none."""
    if rating is None:
        return [NO_FIELD if um_per_pixel else NO_SCALE]
    over = f"{rating['oversized']} inclusions are wider than any series." if rating["oversized"] else ""
    return [" ".join(filter(None, (CAVEAT, over, "" if rating["axis"] is not None else NO_ROWS)))]


def ratings_table(names: Sequence[str], ratings: Sequence[Rating | None]) -> Table | None:
    """Say the ratings of all scans; None where none has one."""
    if not any(ratings):
        return None
    keys = [f"{kind.name}_{name}" for kind in SERIES for name in ("thin", "heavy")]
    head = ["", *(f"{kind.type} {name}" for kind in SERIES for name in ("thin", "heavy"))]
    rows = [
        [name, *(severity_text(cast("float", rating[key])) for key in keys)] if rating else [name, *("-" for _ in keys)]
        for name, rating in zip(names, ratings, strict=True)
    ]
    return f"{TITLE} (0 to {SEVEREST:g}, worst field of each)", head, rows


def severity_text(value: float) -> str:
    """Say a severity; the largest stands for all above."""
    return f"{value:g}{'+' if value >= SEVEREST else ''}"
