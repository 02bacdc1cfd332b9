"""Verdicts in a table that people can query: rows of any database that SQLAlchemy reaches, from several writers."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Self

from sqlalchemy import (
    Column,
    DateTime,
    Double,
    Integer,
    MetaData,
    Table,
    Text,
    create_engine,
    event,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError

from datamodules.layer_places import COLUMNS as LAYER_COLUMNS
from tools.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from sqlalchemy import Engine

NAME = "verdicts"
WAIT_S = 60.0  # for another writer of the same SQLite file
EXAMPLES = "such as table=sqlite:///results.db, or postgresql+psycopg://USER@HOST/DATABASE"


class VerdictTable:
    """Adds a row for every judged image to the table ``verdicts``, which is made where it is not there.

    Columns: ``id``, ``time`` (UTC, when it was judged), ``model`` and ``model_sha256`` (what judged), ``image_path``,
    ``score``, ``threshold``, ``verdict`` (empty where there is none), ``accepted``, ``reasons``, ``predicted_type``,
    ``probability``, ``kind``, ``unusual``, ``defects`` (their number), ``error`` and ``folder`` (where overlays lie);
    of layers of prints also ``machine``, ``job``, ``build`` and ``layer``. A table of an earlier version gets the
    columns that it lacks.
    A batch of rows is one transaction: all of it is there, or nothing.

    Args:
        url: Of the database, as SQLAlchemy takes it.
        model: What judges: the folder of a run, or a bundle.
        sha256: Of its checkpoint, or of its ``spec.json``.
        folder: Where the files of the results lie.

    Raises:
        ConfigError: There is no such database, or nobody can write to it.
    """

    def __init__(self, url: str, model: str, sha256: str, folder: Path) -> None:
        self._engine = open_database(url)
        self._table = VERDICTS
        self._shared = {"model": model, "model_sha256": sha256, "folder": str(folder)}
        self._waiting: list[dict[str, Any]] = []
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        """Write to it."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *args: object) -> None:
        """Let go of the database; what waits for a ``flush`` is left to the next call."""
        self._engine.dispose()

    def known(self) -> set[str]:
        """Return the images of this folder that have a row: an interrupted call goes on behind them."""
        columns = self._table.c
        wanted = select(columns.image_path).where(columns.folder == self._shared["folder"])
        with explained(self._engine), self._engine.connect() as connection:
            return set(connection.execute(wanted).scalars())

    def write(self, row: Mapping[str, Any]) -> None:
        """Take a row of ``predictions.jsonl``; it is in the table after the next ``flush``."""
        self.write_together([row])

    def write_together(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Take rows that go into the table in one transaction, from any thread."""
        taken = [self._values(row) for row in rows]
        with self._lock:
            self._waiting += taken

    def flush(self) -> None:
        """Write all rows that wait, as one transaction; those that come meanwhile wait for the next."""
        with self._lock:
            waiting = [*self._waiting]
        if not waiting:
            return
        with explained(self._engine), self._engine.begin() as connection:
            connection.execute(self._table.insert(), waiting)
        with self._lock:
            del self._waiting[: len(waiting)]

    def _values(self, row: Mapping[str, Any]) -> dict[str, Any]:
        values = {name: row.get(name) for name in (*_COPIED, *LAYER_COLUMNS)}
        defects = row.get("defects")
        own = {"time": datetime.now(UTC), "defects": None if defects is None else len(defects)}
        return values | self._shared | own


def verdict_table(
    url: str | None, model: str, sha256: str, folder: Path
) -> AbstractContextManager[VerdictTable | None]:
    """Open the table at ``url``; None: there is none. Arguments as in ``VerdictTable``."""
    return nullcontext() if url is None else VerdictTable(str(url), model, sha256, folder)


_COPIED = (
    *("image_path", "score", "threshold", "verdict", "accepted", "reasons", "predicted_type", "probability", "kind"),
    *("unusual", "error"),
)


_NUMBERS = ("score", "threshold", "probability")
_METADATA = MetaData()
VERDICTS = Table(
    NAME,
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("time", DateTime(timezone=True), nullable=False, index=True),
    *(Column(name, Text, nullable=False) for name in ("model", "model_sha256")),
    Column("folder", Text, nullable=False, index=True),
    *(Column(name, Double if name in _NUMBERS else Text) for name in _COPIED),
    Column("defects", Integer),
    *(Column(name, Integer if name == "layer" else Text) for name in LAYER_COLUMNS),
)
CONFIRMATIONS = Table(
    "confirmations",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("time", DateTime(timezone=True), nullable=False),
    Column("image_path", Text, nullable=False, index=True),
    Column("label", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("source", Text, nullable=False),
)
"""What people say of judged images: a row each time; the latest counts. ``source`` is ``page``, or a journal."""


def open_database(url: str) -> Engine:
    """Open a database, and make the tables, or the columns, that it lacks.

    Raises:
        ConfigError: There is no such database, or nobody can write to it.
    """
    engine = _open(url)
    with explained(engine):
        _create(engine)
        _add_columns(engine)
    return engine


def _open(url: str) -> Engine:
    try:
        address = make_url(url)
        sqlite = address.get_backend_name() == "sqlite"
        engine = create_engine(address, connect_args={"timeout": WAIT_S} if sqlite else {}, pool_pre_ping=not sqlite)
    except (ArgumentError, NoSuchModuleError) as error:
        raise ConfigError(f"Expected table to be the address of a database, {EXAMPLES}, but found {url!r}.") from error
    except ImportError as error:
        driver = {"psycopg": "'psycopg[binary]'"}.get(str(error.name), str(error.name))
        raise ConfigError(
            f"Expected the driver {error.name} for table={make_url(url).drivername}://..., but it is not installed: "
            f"pip install {driver}"
        ) from error
    if address.get_backend_name() == "postgresql":
        event.listen(engine, "connect", _in_utc)
    return engine


def _in_utc(connection: Any, record: object) -> None:
    """Let days be those of UTC, as in every other database."""
    del record
    with connection.cursor() as cursor:
        cursor.execute("SET TIME ZONE 'UTC'")
    connection.commit()


def _create(engine: Engine) -> None:
    """Make the tables; another writer may make them at the same time."""
    try:
        _METADATA.create_all(engine)
    except DBAPIError:
        if not inspect(engine).has_table(NAME):
            raise
        _METADATA.create_all(engine)


def _add_columns(engine: Engine) -> None:
    """Add the columns that a table of an earlier version lacks; another writer may add them at the same time."""
    for column in VERDICTS.columns:
        if column.name in _columns(engine):
            continue
        try:
            with engine.begin() as connection:
                kind = column.type.compile(engine.dialect)
                connection.execute(text(f"ALTER TABLE {NAME} ADD COLUMN {column.name} {kind}"))
        except DBAPIError:
            if column.name not in _columns(engine):
                raise


def _columns(engine: Engine) -> set[str]:
    return {str(found["name"]) for found in inspect(engine).get_columns(NAME)}


@contextmanager
def explained(engine: Engine) -> Iterator[None]:
    """Say in a sentence what a database refused.

    Raises:
        ConfigError: As above.
    """
    try:
        yield
    except SQLAlchemyError as error:
        why = str(getattr(error, "orig", None) or error).splitlines()[0]
        where = engine.url.render_as_string(hide_password=True)
        raise ConfigError(f"Expected to use the table {NAME} of {where}, but: {why}.") from error
