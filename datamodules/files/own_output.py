"""Folders that Loupe wrote: runs, bundles, predictions. The images in them are nobody's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

# What lies in each, whatever else does.
_MARKS = (
    ("a run of Loupe", ("config.yaml", "environment.json")),
    ("a bundle of Loupe", ("spec.json", "predict.py")),
    ("predictions of Loupe", ("predictions.jsonl", "predictions.csv")),
    ("predictions of Loupe", ("parts.jsonl", "parts.csv")),
    ("predictions of Loupe", ("cells.csv", "summary.json")),
    ("predictions of Loupe", ("areas.csv", "summary.json")),
)


def own_output(folder: Path) -> str:
    """Say what of Loupe's own a folder is; empty where it is not."""
    return next((what for what, names in _MARKS if all((folder / name).is_file() for name in names)), "")
