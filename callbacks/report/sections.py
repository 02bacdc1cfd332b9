"""Tables of whatever else a test measured: zones, objects, instances, probabilities, in the order of metrics.json.

A section of metrics.json has one of three shapes: names with values, names with estimates (``value``, ``low``,
``high``), or rows of a table (a list, or names with several values each). Nothing else is known about them, nor about
the tables of measures, which follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from callbacks.measures import images, objects, pixels

from .wording import DASH, defined, plural, score, share

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd

KNOWN = ("test", "baseline", "pictures", "training", "data_problems")
"""Sections that have places of their own on the page."""
DRAWN = (images.THRESHOLDS, pixels.THRESHOLDS, objects.DEFECTS, objects.MARKED)
"""Tables, and files of these names, that the page shows as figures."""
_ESTIMATE = {"value", "low", "high"}
_MOST_ROWS = 40


@dataclass(frozen=True)
class Section:
    """A table to show.

    Attributes:
        title: From its key.
        columns: Names of the columns.
        rows: Cells as text, as many as columns.
        note: What is not shown; or empty.
        named: Whether the first column names the rows.
    """

    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    named: bool = True


def sections(metrics: Mapping[str, Any]) -> list[Section]:
    """Return all sections that the page does not know, as tables; empty ones are left out."""
    found = []
    for key, content in metrics.items():
        if key not in KNOWN and isinstance(content, dict | list) and content:
            found += _sections(spoken(key), content)
    return found


def own_tables(tables: Mapping[str, pd.DataFrame]) -> list[Section]:
    """Show the first rows of every table of a measure that has no figure; empty ones are left out."""
    return [
        _table(spoken(name), [("", row) for row in table.to_dict("records")], f"{name}.csv")
        for name, table in tables.items()
        if name not in DRAWN and not table.empty
    ]


def own_files(files: Sequence[str]) -> list[str]:
    """Name the files of measures that hold something else than what the page shows."""
    return [name for name in files if name.partition(".")[0] not in DRAWN]


def _sections(title: str, content: Any) -> list[Section]:
    """Return one table, or several where a section holds sections."""
    if isinstance(content, list):
        rows = [row for row in content if isinstance(row, dict)]
        return [_table(title, [("", row) for row in rows])] if rows else []
    single = {name: value for name, value in content.items() if not _is_branch(value) and value not in ([], {})}
    branches = {name: value for name, value in content.items() if _is_branch(value)}
    found = [_pairs(title, single)] if single else []
    if branches and all(isinstance(value, dict) and _is_row(value) for value in branches.values()):
        return [*found, _table(title, list(branches.items()))]
    for name, value in branches.items():
        found += _sections(f"{title}: {spoken(name).lower()}", value)
    return found


def _is_branch(value: Any) -> bool:
    return isinstance(value, list | dict) and bool(value) and not _is_estimate(value)


def _is_row(value: Mapping[str, Any]) -> bool:
    return not any(_is_branch(entry) for entry in value.values())


def _is_estimate(value: Any) -> bool:
    """Tell whether a value is an estimate; besides its interval it may say what was counted."""
    flat = isinstance(value, dict) and not any(isinstance(entry, dict | list) for entry in value.values())
    return flat and set(value) >= _ESTIMATE


def _pairs(title: str, values: Mapping[str, Any]) -> Section:
    rows = tuple((spoken(name).lower(), cell(value)) for name, value in values.items())
    return Section(title, ("", "value"), rows)


def _table(title: str, rows: Sequence[tuple[str, Mapping[Any, Any]]], file: str = "metrics.json") -> Section:
    """Return one row for each entry, one column for each key that any has; ``file`` holds the rows too many."""
    keys = list(dict.fromkeys(key for _, row in rows for key in row))
    named = any(name for name, _ in rows)
    columns = (*([""] if named else []), *(spoken(key).lower() for key in keys))
    cells = tuple((*([name] if named else []), *(cell(row.get(key)) for key in keys)) for name, row in rows)
    note = f"{plural(len(cells) - _MOST_ROWS, 'more row')} in {file}." if len(cells) > _MOST_ROWS else ""
    in_words = bool(keys) and all(isinstance(row.get(keys[0]), str) for _, row in rows)
    return Section(title, columns, cells[:_MOST_ROWS], note, named or in_words)


def cell(value: Any) -> str:
    """Write a value as a person reads it: estimates with their interval, numbers without false precision."""
    if _is_estimate(value):
        low, high = defined(value.get("low")), defined(value.get("high"))
        ends = "" if low is None or high is None else f" ({number(low)} to {number(high)})"
        counted = "".join(f", {spoken(key).lower()} {cell(one)}" for key, one in value.items() if key not in _ESTIMATE)
        return f"{number(value['value'])}{ends}{counted}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return number(value)
    return DASH if value is None or value == "" else str(value)


def number(value: float | None) -> str:
    """Whole numbers whole, shares with three decimals, all others with four digits."""
    if value is None or defined(value) is None:
        return DASH
    if isinstance(value, int) or (float(value).is_integer() and abs(value) > 1):
        return f"{int(value):,}".replace("-", "\N{MINUS SIGN}")
    if 0 <= value <= 1:
        return share(value)
    return score(float(f"{value:.4g}"), max(0, 3 - len(str(int(abs(value)))) + 1) if abs(value) < 1e4 else 0)


def spoken(key: str) -> str:
    """Write a key as words: ``false_objects`` gives ``False objects``."""
    words = str(key).replace("_", " ").strip()
    return f"{words[:1].upper()}{words[1:]}"
