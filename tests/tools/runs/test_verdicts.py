"""What pages read from the table of verdicts, in any database: jobs, layers in order, words of people, and days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tools.runs.tables import VerdictTable
from tools.runs.verdicts import Verdicts

from .databases import DATABASES, database

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TODAY = datetime.now(UTC).date()
SPAN = TODAY - timedelta(days=1), TODAY


@pytest.fixture(params=DATABASES)
def verdicts(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Verdicts]:
    """Eight layers of two jobs, in no order, one of them judged twice, and an image of no job."""
    with database(request.param, tmp_path) as url:
        with VerdictTable(url, "m", "", tmp_path) as table:
            for layer in (3, 1, 2, 4):
                for job in ("a", "b"):
                    place = {"machine": "m1", "job": job, "build": job, "layer": layer}
                    called = "defective" if layer == 2 and job == "a" else "good"
                    table.write(
                        {"image_path": f"{job}/{layer}", "score": float(layer), "threshold": 2.5}
                        | place
                        | {"verdict": called}
                    )
            table.write({"image_path": "other.png", "score": 9.0, "threshold": 2.5, "verdict": "defective"})
            table.flush()
            place = {"machine": "m1", "job": "a", "build": "a", "layer": 4}
            table.write({"image_path": "a/4", "score": 8.0, "threshold": 2.5, "verdict": "defective"} | place)
            table.flush()
        found = Verdicts(url)
        yield found
        found.close()


def test_jobs_count_the_latest_verdict_of_each_layer(verdicts: Verdicts) -> None:
    jobs = {job.job: job for job in verdicts.jobs()}
    assert {name: (job.machine, job.layers, job.flagged, job.newest) for name, job in jobs.items()} == {
        "a": ("m1", 4, 2, 4),
        "b": ("m1", 4, 0, 4),
    }
    assert all(abs(datetime.now(UTC) - job.at) < timedelta(hours=1) for job in jobs.values())
    assert [(layer.layer, layer.score) for layer in verdicts.layers("m1", "a")] == [
        (1, 1.0),
        (2, 2.0),
        (3, 3.0),
        (4, 8.0),
    ]
    assert verdicts.layers("m1", "nothing") == []


def test_the_latest_word_counts_and_days_add_up(verdicts: Verdicts) -> None:
    ids = {layer.layer: layer.id for layer in verdicts.layers("m1", "a")}
    for layer, label in ((2, "good"), (2, "defective"), (4, "good"), (1, "defective")):
        kept = verdicts.confirm(ids[layer], label, "Ada")
        assert kept is not None
        assert (kept.label, kept.by) == (label, "Ada")
    (day,) = verdicts.days(*SPAN)
    assert (day.day, day.images, day.flagged) == (str(TODAY), 9, 3)
    assert (day.confirmed, day.false_alarms, day.missed, day.unseen) == (1, 1, 1, 1)
    assert verdicts.days(TODAY - timedelta(days=9), TODAY - timedelta(days=2)) == []
    assert verdicts.confirm(12345, "good", "Ada") is None
    with pytest.raises(ValueError, match="good or defective"):
        verdicts.confirm(ids[1], "maybe", "Ada")


def test_a_journal_is_mirrored_and_what_it_takes_back_is_gone(verdicts: Verdicts) -> None:
    now = datetime.now(UTC)
    verdicts.mirror(
        "journal", [("a/2", "good", "Bo", now), ("a/4", "defective", "Bo", now), ("a/1", "rework", "Bo", now)]
    )
    labels = {layer.layer: layer.label for layer in verdicts.layers("m1", "a")}
    assert labels == {1: "", 2: "good", 3: "", 4: "defective"}
    verdicts.mirror("journal", [("a/4", "defective", "Bo", now)])
    assert {layer.layer: layer.label for layer in verdicts.layers("m1", "a")} == {1: "", 2: "", 3: "", 4: "defective"}
