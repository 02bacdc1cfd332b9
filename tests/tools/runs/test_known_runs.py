"""Runs by name: the latest, the one of an id, and words that name none or several."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

import pytest

from tools.cli import main
from tools.errors import ConfigError
from tools.runs.known_runs import describe_runs, find_run, known_runs

if TYPE_CHECKING:
    from pathlib import Path


def write_run(out: Path, name: str, started: int, auroc: float | None = None) -> Path:
    """Write what a list reads of a run."""
    folder = out / name
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "config.yaml").write_text("data: {}\n", encoding="utf-8")
    os.utime(folder / "config.yaml", (started, started))
    if auroc is not None:
        metrics = {
            "test": {"image_auroc": {"value": auroc}},
            "pictures": {"good": 20, "defective": 10, "unknown": 1},
        }
        (folder / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
        (folder / "environment.json").write_text('{"state": "finished"}', encoding="utf-8")
    return folder


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """Three runs of two names, one of them unfinished, and a page of the doctor's, which is none."""
    write_run(tmp_path, "rings/a", 1000, 0.9)
    write_run(tmp_path, "rings/b", 3000)
    write_run(tmp_path, "fiber/a", 2000, 0.95)
    (tmp_path / "rings-doctor" / "c").mkdir(parents=True)
    (tmp_path / "rings-doctor" / "c" / "config.yaml").write_text("x: 1\n", encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("word", "expected"),
    [("latest", "rings/b"), ("rings", "rings/b"), ("fiber", "fiber/a"), ("b", "rings/b"), ("rings/a", "rings/a")],
)
def test_a_word_names_a_run(word: str, expected: str, out: Path) -> None:
    assert find_run(word, out) == (out / expected).resolve()


def test_a_path_is_itself(out: Path) -> None:
    assert find_run(str(out / "rings" / "a"), out) == out / "rings" / "a"
    assert find_run("moved/best.ckpt", out).name == "best.ckpt"


@pytest.mark.parametrize(("word", "said"), [("a", "may be fiber/a, rings/a"), ("nosuch", "there are rings/b, fiber/a")])
def test_what_names_none_or_several_is_answered_with_what_there_is(word: str, said: str, out: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        find_run(word, out)
    assert said in str(caught.value)


def test_the_list_says_what_each_reached(out: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(out)]) == 0
    printed = capsys.readouterr().out
    lines = printed.splitlines()
    assert [line.split()[0] for line in lines] == ["run", "rings/b", "fiber/a", "rings/a"]
    assert "training" in lines[1]
    assert lines[2].endswith("finished  0.950        31")
    assert printed.rstrip("\n") == describe_runs(known_runs(out))


def test_no_run_at_all_says_how_to_make_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["runs", str(tmp_path)]) == 0
    assert "loupe train PATH" in capsys.readouterr().out
    assert main(["runs", str(tmp_path / "nosuch")]) == 2
