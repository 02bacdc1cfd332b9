"""The help of a line lists its own keys, with those that all lines share."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from configs import CONFIG_DIR
from tools.configuring.config import groups
from tools.predict import main

LINES = groups()["line"]


@pytest.mark.parametrize("line", LINES)
def test_help_lists_every_key_of_the_line(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([f"line={line}", "--help"]) == 0
    said = capsys.readouterr().out
    own = set(map(str, OmegaConf.load(CONFIG_DIR / "line" / f"{line}.yaml"))) - {"_target_"}
    listed = {entry.strip().partition("=")[0] for entry in said.splitlines() if entry.startswith("  ")}
    assert {*own, "source", "out", "page", "errors"} <= listed
    assert f"usage: loupe predict line={line} [KEY=VALUE ...]" in said
    assert ("oring_rework" in said) == ("acceptance" in own)


def test_help_of_predict_lists_the_lines(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(f"\n  {line} " in said for line in LINES)


def test_help_of_a_line_that_is_not_there_names_those_that_are(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["line=nothing", "--help"]) == 2
    said = capsys.readouterr().err
    assert "No line named 'nothing'" in said
    assert all(line in said for line in LINES)
