"""The pages of sorted arrays: one for each array, and one for the lot with a small map of each.

A page needs no server and no network: figures are drawn in it, and its cells lie on one sheet.

Letters: N cells, S side of a cell in pixels.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .charts.array_figures import array_map, class_bars, histogram, plane_figure
from .charts.sprite import sprite
from .embeddings import embedding_maps
from .page import render_page
from .wording import plural

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt
    import pandas as pd

SHOWN = 100  # cells of a gallery
WIDEST = 8.0  # robust standard deviations beyond which a feature says no more
PERCENTILE = 90
ITERATIONS = 500  # of t-SNE, as in the notebook: cells of one array settle sooner than images of any kind
EXTREMES = (0.2, 99.8)  # percentiles of grey values that become black and white
STYLES = ("page.css", "arrays.css")


@dataclass(frozen=True)
class ArrayContent:
    """What the page of one array shows.

    Attributes:
        name: Of the array.
        shape: Rows and columns.
        table: One row per cell: ``row, col, class, score, reason, inconsistency, rank``.
        features: Names of the columns that describe a cell.
        layers: Of every layer: name, limit, share of planted defects found, meaning.
        seams: Sentences, one per seam.
        cell_NSS: Cells as they are to be shown, uint8, in the order of the table.
        others: Counts of classes by another method, for comparison, by its name.
    """

    name: str
    shape: tuple[int, int]
    table: pd.DataFrame
    features: Sequence[str]
    layers: Sequence[tuple[str, float, float, str]]
    seams: Sequence[str]
    cell_NSS: npt.NDArray[np.uint8]
    others: Mapping[str, Mapping[str, int]] = field(default_factory=dict)

    @property
    def counts(self) -> dict[str, int]:
        """Cells of every class, good ones first."""
        counted = self.table["class"].value_counts()
        return {name: int(counted.get(name, 0)) for name in ("good", *(layer[0] for layer in self.layers))}


@dataclass(frozen=True)
class LotContent:
    """What the page of all arrays shows.

    Attributes:
        title: Of the lot.
        arrays: Sorted ones, and the address of the page of each.
        problems: Path, problem and remedy of files that could not be sorted.
        date: As text.
        command: That made it.
    """

    title: str
    arrays: Sequence[tuple[ArrayContent, str]]
    problems: Sequence[tuple[str, str, str]]
    date: str
    command: str


def render_array(content: ArrayContent, back: str, date: str) -> str:
    """Render the page of one array.

    Args:
        content: Of the array.
        back: Address of the page of all arrays.
        date: As text.
    """
    table = content.table.reset_index(drop=True)
    names = [str(name).lower() for name in table["class"]]
    score_N = table["score"].to_numpy(np.float64)
    order_N = table["inconsistency"].to_numpy(np.float64)
    sheet = sprite(np.repeat(content.cell_NSS[..., None], 3, axis=3))
    first = table["row"].min(), table["col"].min()
    ranked = table.sort_values("rank").index.to_list()
    maps = embedding_maps(scaled(table[list(content.features)]), iterations=ITERATIONS) if content.features else ()
    values: dict[str, Any] = {
        "content": content,
        "counts": content.counts,
        "sentence": sentence(content.counts),
        "date": date,
        "back": back,
        "map": array_map(table["row"] - first[0], table["col"] - first[1], names, content.shape),
        "bars": class_bars(content.counts),
        "histogram": histogram(
            order_N, "Inconsistency", float(np.percentile(order_N, PERCENTILE)), f"{PERCENTILE}th percentile"
        ),
        "planes": [
            (
                one.name,
                one.note,
                plane_figure(one.place_N2, names, score_N, one.name, by_score=False),
                plane_figure(one.place_N2, names, score_N, one.name, by_score=True),
            )
            for one in maps
        ],
        "galleries": galleries(table, ranked),
        "sheet": sheet,
        "sheet_rows": -(-len(table) // sheet.columns),
        "cells": [
            {
                "where": f"row {row['row']}, column {row['col']}",
                "what": str(row["class"]),
                "score": f"{row['score']:.2f}",
                "why": str(row["reason"]),
                "rank": int(row["rank"]),
            }
            for row in table.to_dict("records")
        ],
    }
    return render_page("array.html.j2", values, STYLES, "arrays.js")


def render_lot(content: LotContent) -> str:
    """Render the page of all arrays: the counts, and a map of each that leads to its page."""
    totals: dict[str, int] = {}
    rows = []
    for one, address in content.arrays:
        first = one.table["row"].min(), one.table["col"].min()
        names = [str(name).lower() for name in one.table["class"]]
        drawing = array_map(one.table["row"] - first[0], one.table["col"] - first[1], names, one.shape)
        rows.append(
            {
                "name": one.name,
                "address": address,
                "map": drawing,
                "counted": ", ".join(f"{count:,} {name}" for name, count in one.counts.items() if count),
            }
        )
        for name, count in one.counts.items():
            totals[name] = totals.get(name, 0) + count
    values = {"content": content, "rows": rows, "totals": totals, "sentence": sentence(totals)}
    return render_page("arrays.html.j2", values, STYLES, "arrays.js")


def sentence(counts: Mapping[str, int]) -> str:
    """Say in one sentence what was found."""
    cells = sum(counts.values())
    found = [f"{count:,} {name}" for name, count in counts.items() if name != "good" and count]
    if not found:
        return f"{plural(cells, 'cell')}, all of them good."
    return f"{plural(cells, 'cell')}: {counts.get('good', 0):,} good, {', '.join(found)}."


def galleries(table: pd.DataFrame, ranked: Sequence[int]) -> list[tuple[str, str, list[int]]]:
    """Choose the cells to show: title, note, and places in the table."""
    chosen = []
    for name, rows in table.groupby("class", sort=True):
        worst = rows.sort_values("score", ascending=name == "good").index.to_list()
        note = "the most like the reference first" if name == "good" else "the clearest first"
        chosen.append((str(name), f"{plural(len(rows), 'cell')}, {note}", worst[:SHOWN]))
    return [
        *sorted(chosen, key=lambda one: one[0] == "good"),
        ("Least consistent", "by rank", list(ranked[:SHOWN])),
        ("Most consistent", "by rank, from the last", list(reversed(ranked[-SHOWN:]))),
    ]


def stretched(grey_NSS: npt.NDArray[np.floating]) -> npt.NDArray[np.uint8]:
    """Return cells as 8 bits, stretched alike over the grey values of their array, but for its extremes."""
    low, high = np.percentile(grey_NSS, EXTREMES)
    shade_NSS = (grey_NSS - low) * (255.0 / max(float(high - low), 1e-6))
    return np.asarray(np.clip(np.rint(shade_NSS), 0, 255).astype(np.uint8))


def scaled(features: pd.DataFrame) -> npt.NDArray[np.float32]:
    """Return features in robust standard deviations, clipped, for the maps."""
    value_NF = features.to_numpy(np.float64)
    away = value_NF - np.median(value_NF, axis=0)
    spread = 1.4826 * np.median(np.abs(away), axis=0)
    return np.clip(np.where(spread > 0, away / np.where(spread > 0, spread, 1), 0), -WIDEST, WIDEST).astype(np.float32)
