"""``loupe threshold``: a move is kept with who and why, reaches checkpoint and table, and can be taken back."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch

from callbacks.decisions.scopes import Scoped
from callbacks.policies.base import Threshold
from tools.cli import main
from tools.runs.checkpoint import KEY

if TYPE_CHECKING:
    from pathlib import Path

STATE = "post_processor._extra_state"


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """Write what the verb reads of a finished run: ten calibration images whose scores are their maps' maxima."""
    folder = tmp_path / "runs" / "plates" / "one"
    (folder / "checkpoints").mkdir(parents=True)
    scopes = {
        level: Scoped(Threshold(value, "F1()", "Chosen.", 5, 5)).to_dict()
        for level, value in (("image", 4.5), ("pixel", 4.0))
    }
    scores = [[float(index), int(index >= 5), float(index), "thin" if index % 2 else "thick"] for index in range(10)]
    state = {
        STATE: {**scopes, "scores": scores, "form": 2},
        "model.weight": torch.arange(6.0),
        "post_processor.image_threshold": torch.tensor(4.5),
        "post_processor.pixel_threshold": torch.tensor(4.0),
    }
    torch.save({"state_dict": state, KEY: {"data": {}}, "epoch": 3}, folder / "checkpoints" / "best.ckpt")
    (folder / "config.yaml").write_text("data: {}\n", encoding="utf-8")
    (folder / "environment.json").write_text('{"state": "finished"}', encoding="utf-8")
    (folder / "calibration.json").write_text(json.dumps(scopes | {"map_range": [0, 1]}), encoding="utf-8")
    return folder


def checkpoint(run: Path) -> dict[str, Any]:
    content: dict[str, Any] = torch.load(run / "checkpoints" / "best.ckpt", weights_only=True)
    return content


def line(run: Path, level: str) -> float:
    """The threshold of all, which table, state and buffer must agree on."""
    state = checkpoint(run)["state_dict"]
    values = {
        state[STATE][level]["all"]["value"],
        float(state[f"post_processor.{level}_threshold"]),
        json.loads((run / "calibration.json").read_text(encoding="utf-8"))[level]["all"]["value"],
    }
    assert len(values) == 1
    return float(values.pop())


def test_a_move_reaches_everything_that_decides(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["threshold", str(run), "image=6.5", "by=Ada", "note=too many rejects"]) == 0
    assert (line(run, "image"), line(run, "pixel")) == (6.5, 6.0)
    said = capsys.readouterr().out
    assert "Ada (too many rejects): image threshold of all: 4.5 -> 6.5; pixel threshold of all: 4 -> 6." in said
    assert "2 of 5 defective pictures missed, 0 of 5 good ones called defective" in said
    content = checkpoint(run)
    assert content["epoch"] == 3
    assert torch.equal(content["state_dict"]["model.weight"], torch.arange(6.0))


def test_moves_are_kept_and_taken_back_one_by_one(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for args in (["image=6.5"], ["pixel=9"], ["undo=true"]):
        assert main(["threshold", str(run), *args, "by=Ada"]) == 0
    assert (line(run, "image"), line(run, "pixel")) == (6.5, 6.0)
    entries = [json.loads(text) for text in (run / "thresholds.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [(entry["by"], entry["why"]) for entry in entries] == [("Ada", ""), ("Ada", ""), ("Ada", "taken back")]
    assert entries[0]["before"]["image"]["all"]["value"] == 4.5
    capsys.readouterr()
    assert main(["threshold", str(run)]) == 0
    shown = capsys.readouterr().out
    assert "image all: 6.5" in shown
    assert shown.count("Ada") >= 3


def test_a_kind_has_a_threshold_of_its_own(run: Path) -> None:
    assert main(["threshold", str(run), "image=8", "kind=thin"]) == 0
    assert line(run, "image") == 4.5
    image = Scoped.from_dict(checkpoint(run)["state_dict"][STATE]["image"])
    assert image.values() == {"all": 4.5, "kind thin": 8.0}


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["image=nan"], "finite"),
        (["image='13,3'"], "13,3"),
        (["image=true"], "True"),
        (["image=5", "kind=nosuch"], "thick, thin"),
        (["undo=true"], "never moved"),
        (["undo=true", "image=3"], "leave one out"),
    ],
)
def test_what_cannot_be_is_one_sentence_and_changes_nothing(
    args: list[str], said: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (run / "checkpoints" / "best.ckpt").read_bytes()
    assert main(["threshold", str(run), *args]) == 2
    assert said in capsys.readouterr().err
    assert (run / "checkpoints" / "best.ckpt").read_bytes() == before
    assert not (run / "thresholds.jsonl").exists()


def test_an_unfinished_run_is_left_alone(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "environment.json").write_text('{"state": "training"}', encoding="utf-8")
    assert main(["threshold", str(run), "image=3"]) == 2
    assert "not finished" in capsys.readouterr().err
