"""Verdicts in a database: every row with its model, threshold, time and reasons; several writers; nothing twice."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from sqlalchemy import select

from callbacks.acceptance.judgement import Acceptance
from callbacks.defects.measured import DefectRules
from tools.errors import ConfigError
from tools.runner.decision import Decision
from tools.runner.judge import Judge
from tools.runner.measuring import Measuring
from tools.runner.predicting import Options, predict
from tools.runner.result import Prediction
from tools.runs.tables import VERDICTS, VerdictTable, open_database, verdict_table
from tools.runs.verdicts import Verdicts

from .databases import DATABASES, database

if TYPE_CHECKING:
    from datamodules.files.images import Array

ROOT = Path(__file__).resolve().parents[3]
THRESHOLDS: dict[str, Any] = {
    "image": {"all": {"value": 0.5}},
    "pixel": {"all": {"value": 0.5}},
    "regions": {"min_area": 0, "low": None, "erode": 0, "usual": 0.0},
    "probability": None,
    "map_range": [0.0, 1.0],
}
WRITER = """
import sys, pathlib
from tools.runs.tables import VerdictTable
url, name = sys.argv[1:]
with VerdictTable(url, name, "", pathlib.Path(name)) as table:
    for batch in range(20):
        for index in range(5):
            table.write({"image_path": f"{batch}/{index}", "score": float(index), "verdict": "good"})
        table.flush()
"""


def by_brightness(image_B3HW: Array) -> Prediction:
    return Prediction(image_B3HW.mean(axis=(1, 2, 3)), image_B3HW.mean(axis=1))


def make_judge() -> Judge:
    return Judge(by_brightness, Decision(THRESHOLDS), (16, 16), None, {"judge": "brightness"})


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Six images from dark to bright, and one that cannot be read."""
    root = tmp_path / "images"
    root.mkdir()
    for index in range(6):
        values = np.full((20, 24), 40 * index + 10, np.uint8)
        values[0, 0] += 1
        cv2.imwrite(str(root / f"{index}.png"), values)
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no image")
    return root


def rows_in(path: Path) -> list[dict[str, Any]]:
    with closing(sqlite3.connect(path)) as database:
        database.row_factory = sqlite3.Row
        return [dict(row) for row in database.execute("SELECT * FROM verdicts ORDER BY id")]


def test_every_verdict_is_kept_with_model_threshold_and_time(images: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'results.db'}"
    with verdict_table(url, "runs/a", "cafe", tmp_path / "out") as table:
        predict(make_judge(), [str(images)], tmp_path / "out", Options(errors="ok"), table)
    rows = rows_in(tmp_path / "results.db")
    assert len(rows) == 7
    assert {(row["model"], row["model_sha256"], row["folder"]) for row in rows} == {
        ("runs/a", "cafe", str(tmp_path / "out"))
    }
    judged = [row for row in rows if row["verdict"]]
    assert [row["verdict"] for row in judged] == ["good"] * 3 + ["defective"] * 3
    assert {row["threshold"] for row in judged} == {0.5}
    assert [row["error"] is None for row in rows].count(False) == 1
    judged_at = datetime.fromisoformat(rows[0]["time"]).replace(tzinfo=UTC)
    assert timedelta(0) <= datetime.now(UTC) - judged_at < timedelta(hours=1)


def test_reasons_of_rules_are_kept(images: Path, tmp_path: Path) -> None:
    judge = make_judge()
    judge.acceptance = Acceptance({"model": {"verdict": "good"}})
    judge.measuring = Measuring(DefectRules())
    with verdict_table(f"sqlite:///{tmp_path / 'results.db'}", "m", "", tmp_path / "out") as table:
        predict(judge, [str(images / "5.png")], tmp_path / "out", sink=table)
    (row,) = rows_in(tmp_path / "results.db")
    assert row["accepted"] == "rejected"
    assert row["reasons"]


