"""What makes two trials the same: their resolved configs, where they bear on the result, and their data."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.features.weight_sources import packaged

if TYPE_CHECKING:
    from collections.abc import Mapping

IRRELEVANT = frozenset(
    {
        "out",
        "name",
        "id",
        "choices",
        "report",
        "data.root",
        "data.num_workers",
        "data.cache",
        "callbacks.epoch_pictures",
    }
)
"""Keys that change no result: names, places, and how work is done. ``data.root`` is replaced by the data's content."""
LENGTH = 12  # hexadecimal digits: 48 bits, for which a million trials collide once in 500 sweeps


def trial_id(config: Mapping[str, Any], data_hash: str) -> str:
    """Name a trial by what it is.

    Args:
        config: Resolved, plain values.
        data_hash: Of the content of its data.
    """
    relevant = json.dumps([_relevant(config, ""), data_hash], sort_keys=True)
    return hashlib.sha256(relevant.encode()).hexdigest()[:LENGTH]


def _relevant(value: Any, key: str) -> Any:
    """Drop what is irrelevant, and name files of weights by their content."""
    if isinstance(value, dict):
        entries = ((name, f"{key}.{name}" if key else str(name)) for name in value)
        return {name: _relevant(value[name], full) for name, full in entries if full not in IRRELEVANT}
    if isinstance(value, list):
        return [_relevant(entry, key) for entry in value]
    if isinstance(value, str) and key.rpartition(".")[2] == "weights":
        path = packaged(value) or Path(value).expanduser()
        return f"sha256 {_file_hash(path)}" if path.is_file() else value
    return value


def _file_hash(path: Path) -> str:
    known = (str(path.resolve()), path.stat().st_mtime_ns, path.stat().st_size)
    if known not in _hashes:
        _hashes[known] = hashlib.sha256(path.read_bytes()).hexdigest()
    return _hashes[known]


_hashes: dict[tuple[str, int, int], str] = {}  # files of weights are large, and every trial names one
