"""Reads the table of verdicts, and keeps what people say of them: print jobs in order, days, confirmations.

Of an image that was judged several times, the latest verdict counts; of what people said of it, the latest word.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from sqlalchemy import and_, case, func, select

from callbacks.report.print_job import DEFECTIVE, GOOD, Layer

from .tables import CONFIRMATIONS, VERDICTS, explained, open_database

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sqlalchemy import Subquery

LABELS = (GOOD, DEFECTIVE)
PAGE = "page"
MOST_LAYERS = 50_000  # of a job that are read


class Job(NamedTuple):
    """A print job, as far as it was judged.

    Attributes:
        machine: That prints it; empty where unknown.
        job: Its name; empty for layers of no job.
        layers: That were judged.
        flagged: Of them.
        newest: Number of the highest layer; None where layers have no numbers.
        at: When the latest was judged, UTC.
    """

    machine: str
    job: str
    layers: int
    flagged: int
    newest: int | None
    at: datetime


class Day(NamedTuple):
    """What became of the images that were judged on a day, UTC.

    Attributes:
        day: As ``2026-01-31``.
        images: Judged.
        flagged: Called defective.
        confirmed: Flagged, and people say defective.
        false_alarms: Flagged, and people say good.
        missed: Not flagged, and people say defective.
        unseen: Flagged, and nobody has said anything yet.
    """

    day: str
    images: int
    flagged: int
    confirmed: int
    false_alarms: int
    missed: int
    unseen: int


class Verdicts:
    """Reads a database of verdicts.

    Args:
        url: As ``table=`` takes it.

    Raises:
        ConfigError: There is no such database.
    """

    def __init__(self, url: str) -> None:
        self._engine = open_database(url)

    def close(self) -> None:
        """Close the database."""
        self._engine.dispose()

    def jobs(self) -> list[Job]:
        """List the jobs of layers, the one that was judged latest first."""
        rows = _latest(VERDICTS.c.layer.is_not(None)).subquery()
        columns = rows.c
        machine, job = func.coalesce(columns.machine, ""), func.coalesce(columns.job, "")
        asked = select(
            machine,
            job,
            func.count(),
            func.sum(case((columns.verdict == DEFECTIVE, 1), else_=0)),
            func.max(columns.layer),
            func.max(columns.time),
        ).group_by(machine, job)
        found = [Job(row[0], row[1], row[2], int(row[3]), row[4], _utc(row[5])) for row in self._rows(asked)]
        return sorted(found, key=lambda job: job.at, reverse=True)

    def layers(self, machine: str, job: str) -> list[Layer]:
        """List the layers of a job in their order."""
        here = VERDICTS.c
        wanted = and_(
            here.layer.is_not(None), func.coalesce(here.machine, "") == machine, func.coalesce(here.job, "") == job
        )
        return self._layers(_latest(wanted).subquery())

    def layer(self, number: int) -> Layer | None:
        """Find a row by its id; None: there is none."""
        found = self._layers(select(VERDICTS).where(VERDICTS.c.id == number).subquery())
        return found[0] if found else None

    def _layers(self, rows: Subquery) -> list[Layer]:
        labels, columns = _latest_words().subquery(), rows.c
        names = ("id", "image_path", "layer", "score", "threshold", "verdict", "reasons", "unusual", "error", "model")
        asked = (
            select(*(columns[name] for name in names), labels.c.label, labels.c["by"], columns.folder)
            .join_from(rows, labels, columns.image_path == labels.c.image_path, isouter=True)
            .order_by(columns.layer, columns.image_path)
            .limit(MOST_LAYERS)
        )
        return [Layer(*row[:5], *((value or "") for value in row[5:])) for row in self._rows(asked)]

    def days(self, first: date, last: date) -> list[Day]:
        """Count by day what was flagged, and what people say of it; days without images are left out."""
        begin, end = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
        rows = _latest(and_(VERDICTS.c.time >= begin, VERDICTS.c.time < end)).subquery()
        labels, columns, day = _latest_words().subquery(), rows.c, func.date(rows.c.time)
        flagged = columns.verdict == DEFECTIVE
        label = func.coalesce(labels.c.label, "")
        counted = (
            flagged,
            and_(flagged, label == DEFECTIVE),
            and_(flagged, label == GOOD),
            and_(~flagged, label == DEFECTIVE),
            and_(flagged, label == ""),
        )
        asked = (
            select(day, func.count(), *(func.sum(case((one, 1), else_=0)) for one in counted))
            .join_from(rows, labels, columns.image_path == labels.c.image_path, isouter=True)
            .where(columns.verdict.is_not(None))
            .group_by(day)
            .order_by(day)
        )
        return [Day(str(row[0]), *(int(value or 0) for value in row[1:])) for row in self._rows(asked)]

    def confirm(self, number: int, label: str, by: str) -> Layer | None:
        """Store a person's verdict on a judged image; None: there is no such row.

        Raises:
            ValueError: It is neither good nor defective.
        """
        if label not in LABELS:
            raise ValueError(f"Expected label to be good or defective, but found {label!r}.")
        found = self.layer(number)
        if found is not None:
            row = {"time": datetime.now(UTC), "image_path": found.image_path, "label": label, "by": by, "source": PAGE}
            with explained(self._engine), self._engine.begin() as connection:
                connection.execute(CONFIRMATIONS.insert(), [row])
            found = self.layer(number)
        return found

    def mirror(self, journal: str, labels: Iterable[tuple[str, str, str, datetime]]) -> None:
        """Take what a journal of labels says now in place of what it said before.

        Args:
            journal: Its name.
            labels: Image, label, who and when.
        """
        rows = [
            {"image_path": image, "label": label, "by": by, "time": when.astimezone(UTC), "source": journal}
            for image, label, by, when in labels
            if label in LABELS
        ]
        with explained(self._engine), self._engine.begin() as connection:
            connection.execute(CONFIRMATIONS.delete().where(CONFIRMATIONS.c.source == journal))
            if rows:
                connection.execute(CONFIRMATIONS.insert(), rows)

    def _rows(self, asked: Any) -> list[tuple[Any, ...]]:
        with explained(self._engine), self._engine.connect() as connection:
            return [tuple(row) for row in connection.execute(asked)]


def _latest(wanted: Any) -> Any:
    """Keep of every image the row that was written last."""
    newest = select(func.max(VERDICTS.c.id)).where(wanted).group_by(VERDICTS.c.image_path)
    return select(VERDICTS).where(VERDICTS.c.id.in_(newest))


def _latest_words() -> Any:
    """Keep of every image what was said last."""
    columns = CONFIRMATIONS.c
    order = func.row_number().over(partition_by=columns.image_path, order_by=(columns.time.desc(), columns.id.desc()))
    ranked = select(columns.image_path, columns.label, columns["by"], order.label("place")).subquery()
    return select(ranked).where(ranked.c.place == 1)


def _utc(found: datetime) -> datetime:
    """Give a time its zone, where a database forgets it."""
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