def test_a_call_that_goes_on_adds_what_is_missing_and_nothing_twice(images: Path, tmp_path: Path) -> None:
    url, out = f"sqlite:///{tmp_path / 'results.db'}", tmp_path / "out"
    predict(make_judge(), [str(images)], out, Options(limit=2, errors="ok"))  # as if killed before the table had them
    for _ in range(2):
        with verdict_table(url, "m", "", out) as table:
            predict(make_judge(), [str(images)], out, Options(errors="ok"), table)
    names = [Path(row["image_path"]).name for row in rows_in(tmp_path / "results.db")]
    assert sorted(names) == [*(f"{index}.png" for index in range(6)), "broken.png"]


@pytest.mark.parametrize("sort", DATABASES)
def test_several_writers_lose_nothing(sort: str, tmp_path: Path) -> None:
    with database(sort, tmp_path) as url:
        command = [sys.executable, "-c", WRITER, url]
        writers = [subprocess.Popen([*command, name], cwd=ROOT) for name in ("a", "b", "c")]
        assert [writer.wait(timeout=300) for writer in writers] == [0, 0, 0]
        engine = open_database(url)
        with engine.connect() as connection:
            rows = connection.execute(select(VERDICTS.c.model, VERDICTS.c.image_path)).all()
        engine.dispose()
    assert len(set(rows)) == len(rows) == 300


@pytest.mark.parametrize("sort", DATABASES)
def test_a_call_that_goes_on_adds_nothing_twice_to_any_database(sort: str, images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with database(sort, tmp_path) as url:
        for limit in (3, None):
            with verdict_table(url, "m", "", out) as table:
                predict(make_judge(), [str(images)], out, Options(errors="ok", limit=limit), table)
        verdicts = Verdicts(url)
        (day,) = verdicts.days(datetime.now(UTC).date() - timedelta(days=1), datetime.now(UTC).date())
        verdicts.close()
    assert (day.images, day.flagged, day.unseen) == (6, 3, 3)


def test_a_table_of_an_earlier_version_gets_what_it_lacks(tmp_path: Path) -> None:
    path = tmp_path / "results.db"
    open_database(f"sqlite:///{path}").dispose()
    with closing(sqlite3.connect(path)) as old:
        for column in ("machine", "job", "build", "layer"):
            old.execute(f"ALTER TABLE verdicts DROP COLUMN {column}")
        old.commit()
    with verdict_table(f"sqlite:///{path}", "m", "", tmp_path) as table:
        assert table is not None
        table.write({"image_path": "a", "machine": "m1", "job": "j1", "build": "b1", "layer": 7})
        table.flush()
    (row,) = rows_in(path)
    assert (row["machine"], row["job"], row["build"], row["layer"]) == ("m1", "j1", "b1", 7)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("results.db", "Expected table to be the address of a database"),
        ("nothing://x", "Expected table to be the address of a database"),
        ("sqlite:////nowhere/there/x.db", "Expected to use the table verdicts of sqlite"),
    ],
)
def test_what_is_no_database_is_refused(url: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=message), verdict_table(url, "m", "", tmp_path):
        pass


def test_without_a_table_there_is_none(tmp_path: Path) -> None:
    with verdict_table(None, "m", "", tmp_path) as table:
        assert table is None


def test_rows_of_many_threads_are_there_when_flush_returns_and_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'results.db'}"
    flushing = threading.Lock()
    with VerdictTable(url, "m", "", tmp_path) as table:

        def request(number: int) -> None:
            table.write_together([{"image_path": f"{number}/{part}", "verdict": "good"} for part in range(3)])
            with flushing:
                table.flush()
            written = [row["image_path"] for row in rows_in(tmp_path / "results.db")]
            assert [name for name in written if name.startswith(f"{number}/")] == [
                f"{number}/{part}" for part in range(3)
            ]

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(request, range(40)))
    assert len(rows_in(tmp_path / "results.db")) == 120
