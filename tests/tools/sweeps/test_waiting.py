"""Little waiting: what is finished loads nothing heavy, and what is known of data is not read again."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.sweeps.known_data import fingerprint
from tools.sweeps.live import LivePage
from tools.sweeps.worker import bytes_for_each

from .conftest import HERE, Sweep

if TYPE_CHECKING:
    from pathlib import Path

ROOT = HERE.parents[2]
HEAVY = "torch pandas optuna sklearn lightning"
CODE = f"""
import sys
from tools.cli import main
status = main(sys.argv[1:])
print("loaded:", *[name for name in {HEAVY!r}.split() if name in sys.modules])
sys.exit(status)
"""


def light(*args: str) -> str:
    """Run a command in a process of its own; return the heavy modules that it loaded."""
    environment = os.environ | {"PYTHONPATH": f"{HERE}{os.pathsep}{ROOT}"}
    command = [sys.executable, "-c", CODE, *args]
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("loaded:")[2].strip()


def test_looking_at_a_finished_sweep_loads_nothing(tmp_path: Path) -> None:
    small = (
        "data=synthetic",
        "data.size=48",
        "data.image_size=[48,48]",
        "data.good=30",
        "data.defective=14",
        "data.num_workers=0",
        "model.coreset_ratio=0.05",
        "trainer=cpu",
    )
    quick = ("callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0", "sweep.cpus=1")
    keys = (*quick, "sweep.workers=0", "sweep.report=none", f"out={tmp_path}")
    assert main(["sweep", *small, *keys, "model.num_neighbors=1,3"]) == 0
    folder = str(tmp_path / "sweep")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "sweep").rglob("*") if path.is_file()}
    assert light("sweep", "resume", folder) == ""
    assert light("sweep", "show", folder) == ""
    assert light("sweep", "best", folder) == ""
    after = {path: path.stat().st_mtime_ns for path in before}
    written = {path.name for path in before if before[path] != after[path]}
    assert written <= {"leaderboard.csv", "journal.lock"}


@pytest.mark.parametrize("search", ["tpe", "random", "qmc"])
def test_a_search_whose_budget_is_used_loads_no_sampler(search: str, tiny: Sweep, tmp_path: Path) -> None:
    tiny("model.coreset_ratio=interval(0.1,0.2)", f"sweep.search={search}", "sweep.trials=3", "sweep.workers=0")
    assert "torch" not in light("sweep", "resume", str(tmp_path / "sweep"))


def test_whatever_changes_files_is_seen(tmp_path: Path) -> None:
    (tmp_path / "good").mkdir()
    picture = tmp_path / "good" / "a.png"
    picture.write_bytes(b"one")
    seen = [fingerprint([str(tmp_path)])]
    assert fingerprint([str(tmp_path)]) == seen[0]
    picture.write_bytes(b"two")  # as long as before
    seen.append(fingerprint([str(tmp_path)]))
    os.utime(picture, ns=(0, 0))  # as a copy that keeps times does
    seen.append(fingerprint([str(tmp_path)]))
    (tmp_path / "good" / "b.png").write_bytes(b"")
    seen.append(fingerprint([str(tmp_path)]))
    (tmp_path / "good" / "b.png").rename(tmp_path / "good" / "c.png")
    seen.append(fingerprint([str(tmp_path)]))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    fingerprint([str(tmp_path)])  # ends
    assert len(set(seen)) == len(seen)


def test_a_worker_that_holds_too_much_is_replaced(tiny: Sweep, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.sweeps.local.bytes_for_each", lambda workers: 1.0 * workers)
    found = tiny("seed=0,1,2", "sweep.workers=1", "sweep.cpus=1")
    assert {trial.state for trial in found.values()} == {"complete"}
    assert len({trial.result["process"] for trial in found.values()}) == 3
    assert bytes_for_each(2) == pytest.approx(bytes_for_each(1) / 2)


def test_the_page_is_there_from_the_first_trial_on(
    tiny: Sweep, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "sweep" / "index.html"
    seen = []
    show = LivePage.show

    def watched(self: LivePage) -> None:
        show(self)
        seen.append(page.read_text(encoding="utf-8"))

    monkeypatch.setattr(LivePage, "show", watched)
    tiny("seed=0,1,2", "sweep.workers=0")
    assert len(seen) == 3
    assert all('http-equiv="refresh"' in text for text in seen)
    assert "1 complete" in seen[0]
    assert "refresh" not in page.read_text(encoding="utf-8")
