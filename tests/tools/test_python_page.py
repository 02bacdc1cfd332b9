"""What docs/python.md shows works as it stands there: its code in one session, its commands beside it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

import loupe
from tools.cli import main

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "python.md").read_text(encoding="utf-8")
SMALL = ["data.image_size=32", "data.num_workers=0", "data.calibration_from=test", "callbacks.evaluation.resamples=20"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", TEXT, re.DOTALL)


@pytest.fixture
def here(picture_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with images in PATH, one image x.png, and the page's config in DIR."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "PATH").symlink_to(picture_folder)
    image = next(path for path in sorted(picture_folder.rglob("*.png")) if "ground_truth" not in path.parts)
    (tmp_path / "x.png").symlink_to(image)
    (config,) = blocks("yaml")
    (tmp_path / "DIR" / "model").mkdir(parents=True)
    (tmp_path / "DIR" / "model" / "small_bank.yaml").write_text(config, encoding="utf-8")
    return tmp_path


def test_the_code_runs_as_one_session(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    session: dict[str, Any] = {}
    shown = []
    for code in blocks("python"):
        exec(compile(code, "docs/python.md", "exec"), session)  # noqa: S102 - the page is ours
        if (last := code.strip().splitlines()[-1]) in {"run", "found"}:
            shown.append(session[last]._repr_html_())
    assert "did you mean 'patchcore'?" in capsys.readouterr().out
    assert session["run"] == loupe.Run.open(here / "runs" / "folder-padim" / session["run"].path.name)
    assert "<td>image_auroc</td>" in shown[0]
    assert shown[1].count("data:image/webp;base64,") == 1
    assert set(session["found"].frame["verdict"]) <= {"good", "defective", ""}


def test_the_commands_run(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logged, own, explained = [line for text in blocks("sh") for line in text.splitlines()]
    small = [*SMALL, "trainer=cpu", "report=false"]
    assert main([*shlex.split(logged)[1:], *small, "model=conv_ae_small", "trainer.max_epochs=3", "id=logged"]) == 0
    run = here / "runs" / "folder-conv_ae_small" / "logged"
    table = pd.read_csv(run / "lightning_csv" / "metrics.csv")
    history = pd.read_csv(run / "history.csv")
    assert table["calibration/objective"].dropna().tolist() == pytest.approx(history["calibration/objective"].tolist())
    assert main([*shlex.split(own)[1:], *small, "id=own", "trainer.max_epochs=7"]) == 0
    assert "trainer.max_epochs=7 does nothing: PatchCore learns in one pass over the images." in capsys.readouterr().out
    config = loupe.Run.open(here / "runs" / "folder-small_bank" / "own").path / "config.yaml"
    assert "coreset_ratio: 0.01" in config.read_text()
    assert main(["test", str(config.parent), "report=false"]) == 0  # without the folder: the run holds its config
    capsys.readouterr()
    assert main(shlex.split(explained)[1:]) == 0
    help_text = capsys.readouterr().out
    assert "model=small_bank: PatchCore that keeps one patch in a hundred" in help_text
    assert "model.coreset_ratio=0.01" in help_text
    assert "share of the patches" not in help_text  # the comment of the value that it replaces
    assert "model.num_neighbors=9" in help_text
