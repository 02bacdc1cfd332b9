"""Labels of the labelling page count as confirmations of what a table of verdicts flagged."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.tools.labelling.conftest import images, open_desk, saying
from tools.errors import ConfigError
from tools.labelling.images_file import labels_of_journal, write_images
from tools.labelling.journal import JOURNAL
from tools.runs.tables import VerdictTable
from tools.serving.archive import Archive

if TYPE_CHECKING:
    from pathlib import Path

    from tools.runs.verdicts import Day


def test_what_the_labelling_page_says_counts_and_what_it_takes_back_does_not(tmp_path: Path) -> None:
    url, out = f"sqlite:///{tmp_path / 'results.db'}", tmp_path / "labels"
    gathered = images(tmp_path / "images", [0.5, 1.5, 1.6, 1.7])
    with VerdictTable(url, "m", "", tmp_path) as table:
        for number, item in enumerate(gathered.items.values()):
            verdict = "defective" if number else "good"
            row = {"image_path": str(item.path.resolve()), "score": item.score, "threshold": 1.0, "verdict": verdict}
            table.write(row | {"machine": "m1", "job": "j1", "build": "j1", "layer": number})
        table.flush()
    out.mkdir()
    desk = open_desk(gathered, out)
    write_images(desk, out)
    say = saying(desk, "Ada")
    say("p01.png", "defective")
    archive = Archive(url, out / JOURNAL, {"j1": 40}, None, labels_of_journal)
    assert counts(archive) == (3, 1, 0, 0)
    say("p02.png", "good")
    say("p00.png", "defective")
    assert counts(archive) == (3, 1, 1, 1)
    desk.journal.undo("u", "Ada")
    assert counts(archive) == (3, 1, 1, 0)
    job = archive.job("m1", "j1")
    assert [(layer.label, layer.by) for layer in job.layers] == [
        ("", ""),
        ("defective", "Ada"),
        ("good", "Ada"),
        ("", ""),
    ]
    assert (job.total, job.progress) == (40, "Layer 3 of 40 (8 %), 4 layers judged")
    archive.close()
    desk.journal.close()


def counts(archive: Archive) -> tuple[int, int, int, int]:
    """Flagged, confirmed, false alarms and missed of today."""
    today = datetime.now(UTC).date()
    days: list[Day] = archive.days(today - timedelta(days=1), today)
    return days[-1].flagged, days[-1].confirmed, days[-1].false_alarms, days[-1].missed


def test_a_journal_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="Expected journal to be a file"):
        Archive(f"sqlite:///{tmp_path / 'a.db'}", tmp_path / "none.jsonl", None, None, labels_of_journal)
