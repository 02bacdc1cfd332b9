"""Verdicts on uploads in the table of verdicts, and what the pages make of them."""

from __future__ import annotations

import http.client
import signal
import sqlite3
import threading
import time
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

from .conftest import layer, png, serving
from .test_page import drop, visiting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Browser

    from .conftest import Running

JOB = "machine_2/job_9"


def asked(database: Path, query: str) -> list[Any]:
    with closing(sqlite3.connect(database)) as connection, connection:
        return list(connection.execute(query))


def results(folder: Path) -> str:
    return f"table=sqlite:///{folder / 'results.db'}"


def test_every_verdict_on_an_upload_has_a_row_and_joins_its_job(printed: Path, tmp_path: Path) -> None:
    paths = sorted((printed / "new" / JOB).glob("*.png"))
    files = [(f"{JOB}/{path.name}", path.read_bytes()) for path in paths]
    models = f"run={{top: {printed / 'runs/print/one'}, side: {printed / 'runs/print/one'}}}"
    with serving(tmp_path, models, results(tmp_path)) as server:
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
    browser: Browser, bundle: Path, tmp_path: Path
) -> None:
    with serving(tmp_path, f"bundle={bundle}", results(tmp_path)) as server:
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


def test_rows_wait_while_the_database_is_away(bundle: Path, tmp_path: Path) -> None:
    database = tmp_path / "results.db"
    with serving(tmp_path, f"bundle={bundle}", results(tmp_path)) as server:
        asked(database, "ALTER TABLE verdicts RENAME TO elsewhere")
        assert judged_one(server, 1) == 200
        asked(database, "ALTER TABLE elsewhere RENAME TO verdicts")
        assert asked(database, "SELECT count(*) FROM verdicts") == [(0,)]
        assert judged_one(server, 2) == 200
        assert asked(database, "SELECT count(*) FROM verdicts") == [(2,)]
        assert "table: Expected" in server.log.read_text()


def judged_one(server: Running, seed: int) -> int:
    return server.predict([(f"{seed}.png", png(layer(seed)))]).status


def test_what_was_answered_is_in_the_table_though_the_server_is_killed_beside_another_writer(
    bundle: Path, tmp_path: Path
) -> None:
    keys = (f"bundle={bundle}", f"table=sqlite:///{tmp_path / 'results.db'}")
    answered: dict[str, list[str]] = {"killed": [], "other": []}
    images = [png(layer(seed)) for seed in range(3)]
    ended = threading.Event()

    def send(who: str, server: Running, lane: int) -> None:
        for number in range(10_000):
            request = f"{who}_{lane}_{number}"
            try:
                answer = server.predict([(f"{request}_{part}.png", image) for part, image in enumerate(images)])
            except (OSError, http.client.HTTPException):
                return
            if answer.status == 200:
                answered[who].append(request)
            if ended.is_set():
                return

    with serving(tmp_path / "one", *keys) as killed, serving(tmp_path / "two", *keys) as other:
        lanes = [("killed", killed), ("other", other)] * 2
        threads = [threading.Thread(target=send, args=(*lane, number)) for number, lane in enumerate(lanes)]
        for thread in threads:
            thread.start()
        wait_until(lambda: min(map(len, answered.values())) > 3)
        killed.process.send_signal(signal.SIGKILL)
        for thread in threads[::2]:
            thread.join(60)
        alone = len(answered["other"])
        wait_until(lambda: len(answered["other"]) > alone + 3)
        ended.set()
        for thread in threads[1::2]:
            thread.join(60)
    paths = [row[0] for row in asked(tmp_path / "results.db", "SELECT image_path FROM verdicts")]
    rows = Counter(path.rpartition("/")[2].rpartition("_")[0] for path in paths)
    assert set(rows.values()) == {3}  # a request is there, or it is not
    assert set(answered["killed"]) | set(answered["other"]) <= set(rows)


def wait_until(holds: Callable[[], bool]) -> None:
    ends = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < ends
        time.sleep(0.01)
