"""What tests of faults share: a small finished run, copies of it to be tampered with, and what every end has to be."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tools.cli import main

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.faults.endings import Ending, Loupe


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on two dozen drawn images of 48 pixels; nobody changes it."""
    folder = tmp_path_factory.mktemp("faults")
    size = ["data.good=30", "data.defective=10", "data.size=48", "data.image_size=[48,48]", "data.num_workers=0"]
    quick = ["model.coreset_ratio=0.05", "callbacks.evaluation.resamples=10", "callbacks.evaluation.atlas=0"]
    options = [*size, *quick, "trainer=cpu", "report=false", f"out={folder / 'runs'}", "id=one"]
    assert main(["train", "data=synthetic", *options]) == 0
    return folder / "runs" / "synthetic-fiber-patchcore" / "one"


@pytest.fixture
def run_copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the run, to be tampered with."""
    return Path(shutil.copytree(finished_run, tmp_path / "run"))


@pytest.fixture
def loupe(capfd: pytest.CaptureFixture[str]) -> Loupe:
    """Run a command within this process; return its status and what it said."""

    def run(args: Sequence[str]) -> Ending:
        capfd.readouterr()
        status = main(list(args))
        return status, capfd.readouterr().err

    return run
