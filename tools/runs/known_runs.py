"""The runs that there are: found by name, or by being the latest."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tools.errors import ConfigError

from .run_files import CHECKPOINTS, CONFIG, METRICS
from .run_folder import RunFolder
from .run_state import state_of

if TYPE_CHECKING:
    from collections.abc import Sequence

HOME = "runs"  # where loupe train keeps them unless out= says otherwise
LATEST = "latest"
FIGURE = "image_auroc"
SHOWN = 5  # runs in an error


@dataclass(frozen=True)
class KnownRun:
    """A run, and what a list says of it.

    Attributes:
        folder: Where it lies, as OUT/NAME/ID.
        started: When its config was written.
        state: ``training``, ``testing`` or ``finished``.
        figure: Image AUROC on its test images; None where it has none.
        images: How many test images that rests on; None likewise.
    """

    folder: RunFolder
    started: datetime
    state: str
    figure: float | None
    images: int | None

    @property
    def name(self) -> str:
        """What it may be called: NAME/ID."""
        return "/".join(self.folder.path.parts[-2:])


def known_runs(out: str | Path = HOME) -> list[KnownRun]:
    """List the runs below a folder, the latest first; what cannot be read has no figure, and is listed all the same."""
    configs = Path(out).expanduser().glob(f"*/*/{CONFIG}")
    folders = [path.parent for path in configs if (path.parent / CHECKPOINTS).is_dir()]
    return sorted(map(_known, folders), key=lambda run: (run.started, run.name), reverse=True)


def find_run(wanted: str, out: str | Path = HOME) -> Path:
    """Find the run that a word names: a path, ``latest``, NAME/ID, ID, or NAME, of which the latest is meant.

    Raises:
        ConfigError: There is none, or several have that id: lists what there is.
    """
    path = Path(wanted).expanduser()
    if path.exists() or path.suffix == ".ckpt":
        return path
    runs = known_runs(out)
    for match in (
        [run for run in runs if wanted == LATEST][:1],
        [run for run in runs if run.name == wanted.strip("/")],
        [run for run in runs if run.folder.path.name == wanted],
        [run for run in runs if run.folder.path.parent.name == wanted][:1],
    ):
        if len(match) > 1:
            raise ConfigError(f"Expected run to name one run, but {wanted!r} may be {_listed(match)}; give NAME/ID.")
        if match:
            return match[0].folder.path
    if "/" in wanted.strip("/") and len(Path(wanted).parts) != len(("NAME", "ID")):
        return path  # a path that is not there: the caller says so
    there = f"there are {_listed(runs)}" if runs else f"there is none below {Path(out).resolve()}"
    raise ConfigError(
        f"Expected run to be the folder of a run, its name, or {LATEST}, but found {wanted!r}; {there}. "
        "loupe runs lists them."
    )


def describe_runs(runs: Sequence[KnownRun]) -> str:
    """Set runs out as a table, the latest first."""
    rows = [("run", "started", "state", "image AUROC", "test images"), *map(_row, runs)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    aligned = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows]
    return "\n".join("  ".join(row).rstrip() for row in aligned)


def _row(run: KnownRun) -> tuple[str, ...]:
    figure = "" if run.figure is None else f"{run.figure:.3f}"
    return (run.name, f"{run.started:%Y-%m-%d %H:%M}", run.state, figure, "" if run.images is None else str(run.images))


def _listed(runs: Sequence[KnownRun]) -> str:
    rest = f" and {len(runs) - SHOWN} more" if len(runs) > SHOWN else ""
    return ", ".join(run.name for run in runs[:SHOWN]) + rest


def _known(path: Path) -> KnownRun:
    folder = RunFolder(path.resolve())
    started = datetime.fromtimestamp(folder.config.stat().st_mtime).astimezone()
    try:
        metrics, state = folder.read_json(METRICS), str(state_of(folder))
    except ConfigError:
        return KnownRun(folder, started, "unreadable", None, None)
    counts = [_value(metrics, "pictures", label) for label in ("good", "defective", "unknown")]
    images = None if None in counts else int(sum(filter(None, counts)))
    return KnownRun(folder, started, state, _value(metrics, "test", FIGURE, "value"), images)


def _value(values: Any, *keys: str) -> float | None:
    for key in keys:
        values = values.get(key) if isinstance(values, dict) else None
    return float(values) if isinstance(values, int | float) else None
