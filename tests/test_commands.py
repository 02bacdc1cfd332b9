"""Every command of the README and of pages about tasks as it is written, in its order, in a folder of drawn images."""

from __future__ import annotations

import shlex
import sys
from typing import TYPE_CHECKING

import pytest

from tests.commands import ROOT, SERVED, SMALL, commands, draw_folder, filled_in, serve_and_end
from tools.cli import main

if TYPE_CHECKING:
    from pathlib import Path

LOUPE = [sys.executable, "-c", "import sys; from tools.cli import main; sys.exit(main())"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the commands are typed."""
    here = tmp_path_factory.mktemp("readme")
    draw_folder(here)
    return here


def serve(words: list[str], here: Path) -> int:
    """Serve from this checkout until the address is there."""
    return serve_and_end([*LOUPE, *words], here, {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "HOME": str(here)})


@pytest.mark.slow
@pytest.mark.parametrize("page", ["README.md", "docs/predict.md", "docs/splits.md", "docs/acceptance.md"])
def test_every_command_of_a_page_runs_as_written(page: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(folder)
    written = commands(page)
    if page == "README.md":
        assert len(written) >= 18
        assert {"doctor", "train", "sweep", "export", "serve", "label"} <= {words[0] for words in written}
    elif not (folder / "runs").exists():  # each page stands alone, too
        assert main(["train", "parts", *SMALL["train"]]) == 0
    ended = {}
    for words in written:
        given = filled_in(words, folder)
        ended[shlex.join(given)] = serve(given, folder) if words[0] in SERVED else main(given)
    assert {command: status for command, status in ended.items() if status not in {0, 130}} == {}
