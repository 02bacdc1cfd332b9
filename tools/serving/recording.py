"""``table=``: verdicts on uploads go into the table of verdicts, too; the images themselves do not."""

from __future__ import annotations

import hashlib
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from tools.errors import ConfigError
from tools.runs.tables import VerdictTable

from .answers import row_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import BinaryIO

    from tools.runner.judge import Judge
    from tools.runner.result import Result

    from .catalogue import Served

UPLOAD = "upload"
DIGITS = 16  # of a digest, which tells images of one name apart


class Recorder:
    """Writes verdicts to a database; what requests bring during one transaction goes into the next together.

    ``image_path`` is ``upload/DIGEST/NAME``: an image that is sent again is the same image, and its latest verdict
    counts on the pages; images of one name that differ are told apart. While the database is away, rows wait for the
    next request.

    Args:
        url: Of the database.
        models: That are served.

    Raises:
        ConfigError: There is no such database, or nobody can write to it.
    """

    def __init__(self, url: str, models: Sequence[Served]) -> None:
        self._tables = {model.name: table_of(url, model, Path(UPLOAD)) for model in models}
        self._lock = threading.Lock()

    def record(self, files: Sequence[BinaryIO], results: Sequence[Result], model: str) -> None:
        """Write the verdicts on the files of a request, all of them in one transaction."""
        rows = [
            row_of(result) | {"image_path": f"{UPLOAD}/{_digest(file)}/{result.name}"}
            for file, result in zip(files, results, strict=True)
        ]
        table = self._tables[model]
        table.write_together(rows)
        with self._lock:  # whoever waited here may find that its rows went with those of another
            try:
                table.flush()
            except ConfigError as error:
                sys.stderr.write(f"table: {error} What was judged is written with the next request.\n")

    def close(self) -> None:
        """Write what waits, and let go of the database."""
        for table in self._tables.values():
            with table:
                try:
                    table.flush()
                except ConfigError as error:
                    sys.stderr.write(f"table: {error} Its last verdicts are lost.\n")


def table_of(url: str, served: Served, folder: Path) -> VerdictTable:
    """Open the table for verdicts of a model.

    Raises:
        ConfigError: There is no such database, or nobody can write to it.
    """
    return VerdictTable(url, served.name, _sha256(served.judge), folder)


def _sha256(judge: Judge) -> str:
    return str(judge.about.get("sha256", judge.about.get("spec_sha256", "")))


def _digest(file: BinaryIO) -> str:
    file.seek(0)
    return hashlib.sha256(file.read()).hexdigest()[:DIGITS]
