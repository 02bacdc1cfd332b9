"""Verdicts on uploads in the table of verdicts, and what the pages make of them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .conftest import layer, png, serving
from .test_page import drop, visiting

if TYPE_CHECKING:
    from pathlib import Path

    from playwright.sync_api import Browser

    from .conftest import Running

JOB = "machine_2/job_9"


def asked(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection, connection:
        return list(connection.execute(query))


def shared(printed: Path, folder: Path) -> tuple[str, ...]:
    models = f"run={{top: {printed / 'runs/print/one'}, side: {printed / 'runs/print/one'}}}"
    return models, f"table=sqlite:///{folder / 'results.db'}"


def test_every_verdict_on_an_upload_has_a_row_and_joins_its_job(printed: Path, tmp_path: Path) -> None:
    paths = sorted((printed / "new" / JOB).glob("*.png"))
    files = [(f"{JOB}/{path.name}", path.read_bytes()) for path in paths]
    with serving(tmp_path, *shared(printed, tmp_path)) as server:
        answers = server.predict([*files, ("broken.png", b"no image")]).json
        assert [answer["image"] for answer in answers] == [*(path.name for path in paths), "broken.png"]
        rows = asked(
            tmp_path / "results.db", "SELECT score, threshold, verdict, error, model FROM verdicts ORDER BY id"
        )
        assert [row[0] for row in rows[:12]] == [answer["score"] for answer in answers[:12]]
        assert [row[1] for row in rows[:12]] == [answer["threshold"] for answer in answers[:12]]
        assert [row[2] or "" for row in rows] == [answer["verdict"] for answer in answers]
        assert [row[3] or "" for row in rows] == [answer["error"] for answer in answers]
        assert {row[4] for row in rows} == {"top"}
        assert server.predict(files[:2], "?model=side").status == 200
        assert asked(tmp_path / "results.db", "SELECT count(*) FROM verdicts WHERE model = 'side'") == [(2,)]
        job = server.get("/job?machine=machine_2&job=job_9").body.decode()
        assert "12 layers judged" in job  # a layer that is judged again is the same layer
    places = asked(tmp_path / "results.db", "SELECT DISTINCT machine, job FROM verdicts WHERE error IS NULL")
    assert places == [("machine_2", "job_9")]


def test_images_of_one_name_are_told_apart_and_the_page_writes_as_well(
    browser: Browser, printed: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, *shared(printed, tmp_path)) as server:
        for seed in (1, 2):
            server.predict([("../../etc/layer_1.png", png(layer(seed)))])
        with visiting(browser, server) as page:
            own = tmp_path / "own.png"
            own.write_bytes(png(layer(3)))
            drop(page, [own])
    names = [row[0] for row in asked(tmp_path / "results.db", "SELECT image_path FROM verdicts ORDER BY id")]
    assert len(set(names)) == 3
    assert all(name.startswith("upload/") and ".." not in name for name in names)
    assert names[2].endswith("/own.png")


def test_rows_wait_while_the_database_is_away(printed: Path, tmp_path: Path) -> None:
    database = tmp_path / "results.db"
    with serving(tmp_path, *shared(printed, tmp_path)) as server:
        asked(database, "ALTER TABLE verdicts RENAME TO elsewhere")
        assert judged_one(server, 1) == 200
        asked(database, "ALTER TABLE elsewhere RENAME TO verdicts")
        assert asked(database, "SELECT count(*) FROM verdicts") == [(0,)]
        assert judged_one(server, 2) == 200
        assert asked(database, "SELECT count(*) FROM verdicts") == [(2,)]
        assert "table: Expected" in server.log.read_text()


def judged_one(server: Running, seed: int) -> int:
    return server.predict([(f"{seed}.png", png(layer(seed)))]).status
