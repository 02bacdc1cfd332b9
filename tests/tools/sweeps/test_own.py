"""A journal that this user wrote may name code; one that came from elsewhere may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.sweeps.own import is_own, mark_of

if TYPE_CHECKING:
    from pathlib import Path

    from .conftest import Sweep

ARGS = ["seed=0,1", "sweep.trial=tiny_trial"]


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    return tmp_path / "state" / "loupe" / "key"


def test_a_mark_is_of_one_command_and_one_user(home: Path) -> None:
    mark = mark_of(ARGS)
    assert is_own(ARGS, mark)
    assert not is_own([*ARGS, "seed=2"], mark)
    assert not is_own(ARGS, "")
    assert home.stat().st_mode & 0o777 == 0o600
    home.unlink()  # another user
    assert not is_own(ARGS, mark)


def test_without_a_place_for_a_key_there_is_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    assert mark_of(ARGS) == ""
    assert not is_own(ARGS, "")


def test_a_sweep_of_another_user_is_refused_until_it_is_trusted(
    tiny: Sweep, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny("seed=0,1", "sweep.trials=1", "sweep.workers=0")
    home.unlink()
    again = ["sweep", "resume", str(tmp_path / "sweep"), "sweep.trials=null"]
    assert main(again) == 2
    assert "trust=true" in capsys.readouterr().err
    assert main([*again, "trust=true"]) == 0
    assert main(again) == 0  # it is one's own now
