"""What the tests of sweeps share: a trial that trains nothing, run through the door."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.cli import main
from tools.sweeps.journal import Trial, read_trials

HERE = Path(__file__).parent
TINY = "sweep.trial=tiny_trial"

Sweep = Callable[..., dict[str, Trial]]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Sweep:
    """Sweep with the tiny trial in ``tmp_path/sweep``; return all trials."""
    monkeypatch.syspath_prepend(str(HERE))

    def sweep(*args: str, status: int = 0) -> dict[str, Trial]:
        assert main(["sweep", TINY, f"out={tmp_path}", *args]) == status
        return read_trials(tmp_path / "sweep")

    return sweep


def starts(folder: Path) -> Counter[str]:
    """Count how often each trial was started."""
    path = folder / "starts.txt"
    return Counter(path.read_text(encoding="utf-8").split()) if path.is_file() else Counter()
