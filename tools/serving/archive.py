"""The table of verdicts as a server shows it: jobs with what the config says of them, and labels from a journal."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from callbacks.report.print_job import PrintJob
from tools.errors import ConfigError
from tools.runs.verdicts import Verdicts

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import date
    from pathlib import Path

    from callbacks.report.print_job import Layer
    from tools.runs.verdicts import Day, Job


class Archive:
    """Reads verdicts for pages.

    Args:
        url: Of the database.
        journal: Of ``loupe label``, whose labels count as confirmations; None: only those of the page do.
        totals: Layers of every job, by its name; or of all jobs alike; None: nobody knows.
        layer_um: Height of a layer in micrometres; None where nobody said.
        labels_of: Writes the labels of a journal as a table beside it, and returns that.

    Raises:
        ConfigError: The database cannot be used, or there is no such journal.
    """

    def __init__(
        self,
        url: str,
        journal: Path | None,
        totals: Mapping[str, int] | int | None,
        layer_um: float | None,
        labels_of: Callable[[Path], Path],
    ) -> None:
        if journal is not None and not journal.is_file():
            raise ConfigError(f"Expected journal to be a file that loupe label writes, but found none at {journal}.")
        self._verdicts = Verdicts(url)
        self._journal = journal
        self._labels_of = labels_of
        self._totals = totals
        self._layer_um = layer_um
        self._lock = threading.Lock()
        self._read_at = -1

    def close(self) -> None:
        """Close the database."""
        self._verdicts.close()

    def jobs(self) -> list[Job]:
        """List the jobs, the latest first."""
        return self._verdicts.jobs()

    def outline(self, job: Job) -> PrintJob:
        """Say of a job what needs none of its layers."""
        return PrintJob(job.machine, job.job, (), self._total(job.job), self._layer_um)

    def job(self, machine: str, job: str) -> PrintJob:
        """Read a job with its layers."""
        self._take_journal()
        return PrintJob(machine, job, self._verdicts.layers(machine, job), self._total(job), self._layer_um)

    def layer(self, number: int) -> Layer | None:
        """Find a layer by the id of its row."""
        return self._verdicts.layer(number)

    def confirm(self, number: int, label: str, by: str) -> Layer | None:
        """Store a person's verdict on a layer."""
        return self._verdicts.confirm(number, label, by)

    def days(self, first: date, last: date) -> list[Day]:
        """Count by day what was flagged and what was confirmed."""
        self._take_journal()
        return self._verdicts.days(first, last)

    def _total(self, job: str) -> int | None:
        return self._totals.get(job) if not isinstance(self._totals, int | None) else self._totals

    def _take_journal(self) -> None:
        """Take what the labelling page said, where it said more since."""
        if self._journal is None:
            return
        with self._lock:
            at = self._journal.stat().st_mtime_ns
            if at != self._read_at:
                self._verdicts.mirror(str(self._journal), _labels_in(self._labels_of(self._journal)))
                self._read_at = at


def _labels_in(path: Path) -> list[tuple[str, str, str, datetime]]:
    """List image (its whole path), label, who and when of a table of labels, which names images from where it lies."""
    import pandas as pd  # noqa: PLC0415 - servers without a journal do without

    table = pd.read_csv(path, dtype=str, keep_default_na=False)
    rows = table[["image", "label", "by", "when"]].to_dict("records")
    return [(_whole(path, str(row["image"])), str(row["label"]), str(row["by"]), _moment(row["when"])) for row in rows]


def _whole(table: Path, image: str) -> str:
    """Name a file by its whole path; what is no way to a file, such as a tile of an array, keeps its name."""
    place = (table.parent / image).resolve()
    return str(place) if image.startswith("../") or place.is_file() else image


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
