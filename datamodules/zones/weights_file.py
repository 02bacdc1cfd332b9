"""Weights of detectors in a file that several processes may share: ``{method: {"agreement": 0..1, "images": n}}``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from filelock import FileLock

from datamodules.errors import DataError
from datamodules.files.whole_files import write_whole

from .weights import DEFAULT_WEIGHTS, as_weights

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def read_weights(path: Path) -> dict[str, float]:
    """Read what a file of weights has learned; the default where there is no such file yet.

    Raises:
        DataError: It is something else.
    """
    stored = _read(path)
    return as_weights({name: entry[0] for name, entry in stored.items()}) if stored else dict(DEFAULT_WEIGHTS)


def add_to_file(path: Path, agreement: Mapping[str, float], images: int, *, fresh: bool = False) -> None:
    """Add what was learned from ``images`` images to a file: the mean, weighted by images. One writer at a time.

    Args:
        path: The file.
        agreement: Of each detector.
        images: How many it was learned on.
        fresh: Forget what the file held.

    Raises:
        DataError: The file is something else.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(path.with_name(f".{path.name}.lock")):
        stored = {} if fresh else _read(path)
        for method, value in agreement.items():
            before, seen = stored.get(method, (0.0, 0))
            stored[method] = ((before * seen + value * images) / (seen + images), seen + images)
        text = {method: {"agreement": value, "images": seen} for method, (value, seen) in sorted(stored.items())}
        write_whole(path, (json.dumps(text, indent=2) + "\n").encode())


def _read(path: Path) -> dict[str, tuple[float, int]]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        stored = {str(method): (float(entry["agreement"]), int(entry["images"])) for method, entry in values.items()}
        if strange := [method for method, (value, seen) in stored.items() if not 0 <= value <= 1 or seen < 0]:
            raise ValueError(f"agreement of {strange[0]} is not between 0 and 1")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise DataError(
            f"Expected {path} to hold the weights of zone detectors as Loupe writes them, but could not read it: "
            f"{error!r}; delete it, or name another file."
        ) from error
    return stored
